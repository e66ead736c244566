/** Decides whether an event loop runs, from the beats that it counts. `loop-guard-thread.ts` uses it, and wakes it. */

/** The beats of an undisturbed loop between two looks. */
export const BEATS = 5
/** With so few beats the loop was blocked since the last look, once or again and again: one beat follows each block. */
const FEW_BEATS = 3
/** The number of slow looks in a row that count. A single slow look may come from a SIGCONT to the process. */
const STILL_LOOKS = 2

/** Wakes the loop. It needs a handler: the kernel drops a signal that is ignored, as this one is by default. */
export const WAKING_SIGNAL = 'SIGURG'

/** The looks at one loop so far. */
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

  /** Takes a look. */
  look(beat: number, nowMs: number): void {
    // The count may wrap around.
    const isSlow = ((beat - this.#beat) | 0) <= FEW_BEATS
    if (this.#slowLooks === 0) this.#sinceMs = this.#lookedMs
    this.#slowLooks = isSlow ? this.#slowLooks + 1 : 0
    this.#beat = beat
    this.#lookedMs = nowMs
  }

  get lookedMs(): number {
    return this.#lookedMs
  }

  /** Since when the loop stands still. Null: it runs. */
  get stillSinceMs(): number | null {
    return this.#slowLooks >= STILL_LOOKS ? this.#sinceMs : null
  }
}
