/**
 * Lets pass what a response's head has promised, and nothing else. Made by `served-request.ts` from the first bytes of
 * each response, which hold the whole head, and asked for all of them.
 *
 * What goes beyond the Content-Length is cut off, and what breaks out of its chunks ends the response: a client would
 * read either as the beginning of the answer to its next request.
 */

import { ChunkFraming } from './chunk-framing.js'
import { CHUNKED, isSplit, type ResponsePromise, readPromise, UNTIL_CLOSE } from './response-promise.js'

const NO_PROMISE: ResponsePromise = { status: 0, headBytes: 0, bodyBytes: 0, namesFile: false }

export class ResponseGuard {
  readonly promise: ResponsePromise
  readonly #chunks: ChunkFraming | null
  /** Bytes that may still come, head included; below 0: no limit. */
  #allowance: number
  #isFirst = true
  /** Why this is no response that a client could read in one way only; null: it is one so far. */
  refused: string | null = null

  /** `printed`: the head as Node has printed it; `isHead`: the request was a HEAD. */
  constructor(first: string | Buffer, printed: string, isHead: boolean) {
    const text = typeof first === 'string' ? first : first.latin1Slice(0, first.indexOf('\r\n\r\n') + 4)
    const read = readPromise(text, isHead)
    // As long as what was printed: its first empty line is its last. (Not so where Node writes the head in UTF-8.)
    const isSure = typeof read === 'string' || read.headBytes === printed.length
    const promise = isSure || !isSplit(printed) ? read : 'its head has an empty line'
    if (typeof promise === 'string') this.refused = promise
    this.promise = typeof promise === 'string' ? NO_PROMISE : promise
    this.#chunks = this.promise.bodyBytes === CHUNKED ? new ChunkFraming() : null
    this.#allowance = this.promise.bodyBytes < 0 ? UNTIL_CLOSE : this.promise.headBytes + this.promise.bodyBytes
  }

  /** The end of the response is the end of its connection. */
  get isUntilClose(): boolean {
    return this.promise.bodyBytes === UNTIL_CLOSE
  }

  /** Less than was promised has come. */
  get isShort(): boolean {
    return this.#allowance > 0 || this.#chunks?.isComplete === false
  }

  /** What of the next bytes may pass; look at `refused` then. */
  admit(bytes: string | Buffer): string | Buffer {
    if (this.refused !== null) return ''
    if (this.#chunks !== null) return this.#admitChunks(this.#chunks, bytes)
    if (this.#allowance < 0) return bytes
    const allowed = bytes.length <= this.#allowance ? bytes : bytes.slice(0, this.#allowance)
    this.#allowance -= allowed.length
    return allowed
  }

  #admitChunks(chunks: ChunkFraming, bytes: string | Buffer): string | Buffer {
    const start = this.#isFirst ? this.promise.headBytes : 0
    this.#isFirst = false
    if (chunks.take(bytes, start)) return bytes
    this.refused = 'its chunks are broken'
    return ''
  }
}
