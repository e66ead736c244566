/**
 * One request of one client and what has become of it so far. Made by `request-lifecycle.ts`, which moves it from phase
 * to phase; `link.ts` and `connection.ts` fill in what they see. Holds no policy.
 */

import type { OwnResponse } from '../http/error-response.js'
import type { RequestHead } from '../http/request-head.js'
import type { Believed, Origin } from '../route/forwarded-fields.js'
import type { Route } from '../route/route-table.js'
import type { Attempt, BodyReader, WaitingPlace } from './attempt.js'

/** Where the bytes of a response go. */
export interface ResponseSink {
  /**
   * Bytes of an HTTP/1.1 response that is framed already; a string is latin1, a buffer must not change any more. False:
   * wait for `whenWritable` before more.
   */
  write(bytes: string | Buffer): boolean
  whenWritable(callback: () => void): void
}

/** Stands before the client and changes the response on its way; see `body-filters.ts`. */
export interface BodyFilter extends ResponseSink {
  /** All of the response has been written; `close`: its end is the end of the connection. */
  end(close: boolean): void
  /** The exchange is over: nothing more is written, nothing is held. */
  destroy(): void
  /** Bytes that the client was given. */
  readonly sentBytes: number
}

/** Whoever asked: an HTTP/1.1 connection. Another protocol joins by implementing this. */
export interface Client extends ResponseSink {
  readonly address: string
  readonly port: number
  readonly encrypted: boolean
  /** It came through a unix socket and has no address: `address` is a stand-in. */
  readonly overUnix?: boolean
  /** As `write`, of a part of a buffer that may change afterwards. */
  writeLent(bytes: Buffer, start: number, end: number): boolean
  /** A whole response of the proxy's own. */
  respond(response: OwnResponse): void
  /**
   * The last byte of the response was written; `close`: its end is the end of the connection. `nowMs`: where it was
   * read just now.
   */
  completeResponse(close: boolean, nowMs?: number): void
  /** The response will never be complete: the client must see that. */
  breakResponse(): void
  /** Reading the request's body may go on. */
  resumeBody(): void
  /** Nobody reads the rest of a body whose request is answered. */
  readingStopped(): void
  /** The connection must not be used for another request. */
  readonly closing: boolean
  /**
   * Nor if the response were to begin now: too much of the body is still to come, or the client does not know whether
   * to send it.
   */
  readonly closingNow: boolean
}

/** What is kept of no body. */
const NOTHING: Buffer[] = []

export class Exchange {
  readonly head: RequestHead
  readonly client: Client
  readonly startMs: number
  path = ''
  /** The client as applications and logs see it: the peer itself, or the one that a trusted proxy speaks for. */
  origin: Origin
  believed: Believed | null = null
  /** X-Request-Id, made once it is known that an upstream gets it. */
  requestId = ''
  /** The fields as the application gets them, `\nname\nvalue` each. */
  wireHeaders = ''
  route: Route | null = null
  /** When it was handed to a worker the first time, and when the first byte of the response came; 0 = not yet. */
  dispatchMs = 0
  firstByteMs = 0
  status = 0
  sentBytes = 0
  /** Slot of the worker that answered, for the log; 0 = none. */
  slot = 0
  finished = false
  /** It is known that it goes to a worker; it has been handed to the dispatcher. */
  routed = false
  dispatched = false
  /** Where its response's bytes go: the client, or the first body filter before it. */
  out: ResponseSink
  bodyFilter: BodyFilter | null = null
  /** The file that is being sent as its response. */
  file: { cancel(): void } | null = null

  /** How the request's body is taken: by the application, kept until there is a worker, or thrown away. */
  bodyComplete: boolean
  bodyTrailers = ''
  /** The body so far, as long as another worker could need it; null once it was let go. */
  replayable: Buffer[] | null
  replayableBytes = 0
  /** The client has been told to go on with its body. */
  continued = false
  /** An interim response waits for the client to read. */
  interimWaits = false
  /** What interim responses have taken of their room (`interim-response.ts`). */
  interimBytes = 0
  /** Bytes that the link may still take without credit. */
  bodyWindow = 0

  /** Where the application reads on though its response is complete; null: nobody does. */
  reader: BodyReader<Exchange> | null = null

  /** The attempt under way; null: it waits, or nobody else responds. */
  attempt: Attempt<Exchange> | null = null
  /** How many there were. */
  attempts = 0
  /** Its number on the link to the worker. */
  linkId = 0
  seen = false
  responseBegun = false
  /** The connection ends behind it, and its head was made to say so. */
  closes = false
  /** Its end is the end of the connection and nothing else. */
  responseUntilClose = false
  /** Whole field lines that the proxy adds to the response of this attempt, behind its status line. */
  addedFields = ''
  /**
   * Short pieces of this attempt that came in the turn under way and have not been written yet; see `piece-joiner.ts`.
   */
  joined = ''
  /** Answer bytes passed on to the client and not yet returned as credit. */
  unacknowledgedCredit = 0
  waitingForClient = false
  /** Monotonic time at which harakiri is due, 0 = the clock is not running. */
  deadlineMs = 0
  /** What the application said that it needs in this attempt, 0 = no deadline; null: nothing. */
  ownHarakiriMs: number | null = null
  /** While it waits for a worker: where, and until when. */
  queue: WaitingPlace<Exchange> | null = null
  queueDeadlineMs = 0
  queuedMs = 0
  /** Its neighbours in the queue. */
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

  /** Under which requests are counted; `-` before there is a route. */
  get mount(): string {
    return this.route?.mount ?? '-'
  }

  get hasBody(): boolean {
    return this.head.length > 0 || this.head.chunked
  }

  /** Somebody else responds or is to: a worker or a foreign upstream, also one that has died before its response. */
  get isAwaited(): boolean {
    return this.attempt !== null || this.queue !== null || (this.attempts > 0 && this.firstByteMs === 0)
  }

  /** The first byte of the response has come: no deadline runs any more, and nobody else can respond. */
  beginResponse(status: number, nowMs: number): void {
    this.status = status
    this.responseBegun = true
    this.firstByteMs = nowMs
    this.deadlineMs = 0
    this.replayable = null
  }

  /**
   * The last byte of the request has been handed over: its clock runs until the first byte of the response. 0: as long
   * as it likes.
   */
  startClock(ms: number, nowMs: number): void {
    if (ms > 0 && !this.responseBegun) this.deadlineMs = nowMs + ms
  }

  /** Gives up what is under way for its response; see `Attempt`. */
  cancelAttempt(isLate = false): void {
    this.attempt?.cancel(this, isLate)
  }

  /** RFC 9110 §10.1.1: whoever reads the body says so. For a client that has sent none of it and may wait for that. */
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
 * WebSocket is the only protocol that is tunnelled; another Upgrade is an ordinary request, as RFC 9110 §7.8 allows.
 */
export function isTunnel(exchange: Exchange): boolean {
  const { upgrade, method } = exchange.head
  return upgrade !== null && method === 'GET' && !exchange.hasBody && upgrade.toLowerCase() === 'websocket'
}
