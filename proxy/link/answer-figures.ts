/**
 * What came of the requests that one worker got over one link: the master compares it between workers during a reload (`soak`).
 * Kept by `link.ts`; two additions and a comparison for each answer.
 */

/** Counts since the link came up. */
export class AnswerFigures {
  answered = 0
  /** Answers of 5xx, and passed deadlines. */
  failed = 0
  /** The sum of the times from handing a request over to the first byte of its answer. */
  waitedMs = 0

  add(waitedMs: number, isFailure: boolean): void {
    this.answered += 1
    this.waitedMs += waitedMs
    if (isFailure) this.failed += 1
  }
}
