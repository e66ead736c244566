/**
 * What the life of a request (`request-lifecycle.ts`) and whoever responds to it say to each other. A worker's link, a
 * foreign upstream and the handshake of a WebSocket keep to it; whoever responds next (a cache, a server of the uwsgi
 * protocol) joins by keeping to it.
 *
 * Towards the responder: the exchange is handed over, then the request's body, in pieces, and its end; or `cancel`.
 * Back from it: the response's bytes go to `exchange.out`, and one word at the end: complete, failed, or broken off.
 * `Exchange` is a parameter here, because an exchange names its attempt.
 */

/**
 * One try at a response. `exchange.attempt` is set while one is under way: until the response is complete, the try
 * failed, or `cancel`.
 */
export interface Attempt<Exchange> {
  /** A piece of the request's body. False: no more before the client's `resumeBody`. */
  sendBody(exchange: Exchange, bytes: Buffer): boolean
  /** All of the body has been sent; `exchange.bodyTrailers` came behind it. */
  endBody(exchange: Exchange): void
  /** More of the body can be taken now. */
  hasRoom(exchange: Exchange): boolean
  /**
   * Gives the response up; nothing is told of it any more. `isLate`: its deadline has passed, which is the responder's
   * fault.
   */
  cancel(exchange: Exchange, isLate: boolean): void
}

/** Goes on to take the body of a request whose response is complete. */
export interface BodyReader<Exchange> {
  sendBody(exchange: Exchange, bytes: Buffer): boolean
  endBody(exchange: Exchange): void
  /** Nobody sends more of it. */
  stopReading(exchange: Exchange): void
}

/** Where exchanges wait for a responder. */
export interface WaitingPlace<Exchange> {
  leave(exchange: Exchange): void
}
