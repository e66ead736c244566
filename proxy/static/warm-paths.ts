/**
 * Which paths were looked up a moment ago, and what was there. Used by static/open.ts: such a path is in the kernel's
 * caches, so that looking at it again takes about a microsecond and need not go through the thread pool. Pure but for
 * its own memory; time is passed in. Two generations instead of a list by age: bounded, and no work but one look-up on
 * the hot path.
 */

export type WarmPath = 'file' | 'missing'

/**
 * At most twice this many paths of at most this length are remembered: 16 MB when clients ask for the longest ones on
 * purpose.
 */
const GENERATION_PATHS = 4096
const PATH_CHARACTERS = 1024

/** Forgets a path between one and two of these after it was last asked for. */
const GENERATION_MS = 5000

export class WarmPaths {
  #young = new Map<string, WarmPath>()
  #old = new Map<string, WarmPath>()
  #rotatedMs = 0

  /** What was seen at `path` not long ago; undefined: not known. `nowMs` must come from a monotonic clock. */
  get(path: string, nowMs: number): WarmPath | undefined {
    this.#rotate(nowMs)
    const young = this.#young.get(path)
    if (young !== undefined) return young
    const old = this.#old.get(path)
    if (old !== undefined) this.#young.set(path, old)
    return old
  }

  /** Remembers what was just seen at `path`. */
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
