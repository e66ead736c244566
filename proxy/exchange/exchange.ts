/**
 * One request of one client, and its state. `request-lifecycle.ts` moves it through its life; links and connections
 * fill in what they see. Holds no policy.
 */

import type { OwnResponse } from '../http/error-response.js'
import type { RequestHead } from '../http/request-head.js'
import type { Believed, Origin } from '../route/forwarded-fields.js'
import type { Route } from '../route/route-table.js'
import type { Attempt, BodyReader, WaitingPlace } from './attempt.js'

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

/** The replayable body of a request without a body. */
const NOTHING: Buffer[] = []

export class Exchange {
  readonly head: RequestHead
  readonly client: Client
  readonly startMs: number
  path = ''
  /** The client as applications and logs see it: the peer itself, or the client that a trusted proxy names. */
  origin: Origin
  believed: Believed | null = null
  /** X-Request-Id, made only when the request goes to an upstream. */
  requestId = ''
  /** The fields as the application gets them, each `\nname\nvalue`. */
  wireHeaders = ''
  route: Route | null = null
  /** When the exchange was first handed to a worker, and when the first byte of the response came; 0 = not yet. */
  dispatchMs = 0
  firstByteMs = 0
  status = 0
  sentBytes = 0
  /** The slot of the worker that responded, for the log; 0 = none. */
  slot = 0
  finished = false
  /** `routed`: it goes to a worker. `dispatched`: the dispatcher has it. */
  routed = false
  dispatched = false
  /** Where the bytes of the response go: to the client, or to the first body filter before it. */
  out: ResponseSink
  bodyFilter: BodyFilter | null = null
  /** The file that is being sent as the response. */
  file: { cancel(): void } | null = null

  /**
   * Whether the request body has arrived. The application takes the body, or it is kept until there is a worker, or
   * dropped.
   */
  bodyComplete: boolean
  bodyTrailers = ''
  /** The body so far, as long as another worker could need it; null when it was dropped. */
  replayable: Buffer[] | null
  replayableBytes = 0
  /** The client has been told to send its body (100). */
  continued = false
  /** An interim response waits for the client to read. */
  interimWaits = false
  /** Bytes of interim responses so far, which count towards their limit (`interim-response.ts`). */
  interimBytes = 0
  /** Bytes that the link may take without more credit. */
  bodyWindow = 0

  /** The responder that still reads the body although the response is complete; null: none. */
  reader: BodyReader<Exchange> | null = null

  /** The attempt under way; null: the exchange waits, or the proxy itself responds. */
  attempt: Attempt<Exchange> | null = null
  /** The number of attempts. */
  attempts = 0
  /** The id of the exchange on the link to the worker. */
  linkId = 0
  seen = false
  responseBegun = false
  /** The connection ends behind the response, and the head of the response says so. */
  closes = false
  /** The end of the connection alone marks the end of the response. */
  responseUntilClose = false
  /** Whole field lines that the proxy adds to the response of this attempt, behind its status line. */
  addedFields = ''
  /** Short pieces of this attempt that came in this turn and have not been written; see `piece-joiner.ts`. */
  joined = ''
  /** Response bytes passed on to the client for which the worker has no new credit yet. */
  unacknowledgedCredit = 0
  waitingForClient = false
  /** Monotonic time at which harakiri is due; 0 = the clock does not run. */
  deadlineMs = 0
  /** The time that the application asked for in this attempt; 0 = no deadline; null: it asked for none. */
  ownHarakiriMs: number | null = null
  /** While the exchange waits for a worker: where, and until when. */
  queue: WaitingPlace<Exchange> | null = null
  queueDeadlineMs = 0
  queuedMs = 0
  /** The neighbours of the exchange in the queue. */
  waitsBehind: Exchange | null = null
  waitsBefore: Exchange | null = null

  constructor(head: RequestHead, client: Client, startMs: number) {
    this.head = head
    this.client = client
    this.out = client
    this.origin = client
    this.startMs = startMs
    this.bodyComplete = head.length === 0 && !head.chunked
    this.replayable = this.bodyComplete ? NOTHING : []
  }

  /** The mount under which requests are counted; `-` before there is a route. */
  get mount(): string {
    return this.route?.mount ?? '-'
  }

  get hasBody(): boolean {
    return this.head.length > 0 || this.head.chunked
  }

  /** A worker or a foreign upstream responds or has to, also one that died before its response. */
  get isAwaited(): boolean {
    return this.attempt !== null || this.queue !== null || (this.attempts > 0 && this.firstByteMs === 0)
  }

  /** The first byte of the response has come: no deadline runs any more, and no other attempt can follow. */
  beginResponse(status: number, nowMs: number): void {
    this.status = status
    this.responseBegun = true
    this.firstByteMs = nowMs
    this.deadlineMs = 0
    this.replayable = null
  }

  /**
   * The last byte of the request has been handed over: the clock runs until the first byte of the response. 0: no
   * deadline.
   */
  startClock(ms: number, nowMs: number): void {
    if (ms > 0 && !this.responseBegun) this.deadlineMs = nowMs + ms
  }

  /** Gives up the attempt under way; see `Attempt`. */
  cancelAttempt(isLate = false): void {
    this.attempt?.cancel(this, isLate)
  }

  /**
   * RFC 9110 §10.1.1: the reader of the body sends the 100, to a client that has sent no byte of the body and may wait
   * for it.
   */
  continueBody(): void {
    if (!this.head.expectContinue || this.bodyComplete || this.continued || this.replayableBytes > 0) return
    this.continued = true
    this.client.write('HTTP/1.1 100 Continue\r\n\r\n')
  }

  /** For events: what an operator recognises, without the query, which may hold secrets. */
  get title(): string {
    const query = this.head.target.indexOf('?')
    return `${this.head.method} ${query < 0 ? this.head.target : this.head.target.slice(0, query)}`
  }
}

/**
 * WebSocket is the only protocol that is tunnelled. Another Upgrade is an ordinary request, as RFC 9110 §7.8 allows.
 */
export function isTunnel(exchange: Exchange): boolean {
  const { upgrade, method } = exchange.head
  return upgrade !== null && method === 'GET' && !exchange.hasBody && upgrade.toLowerCase() === 'websocket'
}
