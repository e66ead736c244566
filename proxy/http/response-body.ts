/**
 * Takes the framing off a response body, by length, by chunks or up to the end of the connection, and knows whether the
 * body is complete.
 */

import { ChunkedDecoder } from './chunked-body.js'
import { isRefusal } from './refusal.js'
import type { ResponseHead } from './response-head.js'

export class ResponseBody {
  readonly #framing: ResponseHead['framing']
  readonly #chunked: ChunkedDecoder | null
  #left: number
  #isChunkedDone = false

  constructor(head: ResponseHead) {
    this.#framing = head.framing
    this.#left = head.length
    this.#chunked = head.framing === 'chunked' ? new ChunkedDecoder() : null
  }

  /** Everything that was promised has come. With `close` nobody can tell. */
  get isComplete(): boolean {
    return this.#chunked === null ? this.#left === 0 : this.#isChunkedDone
  }

  /** Names and values of the trailers in turn, when the body is complete. */
  get trailers(): string[] {
    return this.#chunked?.trailers ?? []
  }

  /**
   * Passes on the data in `bytes` as parts of it. False: the bytes are not framed as the head says, or go beyond it.
   */
  feed(bytes: Buffer, onData: (data: Buffer) => void): boolean {
    if (bytes.length === 0) return true
    if (this.#chunked !== null) return this.#feedChunks(this.#chunked, bytes, onData)
    if (this.#framing !== 'close') {
      if (bytes.length > this.#left) return false
      this.#left -= bytes.length
    }
    onData(bytes)
    return true
  }

  #feedChunks(decoder: ChunkedDecoder, bytes: Buffer, onData: (data: Buffer) => void): boolean {
    const decoded = decoder.decode(bytes, onData)
    if (isRefusal(decoded)) return false
    this.#isChunkedDone = decoded.done
    return decoded.consumed === bytes.length
  }
}
