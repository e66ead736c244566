/**
 * Collects the first bytes of an answer until its head is there. Owned by each stage of `answer-stages.ts`: an answer's first piece holds the whole
 * head as a rule, but a long one comes in several.
 */

import { type AnswerHead, type BadHead, MAX_ANSWER_HEAD_BYTES, parseAnswerHead } from './answer-head.js'

/** The head, its printed length, and the first bytes behind it. */
export interface CollectedHead {
  head: AnswerHead | BadHead
  rest: Buffer
}

export class HeadCollector {
  readonly #method: string
  #parts: Buffer = Buffer.alloc(0)

  /** `method`: of the request. */
  constructor(method: string) {
    this.#method = method
  }

  /** Null: more is needed. `bytes` may be used again once this has returned. */
  take(bytes: string | Buffer): CollectedHead | null {
    const more = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    const all = Buffer.concat([this.#parts, more])
    const end = all.indexOf('\r\n\r\n')
    if (end >= 0) return { head: parseAnswerHead(all.latin1Slice(0, end), this.#method), rest: all.subarray(end + 4) }
    if (all.length > MAX_ANSWER_HEAD_BYTES) return { head: { bad: 'its head has no end' }, rest: all.subarray(0, 0) }
    this.#parts = all
    return null
  }
}
