/**
 * What the request lifecycle does with an exchange that a responder has (`responder.ts`). The link of a worker, a
 * foreign upstream and the handshake of a WebSocket implement it. `Exchange` is a type parameter here, because an
 * exchange names its attempt.
 */

/**
 * One try to get a response. `exchange.attempt` is set while a try is under way: until the response is complete, the
 * try has failed, or `cancel`.
 */
export interface Attempt<Exchange> {
  /** A piece of the request body. False: send no more before the client's `resumeBody`. */
  sendBody(exchange: Exchange, bytes: Buffer): boolean
  /** All of the body has been sent, and `exchange.bodyTrailers` came behind it. */
  endBody(exchange: Exchange): void
  /** Whether more of the body can be taken. */
  hasRoom(exchange: Exchange): boolean
  /**
   * Gives up the response: no more events come for it. `isLate`: its deadline has passed, which counts against the
   * responder.
   */
  cancel(exchange: Exchange, isLate: boolean): void
}

/** Still takes the body of a request whose response is complete. */
export interface BodyReader<Exchange> {
  sendBody(exchange: Exchange, bytes: Buffer): boolean
  endBody(exchange: Exchange): void
  /** No more of the body will be sent. */
  stopReading(exchange: Exchange): void
}

/** Where exchanges wait for a responder. */
export interface WaitingPlace<Exchange> {
  leave(exchange: Exchange): void
}
