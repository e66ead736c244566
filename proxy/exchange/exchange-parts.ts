/**
 * The four parts of an exchange: what was asked, the request body, the attempt under way, the progress of the response.
 * `Exchange` is all of them in one object: a request allocates one, and all have the same shape. A function that needs
 * one part takes that part.
 */

import type { RequestHead } from '../http/request-head.js'
import type { Believed, Origin } from '../route/forwarded-fields.js'
import type { Route } from '../route/route-table.js'
import type { Attempt, BodyReader, WaitingPlace } from './attempt.js'
import type { BodyFilter, Client, ResponseSink } from './client.js'

/**
 * Who asked for what. Only the request lifecycle writes it (`asking`), before a responder has the exchange. A tunnel
 * drops the fields when it is open.
 */
export interface AskedRequest {
  readonly head: RequestHead
  readonly client: Client
  /** When the head was complete, by the monotonic clock, as all times here. */
  readonly startMs: number
  /** The client as applications and logs see it: the peer itself, or the client that a trusted proxy names. */
  readonly origin: Origin
  readonly believed: Believed | null
  /** Decoded and without dot segments. */
  readonly path: string
  readonly route: Route | null
  /** X-Request-Id, made only when the request goes to a responder. */
  readonly requestId: string
  /** The fields as the responder gets them, each `\nname\nvalue`. */
  readonly wireHeaders: string
}

/** How much of the request body has come, and what is kept of it. */
export interface RequestBody<Exchange> {
  /** All of it has arrived. */
  bodyComplete: boolean
  bodyTrailers: string
  /** The body so far, as long as another attempt could need it; null when it was dropped. */
  replayable: Buffer[] | null
  replayableBytes: number
  /** The client has been told to send its body (100). */
  continued: boolean
  /** Bytes that the link may take without more credit. */
  bodyWindow: number
  /** The responder that still reads the body although the response is complete; null: none. */
  reader: BodyReader<Exchange> | null
}

/** Where the exchange waits for a responder, and its attempt at one. */
export interface CurrentAttempt<Exchange> {
  /** `routed`: it goes to a responder. `dispatched`: the responder has it. */
  routed: boolean
  dispatched: boolean
  /** While it waits: where, since when, and until when. */
  queue: WaitingPlace<Exchange> | null
  queuedMs: number
  queueDeadlineMs: number
  /** The neighbours of the exchange in the queue. */
  waitsBehind: Exchange | null
  waitsBefore: Exchange | null
  /** The attempt under way; null: the exchange waits, or the proxy itself responds. */
  attempt: Attempt<Exchange> | null
  /** The number of attempts. */
  attempts: number
  /** When the last attempt began; 0 = not yet. */
  dispatchMs: number
  /** The slot of the worker, for the log and the cookie of `sticky`; 0 = none, or a foreign upstream. */
  slot: number
  /** The id of the exchange on the link to the worker. */
  linkId: number
  /** The worker has acknowledged it. */
  seen: boolean
  /** Monotonic time at which harakiri is due; 0 = the clock does not run. */
  deadlineMs: number
  /** The time that the application asked for in this attempt; 0 = no deadline; null: it asked for none. */
  ownHarakiriMs: number | null
  /** Whole field lines that the proxy adds to the response of this attempt, behind its status line. */
  addedFields: string
  /** Short pieces of this attempt that came in this turn and have not been written; see `piece-joiner.ts`. */
  joined: string
  /** Response bytes passed on to the client for which the worker has no new credit yet. */
  unacknowledgedCredit: number
  waitingForClient: boolean
}

/** How far the response is, and where its bytes go. */
export interface ResponseProgress {
  /** To the client, or to the first body filter before it. */
  out: ResponseSink
  bodyFilter: BodyFilter | null
  /** The file that is being sent as the response. */
  file: { cancel(): void } | null
  /** An interim response waits for the client to read. */
  interimWaits: boolean
  /** Bytes of interim responses so far, which count towards their limit (`interim-response.ts`). */
  interimBytes: number
  /** The client has a byte of the response, or is about to get one: no other attempt can follow. */
  responseBegun: boolean
  /** When the first byte of the response came; 0 = not yet. */
  firstByteMs: number
  status: number
  sentBytes: number
  /** The connection ends behind the response, and the head of the response says so. */
  closes: boolean
  /** The end of the connection alone marks the end of the response. */
  responseUntilClose: boolean
  /** Logged and counted: the client gets nothing more. */
  finished: boolean
}
