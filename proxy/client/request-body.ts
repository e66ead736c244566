/** Reads the body of one request out of the connection's bytes, by length or by chunks, and says where it ends. */

import { ChunkedDecoder } from '../http/chunked-body.js'
import { isRefusal, type Refusal } from '../http/refusal.js'
import type { RequestHead } from '../http/request-head.js'

/**
 * Smaller pieces of one read are joined. A client may send each byte as a chunk of its own. Kept one by one, until a
 * worker has them or has read them, such pieces would take about twenty times their size.
 */
const SMALL_BYTES = 1024

/** Where the body goes. */
export interface BodySink {
  data(bytes: Buffer): void
  /** `trailers`: names and values in turn, joined by `\n`; empty: none. */
  end(trailers: string): void
}

export class RequestBody {
  readonly #sink: BodySink
  readonly #chunked: ChunkedDecoder | null
  #left: number
  #small: Buffer[] = []
  complete = false
  /** Bytes that have come, the framing of chunks included. */
  receivedBytes = 0
  /** Bytes that are still to come; 0 for a chunked body. */
  get leftBytes(): number {
    return this.#left
  }

  constructor(head: RequestHead, sink: BodySink) {
    this.#sink = sink
    this.#left = head.length
    this.#chunked = head.chunked ? new ChunkedDecoder() : null
  }

  /** Takes the bytes of the body. Returns the number of bytes taken, or why the rest is refused. */
  feed(bytes: Buffer): number | Refusal {
    this.receivedBytes += bytes.length
    return this.#chunked === null ? this.#feedLength(bytes) : this.#feedChunks(this.#chunked, bytes)
  }

  #feedLength(bytes: Buffer): number {
    const count = Math.min(bytes.length, this.#left)
    this.#left -= count
    if (count > 0) this.#sink.data(count === bytes.length ? bytes : bytes.subarray(0, count))
    if (this.#left === 0) this.#end('')
    return count
  }

  #feedChunks(decoder: ChunkedDecoder, bytes: Buffer): number | Refusal {
    const result = decoder.decode(bytes, data => this.#take(data))
    this.#passSmall()
    if (isRefusal(result)) return result
    if (result.done) this.#end(decoder.trailers.join('\n'))
    return result.consumed
  }

  #take(data: Buffer): void {
    if (data.length < SMALL_BYTES) this.#small.push(data)
    else {
      this.#passSmall()
      this.#sink.data(data)
    }
  }

  #passSmall(): void {
    const small = this.#small
    if (small.length === 0) return
    this.#small = []
    this.#sink.data(small.length === 1 ? small[0]! : Buffer.concat(small))
  }

  #end(trailers: string): void {
    this.complete = true
    this.#sink.end(trailers)
  }
}
