/**
 * Lets pass the bytes that the head of a response has promised, and nothing else. Made from the first bytes of each
 * response, which hold the whole head, and asked about all bytes.
 *
 * Bytes beyond the Content-Length are cut off, and bytes that break out of the chunks end the response: a client would
 * read either as the beginning of the response to its next request.
 */

import { ChunkFraming } from './chunk-framing.js'
import { CHUNKED, isSplit, type ResponsePromise, readPromise, UNTIL_CLOSE } from './response-promise.js'

const NO_PROMISE: ResponsePromise = { status: 0, headBytes: 0, bodyBytes: 0, namesFile: false }

export class ResponseGuard {
  readonly promise: ResponsePromise
  readonly #chunks: ChunkFraming | null
  /** Bytes that may still come, the head included; below 0: no limit. */
  #allowance: number
  #isFirst = true
  /** Why clients could read this response in different ways; null: no reason so far. */
  refused: string | null = null

  /** `printed`: the head as Node has printed it; `isHead`: the request was a HEAD. */
  constructor(first: string | Buffer, printed: string, isHead: boolean) {
    const text = typeof first === 'string' ? first : first.latin1Slice(0, first.indexOf('\r\n\r\n') + 4)
    const read = readPromise(text, isHead)
    // The head is as long as the printed one, so its first empty line is its last. (Not so if Node writes the head in
    // UTF-8.)
    const isSure = typeof read === 'string' || read.headBytes === printed.length
    const promise = isSure || !isSplit(printed) ? read : 'its head has an empty line'
    if (typeof promise === 'string') this.refused = promise
    this.promise = typeof promise === 'string' ? NO_PROMISE : promise
    this.#chunks = this.promise.bodyBytes === CHUNKED ? new ChunkFraming() : null
    this.#allowance = this.promise.bodyBytes < 0 ? UNTIL_CLOSE : this.promise.headBytes + this.promise.bodyBytes
  }

  /** The end of the connection marks the end of the response. */
  get isUntilClose(): boolean {
    return this.promise.bodyBytes === UNTIL_CLOSE
  }

  /** Fewer bytes than promised have come. */
  get isShort(): boolean {
    return this.#allowance > 0 || this.#chunks?.isComplete === false
  }

  /** The part of the next bytes that may pass. Check `refused` afterwards. */
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
