/**
 * Takes the framing off a response's body, by length, by chunks or up to the connection's end, and knows whether all of
 * it has come. Owned by the body filters of `body-filters.ts`.
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

  /** What may follow has been promised and has not come; with `close` nobody can tell. */
  get isComplete(): boolean {
    return this.#chunked === null ? this.#left === 0 : this.#isChunkedDone
  }

  /** Names and values of the trailers in turn, once it is complete. */
  get trailers(): string[] {
    return this.#chunked?.trailers ?? []
  }

  /** Hands the data in `bytes` on as parts of it. False: they are not framed as the head says, or go beyond it. */
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
