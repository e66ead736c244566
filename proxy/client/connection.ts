/**
 * One client's HTTP/1.1 connection: reads requests one after the other, in order, and writes their responses. Made by
 * `proxy-server.ts` for each accepted socket. What a request means is none of its business: `request-lifecycle.ts` is
 * asked, and answers through `Client`.
 *
 * What must stay true: the next head is read only when the answer to the one before is complete, so answers never
 * change places; bytes that wait are bounded by the head's limit and the socket is paused beyond it.
 */

import type { Socket } from 'node:net'
import { CLIENT_READ_BYTES, readAccepted } from '../../kit/link/read-buffer.js'
import type { Delivery } from '../../kit/page/response-slots.js'
import { type Client, type Exchange, isTunnel } from '../exchange/exchange.js'
import { type ErrorCode, type OwnResponse, printResponse } from '../http/error-response.js'
import type { Refusal } from '../http/refusal.js'
import type { RequestHead } from '../http/request-head.js'
import { monotonicMs } from '../process/clock.js'
import { ClientWriter } from './client-writer.js'
import { type ConnectionLimits, clientAddress, takenBytes } from './connection-limits.js'
import { BodyPace, FAREWELL_MS, LingerPace, SendPace, TOGETHER_MS } from './deadlines.js'
import { HeadReader } from './head-reader.js'
import type { Refusals } from './refusals.js'
import { RequestBody } from './request-body.js'

/** A body with no more than this left is read to its end, to keep the connection. */
const KEEP_BYTES = 64 * 1024

/** What becomes of a connection's requests. */
export interface RequestHandler {
  /** The proxy is going away: connections end after their response. */
  readonly draining: boolean
  readonly refusals: Refusals
  /** A head was read; the exchange begins with `begin`, once the connection is ready for its response. */
  received(head: RequestHead, client: Client): Exchange
  begin(exchange: Exchange): void
  /** False: no more of the body for now. */
  bodyData(exchange: Exchange, bytes: Buffer): boolean
  bodyEnd(exchange: Exchange, trailers: string): void
  refusedBody(exchange: Exchange | null, client: Client, refusal: Refusal): void
  /** The client is too slow, or sends too much. */
  cut(exchange: Exchange, code: ErrorCode): void
  /** The mercy of a stop is over. */
  cutByStop(exchange: Exchange): void
  clientGone(exchange: Exchange): void
}

export class Connection implements Client {
  readonly address: string
  readonly port: number
  readonly encrypted = false
  readonly overUnix: boolean
  readonly #socket: Socket
  readonly #writer: ClientWriter
  readonly #handler: RequestHandler
  readonly #limits: ConnectionLimits
  readonly #heads = new HeadReader()
  #pending: Buffer | null = null
  #exchange: Exchange | null = null
  #body: RequestBody | null = null
  /** Has been answered, and the application reads the rest of its body. */
  #reading: Exchange | null = null
  /** When the state that the deadlines look at began: an idle wait, or the wait for the rest of a head. */
  #sinceMs = monotonicMs()
  readonly #openedMs = this.#sinceMs
  /** Nothing more is read as a request: the last response is out or on its way. */
  #last = false
  /** The socket is a tunnel's, and so is what comes. */
  #taken: ((bytes: Buffer) => void) | null = null
  #lingeredBytes = 0
  /** Since the kernel has all of the last response. */
  #lingerPace: LingerPace | null = null
  /** Since a body is read that nobody wants. */
  #discardPace: LingerPace | null = null
  /** Its last request came after `http-keepalive-time`. Found when that is read: a response that began is kept to. */
  #isTooOld = false
  #headBegun = false
  #requests = 0
  /** When the last body was complete. */
  #bodyOverMs = 0
  /** The client has ended its half of the connection, and reads on. */
  #hasEnded = false
  /** Then: bytes stand behind the head that has been read just now. */
  #isMoreBehind = false
  /** Of what was under way at the last sweep. */
  #bodyPace: BodyPace | null = null
  #sendPace: SendPace | null = null

  constructor(socket: Socket, handler: RequestHandler, limits: ConnectionLimits) {
    this.#socket = socket
    this.#writer = new ClientWriter(socket)
    this.#handler = handler
    this.#limits = limits
    // A TCP peer that has reset its connection has no address any more either, but its side here has.
    this.overUnix = socket.remoteAddress === undefined && socket.localAddress === undefined
    this.address = clientAddress(socket) ?? '127.0.0.1'
    if (socket.remoteAddress === undefined && !this.overUnix) socket.destroy()
    this.port = socket.remotePort ?? 0
    readAccepted(socket, (buffer, count) => this.#read(buffer, count), CLIENT_READ_BYTES)
    socket.on('drain', () => this.#drained())
    socket.on('end', () => this.#clientEnded())
    // `close` follows and does the work: a client that resets its connection is no news.
    socket.on('error', ignore)
    socket.on('close', () => this.#clientGone())
  }

  get closing(): boolean {
    return this.#handler.draining || this.#mustEnd
  }

  /** Whatever the response under way has said of the connection. */
  get #mustEnd(): boolean {
    const isAskedToKeep = this.#exchange?.head.keepAlive ?? true
    const isLastAsked = this.#hasEnded && this.#pending === null && !this.#isMoreBehind
    const isSpent = this.#isTooOld || this.#requests >= this.#limits.httpKeepaliveRequests
    return this.#last || isLastAsked || isSpent || !isAskedToKeep
  }

  get closingNow(): boolean {
    return this.closing || !this.#canFinishBody() || this.#awaitsContinue()
  }

  /** Since when it has waited for the first byte of a request; infinite: it does not. */
  get idleSinceMs(): number {
    const isIdle = this.#mayRead && !this.#last && !this.#headBegun && this.#pending === null
    return isIdle ? this.#sinceMs : Number.POSITIVE_INFINITY
  }

  write(bytes: string | Buffer): boolean {
    return this.#writer.write(bytes)
  }

  writeLent(bytes: Buffer, start: number, end: number): boolean {
    return this.#writer.writeLent(bytes, start, end)
  }

  whenWritable(callback: () => void): void {
    this.#writer.whenWritable(callback)
  }

  respond(response: OwnResponse): void {
    const close = this.closingNow
    const headOnly = this.#exchange?.head.method === 'HEAD'
    const { body, slot } = response
    this.#writer.write(printResponse(response, close, headOnly))
    if (!headOnly && typeof body !== 'string') this.#writer.write(body)
    slot?.send(this.#delivery(), body.length)
    this.completeResponse(close)
  }

  /** What has just been written, on its way to the client. Nothing else is written before the kernel has it. */
  #delivery(): Delivery {
    const writer = this.#writer
    const socket = this.#socket
    return {
      get waitingBytes() {
        return writer.waitingBytes
      },
      cut: () => this.#reset(),
      whenOver: callback => {
        if (writer.waitingBytes === 0) return callback()
        const over = () => {
          socket.off('drain', over).off('close', over)
          callback()
        }
        socket.on('drain', over).on('close', over)
      },
    }
  }

  completeResponse(close: boolean, nowMs = monotonicMs()): void {
    const reading = this.#exchange !== null && this.#exchange.reader !== null ? this.#exchange : null
    // A response that has not said `close` is kept to, as far as possible (RFC 9112 §9.6): the rest of its body is
    // read, a proxy that goes away waits for one request more.
    const keep = !close && !this.#mustEnd
    this.#reading ??= reading
    if (this.#requests >= this.#limits.httpKeepaliveRequests) this.#handler.refusals.limited('http-keepalive-requests')
    else if (this.#isTooOld) this.#handler.refusals.limited('http-keepalive-time')
    this.#exchange = null
    this.#sinceMs = nowMs
    if (!keep) this.#linger()
    else if (this.#body === null) this.#goOn()
    else if (this.#reading === null) this.#discardBody(nowMs)
    else this.resumeBody()
  }

  /** The application reads no further in the body of what it has answered. */
  readingStopped(): void {
    this.#reading = null
    if (this.#body !== null && !this.#last) this.#discardBody(monotonicMs())
  }

  /** Reads the rest of the body for nobody but the client. */
  #discardBody(nowMs: number): void {
    this.#discardPace = new LingerPace(nowMs)
    this.resumeBody()
  }

  breakResponse(): void {
    const isUntilClose = this.#exchange?.responseUntilClose === true
    this.#exchange = null
    if (isUntilClose) this.#reset()
    else this.#socket.destroy()
  }

  resumeBody(): void {
    if (this.#socket.isPaused()) this.#socket.resume()
  }

  /** Stops reading as long as the body has nowhere to go. */
  pauseBody(): void {
    this.#socket.pause()
  }

  /**
   * Gives the bare socket away, with the bytes that came behind the head: a tunnel begins. What comes from now on goes
   * to `onBytes`, not through the socket's stream: pushed into that, a paused socket would read on without bound.
   */
  takeSocket(onBytes: (bytes: Buffer) => void): { socket: Socket; early: Buffer } {
    this.#writer.flush()
    const early = this.#pending ?? Buffer.alloc(0)
    this.#pending = null
    this.#socket.removeAllListeners('end')
    this.#socket.pause()
    this.#taken = onBytes
    this.#heads.forget()
    return { socket: this.#socket, early }
  }

  /** Applies the deadlines; called now and then. */
  sweep(nowMs: number): void {
    if (this.#taken) return
    if (this.#isStuck(nowMs)) {
      this.#handler.refusals.limited('http-send-timeout')
      return this.#reset()
    }
    const exchange = this.#exchange ?? this.#reading
    if (exchange !== null) return this.#sweepBody(nowMs, exchange)
    if (this.#requestWaits) return
    const { httpHeaderTimeoutMs, httpKeepaliveMs } = this.#limits
    const waited = nowMs - this.#sinceMs
    if (this.#last) {
      if (this.#lingerPace?.isOver(nowMs, this.#lingeredBytes)) this.#socket.destroy()
    } else if (this.#body !== null) {
      if (this.#discardPace?.isOver(nowMs, this.#body.receivedBytes)) this.#linger()
    } else if (this.#handler.draining) {
      if (waited > FAREWELL_MS) this.#linger()
    } else if (this.#headBegun) {
      if (httpHeaderTimeoutMs > 0 && waited > httpHeaderTimeoutMs)
        this.#refuse(() => this.#handler.refusals.neverBegan(this, 'head-too-slow'))
    } else {
      const limitMs = this.#requests === 0 ? httpHeaderTimeoutMs : httpKeepaliveMs
      if (limitMs === 0 || waited <= limitMs) return
      this.#handler.refusals.limited(this.#requests === 0 ? 'http-header-timeout' : 'http-keepalive')
      this.#linger()
    }
  }

  /** Whether the client has taken nothing for too long of what it is sent. */
  #isStuck(nowMs: number): boolean {
    if (this.#writer.waitingBytes === 0) {
      this.#sendPace = null
      return false
    }
    const taken = takenBytes(this.#socket)
    this.#sendPace ??= new SendPace(nowMs, taken)
    return this.#sendPace.isStuck(nowMs, taken, this.#limits.httpSendTimeoutMs)
  }

  /**
   * After a mere close the kernel would keep what is unsent, for minutes, and the client would see an end as of a
   * response that is complete.
   */
  #reset(): void {
    // Unix sockets have no reset.
    if (this.#socket.remoteAddress === undefined) this.#socket.destroy()
    else this.#socket.resetAndDestroy()
  }

  #sweepBody(nowMs: number, exchange: Exchange): void {
    const body = this.#body
    if (body === null || body.complete) {
      this.#bodyPace = null
      return
    }
    // An application that has answered is not waited for either.
    const awaited = this.#reading !== null || !(this.#socket.isPaused() || this.#awaitsContinue())
    this.#bodyPace ??= new BodyPace(nowMs, body.receivedBytes)
    const slowness = this.#bodyPace.look(nowMs, body.receivedBytes, awaited, this.#limits)
    if (slowness !== null) this.#refuse(() => this.#handler.cut(exchange, slowness))
  }

  /** The client holds its body back until somebody wants it. */
  #awaitsContinue(): boolean {
    const exchange = this.#exchange
    return exchange?.head.expectContinue === true && !exchange.continued && this.#body?.receivedBytes === 0
  }

  /** Makes room for another connection; called while this one is idle. */
  evict(): void {
    this.#linger()
  }

  /** Its address has too many connections: it is told so, and not listened to. */
  turnAway(): void {
    this.#refuse(() => this.#handler.refusals.neverBegan(this, 'too-many-connections'))
  }

  /**
   * The proxy goes away: an idle connection ends now, a busy one after its response, a new one after its request, which
   * may be on its way.
   */
  drain(): void {
    if (this.#exchange !== null || this.#body !== null || this.#last || this.#requestWaits) return
    if (this.#requests === 0 || this.#headBegun) this.#sinceMs = monotonicMs()
    else this.#linger()
  }

  /** The proxy ends now. True: a response that says so is on its way to a client that may still read it. */
  cut(): boolean {
    const exchange = this.#taken === null ? this.#exchange : null
    if (exchange === null) this.#socket.destroy()
    else this.#handler.cutByStop(exchange)
    return !this.#socket.destroyed
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** The first `count` bytes of `buffer` are valid for this call only: a head is read in place, all else is copied. */
  #read(buffer: Buffer, count: number): void {
    if (this.#last && this.#taken === null) this.#lingeredBytes += count
    else if (this.#pending === null && this.#taken === null && this.#mayRead) {
      const taken = this.#readHead(buffer, count)
      if (taken > 0 && taken < count) this.#consume(Buffer.from(buffer.subarray(taken, count)))
    } else this.#take(Buffer.from(buffer.subarray(0, count)))
  }

  /** `bytes` are ours. */
  #take(bytes: Buffer): void {
    if (this.#taken !== null) this.#taken(bytes)
    else if (this.#pending === null) this.#consume(bytes)
    else {
      this.#pending = Buffer.concat([this.#pending, bytes])
      if (this.#exchange !== null && this.#body === null) this.#pauseWhenFull()
      else this.#goOn()
    }
  }

  /** What comes next is the head of a request, and it may be looked at. */
  get #mayRead(): boolean {
    return this.#exchange === null && this.#body === null && !this.#writer.isFull
  }

  /** What came behind answered requests waits until the client reads on, for which it has `http-send-timeout`. */
  get #requestWaits(): boolean {
    return this.#exchange === null && this.#body === null && this.#pending !== null && !this.#headBegun
  }

  /** Reads on, also after a body that stopped for want of credit, and works through what has been waiting. */
  #goOn(): void {
    const bytes = this.#pending
    this.#pending = null
    if (this.#socket.isPaused()) this.#socket.resume()
    if (bytes !== null) this.#consume(bytes)
  }

  #consume(ours: Buffer): void {
    this.#consumeAll(ours)
    if (this.#hasEnded) this.#allConsumed()
  }

  /** Of a client that has ended its half: no more comes. */
  #allConsumed(): void {
    this.#isMoreBehind = false
    if (this.#body !== null) this.#socket.destroy()
    else if (this.#exchange === null && this.#pending === null && !this.#last) this.#linger()
  }

  #consumeAll(ours: Buffer): void {
    let bytes = ours
    while (bytes.length > 0 && !this.#last) {
      const body = this.#body
      if (body !== null) {
        const taken = body.feed(bytes)
        if (typeof taken !== 'number') return this.#refuse(() => this.#handler.refusedBody(this.#exchange, this, taken))
        bytes = bytes.subarray(taken)
        // A response given meanwhile may have ended the connection and let the body go.
        if (body.complete && this.#body === body) this.#bodyOver()
      } else if (this.#mayRead) {
        const taken = this.#readHead(bytes, bytes.length)
        if (taken === 0) return
        bytes = bytes.subarray(taken)
      } else {
        this.#pending = bytes
        return this.#pauseWhenFull()
      }
    }
    if (this.#last) this.#lingeredBytes += bytes.length
  }

  #bodyOver(): void {
    this.#body = null
    this.#bodyOverMs = monotonicMs()
    // Its last piece may have used up the window, and nobody returns credit for a body that is over.
    this.resumeBody()
    if (this.#exchange !== null) return
    this.#reading = null
    this.#discardPace = null
    this.#sinceMs = this.#bodyOverMs
    if (this.#mustEnd) this.#linger()
  }

  /** Pipelined requests wait in order; a client that sends more than a head's worth of them waits too. */
  #pauseWhenFull(): void {
    if (this.#pending !== null && this.#pending.length > this.#limits.bufferSizeBytes) this.#socket.pause()
  }

  /** A client that does not read its responses gets no more of them: the next request waits. */
  #drained(): void {
    if (this.#exchange === null && this.#body === null && this.#pending !== null) this.#goOn()
  }

  /**
   * Begins a request, if its head is all there in the first `count` bytes; the number of bytes taken, 0 = wait for
   * more.
   */
  #readHead(bytes: Buffer, count: number): number {
    const head = this.#heads.read(bytes, count, this.#limits)
    const { takenBytes } = this.#heads
    if (this.#hasEnded) this.#isMoreBehind = takenBytes < count
    if (head === null) this.#wait(bytes.subarray(0, count))
    else if ('refused' in head) this.#refuse(() => this.#handler.refusals.head(this, head))
    else this.#begin(head)
    return takenBytes
  }

  /** The rest of a head is awaited, from its first byte on for `http-header-timeout`. */
  #wait(bytes: Buffer): void {
    if (this.#hasEnded) return this.#linger()
    this.#pending = Buffer.from(bytes)
    if (this.#headBegun) return
    this.#headBegun = true
    this.#sinceMs = monotonicMs()
  }

  #begin(head: RequestHead): void {
    this.#headBegun = false
    this.#requests += 1
    this.#bodyPace = null
    const exchange = this.#handler.received(head, this)
    this.#exchange = exchange
    const { httpKeepaliveTimeMs } = this.#limits
    this.#isTooOld = httpKeepaliveTimeMs > 0 && exchange.startMs - this.#openedMs > httpKeepaliveTimeMs
    if (exchange.hasBody) {
      this.#body = new RequestBody(head, {
        data: bytes => {
          if (!this.#handler.bodyData(exchange, bytes)) this.pauseBody()
        },
        end: trailers => this.#handler.bodyEnd(exchange, trailers),
      })
    }
    // Nobody would take the client's half of it.
    if (this.#hasEnded && isTunnel(exchange)) return void this.#socket.destroy()
    this.#handler.begin(exchange)
    if (this.#hasEnded) this.#awaitFirstByte(exchange)
  }

  /** Answers in the proxy's own name and ends: where the next request begins is not to be believed. */
  #refuse(response: () => void): void {
    this.#last = true
    this.#pending = null
    this.#body = null
    response()
  }

  /** Whether the rest of the body is small enough to be read for the sake of the connection. */
  #canFinishBody(): boolean {
    if (this.#body === null || this.#body.complete) return true
    return this.#body.leftBytes > 0 && this.#body.leftBytes <= KEEP_BYTES
  }

  /** Sends the end of the stream behind the last response and reads on for a while. */
  #linger(): void {
    this.#last = true
    this.#pending = null
    this.#body = null
    this.#stopReading()
    this.#writer.end(() => {
      this.#lingerPace = new LingerPace(monotonicMs())
    })
    if (this.#socket.isPaused()) this.#socket.resume()
  }

  #clientEnded(): void {
    const exchange = this.#exchange
    if (exchange === null && !this.#requestWaits) return this.#linger()
    if (exchange !== null && this.#hasLeft(exchange)) return void this.#socket.destroy()
    this.#hasEnded = true
    if (exchange !== null) this.#awaitFirstByte(exchange)
  }

  /** Whether a client that ends its half now is taken for one that has left. */
  #hasLeft(exchange: Exchange): boolean {
    if (!exchange.bodyComplete || isTunnel(exchange)) return true
    if (!exchange.isAwaited) return false
    const askedMs = Math.max(exchange.startMs, this.#bodyOverMs)
    return (
      this.#limits.httpHalfCloseTimeoutMs === 0 || exchange.firstByteMs > 0 || monotonicMs() - askedMs > TOGETHER_MS
    )
  }

  /**
   * An application that is silent for longer is told that its client has gone; from the first byte on, whatever the
   * client is sent shows whether it is there.
   */
  #awaitFirstByte(exchange: Exchange): void {
    if (this.#exchange !== exchange || exchange.firstByteMs > 0) return
    setTimeout(() => {
      if (this.#exchange !== exchange || exchange.firstByteMs > 0) return
      // A file is looked for, and an application may be asked where there is none.
      if (!exchange.isAwaited) return this.#awaitFirstByte(exchange)
      this.#handler.refusals.limited('http-half-close-timeout')
      this.#socket.destroy()
    }, this.#limits.httpHalfCloseTimeoutMs).unref()
  }

  #stopReading(): void {
    const reading = this.#reading
    this.#reading = null
    if (reading !== null) this.#handler.clientGone(reading)
  }

  #clientGone(): void {
    this.#stopReading()
    const exchange = this.#exchange
    this.#exchange = null
    if (exchange !== null) this.#handler.clientGone(exchange)
  }
}

function ignore(): void {}
