/** One timer for all deadlines of the master. */

/** Longer waits would overflow Node's timers. An early ring is harmless. */
const LONGEST_WAIT_MS = 60_000

/** A timer that is set again after every event. */
export class Alarm {
  readonly #nowMs: () => number
  readonly #ring: () => void
  #timer: NodeJS.Timeout | null = null
  #atMs = Number.POSITIVE_INFINITY

  constructor(nowMs: () => number, ring: () => void) {
    this.#nowMs = nowMs
    this.#ring = ring
  }

  /** Rings at the earliest of `times` (null: never). Replaces the time that was set before. */
  set(times: readonly (number | null)[]): void {
    const atMs = Math.min(Number.POSITIVE_INFINITY, ...times.filter(time => time !== null))
    if (atMs === this.#atMs) return
    this.clear()
    if (atMs === Number.POSITIVE_INFINITY) return
    this.#atMs = atMs
    // A timer may fire a fraction of a millisecond early. The wait is rounded up, so the deadline has passed at the
    // ring.
    const waitMs = Math.min(LONGEST_WAIT_MS, Math.max(0, Math.ceil(atMs - this.#nowMs())))
    this.#timer = setTimeout(() => {
      this.#atMs = Number.POSITIVE_INFINITY
      this.#ring()
    }, waitMs)
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#atMs = Number.POSITIVE_INFINITY
  }
}
