/**
 * One HTTP/1.1 connection of a client: reads its requests one after the other and writes their responses in the same
 * order. What a request means is decided by the `RequestHandler`, which responds through `Client`.
 *
 * What must stay true: the next head is read only when the response before it is complete, so responses never change
 * places. Waiting bytes are bounded by the limit of a head; beyond it the socket is paused.
 */

import type { Socket } from 'node:net'
import { TurnsOfLoop } from '../../kit/ground/running-clock.js'
import { CLIENT_READ_BYTES, readAccepted } from '../../kit/link/read-buffer.js'
import type { Delivery } from '../../kit/page/response-slots.js'
import type { Client } from '../exchange/client.js'
import { type Exchange, isTunnel } from '../exchange/exchange.js'
import { type ErrorCode, type OwnResponse, printResponse } from '../http/error-response.js'
import type { Refusal } from '../http/refusal.js'
import type { RequestHead } from '../http/request-head.js'
import { monotonicMs } from '../process/clock.js'
import { ClientWriter } from './client-writer.js'
import { type ConnectionLimits, clientAddress, takenBytes } from './connection-limits.js'
import { BodyPace, FAREWELL_MS, LingerPace, SendPace, TOGETHER_MS } from './deadlines.js'
import { HeadReader } from './head-reader.js'
import { ProxyHeaderReader } from './proxy-protocol.js'
import type { Refusals } from './refusals.js'
import { RequestBody } from './request-body.js'

/** A body with at most this many bytes left is read to its end, to keep the connection. */
const KEEP_BYTES = 64 * 1024

/** Of all connections. */
const turns = new TurnsOfLoop(TOGETHER_MS)

/** Decides what becomes of the requests of a connection. */
export interface RequestHandler {
  /** The proxy stops: connections end after their response. */
  readonly draining: boolean
  readonly refusals: Refusals
  /** A head was read. The exchange begins with `begin`, when the connection is ready for its response. */
  received(head: RequestHead, client: Client): Exchange
  begin(exchange: Exchange): void
  /** False: read no more of the body for now. */
  bodyData(exchange: Exchange, bytes: Buffer): boolean
  bodyEnd(exchange: Exchange, trailers: string): void
  refusedBody(exchange: Exchange | null, client: Client, refusal: Refusal): void
  /** The client is too slow, or sends too much. */
  cut(exchange: Exchange, code: ErrorCode): void
  /** The mercy of a stop is over. */
  cutByStop(exchange: Exchange): void
  clientGone(exchange: Exchange): void
}

interface AwaitedProxyHeader {
  readonly reader: ProxyHeaderReader
  readonly named: () => void
}

export class Connection implements Client {
  address: string
  port: number
  readonly encrypted = false
  overUnix: boolean
  isUnnamed = false
  readonly #socket: Socket
  readonly #writer: ClientWriter
  readonly #handler: RequestHandler
  readonly #limits: ConnectionLimits
  readonly #heads = new HeadReader()
  /** A trusted proxy has yet to name its client. */
  #proxyHeader: AwaitedProxyHeader | null = null
  #pending: Buffer | null = null
  #exchange: Exchange | null = null
  #body: RequestBody | null = null
  /** The exchange with a complete response whose body the application still reads. */
  #reading: Exchange | null = null
  /** When the state that the deadlines look at began: an idle wait, or the wait for the rest of a head. */
  #sinceMs = monotonicMs()
  readonly #openedMs = this.#sinceMs
  /** No further request is read: the last response is out or on its way. */
  #last = false
  /** The socket belongs to a tunnel, which gets all bytes. */
  #taken: ((bytes: Buffer) => void) | null = null
  #lingeredBytes = 0
  /** Runs since the kernel has all of the last response. */
  #lingerPace: LingerPace | null = null
  /** Runs while a body is read that nobody wants. */
  #discardPace: LingerPace | null = null
  /**
   * Its last request came after `http-keepalive-time`. Checked when the request is read: a response that has begun
   * keeps its promise.
   */
  #isTooOld = false
  #headBegun = false
  #requests = 0
  /** For `turns`: since when the last request, with its body, is there. */
  #asked = 0
  /** The client has ended its half of the connection and still reads. */
  #hasEnded = false
  /** Then: more bytes stand behind the head that was just read. */
  #isMoreBehind = false
  /** The pace of the body under way at the last sweep. */
  #bodyPace: BodyPace | null = null
  #sendPace: SendPace | null = null

  constructor(socket: Socket, handler: RequestHandler, limits: ConnectionLimits) {
    this.#socket = socket
    this.#writer = new ClientWriter(socket)
    this.#handler = handler
    this.#limits = limits
    // A TCP peer that has reset its connection has no remote address either, but its local side has one.
    this.overUnix = socket.remoteAddress === undefined && socket.localAddress === undefined
    this.address = clientAddress(socket) ?? '127.0.0.1'
    if (socket.remoteAddress === undefined && !this.overUnix) socket.destroy()
    this.port = socket.remotePort ?? 0
    readAccepted(socket, (buffer, count) => this.#read(buffer, count), CLIENT_READ_BYTES)
    socket.on('drain', () => this.#drained())
    socket.on('end', () => this.#clientEnded())
    // `close` follows and does the work: a reset by a client is no event for the log.
    socket.on('error', ignore)
    socket.on('close', () => this.#clientGone())
  }

  /**
   * The connection must begin with a header of the PROXY protocol; for a connection that has read nothing yet. `named`
   * is called when the header has changed the address. `http-header-timeout` runs on from the accept.
   */
  awaitProxyHeader(named: () => void): void {
    this.#proxyHeader = { reader: new ProxyHeaderReader(), named }
  }

  get closing(): boolean {
    return this.#handler.draining || this.#mustEnd
  }

  /** Whether the connection has to end, whatever the head of the response under way has said. */
  get #mustEnd(): boolean {
    const isAskedToKeep = this.#exchange?.head.keepAlive ?? true
    const isLastAsked = this.#hasEnded && this.#pending === null && !this.#isMoreBehind
    const isSpent = this.#isTooOld || this.#requests >= this.#limits.httpKeepaliveRequests
    return this.#last || isLastAsked || isSpent || !isAskedToKeep
  }

  get closingNow(): boolean {
    return this.closing || !this.#canFinishBody() || this.#awaitsContinue()
  }

  /** Since when the connection has waited for the first byte of a request; infinite: it does not wait. */
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

  get waitingBytes(): number {
    return this.#writer.waitingBytes
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

  /**
   * Progress of the bytes just written on their way to the client. Nothing else is written before the kernel has them.
   */
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
        const finished = () => {
          socket.off('drain', finished).off('close', finished)
          callback()
        }
        socket.on('drain', finished).on('close', finished)
      },
    }
  }

  completeResponse(close: boolean, nowMs = monotonicMs()): void {
    const reading = this.#exchange !== null && this.#exchange.reader !== null ? this.#exchange : null
    // A response without `close` is a promise that is kept where possible (RFC 9112 §9.6): the rest of its body is
    // read, and a proxy that stops waits for one more request.
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

  /** The application has sent its response and stops reading the request body. */
  readingStopped(): void {
    this.#reading = null
    if (this.#body !== null && !this.#last) this.#discardBody(monotonicMs())
  }

  /** Reads the rest of the body and drops it, for the sake of the client. */
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

  /** Stops reading while the body has nowhere to go. */
  pauseBody(): void {
    this.#socket.pause()
  }

  /**
   * Gives the bare socket away, with the bytes behind the head: a tunnel begins. Later bytes go to `onBytes`, not
   * through the socket's stream: a paused socket would push into the stream without bound.
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

  /** Applies the deadlines; runs periodically. */
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
      if (this.#lingerPace?.hasExpired(nowMs, this.#lingeredBytes)) this.#socket.destroy()
    } else if (this.#body !== null) {
      if (this.#discardPace?.hasExpired(nowMs, this.#body.receivedBytes)) this.#linger()
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

  /** Whether the client has taken none of the waiting bytes for too long. */
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
   * After a plain close the kernel would keep the unsent bytes for minutes, and the client would see the end of a
   * complete response.
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
    // An application that has sent its response does not stop the clock of the client: a paused socket counts too.
    const awaited = this.#reading !== null || !(this.#socket.isPaused() || this.#awaitsContinue())
    this.#bodyPace ??= new BodyPace(nowMs, body.receivedBytes)
    const slowness = this.#bodyPace.look(nowMs, body.receivedBytes, awaited, this.#limits)
    if (slowness !== null) this.#refuse(() => this.#handler.cut(exchange, slowness))
  }

  /** The client holds back its body until it gets a 100. */
  #awaitsContinue(): boolean {
    const exchange = this.#exchange
    return exchange?.head.expectContinue === true && !exchange.continued && this.#body?.receivedBytes === 0
  }

  /** Makes room for another connection; only while this one is idle. */
  evict(): void {
    this.#linger()
  }

  /** The address has too many connections. The client gets an error and its request is not read. */
  turnAway(): void {
    this.#refuse(() => this.#handler.refusals.neverBegan(this, 'too-many-connections'))
  }

  /**
   * The proxy stops: an idle connection ends now, a busy one after its response, a new one after its first request,
   * which may be on its way.
   */
  drain(): void {
    if (this.#exchange !== null || this.#body !== null || this.#last || this.#requestWaits) return
    if (this.#requests === 0 || this.#headBegun) this.#sinceMs = monotonicMs()
    else this.#linger()
  }

  /** The proxy ends now. True: an error response is on its way to a client that may still read it. */
  cut(): boolean {
    const exchange = this.#taken === null ? this.#exchange : null
    if (exchange === null) this.#socket.destroy()
    else this.#handler.cutByStop(exchange)
    return !this.#socket.destroyed
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /**
   * The first `count` bytes of `buffer` are valid during this call only: a head is read in place, everything else is
   * copied.
   */
  #read(buffer: Buffer, count: number): void {
    if (this.#last && this.#taken === null) this.#lingeredBytes += count
    else if (this.#proxyHeader !== null) this.#readProxyHeader(this.#proxyHeader, buffer, count)
    else if (this.#pending === null && this.#taken === null && this.#mayRead) {
      const taken = this.#readHead(buffer, count)
      if (taken > 0 && taken < count) this.#consume(Buffer.from(buffer.subarray(taken, count)))
    } else this.#take(Buffer.from(buffer.subarray(0, count)))
  }

  #readProxyHeader({ reader, named }: AwaitedProxyHeader, buffer: Buffer, count: number): void {
    const header = reader.read(buffer, count)
    if (header === null) return
    if ('refused' in header) {
      this.#last = true
      this.#handler.refusals.unanswered(this, header)
      return void this.#socket.destroy()
    }
    this.#proxyHeader = null
    const { client, bytes } = header
    if (client === 'unknown') this.isUnnamed = true
    else if (client !== 'itself') {
      this.address = client.address
      this.port = client.port
      this.overUnix = false
      named()
    }
    if (count > bytes) this.#read(buffer.subarray(bytes), count - bytes)
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

  /** The next bytes are the head of a request, and it may be read. */
  get #mayRead(): boolean {
    return this.#exchange === null && this.#body === null && !this.#writer.isFull
  }

  /** Pipelined requests wait until the client reads its responses, for which it has `http-send-timeout`. */
  get #requestWaits(): boolean {
    return this.#exchange === null && this.#body === null && this.#pending !== null && !this.#headBegun
  }

  /** Reads on, also after a body that stopped for want of credit, and handles the bytes that have waited. */
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

  /** For a client that has ended its half: no more bytes come. */
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
        // A response sent meanwhile may have ended the connection and dropped the body.
        if (body.complete && this.#body === body) this.#bodyEnded()
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

  #bodyEnded(): void {
    this.#body = null
    this.#asked = turns.begin()
    // The last piece of the body may have used up the window, and no credit is returned for a body that is complete.
    this.resumeBody()
    if (this.#exchange !== null) return
    this.#reading = null
    this.#discardPace = null
    this.#sinceMs = monotonicMs()
    if (this.#mustEnd) this.#linger()
  }

  /** Pipelined requests wait in order. A client that sends more than the limit of a head is paused. */
  #pauseWhenFull(): void {
    if (this.#pending !== null && this.#pending.length > this.#limits.bufferSizeBytes) this.#socket.pause()
  }

  /** A client that does not read its responses gets no more of them: the next request waits. */
  #drained(): void {
    if (this.#exchange === null && this.#body === null && this.#pending !== null) this.#goOn()
  }

  /**
   * Begins a request if its whole head is in the first `count` bytes. Returns the number of bytes taken; 0 = wait for
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

  /** The rest of a head is awaited; `http-header-timeout` runs from its first byte. */
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
    this.#asked = turns.begin()
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
    // A tunnel has no use for a client that has ended its half.
    if (this.#hasEnded && isTunnel(exchange)) return void this.#socket.destroy()
    this.#handler.begin(exchange)
    if (this.#hasEnded) this.#awaitFirstByte(exchange)
  }

  /** Sends an error response and ends the connection: nobody knows for sure where the next request begins. */
  #refuse(response: () => void): void {
    this.#last = true
    this.#pending = null
    this.#body = null
    response()
  }

  /** Whether the rest of the body is small enough to be read, so that the connection can stay. */
  #canFinishBody(): boolean {
    if (this.#body === null || this.#body.complete) return true
    return this.#body.leftBytes > 0 && this.#body.leftBytes <= KEEP_BYTES
  }

  /** Ends the stream behind the last response and reads on for a while. */
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

  /** Whether a client that ends its half now counts as gone. */
  #hasLeft(exchange: Exchange): boolean {
    if (!exchange.bodyComplete || isTunnel(exchange)) return true
    if (!exchange.isAwaited) return false
    return this.#limits.httpHalfCloseTimeoutMs === 0 || exchange.firstByteMs > 0 || turns.isOver(this.#asked)
  }

  /**
   * After `http-half-close-timeout` without a response, the client counts as gone and the application is told. After
   * the first byte, writing to the client shows whether it is there.
   */
  #awaitFirstByte(exchange: Exchange, waitMs = this.#limits.httpHalfCloseTimeoutMs): void {
    if (this.#exchange !== exchange || exchange.firstByteMs > 0) return
    const fromMs = monotonicMs()
    const look = () => {
      if (this.#exchange !== exchange || exchange.firstByteMs > 0) return
      const leftMs = waitMs - (monotonicMs() - fromMs)
      if (leftMs > 0) return this.#awaitFirstByte(exchange, leftMs)
      // A file is looked for, and if there is none, an application may get the request.
      if (!exchange.isAwaited) return this.#awaitFirstByte(exchange)
      this.#handler.refusals.limited('http-half-close-timeout')
      this.#socket.destroy()
    }
    // After a standstill timers come before the sockets, where the first byte may lie.
    setTimeout(() => setImmediate(look), Math.ceil(waitMs)).unref()
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
