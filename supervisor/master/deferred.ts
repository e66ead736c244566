/** A promise that is resolved from outside: `Promise.withResolvers`, which Node 20 does not have. */

/** The promise and its two ends. */
export interface Deferred<T> {
  promise: Promise<T>
  resolve(value: T): void
  reject(reason: unknown): void
}

/** Makes a new `Deferred`. */
export function deferred<T>(): Deferred<T> {
  const parts: Partial<Deferred<T>> = {}
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }))
  return parts as Deferred<T>
}
