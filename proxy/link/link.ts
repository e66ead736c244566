/**
 * The proxy's end of one link: one worker, all requests that this proxy has in flight there.
 * Made by `dispatcher.ts` when the master says that a worker is ready. Moves bytes and tells what happened; what
 * follows from it (answers, rescue, deadlines) is decided by `LinkEvents`, which `request-lifecycle.ts` implements.
 */

import { randomInt } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { WorkerAddress, WorkerEnd } from '../../kit/channel/messages.js'
import { FrameWriter } from '../../kit/link/frame-writer.js'
import {
  creditFrame,
  FRAME,
  FrameReader,
  frame,
  ImpossibleFrame,
  isIdempotent,
  LEAST_CREDIT_BYTES,
  LINK_VERSION,
  RESPONSE_FLAG,
  RESPONSE_PREFIX_BYTES,
  WINDOW_BYTES,
} from '../../kit/link/frames.js'
import { IdTable } from '../../kit/link/id-table.js'
import { LINK_READ_BYTES, readOption } from '../../kit/link/read-buffer.js'
import type { Attempt, BodyReader } from '../exchange/attempt.js'
import type { Exchange } from '../exchange/exchange.js'
import { overrideHarakiri } from '../exchange/harakiri-deadline.js'
import { PieceJoiner } from '../exchange/piece-joiner.js'
import { withClose, writeInterim, writeResponse } from '../exchange/response-pieces.js'
import { monotonicMs, passedMs } from '../process/clock.js'
import { isOutOfDescriptors } from '../process/descriptors.js'
import { Handshakes } from './handshakes.js'
import { HeldCredit } from './held-credit.js'
import {
  LinkBreach,
  LinkPromises,
  requireCredit,
  requireLength,
  takeCredit,
  takeResponseBytes,
  wordsIn,
} from './link-promises.js'
import { requestPayload } from './link-request.js'
import { ResponseFigures } from './response-figures.js'

/**
 * What a link tells; each exchange gets exactly one of `responded`, `aborted`, `badResponse`, `lost`, unless it was
 * released before.
 */
export interface LinkEvents {
  /** The handshake is done. */
  linked(link: Link): void
  /** The response is complete, and `link` is freed of it; `close`: its end is the end of the client's connection. */
  responded(exchange: Exchange, close: boolean, nowMs: number, link: Link): void
  /** The application broke its response off. */
  aborted(exchange: Exchange): void
  /** What came is not a response, or not one that every client would read in the same way. */
  badResponse(exchange: Exchange, why: string): void
  /** The response that begins now names a file to be sent in its place. */
  fileNamed(exchange: Exchange): void
  /** The worker has broken the protocol; `lost` follows. It has to be replaced. */
  broke(link: Link, why: string): void
  /** The worker is gone, and these were in flight, WebSocket handshakes among them. */
  lost(link: Link, exchanges: Exchange[]): void
  /** The application has answered this one long ago and does not read on any more. */
  readingStopped(exchange: Exchange): void
  /** Something was in flight and is not any more, and nothing else tells it. */
  freed(link: Link): void
}

/** How many requests may go together to a quick worker. */
const COMPANIONS = 8
/** A dead worker's last bytes are there already; only a process that it left behind could keep the connection open. */
const LAST_WORDS_MS = 1000
/**
 * A worker that is silent for so long on a new link will never say hello. The master has replaced it before as a rule.
 */
const HELLO_MS = 60_000
/**
 * What may wait for a worker beyond the windows of those in flight. Whoever guesses the ids of requests to come can
 * answer them unread, so that what was sent of them waits and belongs to nobody any more.
 */
const MOST_LEFT_BYTES = 4 * 1024 ** 2
/**
 * So many frames are taken in one turn, less than a millisecond's work as a rule; then everybody else has a turn. What
 * one read brings seldom has so many: they are 256 bytes long on the average then, with their headers.
 */
const FRAMES_PER_TURN = 1024
const MAX_ID = 0xffffffff
const MAX_PING = 0x7fffffff
const HALF_OF_IDS = 0x80000000

export class Link implements Attempt<Exchange>, BodyReader<Exchange> {
  readonly worker: WorkerAddress
  readonly events: LinkEvents
  readonly #socket: Socket
  readonly #writer: FrameWriter
  readonly #reader = new FrameReader((type, id, bytes, start, end) => this.#frame(type, id, bytes, start, end))
  readonly #promises: LinkPromises
  readonly #heldCredit = new HeldCredit({
    mark: taken => this.#writer.mark(taken),
    apply: (id, bytes) => this.#applyHeldCredit(id, bytes),
  })
  readonly #pieces = new PieceJoiner((exchange, isTaken) => this.#passed(exchange, isTaken))
  readonly #exchanges = new IdTable<Exchange>()
  /** Answered ones whose body the application goes on reading. */
  readonly #readers = new Map<number, Exchange>()
  /** Requests that must not be sent twice and that the worker has not acknowledged yet, in the order of sending. */
  #unseen: Exchange[] = []
  #lastId: number
  readonly #openedMs = monotonicMs()
  #closed = false
  /** The worker has said hello. */
  #isUp = false
  /** In rotation: linked, not retiring, not condemned, and too much does not wait for it. */
  open = false
  /** Out of rotation because too much waits; a ping is under way. */
  #isOverfull = false
  retiring = false
  /** The master said that the worker is gone, and why; null: it has not. */
  end: WorkerEnd | null = null
  /** Its loop was found blocked; the master has been asked to kill it. */
  condemned = false
  /** It could not be opened, although the worker may be there. */
  lacksDescriptor = false
  tunnels = 0
  /** Those of the tunnels that are not answered yet. */
  readonly handshakes = new Handshakes()
  requests = 0
  readonly figures = new ResponseFigures()
  /** When the ping that has no response yet was sent, 0 = all answered. */
  pingSentMs = 0
  lastPongMs = 0
  /** The worker's event-loop lag as its last pong told it. */
  lagMs = 0
  /** The request that the worker's loop is blocked in, as far as is known; 0 = it turns, or nobody knows. */
  #stuckId = 0

  /** `lastId`: the id before the first one. */
  constructor(worker: WorkerAddress, events: LinkEvents, lastId = 0) {
    this.worker = worker
    this.#lastId = lastId
    this.#promises = new LinkPromises(lastId)
    this.events = events
    this.#socket = connect({
      path: worker.linkPath,
      onread: readOption((bytes, count) => this.#read(bytes, count), LINK_READ_BYTES),
    })
    this.#writer = new FrameWriter(this.#socket, () => this.#holdOff())
    this.#writer.send(frame(FRAME.hello, 0, LINK_VERSION))
    // The close event follows and does the work: ECONNRESET of a worker that was killed.
    this.#socket.on('error', error => {
      this.lacksDescriptor = isOutOfDescriptors(error)
    })
    this.#socket.on('close', () => this.#lose())
  }

  /** The worker has said hello. */
  get isUp(): boolean {
    return this.#isUp
  }

  get inFlight(): number {
    return this.#exchanges.size + this.#readers.size
  }

  /** What was sent last has not left yet, so that another request would leave with it, and be answered in no time. */
  get takesCompanions(): boolean {
    return this.figures.isQuick && this.#writer.isPending && this.#exchanges.size < COMPANIONS
  }

  /** Oldest first. */
  get exchanges(): Exchange[] {
    return this.#exchanges.values()
  }

  /** The exchange that the worker's loop is blocked in, as the worker's watchdog says. */
  get stuck(): Exchange | null {
    return this.#exchanges.get(this.#stuckId) ?? null
  }

  /**
   * Sends the request with what is there of its body; the exchange is this link's until it is answered, lost or
   * released.
   */
  send(exchange: Exchange, closeAfter: boolean): void {
    const id = this.#nextId()
    exchange.attempt = this
    exchange.linkId = id
    exchange.seen = false
    exchange.attempts += 1
    exchange.slot = this.worker.slot
    exchange.bodyWindow = WINDOW_BYTES
    exchange.unacknowledgedCredit = 0
    exchange.joined = ''
    exchange.closes = false
    this.requests += 1
    this.#exchanges.set(id, exchange)
    const isUnsafe = !isIdempotent(exchange.head.method)
    if (isUnsafe) this.#unseen.push(exchange)
    this.#promises.sent(id, isUnsafe)
    this.#writer.send(frame(FRAME.request, id, requestPayload(exchange, closeAfter)))
    for (const bytes of exchange.replayable ?? []) this.sendBody(exchange, bytes)
    if (exchange.bodyComplete && exchange.hasBody) this.endBody(exchange)
  }

  /** False: the window is used up; the client's `resumeBody` is called when there is credit. */
  sendBody(exchange: Exchange, bytes: Buffer): boolean {
    exchange.bodyWindow -= bytes.length
    this.#writer.sendBytes(FRAME.data, exchange.linkId, bytes)
    return exchange.bodyWindow > 0
  }

  endBody(exchange: Exchange): void {
    this.#writer.send(frame(FRAME.end, exchange.linkId, exchange.bodyTrailers))
    if (exchange.reader === this) this.#forgetReader(exchange)
  }

  /** The rest of the body will not come. The application is told. */
  stopReading(exchange: Exchange): void {
    this.#writer.send(frame(FRAME.abort, exchange.linkId))
    this.#forgetReader(exchange)
  }

  hasRoom(exchange: Exchange): boolean {
    return exchange.bodyWindow > 0
  }

  /** The worker is told. */
  cancel(exchange: Exchange, isLate: boolean): void {
    if (!this.#exchanges.delete(exchange.linkId)) return
    if (isLate) this.figures.add(Math.round(passedMs(exchange.dispatchMs, monotonicMs())), true)
    this.#forgetUnseen(exchange)
    exchange.attempt = null
    exchange.joined = ''
    this.#promises.released(exchange)
    this.#writer.send(frame(FRAME.abort, exchange.linkId))
    this.events.freed(this)
  }

  /**
   * One at a time: a worker that has not read all that was sent to it cannot answer, because it cannot guess the
   * number. So one that does not read gets nothing new, and what waits for it here is bounded.
   */
  ping(nowMs: number): void {
    if (this.pingSentMs !== 0) return
    this.pingSentMs = nowMs
    const number = randomInt(1, MAX_PING)
    this.#promises.pinged(number)
    this.#writer.send(frame(FRAME.ping, number))
    this.#writer.flush()
  }

  /**
   * The connection of a handshake has ended before a response. `lives` is called once it is known that the worker has
   * not died; if it has, `lost` is told.
   */
  hungUp(exchange: Exchange, lives: () => void): void {
    const isAsked = this.pingSentMs === 0
    this.handshakes.hungUp(exchange, lives, isAsked)
    if (isAsked) this.ping(monotonicMs())
  }

  /** Waits for no hello that does not come. */
  sweep(nowMs: number): void {
    if (!this.#isUp && nowMs - this.#openedMs > HELLO_MS) this.#break(`it did not say hello within ${HELLO_MS} ms`)
  }

  /**
   * The worker is gone. What it wrote may still be unread here, and decides what it has seen and answered: the
   * connection ends behind that by itself. One that never came up, or that somebody else keeps open, is ended.
   */
  dismiss(end: WorkerEnd = 'asked'): void {
    this.open = false
    this.end = end
    if (this.#isUp) setTimeout(() => this.#socket.destroy(), LAST_WORDS_MS).unref()
    else this.#socket.destroy()
  }

  /** More waits than those in flight account for: nothing new until the worker has read. */
  #holdOff(): void {
    if (!this.open || !this.#hasTooMuch) return
    this.open = false
    this.#isOverfull = true
    this.ping(monotonicMs())
  }

  get #hasTooMuch(): boolean {
    return this.#writer.backlogBytes > MOST_LEFT_BYTES + this.inFlight * WINDOW_BYTES
  }

  /** The worker has read what was sent before the ping; that may not be all. */
  #goOn(nowMs: number): void {
    if (this.#hasTooMuch) return this.ping(nowMs)
    this.#isOverfull = false
    this.open = !(this.#closed || this.retiring || this.condemned || this.end !== null)
  }

  #nextId(): number {
    do this.#lastId = this.#lastId === MAX_ID ? 1 : this.#lastId + 1
    while (!this.#exchanges.isFree(this.#lastId) || (this.#readers.size > 0 && this.#readers.has(this.#lastId)))
    return this.#lastId
  }

  #read(buffer: Buffer, count: number): void {
    const taken = this.#takeTurn(buffer, count)
    if (taken === count) return
    this.#socket.pause()
    this.#awaitTurn(Buffer.from(buffer.subarray(taken, count)))
  }

  /** Nothing is read meanwhile, the end of the connection neither. */
  #awaitTurn(rest: Buffer): void {
    setImmediate(() => {
      if (this.#closed) return
      const taken = this.#takeTurn(rest, rest.length)
      if (taken < rest.length) this.#awaitTurn(rest.subarray(taken))
      else this.#socket.resume()
    })
  }

  /** Works through what came, to the most that one turn may be long; how many bytes that was. */
  #takeTurn(buffer: Buffer, count: number): number {
    try {
      const taken = this.#reader.read(buffer, count, FRAMES_PER_TURN)
      if (this.#pieces.isHolding) this.#pieces.passAll()
      return taken
    } catch (error) {
      this.#pieces.passAll()
      if (error instanceof LinkBreach) this.#break(error.message)
      else if (error instanceof ImpossibleFrame) this.#break(`it sends a ${error.message}`)
      else throw error
      return count
    }
  }

  /**
   * The protocol is broken: nothing more is read, and what the worker has said of the past is not believed. It may have
   * handed any request to the application, so none that must not be sent twice is sent again.
   */
  #break(why: string): void {
    if (this.#closed) return
    this.open = false
    this.end ??= 'crashed'
    for (const exchange of this.#unseen) markSeen(exchange)
    this.#socket.destroy()
    this.events.broke(this, why)
    this.#lose()
  }

  #frame(type: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (this.#pieces.isHolding) this.#passPiecesBefore(type, id)
    // Any other frame comes of a loop that turns, or of before it was blocked.
    this.#stuckId = type === FRAME.stuck ? id : 0
    if (type === FRAME.response || type === FRAME.data || type === FRAME.end) {
      const exchange = this.#exchanges.get(id)
      if (exchange !== undefined) this.#respond(exchange, type, bytes, start, end)
      else this.#stray(type, id, end - start - (type === FRAME.response ? RESPONSE_PREFIX_BYTES : 0))
      return
    }
    if (type !== FRAME.hello) this.#promises.requireHello()
    switch (type) {
      case FRAME.pong:
        return this.#pong(id, readNumber(bytes, start, end))
      case FRAME.seen:
        requireLength(0, start, end)
        return this.#seen(id)
      case FRAME.stuck:
        requireLength(0, start, end)
        return this.#promises.aside(id)
      case FRAME.harakiri:
        return this.#harakiri(id, readNumber(bytes, start, end))
      case FRAME.credit:
        return this.#credit(id, readNumber(bytes, start, end))
      case FRAME.informational:
        return this.#informational(id, bytes, start, end)
      case FRAME.abort:
        return this.#aborted(id, wordsIn(bytes, start, end))
      case FRAME.hello:
        this.#promises.hello(bytes, start, end)
        return this.#up()
      default:
        throw new LinkBreach(`it sends a frame of type ${type}`)
    }
  }

  /**
   * What it may end, or be the head of, has pieces that come first. No other frame has to wait for them, or one between
   * two of each would undo the joining.
   */
  #passPiecesBefore(type: number, id: number): void {
    if (type !== FRAME.response && type !== FRAME.end && type !== FRAME.abort) return
    const exchange = this.#exchanges.get(id)
    if (exchange !== undefined) this.#pieces.pass(exchange)
  }

  #up(): void {
    this.#isUp = true
    if (this.end === null) this.events.linked(this)
  }

  /** Of a response that was given up: it was under way. */
  #stray(type: number, id: number, bytes: number): void {
    if (type !== FRAME.data) this.#promises.aside(id)
    if (type !== FRAME.end)
      this.#promises.strayResponse(id, type === FRAME.data ? Math.max(1, bytes) : Math.max(0, bytes))
  }

  #respond(exchange: Exchange, type: number, bytes: Buffer, start: number, end: number): void {
    // A head comes first and once: a second one would be another answer to the client.
    if ((type === FRAME.response) === exchange.firstByteMs > 0)
      return this.#refuse(exchange, 'its parts are out of order')
    if (type === FRAME.data) return this.#pass(exchange, bytes, start, end)
    if (type === FRAME.end) {
      requireLength(1, start, end)
      return this.#complete(exchange, bytes[start]!, monotonicMs())
    }
    const from = start + RESPONSE_PREFIX_BYTES
    if (from > end) throw new LinkBreach('it sends a response without a status')
    const status = bytes.readUInt16LE(start)
    if (status < 200 || status > 999) return this.#refuse(exchange, 'its status is none of a final response')
    exchange.beginResponse(status, monotonicMs())
    this.figures.add(exchange.firstByteMs - exchange.dispatchMs, status >= 500)
    const flags = bytes[start + 2]!
    exchange.responseUntilClose = (flags & RESPONSE_FLAG.untilClose) !== 0
    if ((flags & RESPONSE_FLAG.file) !== 0) this.events.fileNamed(exchange)
    takeResponseBytes(exchange, end - from)
    exchange.closes = endsConnection(exchange, flags)
    const closing = exchange.closes ? withClose(bytes, from, end) : null
    const isTaken =
      closing === null ? writeResponse(exchange, bytes, from, end) : writeResponse(exchange, closing, 0, closing.length)
    if ((flags & RESPONSE_FLAG.complete) === 0) return this.#passed(exchange, isTaken)
    // Not where a body filter has refused it meanwhile.
    if (exchange.attempt === this) this.#complete(exchange, flags, exchange.firstByteMs)
  }

  #pass(exchange: Exchange, bytes: Buffer, start: number, end: number): void {
    if (start === end) throw new LinkBreach('it sends a part of a response without a byte')
    takeResponseBytes(exchange, end - start)
    if (this.#pieces.take(exchange, bytes, start, end)) return
    // Not where a body filter has refused what came before.
    if (exchange.attempt === this) this.#passed(exchange, writeResponse(exchange, bytes, start, end))
  }

  #passed(exchange: Exchange, isTaken: boolean): void {
    if (exchange.attempt !== this) return
    if (isTaken) this.#returnCredit(exchange)
    else if (!exchange.waitingForClient) {
      exchange.waitingForClient = true
      exchange.out.whenWritable(() => {
        exchange.waitingForClient = false
        if (exchange.attempt === this) this.#returnCredit(exchange)
      })
    }
  }

  #returnCredit(exchange: Exchange): void {
    if (exchange.unacknowledgedCredit < LEAST_CREDIT_BYTES || exchange.waitingForClient) return
    this.#writer.send(creditFrame(exchange.linkId, exchange.unacknowledgedCredit))
    exchange.unacknowledgedCredit = 0
  }

  #complete(exchange: Exchange, flags: number, nowMs: number): void {
    this.#exchanges.delete(exchange.linkId)
    this.#forgetUnseen(exchange)
    exchange.attempt = null
    this.figures.took(nowMs - exchange.dispatchMs)
    if (exchange.hasBody) this.#promises.forgotten(exchange)
    if (!exchange.bodyComplete) this.#settleBody(exchange, flags)
    this.events.responded(exchange, exchange.closes || (flags & RESPONSE_FLAG.close) !== 0, nowMs, this)
  }

  /**
   * The application has answered without reading all of the body: it goes on, as with a connection of its own, or
   * nobody reads the rest.
   */
  #settleBody(exchange: Exchange, flags: number): void {
    if ((flags & RESPONSE_FLAG.readsOn) === 0) return this.#writer.send(frame(FRAME.abort, exchange.linkId))
    this.#readers.set(exchange.linkId, exchange)
    exchange.reader = this
  }

  #forgetReader(exchange: Exchange): void {
    this.#readers.delete(exchange.linkId)
    exchange.reader = null
    this.#promises.forgotten(exchange)
    this.events.freed(this)
  }

  #refuse(exchange: Exchange, why: string): void {
    this.cancel(exchange, false)
    this.events.badResponse(exchange, why)
  }

  /** `why`: what is wrong with the response, empty where the application broke it off. */
  #aborted(id: number, why: string): void {
    const reader = this.#readers.get(id)
    if (reader !== undefined) {
      this.#forgetReader(reader)
      this.events.readingStopped(reader)
    }
    const exchange = this.#exchanges.get(id)
    if (exchange === undefined) {
      if (reader === undefined) this.#promises.aside(id)
      return
    }
    this.#exchanges.delete(id)
    this.#forgetUnseen(exchange)
    exchange.attempt = null
    this.#promises.forgotten(exchange)
    if (why === '') this.events.aborted(exchange)
    else this.events.badResponse(exchange, why)
    this.events.freed(this)
  }

  #pong(number: number, lagMs: number): void {
    this.#promises.ponged(number)
    this.lastPongMs = monotonicMs()
    this.lagMs = lagMs
    this.pingSentMs = 0
    if (this.handshakes.ponged()) this.ping(this.lastPongMs)
    if (this.#isOverfull) this.#goOn(this.lastPongMs)
    this.events.freed(this)
  }

  /**
   * Whatever was sent before `id`, and `id` itself. That one may have been given up meanwhile, so it is not looked for:
   * ids ascend, and at the wrap the distance still tells before from behind.
   */
  #seen(id: number): void {
    this.#promises.seen(id)
    const first = this.#unseen.findIndex(exchange => (id - exchange.linkId) >>> 0 >= HALF_OF_IDS)
    for (const exchange of this.#unseen.splice(0, first < 0 ? this.#unseen.length : first)) markSeen(exchange)
  }

  #credit(id: number, bytes: number): void {
    const exchange = this.#exchanges.get(id) ?? this.#readers.get(id)
    if (exchange === undefined) return this.#promises.aside(id)
    if (this.#writer.backlogBytes > 0 || this.#heldCredit.isHolding) {
      requireCredit(exchange, bytes, this.#heldCredit.of(id))
      return this.#heldCredit.hold(id, bytes)
    }
    takeCredit(exchange, bytes)
    if (exchange.bodyWindow > 0) exchange.client.resumeBody()
  }

  #applyHeldCredit(id: number, bytes: number): void {
    const exchange = this.#exchanges.get(id) ?? this.#readers.get(id)
    if (exchange === undefined || this.#closed) return
    takeCredit(exchange, bytes)
    if (exchange.bodyWindow > 0) exchange.client.resumeBody()
  }

  #harakiri(id: number, ms: number): void {
    this.#promises.aside(id)
    const exchange = this.#exchanges.get(id)
    if (exchange !== undefined) overrideHarakiri(exchange, ms, monotonicMs())
  }

  /**
   * A client that does not read gets one of them at most (`exchange/interim-response.ts`), so their credit is returned
   * without waiting for it.
   */
  #informational(id: number, bytes: Buffer, start: number, end: number): void {
    const exchange = this.#exchanges.get(id)
    if (exchange === undefined) return this.#promises.strayResponse(id, Math.max(1, end - start))
    takeResponseBytes(exchange, end - start)
    if (writeInterim(exchange, bytes.latin1Slice(start, end), this.#pieces)) this.#returnCredit(exchange)
    else this.#refuse(exchange, 'it has a malformed interim response')
  }

  #forgetUnseen(exchange: Exchange): void {
    if (exchange.seen || this.#unseen.length === 0) return
    const index = this.#unseen.indexOf(exchange)
    if (index >= 0) this.#unseen.splice(index, 1)
  }

  #lose(): void {
    if (this.#closed) return
    this.#closed = true
    this.open = false
    const exchanges = this.#exchanges.values()
    this.#exchanges.clear()
    this.#unseen = []
    for (const exchange of exchanges) exchange.attempt = null
    exchanges.push(...this.handshakes.lose())
    const readers = [...this.#readers.values()]
    this.#readers.clear()
    this.events.lost(this, exchanges)
    for (const exchange of readers) {
      exchange.reader = null
      this.events.readingStopped(exchange)
    }
  }
}

/**
 * Whether the connection ends behind a response whose head came with these flags. Of one that is not complete nobody
 * knows how much of the request's body the application is going to read: the connection reads the rest then.
 */
function endsConnection({ client, bodyComplete }: Exchange, flags: number): boolean {
  const isUnread = !bodyComplete && (flags & RESPONSE_FLAG.complete) !== 0 && (flags & RESPONSE_FLAG.readsOn) === 0
  return isUnread ? client.closingNow : client.closing
}

function markSeen(exchange: Exchange): void {
  exchange.seen = true
  exchange.replayable = null
}

function readNumber(bytes: Buffer, start: number, end: number): number {
  requireLength(4, start, end)
  return bytes.readUInt32LE(start)
}
