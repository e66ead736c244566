/**
 * One request inside a worker, from its frame to the last byte of the application's response. It gives the application
 * a real `http.IncomingMessage` and a real `http.ServerResponse`.
 *
 * What `node:http` does around a request when it owns the connection (emitting `checkContinue`, dumping an unread body,
 * `close` events, `aborted`) is done here in the same order.
 */

import { AsyncResource } from 'node:async_hooks'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { setImmediate } from 'node:timers'
import { COPY_BYTES, type FrameSender } from '../../../kit/link/frame-sender.js'
import {
  creditFrame,
  FRAME,
  frame,
  INTERIM_BYTES,
  LEAST_CREDIT_BYTES,
  REQUEST_FLAG,
  RESPONSE_FLAG,
  responsePrefix,
  WINDOW_BYTES,
  type WireRequest,
} from '../../../kit/link/frames.js'
import { GatheredBytes } from '../../../kit/link/gathered-bytes.js'
import { InterimHeads, mayBeInterim } from './interim-heads.js'
import {
  assignSocket,
  closesConnection,
  completeRequest,
  detachSocket,
  dumpUnread,
  emitClose,
  expectContinue,
  isConsumed,
  type NodeInternals,
  printedHead,
  resetError,
} from './node-internals.js'
import { asBytes, asLatin1 } from './response-bytes.js'
import { ResponseGuard } from './response-guard.js'
import { VirtualSocket, type VirtualSocketOwner } from './virtual-socket.js'

type WriteCallback = (error?: Error | null) => void

/** Bytes that may wait for credit before `write` returns false; the same as for a socket of Node. */
const HIGH_WATER_BYTES = 16 * 1024
const FRAME_BYTES = 64 * 1024
const NOTHING: (() => void)[] = []
const EVENT_STREAM = /^content-type:\s*text\/event-stream\b/im

interface Waiting {
  bytes: string | Buffer
  callback: WriteCallback | undefined
}

/** The link's side of a request: it sends the frames and forgets the request. */
export interface RequestHome {
  readonly writer: FrameSender
  readonly server: Server
  readonly internals: NodeInternals
  /** The application says how long the request may take from now on. */
  tellHarakiri(id: number, ms: number): void
  forget(id: number): void
}

/**
 * Each request has an asynchronous context of its own, and everything that concerns the request runs in it
 * (`runInAsyncScope`). The socket of the link is shared: otherwise the requests of other clients would find what an
 * application stores with `AsyncLocalStorage.enterWith`.
 */
export class ServedRequest extends AsyncResource implements VirtualSocketOwner {
  readonly id: number
  readonly #home: RequestHome
  /** Those of the server when the request came. */
  readonly #internals: NodeInternals
  readonly #flags: number
  readonly #socket: VirtualSocket
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  /** Response bytes in latin1 that are not in a frame yet, all within the window. */
  #ready = ''
  #readyScheduled = false
  /** Response bytes beyond the window. */
  #waiting: Waiting[] = []
  waitingBytes = 0
  #window = WINDOW_BYTES
  /** Checks the response; null = no byte of it has been written yet. */
  #guard: ResponseGuard | null = null
  /** Null = nothing came before the head of the final response. */
  #interim: InterimHeads | null = null
  #headSent = false
  #ended = false
  #started = false
  /** When a response began that was not complete at once. */
  #respondingSinceMs = Number.POSITIVE_INFINITY
  /** The request counts among the connections of the server. */
  #counted = true
  /** Events of the body that came before the application had the request. */
  #early: (() => void)[] = NOTHING
  /** The response has ended here: complete, aborted or destroyed. */
  #closed = false
  /** The application has destroyed its socket. */
  #broken = false
  /** The response is complete, the body is not, and the application still reads it. */
  #readsOn = false
  /** Why the response is refused, for the proxy. */
  #refusal = ''
  /** Bytes of the request body that the application has and for which no credit was returned. */
  #bodyHeld = 0
  #bodyPaused = false
  /**
   * Short pieces that came while the application takes none. A client may send each byte by itself; kept one by one,
   * bytes would cost a hundred times their size.
   */
  #pieces: GatheredBytes | null = null

  constructor(home: RequestHome, id: number, wire: WireRequest) {
    super('DAIMYOREQUEST')
    this.#home = home
    this.#internals = home.internals
    this.id = id
    this.#flags = wire.flags
    this.#socket = new VirtualSocket(this, wire, home.server)
    this.#request = home.internals.createRequest(this.#socket, wire, this.#has(REQUEST_FLAG.http10))
    this.#response = home.internals.createResponse(this.#request)
    this.#response.shouldKeepAlive = !this.#has(REQUEST_FLAG.close)
    assignSocket(this.#response, this.#socket)
    this.#response.on('prefinish', () => this.#responseEnded())
    this.#response.on('finish', () => this.#responseFinished())
    home.internals.countRequest()
    if (home.server.timeout > 0) this.#socket.setTimeout(home.server.timeout)
  }

  /**
   * Hands the request to the application, as `node:http` would: the body, or the end of an empty one, comes behind the
   * event.
   */
  start(): void {
    this.#started = true
    try {
      this.#emit()
    } finally {
      for (const take of this.#early) take()
      this.#early = NOTHING
      if (!this.#has(REQUEST_FLAG.body)) this.#complete('')
    }
  }

  /** A piece of the request body; `bytes` is ours to keep. */
  body(bytes: Buffer): void {
    if (!this.#started) return this.#keep(() => this.body(bytes))
    if (this.#request.destroyed || this.#broken) return
    this.#socket.received(bytes.length)
    this.#bodyHeld += bytes.length
    if (this.#bodyPaused && bytes.length < COPY_BYTES) this.#gather(bytes)
    else {
      this.#pushPieces()
      this.#push(bytes)
    }
  }

  /**
   * Node lets all ticks caused by a piece of the body pass before it reports the end. A microtask comes behind them.
   */
  bodyEnd(trailers: string): void {
    if (!this.#started) return this.#keep(() => this.bodyEnd(trailers))
    queueMicrotask(() => this.#complete(trailers))
  }

  /** The client is gone, or the deadline has passed, or the link broke. */
  abort(): void {
    this.#closed = true
    this.#uncount()
    this.#readsOn = false
    this.#drop()
    this.#socket.destroy()
    this.#request.destroy(resetError())
  }

  /** The response has no end of its own: an event stream, or a response under way for `afterMs`; 0: however long. */
  isStream(afterMs: number): boolean {
    if (!this.#headSent || this.#closed) return false
    if (afterMs > 0 && performance.now() - this.#respondingSinceMs >= afterMs) return true
    return EVENT_STREAM.test(printedHead(this.#response))
  }

  /** Cuts the response off, as when the application destroys the client's socket. */
  cut(): void {
    this.#socket.destroy()
  }

  /** The proxy has passed on this many bytes of the response. */
  credit(bytes: number): void {
    this.#window += bytes
    if (this.#waiting.length === 0) return
    this.#sendWaiting()
    if (this.#waiting.length > 0 || this.#closed) return
    if (this.#ended) this.#finishFrames()
    else process.nextTick(() => this.#internals.drain(this.#response))
  }

  take(chunk: string | Buffer, encoding: BufferEncoding, callback: WriteCallback | undefined): boolean {
    if (this.#closed) {
      if (callback) process.nextTick(callback)
      return false
    }
    const bytes = asBytes(chunk, encoding)
    if (this.#guard === null && this.#isInterim(bytes)) {
      this.#takeInterim(asLatin1(bytes))
      if (callback) process.nextTick(callback)
      return true
    }
    return this.#enqueue(this.#withinPromise(bytes), callback)
  }

  wantsBody(): void {
    if (!this.#bodyPaused) return
    this.#bodyPaused = false
    this.#pushPieces()
    if (!this.#bodyPaused) this.#returnCredit()
  }

  /**
   * Called by the application or `#refuse`, unless the request is over. The consequences come when those of a closed
   * handle would.
   */
  socketDestroyed(gone: () => void): void {
    if (this.#closed && !this.#readsOn) return process.nextTick(gone)
    this.#closed = true
    this.#readsOn = false
    this.#broken = true
    this.#home.writer.send(frame(FRAME.abort, this.id, this.#refusal))
    this.#drop()
    setImmediate(() => {
      process.nextTick(gone)
      this.#uncount()
      this.#request.destroy(resetError())
    })
  }

  harakiri(ms: number): void {
    if (!this.#closed) this.#home.tellHarakiri(this.id, ms)
  }

  /** As `socketOnTimeout` of `node:http`: listeners of the socket itself count for nothing. */
  timedOut(): void {
    const handled = [
      !this.#request.complete && this.#request.emit('timeout', this.#socket),
      this.#response.emit('timeout', this.#socket),
      this.#home.server.emit('timeout', this.#socket),
    ]
    if (!handled.includes(true)) this.#socket.destroy()
    this.#socket.emit('timeout')
  }

  /** The bytes come before the head of the final response, which may already exist. */
  #isInterim(bytes: string | Buffer): boolean {
    if (!this.#response.headersSent || (this.#interim !== null && this.#interim.openBytes > 0)) return true
    // A final response with such a status is malformed.
    return mayBeInterim(bytes) && !mayBeInterim(printedHead(this.#response))
  }

  #takeInterim(text: string): void {
    this.#interim ??= new InterimHeads()
    const head = this.#interim.take(text)
    if (Math.max(head.length, this.#interim.openBytes) > INTERIM_BYTES)
      this.#refuse('it has an endless interim response')
    else if (head !== '') this.#sendInterim(head)
  }

  /** If the window has no room for it, there were very many. It is dropped: nobody waits for an interim response. */
  #sendInterim(head: string): void {
    if (head.length > this.#window) return
    this.#window -= head.length
    this.#home.writer.send(frame(FRAME.informational, this.id, head))
  }

  /** Clients could read the response in different ways, so it ends here. */
  #refuse(why: string): void {
    this.#refusal = why
    this.#socket.destroy()
  }

  #complete(trailers: string): void {
    this.#pushPieces()
    const lost = this.#has(REQUEST_FLAG.body) && (this.#request.destroyed || this.#broken)
    if (!lost) completeRequest(this.#request, trailers === '' ? [] : trailers.split('\n'))
    if (!this.#closed) return
    if (this.#readsOn && this.#socket.listenerCount('close') > 0) this.#socket.destroy()
    this.#readsOn = false
    this.#home.forget(this.id)
  }

  #keep(take: () => void): void {
    if (this.#early === NOTHING) this.#early = []
    this.#early.push(take)
  }

  #emit(): void {
    const { server } = this.#home
    this.#internals.tellConnection(this.#socket)
    if (this.#has(REQUEST_FLAG.expect)) {
      expectContinue(this.#response)
      if (server.listenerCount('checkContinue') > 0) {
        server.emit('checkContinue', this.#request, this.#response)
        return
      }
      this.#response.writeContinue()
    }
    server.emit('request', this.#request, this.#response)
  }

  /** The first bytes hold the whole head. */
  #withinPromise(bytes: string | Buffer): string | Buffer {
    this.#guard ??= new ResponseGuard(bytes, printedHead(this.#response), this.#request.method === 'HEAD')
    const admitted = this.#guard.admit(bytes)
    if (this.#guard.refused !== null) this.#refuse(this.#guard.refused)
    return admitted
  }

  #enqueue(bytes: string | Buffer, callback: WriteCallback | undefined): boolean {
    const sent = this.#waiting.length === 0 ? this.#send(bytes) : 0
    if (sent === bytes.length && this.#waiting.length === 0) {
      if (callback) process.nextTick(callback)
      return true
    }
    this.#waiting.push({ bytes: sent === 0 ? bytes : bytes.slice(sent), callback })
    this.waitingBytes += bytes.length - sent
    return this.waitingBytes < HIGH_WATER_BYTES
  }

  #sendWaiting(): void {
    const waiting = this.#waiting
    // No `shift`, which moves all later elements: an application may write very many pieces.
    let gone = 0
    for (let first = waiting[0]; first !== undefined && this.#window > 0; first = waiting[gone]) {
      const sent = this.#send(first.bytes)
      this.waitingBytes -= sent
      if (sent < first.bytes.length) {
        first.bytes = first.bytes.slice(sent)
        break
      }
      gone += 1
      if (first.callback) process.nextTick(first.callback)
    }
    waiting.splice(0, gone)
  }

  /** Puts as many bytes into frames as the window allows. Returns the number of bytes. */
  #send(bytes: string | Buffer): number {
    const count = Math.min(bytes.length, this.#window)
    this.#window -= count
    if (typeof bytes === 'string') {
      this.#ready += count === bytes.length ? bytes : bytes.slice(0, count)
      if (!this.#readyScheduled && count > 0) {
        this.#readyScheduled = true
        process.nextTick(this.#flushReady)
      }
      return count
    }
    this.#flushReady()
    for (let start = 0; start < count; start += FRAME_BYTES) {
      this.#sendBuffer(bytes.subarray(start, Math.min(start + FRAME_BYTES, count)))
    }
    return count
  }

  #sendBuffer(bytes: Buffer): void {
    if (!this.#headSent) this.#sendHead('', 0)
    this.#home.writer.sendBytes(FRAME.data, this.id, bytes)
  }

  /** Makes one frame of the bytes written in this turn, unless the end of the response has done so already. */
  readonly #flushReady = (): void => {
    this.#readyScheduled = false
    if (this.#ready === '' || this.#closed) return
    const ready = this.#ready
    this.#ready = ''
    if (this.#headSent) this.#home.writer.send(frame(FRAME.data, this.id, ready))
    else this.#sendHead(ready, 0)
  }

  #sendHead(bytes: string, flags: number): void {
    this.#headSent = true
    if ((flags & RESPONSE_FLAG.complete) === 0) this.#respondingSinceMs = performance.now()
    const { isUntilClose, promise } = this.#guard as ResponseGuard
    const file = promise.namesFile ? RESPONSE_FLAG.file : 0
    const end = isUntilClose ? RESPONSE_FLAG.untilClose : 0
    this.#home.writer.send(frame(FRAME.response, this.id, responsePrefix(promise.status, flags | file | end) + bytes))
  }

  #responseEnded(): void {
    if (this.#closed || this.#ended) return
    this.#ended = true
    if (this.#waiting.length === 0) this.#finishFrames()
  }

  #finishFrames(): void {
    if (this.#guard === null || this.#guard.isShort) {
      // Fewer bytes than promised: the client must see that the response is not complete.
      this.#socket.destroy()
      return
    }
    const close = this.#guard.isUntilClose || closesConnection(this.#response) ? RESPONSE_FLAG.close : 0
    // As with a connection of its own: a connection that is to be closed is closed, even if more of the body is to
    // come.
    this.#readsOn = close === 0 && !this.#request.complete && isConsumed(this.#request)
    if (this.#readsOn) this.#request.once('close', this.#stopReading)
    const flags = close | (this.#readsOn ? RESPONSE_FLAG.readsOn : 0)
    if (this.#headSent) {
      this.#flushReady()
      this.#home.writer.send(frame(FRAME.end, this.id, String.fromCharCode(flags)))
    } else {
      const ready = this.#ready
      this.#ready = ''
      this.#sendHead(ready, flags | RESPONSE_FLAG.complete)
    }
    this.#closed = true
    if (this.#request.complete) this.#home.forget(this.id)
  }

  /**
   * The application has stopped reading (an iteration, a pipeline broke off), and nobody wants the rest of the body.
   */
  readonly #stopReading = (): void => {
    if (!this.#readsOn) return
    this.#readsOn = false
    this.#home.writer.send(frame(FRAME.abort, this.id))
    this.#home.forget(this.id)
    if (this.#socket.listenerCount('close') > 0) this.#socket.destroy()
  }

  /** What `node:http` does after a complete response: free the message, drop an unread body, emit `close`. */
  #responseFinished(): void {
    // A reader that begins in the same tick as the end of the response still gets the body.
    if (this.#has(REQUEST_FLAG.body)) process.nextTick(dumpUnread, this.#request)
    else if (this.#request.listenerCount('end') + this.#request.listenerCount('close') > 0) dumpUnread(this.#request)
    // Timeouts set for this request must not fire after it.
    this.#socket.setTimeout(0)
    if (this.#response.socket !== null) detachSocket(this.#response, this.#socket)
    process.nextTick(emitClose, this.#response)
    this.#uncount()
    if (this.#socket.listenerCount('close') > 0 && !this.#readsOn) this.#socket.destroy()
  }

  #push(bytes: Buffer): void {
    if (this.#request.push(bytes)) this.#returnCredit()
    else this.#bodyPaused = true
  }

  #gather(bytes: Buffer): void {
    this.#pieces ??= new GatheredBytes()
    this.#pieces.add(bytes)
    if (this.#pieces.length >= COPY_BYTES) this.#pushPieces()
  }

  #pushPieces(): void {
    const pieces = this.#pieces
    this.#pieces = null
    if (pieces !== null && !this.#request.destroyed) this.#push(pieces.take())
  }

  #returnCredit(): void {
    if (this.#bodyHeld < LEAST_CREDIT_BYTES || this.#request.complete) return
    this.#home.writer.send(creditFrame(this.id, this.#bodyHeld))
    this.#bodyHeld = 0
  }

  #drop(): void {
    this.#waiting = []
    this.#ready = ''
    this.#pieces = null
    this.#home.forget(this.id)
  }

  #uncount(): void {
    if (!this.#counted) return
    this.#counted = false
    this.#internals.uncountRequest(this.#home.writer.flush)
  }

  #has(flag: number): boolean {
    return (this.#flags & flag) !== 0
  }
}
