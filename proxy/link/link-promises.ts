/**
 * Holds a worker to what it promises on its link (`kit/link/frames.ts`). One per link; it checks each frame that is
 * more than a part of a response in flight. A worker runs code of others, which can find the link's socket and write
 * anything there. A broken promise is a `LinkBreach`: the link is closed and the worker replaced.
 *
 * What must stay true: a worker that runs `app/host/` never breaks a promise, however late its frames arrive. So
 * nothing here is measured in time. Requests, releases and pings, in the same byte stream, grant what a worker may
 * send. A pong proves that everything sent before it has arrived. So an unused grant from before its ping is void.
 */

import { ASIDES_PER_PING, LEAST_CREDIT_BYTES, LINK_VERSION, WINDOW_BYTES } from '../../kit/link/frames.js'
import type { Exchange } from '../exchange/exchange.js'

/** What the worker did, fit for a log. */
export class LinkBreach extends Error {
  override readonly name = 'LinkBreach'
}

/** After a request was released: the head of its response, its end or abort, and a `stuck`. */
const STRAY_FRAMES = 3
const HALF_OF_IDS = 0x80000000
const LONGEST_TEXT = 200

/** Bytes of a response came: a worker may send WINDOW_BYTES beyond the returned credit, and not one byte more. */
export function takeResponseBytes(exchange: Pick<Exchange, 'unacknowledgedCredit'>, bytes: number): void {
  exchange.unacknowledgedCredit += bytes
  if (exchange.unacknowledgedCredit > WINDOW_BYTES) throw new LinkBreach('it sends more of a response than its window')
}

/** Credit for the request body. */
export function takeCredit(exchange: Pick<Exchange, 'bodyWindow'>, bytes: number): void {
  requireCredit(exchange, bytes, 0)
  exchange.bodyWindow += bytes
}

/**
 * Never more credit than bytes sent of the body. `heldBytes`: earlier credit that does not count yet
 * (`held-credit.ts`).
 */
export function requireCredit({ bodyWindow }: Pick<Exchange, 'bodyWindow'>, bytes: number, heldBytes: number): void {
  if (bytes === 0) throw new LinkBreach('it returns no credit')
  if (bodyWindow + heldBytes + bytes > WINDOW_BYTES) throw new LinkBreach('it returns more credit than it was sent')
}

/** The payload of the frame has exactly `bytes` bytes. */
export function requireLength(bytes: number, start: number, end: number): void {
  if (end - start !== bytes) throw new LinkBreach(`it sends a payload of ${end - start} bytes in place of ${bytes}`)
}

/** Words of a worker: one line of bounded length, without control characters. */
export function wordsIn(bytes: Buffer, start: number, end: number): string {
  return bytes.latin1Slice(start, Math.min(end, start + LONGEST_TEXT)).replace(/[^ -~]/g, '?')
}

export class LinkPromises {
  #hasGreeted = false
  #lastId: number
  /** How many ids before the last one have been used; HALF_OF_IDS at most. */
  #usedIds = 0
  /**
   * The last id that the worker has acknowledged, and the last one that it has to. Equal: no acknowledgement is due.
   */
  #seenId: number
  #unsafeId: number
  /** The ping without a pong; 0 = none. */
  #ping = 0
  /** Bytes of released responses that may still come: granted since the last ping, and before it. */
  #strayBytes = 0
  #strayBytesBefore = 0
  /** The same for frames without response bytes. */
  #asides = ASIDES_PER_PING
  #asidesBefore = 0

  /** `lastId`: the id before the first one. */
  constructor(lastId: number) {
    this.#lastId = lastId
    this.#seenId = lastId
    this.#unsafeId = lastId
  }

  /** The first frame: once, and with our version. */
  hello(bytes: Buffer, start: number, end: number): void {
    if (this.#hasGreeted) throw new LinkBreach('it says hello twice')
    const version = wordsIn(bytes, start, end)
    if (version !== LINK_VERSION) throw new LinkBreach(`it speaks ${version} and not ${LINK_VERSION}`)
    this.#hasGreeted = true
  }

  requireHello(): void {
    if (!this.#hasGreeted) throw new LinkBreach('it does not begin with hello')
  }

  /** A request is on its way. `isUnsafe`: it will be acknowledged. */
  sent(id: number, isUnsafe: boolean): void {
    this.#usedIds = Math.min(HALF_OF_IDS, this.#usedIds + ((id - this.#lastId) >>> 0))
    this.#lastId = id
    if (!isUnsafe) return
    // Everything before this id is settled, however long ago: ids may have wrapped since.
    if (this.#seenId === this.#unsafeId) this.#seenId = (id - 1) >>> 0
    this.#unsafeId = id
  }

  /** An acknowledgement must be due, and each must reach further than the one before. */
  seen(id: number): void {
    const due = (this.#unsafeId - this.#seenId) >>> 0
    if ((this.#unsafeId - id) >>> 0 >= due) throw new LinkBreach('it acknowledges what it was not sent')
    this.#seenId = id
  }

  pinged(number: number): void {
    this.#ping = number
    this.#strayBytesBefore += this.#strayBytes
    this.#strayBytes = 0
    this.#asidesBefore += this.#asides
    this.#asides = ASIDES_PER_PING
  }

  ponged(number: number): void {
    if (this.#ping === 0 || number !== this.#ping) throw new LinkBreach('it answers a ping that was not sent')
    this.#ping = 0
    this.#strayBytesBefore = 0
    this.#asidesBefore = 0
  }

  /** The response is released. Until the worker learns that, it may send the rest of its window. */
  released(exchange: Pick<Exchange, 'unacknowledgedCredit' | 'bodyWindow'>): void {
    this.#strayBytes += WINDOW_BYTES - exchange.unacknowledgedCredit
    this.forgotten(exchange)
  }

  /** The id no longer finds the exchange, but the worker may still send frames about its body. */
  forgotten({ bodyWindow }: Pick<Exchange, 'bodyWindow'>): void {
    this.#asides += STRAY_FRAMES + Math.ceil((WINDOW_BYTES - bodyWindow) / LEAST_CREDIT_BYTES)
  }

  /** Bytes of a released response. */
  strayResponse(id: number, bytes: number): void {
    this.#requireSent(id)
    this.#strayBytesBefore -= bytes
    if (this.#strayBytesBefore >= 0) return
    this.#strayBytes += this.#strayBytesBefore
    this.#strayBytesBefore = 0
    if (this.#strayBytes < 0) throw new LinkBreach('it sends a response that nobody asks for')
  }

  /** A frame without bytes of a response in flight, for a request that is gone. */
  aside(id: number): void {
    this.#requireSent(id)
    if (this.#asidesBefore > 0) this.#asidesBefore -= 1
    else if (this.#asides > 0) this.#asides -= 1
    else throw new LinkBreach('it says more than it may unasked')
  }

  #requireSent(id: number): void {
    if (id === 0 || (this.#lastId - id) >>> 0 >= this.#usedIds)
      throw new LinkBreach('it speaks of a request that it was not sent')
  }
}
