/**
 * The contract between the request lifecycle (`request-lifecycle.ts`) and a responder: the workers of the application
 * (`worker-responder.ts`), foreign upstreams (`upstream/upstreams.ts`).
 *
 * Towards the responder: `dispatch`, then the request body through `exchange.attempt` (`attempt.ts`), or `cancel`. Back
 * from the responder: `exchange.beginResponse` with the status, the bytes of the response to `exchange.out`, and one of
 * the events at the end. A tunnel takes the client's socket instead.
 *
 * Another responder (a server of the uwsgi protocol) implements `Responder`, and the lifecycle dispatches to it by the
 * kind of the route. While an exchange waits, its `queue` is set, and while it is tried its `attempt`: otherwise
 * nobody can cancel it. At each attempt the responder sets `dispatchMs`, counts `attempts`, and reports `sending`. It
 * starts the clock (`startClock`) if the body is complete, and asks the client for the body (`continueBody`,
 * `resumeBody`) if not. It sweeps for deadlines that have passed. A cache may lack the response, so it is asked
 * before, as the files are (`static/static-files.ts`).
 */

import type { ErrorCode, OwnResponse } from '../http/error-response.js'
import type { Exchange } from './exchange.js'

export interface Responder {
  /** Takes the exchange, and the part of its body that has arrived. The exchange may have to wait. */
  dispatch(exchange: Exchange, nowMs: number): void
}

/**
 * What a responder reports. Each exchange ends with exactly one of `complete`, `failed`, `badResponse`, `broken` and
 * `expired`, unless it was cancelled before.
 */
export interface ResponderEvents {
  /** The exchange is about to be sent; again at each further attempt. Not for the handshake of a WebSocket. */
  sending(exchange: Exchange): void
  /** The response that begins names a file to be sent in its place. */
  fileNamed(exchange: Exchange): void
  /** The last byte of the response has been given to `exchange.out`. `close`: the client's connection ends with it. */
  complete(exchange: Exchange, close: boolean, nowMs?: number): void
  /** There is no response. The client gets an error; if it has a part of a response, its connection breaks. */
  failed(exchange: Exchange, code: ErrorCode, fields?: OwnResponse['fields']): void
  /** The bytes are no response, or clients could read them in different ways. */
  badResponse(exchange: Exchange, why: string): void
  /** The client has a part of the response and gets no more. */
  broken(exchange: Exchange): void
  /** The deadline has passed. The listener cancels the attempt; the client gets a 504. */
  expired(exchange: Exchange): void
  /** The response is complete, and nobody reads the rest of the request body. */
  readingStopped(exchange: Exchange): void
}
