/**
 * One try of an exchange at one foreign upstream, through its undici pool: the request out, the response in.
 * `upstream-group.ts` decides what follows from its end.
 *
 * What must stay true: of both bodies at most a window and one read are held here. undici pauses our stream when the
 * upstream is slow; we pause undici when the client is slow. `AttemptEvents` gets exactly one of `complete` and
 * `failed`, and nothing after `abort`.
 */

import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { codeOf, reasonOf } from '../../kit/ground/failure.js'
import { INTERIM_FIELDS, WINDOW_BYTES } from '../../kit/link/frames.js'
import type { Attempt } from '../exchange/attempt.js'
import type { Exchange } from '../exchange/exchange.js'
import { hasInterimRoom, passInterim } from '../exchange/interim-response.js'
import { addPiece } from '../exchange/replayable-body.js'
import { UNASKED_CONTINUE } from './upstream-connector.js'
import { printInterimHead, type RawFields, readResponseHead, upstreamFields } from './upstream-head.js'
import { UpstreamResponse } from './upstream-response.js'

/** Why an upstream failed; a label of the metrics. */
export type FailureReason = 'unreachable' | 'reset' | 'late' | 'bad-answer'

export interface AttemptEvents {
  /** The response that begins names a file to be sent in its place. */
  fileNamed(): void
  complete(close: boolean): void
  /** As `Attempt.cancel`. */
  cancelled(isLate: boolean): void
  /** `seen`: bytes of the request have been written, so it may have been executed. */
  /** `why`: for the operator, with an errno if there is one. */
  failed(reason: FailureReason, seen: boolean, why: string): void
}

type Controller = Dispatcher.DispatchController

/**
 * undici's codes for a response that is not HTTP. Its SocketError has one code for that and for a broken connection.
 */
const BAD_RESPONSE_CODES: ReadonlySet<string> = new Set([
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
])
const BAD_RESPONSE_MESSAGES = /^bad (response|upgrade)$/
/** In field lines: a field that is meant for the proxy. */
const NAMES_FILE = /^x-(accel-redirect|sendfile):/im
const LATE_CODES: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'])

/** The cost of a name or a value, for the bound on interim responses. */
const BYTES_PER_FIELD = 50

export class UpstreamAttempt implements Attempt<Exchange>, Dispatcher.DispatchHandler {
  readonly #exchange: Exchange
  readonly #events: AttemptEvents
  #body: Readable | null = null
  /** The stream of the body has asked for a piece and got none. */
  #isAwaited = false
  /**
   * Pieces of the body that came before they were asked for; short ones are joined. Kept in the stream one by one,
   * bytes would cost a hundred times their size.
   */
  #ahead: Buffer[] = []
  #aheadBytes = 0
  /** Interim responses of the current read. */
  #interims = ''
  #controller: Controller | null = null
  #response: UpstreamResponse | null = null
  #isClosed = false

  constructor(exchange: Exchange, events: AttemptEvents) {
    this.#exchange = exchange
    this.#events = events
  }

  /** `silenceMs`: how long the upstream may be silent before its response and in it, 0 = for ever. */
  start(pool: Dispatcher, silenceMs: number): void {
    const exchange = this.#exchange
    const { method, target } = exchange.head
    const headers = upstreamFields(exchange.wireHeaders)
    const body = this.#requestBody()
    pool.dispatch({ path: target, method, headers, body, headersTimeout: silenceMs, bodyTimeout: silenceMs }, this)
  }

  /** A piece of the request body. False: no more before `resumeBody`. */
  sendBody(exchange: Exchange, bytes: Buffer): boolean {
    if (this.#body === null) return true
    if (this.#isAwaited) {
      this.#isAwaited = false
      this.#body.push(bytes)
    } else {
      addPiece(this.#ahead, bytes)
      this.#aheadBytes += bytes.length
    }
    return this.hasRoom(exchange)
  }

  endBody(): void {
    this.#pushAhead()
    this.#body?.push(null)
  }

  hasRoom(_exchange: Exchange): boolean {
    return this.#body !== null && this.#body.readableLength + this.#aheadBytes < WINDOW_BYTES
  }

  /** The upstream sees its connection break. */
  cancel(exchange: Exchange, isLate: boolean): void {
    exchange.attempt = null
    this.#isClosed = true
    this.#events.cancelled(isLate)
    this.#controller?.abort(new Error('aborted'))
  }

  /**
   * A complete body leaves in one write with its head. Any other body is a stream, and undici frames it by
   * Content-Length or by chunks.
   */
  #requestBody(): Buffer | Readable | null {
    const exchange = this.#exchange
    const replayable = exchange.replayable ?? []
    if (exchange.bodyComplete) return replayable.length === 0 ? null : Buffer.concat(replayable)
    // The stream asks when it is empty, so bytes that undici does not take yet wait here.
    this.#body = new Readable({ highWaterMark: 1, read: () => this.#bodyAwaited() })
    // undici destroys the stream with the error that it also reports to us.
    this.#body.on('error', () => {})
    for (const bytes of replayable) this.#body.push(bytes)
    return this.#body
  }

  #bodyAwaited(): void {
    this.#isAwaited = this.#aheadBytes === 0
    this.#pushAhead()
    this.#exchange.client.resumeBody()
  }

  #pushAhead(): void {
    const ahead = this.#ahead
    this.#ahead = []
    this.#aheadBytes = 0
    for (const bytes of ahead) this.#body?.push(bytes)
  }

  // The events of undici.

  onRequestStart(controller: Controller): void {
    this.#controller = controller
    if (this.#isClosed) controller.abort(new Error('aborted'))
  }

  onResponseStart(controller: Controller, status: number): void {
    if (this.#isClosed) return
    if (status < 200) return this.#interim(controller, status)
    this.#passInterims()
    const raw = rawOf(controller.rawHeaders)
    const head = readResponseHead(status, raw, this.#exchange.head.method)
    if (typeof head === 'string') return this.#refuse(head)
    if (NAMES_FILE.test(head.fields)) this.#events.fileNamed()
    this.#response = new UpstreamResponse(this.#exchange, head, () => {
      if (!this.#isClosed) controller.resume()
    })
    // Complete already: undici would wait in vain for the Content-Length of a 304.
    if (head.bodiless) this.#complete(this.#response, [])
  }

  onResponseData(controller: Controller, bytes: Buffer): void {
    if (this.#isClosed || this.#response === null) return
    if (!this.#response.data(bytes)) controller.pause()
  }

  onResponseEnd(controller: Controller): void {
    if (!this.#isClosed && this.#response !== null) this.#complete(this.#response, rawOf(controller.rawTrailers))
  }

  onResponseError(_: Controller, error: Error): void {
    if (this.#isClosed) return
    this.#fail(this.#controller === null ? 'unreachable' : failureOf(error), reasonOf(error))
  }

  #interim({ rawHeaders }: Controller, status: number): void {
    // Expect ends here: a client that waits for a 100 has had ours.
    if (status === UNASKED_CONTINUE) return
    const exchange = this.#exchange
    const raw = rawOf(rawHeaders)
    // The number of bytes is not known, and adding up names and values is not worth it: undici takes 16 KB of a head.
    if (!hasInterimRoom(exchange, BYTES_PER_FIELD * raw.length)) return
    const head = raw.length > 2 * INTERIM_FIELDS ? null : printInterimHead(status, raw)
    if (head === null) return this.#refuse(`it has an interim response of status ${status}`)
    if (exchange.head.httpMinor !== 1) return
    // The interim responses of one read leave in one write.
    if (this.#interims === '') queueMicrotask(() => this.#passInterims())
    this.#interims += head
  }

  #passInterims(): void {
    const heads = this.#interims
    this.#interims = ''
    if (heads !== '' && !this.#isClosed) passInterim(this.#exchange, heads)
  }

  #complete(response: UpstreamResponse, trailers: RawFields): void {
    this.#exchange.attempt = null
    this.#isClosed = true
    response.end(trailers)
    this.#events.complete(response.close)
  }

  #refuse(why: string): void {
    this.#fail('bad-answer', why)
    this.#controller?.abort(new Error('bad response'))
  }

  #fail(reason: FailureReason, why: string): void {
    this.#exchange.attempt = null
    this.#isClosed = true
    this.#response?.interrupt()
    this.#events.failed(reason, this.#controller !== null, why)
  }
}

function failureOf(error: Error): FailureReason {
  const code = codeOf(error)
  if (LATE_CODES.has(code)) return 'late'
  const isBad = BAD_RESPONSE_CODES.has(code) || BAD_RESPONSE_MESSAGES.test(error.message)
  // The errors of undici's parser have a code in some versions only.
  return isBad || error.name === 'HTTPParserError' ? 'bad-answer' : 'reset'
}

function rawOf(raw: Controller['rawHeaders']): RawFields {
  return Array.isArray(raw) ? raw : []
}
