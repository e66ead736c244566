/**
 * The worker's end of one link: takes frames from one proxy and turns them into requests for the application.
 *
 * The rule that makes rescue after a death possible: before a batch with a non-idempotent request is handed to the
 * application, `seen` has left this process. So no request is started while the chunk with its frame is still being
 * read.
 */

import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { setImmediate } from 'node:timers'
import {
  ASIDES_PER_PING,
  decodeRequest,
  FRAME,
  FrameReader,
  frame,
  harakiriFrame,
  ImpossibleFrame,
  isIdempotent,
  LINK_VERSION,
  pongFrame,
} from '../../../kit/link/frames.js'
import { IdTable } from '../../../kit/link/id-table.js'
import { LINK_READ_BYTES, readAccepted } from '../../../kit/link/read-buffer.js'
import { type NodeInternals, runTicks } from '../request/node-internals.js'
import { type RequestHome, ServedRequest } from '../request/served-request.js'
import { OutboxWriter } from './outbox-writer.js'

/** What a link needs from the rest of the worker. */
export interface Host {
  /** Called for each request that is handed to the application. */
  onRequest(): void
  /** The longest lag of the event loop in the last second. */
  lagMs(): number
}

/** The other half is for the watchdog thread, which cannot be asked how many it has used. */
const OWN_ASIDES = ASIDES_PER_PING / 2

export class LinkConnection implements RequestHome {
  readonly writer: OutboxWriter
  /** The server that gets the requests; `link-server.ts` may replace it. */
  server: Server
  internals: NodeInternals
  readonly #socket: Socket
  readonly #host: Host
  readonly #reader = new FrameReader((type, id, bytes, start, end) => this.#frame(type, id, bytes, start, end))
  readonly #requests = new IdTable<ServedRequest>()
  /** Requests of the chunk under way, not handed over yet. */
  #batch: ServedRequest[] = []
  /**
   * How many deadlines may be reported before the next ping, and the deadlines that wait for it: the last one of each
   * request.
   */
  #asides = OWN_ASIDES
  readonly #deadlines = new Map<number, number>()
  /** The last non-idempotent request of the batch, 0 = none. */
  #lastUnsafeId = 0

  constructor(socket: Socket, server: Server, internals: NodeInternals, host: Host) {
    this.#socket = socket
    this.server = server
    this.internals = internals
    this.#host = host
    this.writer = new OutboxWriter(socket)
    this.writer.send(frame(FRAME.hello, 0, LINK_VERSION))
    readAccepted(socket, (buffer, count) => this.#read(buffer, count), LINK_READ_BYTES)
    // The close event follows and does the work. A killed proxy causes ECONNRESET.
    socket.on('error', () => {})
    socket.on('close', () => this.#closed())
  }

  /** Requests of the application without a complete response. */
  get inFlight(): number {
    return this.#requests.size
  }

  /** Requests whose responses have an end of their own. */
  owed(streamAfterMs: number): number {
    return this.#inFlight().filter(request => !request.isStream(streamAfterMs)).length
  }

  /** Gives the kernel the response bytes so far; false while it does not take them. */
  deliver(): boolean {
    this.writer.flush()
    return this.writer.backlogBytes === 0
  }

  /** Cuts off the due requests that the application has and whose responses are to go no further. */
  cut(isDue: (request: ServedRequest) => boolean): void {
    for (const request of this.#inFlight().filter(isDue)) request.runInAsyncScope(request.cut, request)
  }

  #inFlight(): ServedRequest[] {
    return [...this.#requests.values()]
  }

  tellHarakiri(id: number, ms: number): void {
    if (this.#asides > 0) {
      this.#asides -= 1
      this.writer.send(harakiriFrame(id, ms))
    } else if (this.#requests.get(id) !== undefined) this.#deadlines.set(id, ms)
  }

  forget(id: number): void {
    if (this.#deadlines.size > 0) this.#deadlines.delete(id)
    this.#requests.delete(id)
  }

  close(): void {
    this.writer.flush()
    this.#socket.end()
  }

  #read(buffer: Buffer, count: number): void {
    try {
      this.#reader.read(buffer, count)
    } catch (error) {
      if (!(error instanceof ImpossibleFrame)) throw error
      // Not a link: a client of the wrong socket.
      this.#socket.destroy()
    }
    if (this.#batch.length === 0) return
    const batch = this.#batch
    this.#batch = []
    if (this.#lastUnsafeId === 0) {
      this.#start(batch)
      return
    }
    this.writer.send(frame(FRAME.seen, this.#lastUnsafeId))
    this.#lastUnsafeId = 0
    this.writer.flush()
    if (this.writer.backlogBytes === 0) this.#start(batch)
    else this.#startOnceWritten(batch)
  }

  /**
   * The kernel has not taken the acknowledgement yet. Until it has, nobody knows that the application saw the batch.
   */
  #startOnceWritten(batch: ServedRequest[]): void {
    this.#socket.pause()
    this.#socket.write('', () => {
      this.#socket.resume()
      this.#start(batch)
    })
  }

  /**
   * Between two requests all ticks and microtasks run, as between the events of two connections: so the response of one
   * client does not wait for the work of another request, and when a request blocks the loop, the responses before it
   * have been written.
   */
  #start(batch: ServedRequest[]): void {
    const { outbox } = this.writer
    for (const request of batch) {
      this.#host.onRequest()
      outbox.running = request.id
      orThrowLater(() => request.runInAsyncScope(request.start, request))
      if (batch.length > 1) orThrowLater(runTicks)
      outbox.running = 0
    }
  }

  #frame(type: number, id: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case FRAME.request:
        return this.#request(id, bytes.latin1Slice(start, end))
      case FRAME.data:
      case FRAME.end:
      case FRAME.credit:
      case FRAME.abort:
        return this.#pass(type, id, bytes, start, end)
      case FRAME.ping:
        return this.#answerPing(id)
      case FRAME.hello:
        if (bytes.latin1Slice(start, end) !== LINK_VERSION) this.#socket.destroy()
        return
      default:
        this.#socket.destroy()
    }
  }

  /** Passes the frame to its request. An error that the application throws there must not lose the frames behind it. */
  #pass(type: number, id: number, bytes: Buffer, start: number, end: number): void {
    const request = this.#requests.get(id)
    if (request === undefined) return
    orThrowLater(() => {
      if (type === FRAME.data) request.runInAsyncScope(request.body, request, Buffer.from(bytes.subarray(start, end)))
      else if (type === FRAME.end) request.runInAsyncScope(request.bodyEnd, request, bytes.latin1Slice(start, end))
      else if (type === FRAME.credit) request.runInAsyncScope(request.credit, request, bytes.readUInt32LE(start))
      else request.runInAsyncScope(request.abort, request)
    })
  }

  #answerPing(number: number): void {
    this.writer.send(pongFrame(number, Math.round(this.#host.lagMs())))
    this.#asides = OWN_ASIDES
    const waiting = [...this.#deadlines]
    this.#deadlines.clear()
    for (const [id, ms] of waiting) this.tellHarakiri(id, ms)
    this.writer.flush()
  }

  #request(id: number, payload: string): void {
    const wire = decodeRequest(payload)
    const request = new ServedRequest(this, id, wire)
    this.#requests.set(id, request)
    this.#batch.push(request)
    if (!isIdempotent(wire.method)) this.#lastUnsafeId = id
  }

  #closed(): void {
    this.#batch = []
    for (const request of this.#requests.values()) request.runInAsyncScope(request.abort, request)
  }
}

/** Node judges an application that throws (`uncaughtException`), but the later frames of the chunk are not lost. */
function orThrowLater(work: () => void): void {
  try {
    work()
  } catch (error) {
    setImmediate(() => {
      throw error
    })
  }
}
