/** The client of an exchange, and the way of the bytes of a response to it. */

import type { OwnResponse } from '../http/error-response.js'

/** Where the bytes of a response go. */
export interface ResponseSink {
  /**
   * Bytes of an HTTP/1.1 response that is already framed. A string is latin1; a buffer must not change any more. False:
   * wait for `whenWritable` before more.
   */
  write(bytes: string | Buffer): boolean
  whenWritable(callback: () => void): void
}

/** Stands before the client and changes the response on its way; see `body-filters.ts`. */
export interface BodyFilter extends ResponseSink {
  /** The whole response has been written. `close`: the connection ends with it. */
  end(close: boolean): void
  /** The exchange is over: the filter writes nothing more and frees what it holds. */
  destroy(): void
  /** Bytes that the client was given. */
  readonly sentBytes: number
}

/** The client's side of an exchange: an HTTP/1.1 connection. Another protocol joins by implementing it. */
export interface Client extends ResponseSink {
  readonly address: string
  readonly port: number
  readonly encrypted: boolean
  /** The client came through a unix socket and has no address: `address` is a stand-in. */
  readonly overUnix?: boolean
  /** A trusted proxy passes the connection on and does not name the client: `address` is the proxy's. */
  readonly isUnnamed?: boolean
  /** Written bytes that the kernel has not taken: as long as there are any, written buffers must not change. */
  readonly waitingBytes: number
  /** As `write`, for a part of a buffer that may change afterwards. */
  writeLent(bytes: Buffer, start: number, end: number): boolean
  /** A whole response of the proxy's own. */
  respond(response: OwnResponse): void
  /**
   * The last byte of the response was written. `close`: the connection ends with it. `nowMs`: the time, if the caller
   * has just read it.
   */
  completeResponse(close: boolean, nowMs?: number): void
  /** The response will never be complete, and the client must see that. */
  breakResponse(): void
  /** Reading the request body may go on. */
  resumeBody(): void
  /** The rest of the request body is wanted no more: the response is complete. */
  readingStopped(): void
  /** The connection must not be used for another request. */
  readonly closing: boolean
  /**
   * Whether it must not be used if the response began now: too much of the body is still to come, or the client does
   * not know whether to send it.
   */
  readonly closingNow: boolean
}
