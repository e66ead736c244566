/** Whether an event loop goes round, by the beats that it counts: a decision of `strange-children-thread.ts`. */

/** Between two looks, from a loop that nothing holds up. */
export const BEATS = 5
/** With so few it was held up since the last look, at once or again and again; a beat comes behind each time. */
const FEW_BEATS = 3
/** One after another. A single one is what a SIGCONT to the process looks like. */
const STILL_LOOKS = 2

/** What was seen of a loop so far. */
export class LoopBeats {
  #beat: number
  #lookedMs: number
  #slowLooks = 0
  #sinceMs: number

  constructor(beat: number, nowMs: number) {
    this.#beat = beat
    this.#lookedMs = nowMs
    this.#sinceMs = nowMs
  }

  /** A look, some time after the last one. */
  look(beat: number, nowMs: number): void {
    // The count may wrap round.
    const isSlow = ((beat - this.#beat) | 0) <= FEW_BEATS
    if (this.#slowLooks === 0) this.#sinceMs = this.#lookedMs
    this.#slowLooks = isSlow ? this.#slowLooks + 1 : 0
    this.#beat = beat
    this.#lookedMs = nowMs
  }

  get lookedMs(): number {
    return this.#lookedMs
  }

  /** Since when it stands still; null: it goes round. */
  get stillSinceMs(): number | null {
    return this.#slowLooks >= STILL_LOOKS ? this.#sinceMs : null
  }
}
