/**
 * Joins short pieces of responses that come in one turn of a link into one write per response. One per link; `link.ts`
 * says when the turn is over.
 *
 * A worker chooses the length of its frames. 128 KB of a response, its window, may come in as many frames, and a
 * write(2) for each would keep this proxy from all its other clients for a second.
 *
 * What must stay true: no piece is held beyond its turn. Pieces keep their order. The result of a write is reported
 * when the write is made, so no credit is given for held pieces. A response in a single frame is not joined.
 */

import type { Exchange } from './exchange.js'
import { passInterim } from './interim-response.js'

/** Shorter pieces are joined. */
const SHORT_BYTES = 4096
/**
 * Joined pieces are written at this length. They are text, because text of few pieces costs less than a buffer; this
 * many pieces of one byte make a rope of half a megabyte.
 */
const MOST_BYTES = 16 * 1024

export class PieceJoiner {
  readonly #passed: (exchange: Exchange, isTaken: boolean) => void
  /** The exchanges with pieces. An exchange may be there twice, or have no pieces any more. */
  readonly #exchanges: Exchange[] = []
  /** Whether any response may have pieces here. For reading only; a field, because each frame asks for it. */
  isHolding = false

  /** `passed`: pieces of a response have been written. False: the client is slow. */
  constructor(passed: (exchange: Exchange, isTaken: boolean) => void) {
    this.#passed = passed
  }

  /**
   * Takes a copy of a piece behind the head of a response. False: the piece is not joined, and has to be written behind
   * the joined ones.
   */
  take(exchange: Exchange, bytes: Buffer, start: number, end: number): boolean {
    // The rest of the status line has to be found first.
    if (end - start < SHORT_BYTES && exchange.addedFields === '') {
      this.#add(exchange, bytes.latin1Slice(start, end))
      return true
    }
    this.pass(exchange)
    return false
  }

  /** Takes an interim response (1xx). */
  takeInterim(exchange: Exchange, head: string): void {
    this.#add(exchange, head)
  }

  /** Writes the pieces of one response. */
  pass(exchange: Exchange): void {
    const text = exchange.joined
    if (text === '') return
    exchange.joined = ''
    if (exchange.firstByteMs === 0) return passInterim(exchange, text)
    exchange.sentBytes += text.length
    this.#passed(exchange, exchange.out.write(text))
  }

  /** The turn is over. */
  passAll(): void {
    for (const exchange of this.#exchanges) this.pass(exchange)
    this.#exchanges.length = 0
    this.isHolding = false
  }

  #add(exchange: Exchange, text: string): void {
    if (exchange.joined === '') {
      this.#exchanges.push(exchange)
      this.isHolding = true
    }
    exchange.joined += text
    if (exchange.joined.length >= MOST_BYTES) this.pass(exchange)
  }
}
