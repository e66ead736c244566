/**
 * Which paths were looked up a moment ago, and the result. Such a path is in the kernel's caches, so looking at it
 * again takes about a microsecond and need not go through the thread pool. Pure but for its own memory; time is passed
 * in. Two generations instead of a list by age: bounded, and the hot path does one look-up only.
 */

export type WarmPath = 'file' | 'missing'

/**
 * At most twice this many paths of at most this length are remembered: 16 MB if clients ask for the longest ones on
 * purpose.
 */
const GENERATION_PATHS = 4096
const PATH_CHARACTERS = 1024

/** A path is forgotten between one and two of these times after its last request. */
const GENERATION_MS = 5000

export class WarmPaths {
  #young = new Map<string, WarmPath>()
  #old = new Map<string, WarmPath>()
  #rotatedMs = 0

  /** The recent result for `path`; undefined: not known. `nowMs` must come from a monotonic clock. */
  get(path: string, nowMs: number): WarmPath | undefined {
    this.#rotate(nowMs)
    const young = this.#young.get(path)
    if (young !== undefined) return young
    const old = this.#old.get(path)
    if (old !== undefined) this.#young.set(path, old)
    return old
  }

  /** Remembers the result for `path`. */
  note(path: string, seen: WarmPath, nowMs: number): void {
    if (path.length > PATH_CHARACTERS) return
    this.#rotate(nowMs)
    this.#young.set(path, seen)
  }

  #rotate(nowMs: number): void {
    const ageMs = nowMs - this.#rotatedMs
    if (ageMs < GENERATION_MS && this.#young.size < GENERATION_PATHS) return
    this.#old = ageMs < 2 * GENERATION_MS ? this.#young : new Map()
    this.#young = new Map()
    this.#rotatedMs = nowMs
  }
}
