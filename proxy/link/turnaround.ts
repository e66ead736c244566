/**
 * How fast a worker answers, averaged over its last answers. Kept by `link.ts` for `dispatcher.ts`, which sends requests that come together to one
 * worker where that is quick: on an otherwise idle machine, waking a second one costs more than a few small answers.
 */

/** One that answers faster than this would be through with a few requests before another one had woken up. */
const QUICK_MS = 1
const AVERAGED_ANSWERS = 8

export class Turnaround {
  /** From sending a request to the end of its answer; of a worker that has not answered yet nothing is expected. */
  #averageMs = QUICK_MS

  get isQuick(): boolean {
    return this.#averageMs < QUICK_MS
  }

  took(ms: number): void {
    this.#averageMs += (ms - this.#averageMs) / AVERAGED_ANSWERS
  }
}
