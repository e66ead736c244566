/**
 * What came of the requests that one worker got over one link. Kept by `link.ts`; a few additions and a comparison for
 * each response.
 *
 * The master compares the counts between workers during a reload (`soak`). `dispatcher.ts` sends requests that come
 * together to one worker where that is quick: on an otherwise idle machine, waking a second one costs more than a few
 * small responses.
 */

/** One that responses faster than this would be through with a few requests before another one had woken up. */
const QUICK_MS = 1
const AVERAGED_RESPONSES = 8

/** Counts since the link came up. */
export class ResponseFigures {
  responded = 0
  /** Answers of 5xx, and passed deadlines. */
  failed = 0
  /** The sum of the times from handing a request over to the first byte of its response. */
  waitedMs = 0
  /**
   * From sending a request to the end of its response, over the last responses; of a worker that has not answered yet
   * nothing is expected.
   */
  #averageMs = QUICK_MS

  get isQuick(): boolean {
    return this.#averageMs < QUICK_MS
  }

  /** The first byte of a response came, or its deadline passed. */
  add(waitedMs: number, isFailure: boolean): void {
    this.responded += 1
    this.waitedMs += waitedMs
    if (isFailure) this.failed += 1
  }

  /** A response is complete. */
  took(ms: number): void {
    this.#averageMs += (ms - this.#averageMs) / AVERAGED_RESPONSES
  }
}
