/**
 * The requests in flight on a link, by their 32-bit ids. Both ends of a link look up each frame in it.
 *
 * Not a Map, for one reason: V8's Map makes a new table whenever as many entries were deleted as it holds, and the old
 * table points to the new one. Once one of them is in the old generation, each keeps its successor alive with all that
 * is in it, and the young generation never frees a request again: scavenges took 12 % of a proxy's time and up to 35 %
 * of a worker's.
 *
 * Ids ascend, so the low bits find a free place at once; a table that is half full doubles. An id whose place is taken,
 * by one that lives long, goes to a Map beside it.
 */

const FIRST_CAPACITY = 256

export class IdTable<Value> {
  #values: (Value | undefined)[] = new Array<Value | undefined>(FIRST_CAPACITY).fill(undefined)
  #ids = new Uint32Array(FIRST_CAPACITY)
  readonly #displaced = new Map<number, Value>()
  #size = 0
  /** The id that was set last: where the order of ids begins. */
  #newest = 0

  get size(): number {
    return this.#size
  }

  /** Whether the place of an id is free. The sender that chooses ids skips those that are not. */
  isFree(id: number): boolean {
    return this.#values[id & (this.#values.length - 1)] === undefined
  }

  get(id: number): Value | undefined {
    const at = id & (this.#values.length - 1)
    if (this.#ids[at] === id && this.#values[at] !== undefined) return this.#values[at]
    return this.#displaced.size === 0 ? undefined : this.#displaced.get(id)
  }

  /** `id` must not be in the table. */
  set(id: number, value: Value): void {
    this.#newest = id
    this.#size += 1
    if (this.#size * 2 > this.#values.length) this.#grow()
    this.#place(id, value)
  }

  /** Whether it was there. */
  delete(id: number): boolean {
    const at = id & (this.#values.length - 1)
    const found = this.#ids[at] === id && this.#values[at] !== undefined
    if (found) this.#values[at] = undefined
    else if (this.#displaced.size === 0 || !this.#displaced.delete(id)) return false
    this.#size -= 1
    return true
  }

  clear(): void {
    this.#values.fill(undefined)
    this.#displaced.clear()
    this.#size = 0
  }

  /** All values, the oldest id first, across the wrap of ids. Not for the hot path. */
  values(): Value[] {
    const after = this.#newest + 1
    return this.#entries()
      .sort(([a], [b]) => ((a - after) >>> 0) - ((b - after) >>> 0))
      .map(([, value]) => value)
  }

  #place(id: number, value: Value): void {
    const at = id & (this.#values.length - 1)
    if (this.#values[at] !== undefined) this.#displaced.set(id, value)
    else {
      this.#values[at] = value
      this.#ids[at] = id
    }
  }

  #grow(): void {
    const entries = this.#entries()
    const capacity = this.#values.length * 2
    this.#values = new Array<Value | undefined>(capacity).fill(undefined)
    this.#ids = new Uint32Array(capacity)
    this.#displaced.clear()
    for (const [id, value] of entries) this.#place(id, value)
  }

  #entries(): [id: number, value: Value][] {
    const entries: [number, Value][] = [...this.#displaced]
    for (const [at, value] of this.#values.entries()) if (value !== undefined) entries.push([this.#ids[at]!, value])
    return entries
  }
}
