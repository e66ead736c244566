/**
 * Collects the first bytes of a response until its head is complete. One per body filter: as a rule the first piece of
 * a response holds the whole head, but a long head comes in several.
 */

import { GatheredBytes } from '../../kit/link/gathered-bytes.js'
import { type BadHead, MAX_RESPONSE_HEAD_BYTES, parseResponseHead, type ResponseHead } from './response-head.js'

/** The head, its printed length, and the first bytes behind it. */
export interface CollectedHead {
  head: ResponseHead | BadHead
  rest: Buffer
}

const END = '\r\n\r\n'

export class HeadCollector {
  readonly #method: string
  readonly #parts = new GatheredBytes()

  /** `method`: of the request. */
  constructor(method: string) {
    this.#method = method
  }

  /** Null: more bytes are needed. `bytes` may be used again after the call. */
  take(bytes: string | Buffer): CollectedHead | null {
    // The end of the head may have begun in the piece before.
    const from = Math.max(0, this.#parts.length - END.length + 1)
    if (typeof bytes === 'string') this.#parts.addText(bytes)
    else this.#parts.add(bytes)
    const end = this.#parts.indexOf(END, from)
    if (end < 0 && this.#parts.length <= MAX_RESPONSE_HEAD_BYTES) return null
    const all = this.#parts.take()
    if (end < 0) return { head: { bad: 'its head has no end' }, rest: all.subarray(0, 0) }
    return { head: parseResponseHead(all.latin1Slice(0, end), this.#method), rest: all.subarray(end + END.length) }
  }
}
