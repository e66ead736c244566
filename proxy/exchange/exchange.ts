/**
 * One request of one client, and its state (`exchange-parts.ts`). `request-lifecycle.ts` moves it through its life;
 * responders and connections fill in what they see. Holds no policy.
 */

import type { RequestHead } from '../http/request-head.js'
import type { Believed, Origin } from '../route/forwarded-fields.js'
import type { Route } from '../route/route-table.js'
import type { Attempt, BodyReader, WaitingPlace } from './attempt.js'
import type { BodyFilter, Client, ResponseSink } from './client.js'
import type { AskedRequest, CurrentAttempt, RequestBody, ResponseProgress } from './exchange-parts.js'
import { type HarakiriRules, harakiriMsOf } from './harakiri-deadline.js'

/** The replayable body of a request without a body. */
const NOTHING: Buffer[] = []

export class Exchange implements AskedRequest, RequestBody<Exchange>, CurrentAttempt<Exchange>, ResponseProgress {
  readonly head: RequestHead
  readonly client: Client
  readonly startMs: number
  readonly origin: Origin
  readonly believed: Believed | null
  readonly path: string = ''
  readonly route: Route | null = null
  readonly requestId: string = ''
  readonly wireHeaders: string = ''

  bodyComplete: boolean
  bodyTrailers = ''
  replayable: Buffer[] | null
  replayableBytes = 0
  continued = false
  bodyWindow = 0
  reader: BodyReader<Exchange> | null = null

  routed = false
  dispatched = false
  queue: WaitingPlace<Exchange> | null = null
  queuedMs = 0
  queueDeadlineMs = 0
  waitsBehind: Exchange | null = null
  waitsBefore: Exchange | null = null
  attempt: Attempt<Exchange> | null = null
  attempts = 0
  dispatchMs = 0
  slot = 0
  linkId = 0
  seen = false
  deadlineMs = 0
  ownHarakiriMs: number | null = null
  addedFields = ''
  joined = ''
  unacknowledgedCredit = 0
  waitingForClient = false

  out: ResponseSink
  bodyFilter: BodyFilter | null = null
  file: { cancel(): void } | null = null
  interimWaits = false
  interimBytes = 0
  responseBegun = false
  firstByteMs = 0
  status = 0
  sentBytes = 0
  closes = false
  responseUntilClose = false
  finished = false

  /** `believed`: the words of a trusted proxy about the client. */
  constructor(head: RequestHead, client: Client, startMs: number, believed: Believed | null = null) {
    this.head = head
    this.client = client
    this.out = client
    this.origin = believed ?? client
    this.believed = believed
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
   * The last byte of the request has been handed over: harakiri's clock runs until the first byte of the response.
   */
  startClock(rules: HarakiriRules, nowMs: number): void {
    // Without rules of its own the request costs no call.
    const isPlain = this.ownHarakiriMs === null && rules.mountHarakiri.length === 0
    const ms = isPlain ? rules.harakiriMs : harakiriMsOf(this, rules)
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

  /** A tunnel lasts, and needs the fields of its handshake no more. */
  forgetFields(): void {
    asking(this).wireHeaders = ''
    this.head.headers = ''
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

/**
 * The same exchange for the request lifecycle, which alone writes what was asked: `test/tidy.ts` checks that no other
 * file imports this.
 */
export function asking(exchange: Exchange): { -readonly [Name in keyof AskedRequest]: AskedRequest[Name] } {
  return exchange
}
