/**
 * Figures about the requests that one worker got over one link: a few additions and a comparison for each response.
 *
 * The master compares the counts between workers during a reload (`soak`). `dispatcher.ts` sends requests that arrive
 * together to one fast worker: on an otherwise idle machine, waking a second worker costs more than a few small
 * responses.
 */

/** A worker that is faster than this finishes a few requests before another worker has woken up. */
const QUICK_MS = 1
const AVERAGED_RESPONSES = 8

/** Counts since the link came up. */
export class ResponseFigures {
  responded = 0
  /** Responses of 5xx, and passed deadlines. */
  failed = 0
  /** The sum of the times from handing a request over to the first byte of its response. */
  waitedMs = 0
  /**
   * The average time from sending a request to the end of its response, over the last responses. It starts at the
   * limit: a worker without a response does not count as fast.
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
