/**
 * The proxy's end of one link: one worker, and all requests that this proxy has in flight there. The master says when a
 * worker is ready to be linked. A link moves bytes and reports events. Its listeners decide what follows: the rescue of
 * requests, the end of responses.
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
import type { ResponderEvents } from '../exchange/responder.js'
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
 * Events of a link. `ResponderEvents` tell the rest about its exchanges. Each exchange gets one end, here or there,
 * unless it was cancelled before.
 */
export interface LinkEvents {
  /** The handshake is done. */
  linked(link: Link): void
  /** As `ResponderEvents.complete`. The exchange has left its place on `link`. */
  completed(exchange: Exchange, close: boolean, nowMs: number, link: Link): void
  /** The worker broke the protocol and has to be replaced. `lost` follows. */
  broke(link: Link, why: string): void
  /** The worker is gone. These exchanges were in flight, WebSocket handshakes included. */
  lost(link: Link, exchanges: Exchange[]): void
  /** A request in flight has ended, and no other event says so. */
  freed(link: Link): void
}

/** The most requests that may be batched for one fast worker. */
const COMPANIONS = 8
/**
 * The last bytes of a dead worker have arrived already. Only a process that it left behind could keep the connection
 * open.
 */
const LAST_WORDS_MS = 1000
/** A worker without a hello after this time will never send one. As a rule the master has replaced it before. */
const HELLO_MS = 60_000
/**
 * What may wait for a worker beyond the windows of its requests in flight. A worker that guesses the ids of future
 * requests can respond to them unread: then the bytes sent for these requests wait and belong to no exchange.
 */
const MOST_LEFT_BYTES = 4 * 1024 ** 2
/**
 * Frames per turn: as a rule less than a millisecond of work. Then other links have their turn. One read seldom brings
 * more frames: their average length would be 256 bytes with headers.
 */
const FRAMES_PER_TURN = 1024
const MAX_ID = 0xffffffff
const MAX_PING = 0x7fffffff
const HALF_OF_IDS = 0x80000000

export class Link implements Attempt<Exchange>, BodyReader<Exchange> {
  readonly worker: WorkerAddress
  readonly #events: LinkEvents
  readonly #lifecycle: ResponderEvents
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
  /** Exchanges with a complete response whose body the application still reads. */
  readonly #readers = new Map<number, Exchange>()
  /** Requests that must not be sent twice and that the worker has not acknowledged, in the order of sending. */
  #unseen: Exchange[] = []
  #lastId: number
  readonly #openedMs = monotonicMs()
  #closed = false
  /** The worker has said hello. */
  #isUp = false
  /** In rotation: linked, not retiring, not condemned, and the backlog is not too large. */
  open = false
  /** Out of rotation because the backlog is too large; a ping is under way. */
  #isOverfull = false
  retiring = false
  /** Why the worker is gone, as the master said; null: it is not gone. */
  end: WorkerEnd | null = null
  /** The loop of the worker is blocked, and the master has been asked to kill the worker. */
  condemned = false
  /** The link could not be opened for want of a descriptor, although the worker may be there. */
  lacksDescriptor = false
  tunnels = 0
  /** Handshakes of tunnels without a response. */
  readonly handshakes = new Handshakes()
  requests = 0
  readonly figures = new ResponseFigures()
  /** When the ping without a pong was sent; 0 = each ping has its pong. */
  pingSentMs = 0
  lastPongMs = 0
  /** The event-loop lag of the worker, from its last pong. */
  lagMs = 0
  /** The id of the request that blocks the worker's loop; 0 = the loop runs, or the request is not known. */
  #stuckId = 0

  /** `lastId`: the id before the first one. */
  constructor(worker: WorkerAddress, events: LinkEvents, lifecycle: ResponderEvents, lastId = 0) {
    this.worker = worker
    this.#lastId = lastId
    this.#promises = new LinkPromises(lastId)
    this.#events = events
    this.#lifecycle = lifecycle
    this.#socket = connect({
      path: worker.linkPath,
      onread: readOption((bytes, count) => this.#read(bytes, count), LINK_READ_BYTES),
    })
    this.#writer = new FrameWriter(this.#socket, () => this.#holdOff())
    this.#writer.send(frame(FRAME.hello, 0, LINK_VERSION))
    // The close event follows and does the work. A killed worker causes ECONNRESET.
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

  /** The last batch is not flushed and the worker is fast: another request would leave with the batch. */
  get takesCompanions(): boolean {
    return this.figures.isQuick && this.#writer.isPending && this.#exchanges.size < COMPANIONS
  }

  /** Oldest first. */
  get exchanges(): Exchange[] {
    return this.#exchanges.values()
  }

  /** The exchange that blocks the worker's loop, according to the worker's watchdog. */
  get stuck(): Exchange | null {
    return this.#exchanges.get(this.#stuckId) ?? null
  }

  /**
   * Sends the request and the part of its body that has arrived. The exchange belongs to this link until it is
   * complete, lost or released.
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

  /** False: the window is used up. When credit comes, the client's `resumeBody` is called. */
  sendBody(exchange: Exchange, bytes: Buffer): boolean {
    exchange.bodyWindow -= bytes.length
    this.#writer.sendBytes(FRAME.data, exchange.linkId, bytes)
    return exchange.bodyWindow > 0
  }

  endBody(exchange: Exchange): void {
    this.#writer.send(frame(FRAME.end, exchange.linkId, exchange.bodyTrailers))
    if (exchange.reader === this) this.#forgetReader(exchange)
  }

  /** The rest of the body will not come. The worker is told, and tells the application. */
  stopReading(exchange: Exchange): void {
    this.#writer.send(frame(FRAME.abort, exchange.linkId))
    this.#forgetReader(exchange)
  }

  hasRoom(exchange: Exchange): boolean {
    return exchange.bodyWindow > 0
  }

  /** Releases the exchange and tells the worker. */
  cancel(exchange: Exchange, isLate: boolean): void {
    if (!this.#exchanges.delete(exchange.linkId)) return
    if (isLate) this.figures.add(Math.round(passedMs(exchange.dispatchMs, monotonicMs())), true)
    this.#forgetUnseen(exchange)
    exchange.attempt = null
    exchange.joined = ''
    this.#promises.released(exchange)
    this.#writer.send(frame(FRAME.abort, exchange.linkId))
    this.#events.freed(this)
  }

  /**
   * One ping at a time. A worker that has not read everything sent to it cannot send the pong, because it cannot guess
   * the number. So a worker that does not read gets nothing new, and its backlog here is bounded.
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
   * The connection of a handshake ended before a response. If the worker turns out to live, `lives` is called; if it
   * has died, the event is `lost`.
   */
  hungUp(exchange: Exchange, lives: () => void): void {
    const isAsked = this.pingSentMs === 0
    this.handshakes.hungUp(exchange, lives, isAsked)
    if (isAsked) this.ping(monotonicMs())
  }

  /** Gives up a link whose worker does not say hello. */
  sweep(nowMs: number): void {
    if (!this.#isUp && nowMs - this.#openedMs > HELLO_MS) this.#break(`it did not say hello within ${HELLO_MS} ms`)
  }

  /**
   * The worker is gone. Its last bytes may still be unread here, and they decide which requests it has seen and
   * finished. So the connection ends by itself, behind them. A link that never came up, or that another process keeps
   * open, is closed here.
   */
  dismiss(end: WorkerEnd = 'asked'): void {
    this.open = false
    this.end = end
    if (this.#isUp) setTimeout(() => this.#socket.destroy(), LAST_WORDS_MS).unref()
    else this.#socket.destroy()
  }

  /** The backlog exceeds what the requests in flight account for: nothing new until the worker has read. */
  #holdOff(): void {
    if (!this.open || !this.#hasTooMuch) return
    this.open = false
    this.#isOverfull = true
    this.ping(monotonicMs())
  }

  get #hasTooMuch(): boolean {
    return this.#writer.backlogBytes > MOST_LEFT_BYTES + this.inFlight * WINDOW_BYTES
  }

  /** The worker has read everything that was sent before the ping. More may wait. */
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

  /** Until the turn nothing is read, not even the end of the connection. */
  #awaitTurn(rest: Buffer): void {
    setImmediate(() => {
      if (this.#closed) return
      const taken = this.#takeTurn(rest, rest.length)
      if (taken < rest.length) this.#awaitTurn(rest.subarray(taken))
      else this.#socket.resume()
    })
  }

  /** Handles at most FRAMES_PER_TURN frames. Returns the number of bytes handled. */
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
   * The worker broke the protocol: nothing more is read, and its earlier acknowledgements do not count. It may have
   * handed any request to the application, so a request that must not be sent twice is not sent again.
   */
  #break(why: string): void {
    if (this.#closed) return
    this.open = false
    this.end ??= 'crashed'
    for (const exchange of this.#unseen) markSeen(exchange)
    this.#socket.destroy()
    this.#events.broke(this, why)
    this.#lose()
  }

  #frame(type: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (this.#pieces.isHolding) this.#passPiecesBefore(type, id)
    // Any other frame proves that the loop was running when the frame was sent.
    this.#stuckId = type === FRAME.stuck ? id : 0
    if (type === FRAME.response || type === FRAME.data || type === FRAME.end) {
      const exchange = this.#exchanges.get(id)
      if (exchange !== undefined) this.#responseFrame(exchange, type, bytes, start, end)
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
   * These frames can end a response, or be its head: pieces of the same response go first. Other frames do not force
   * the pieces out, because a frame between each two pieces would undo the joining.
   */
  #passPiecesBefore(type: number, id: number): void {
    if (type !== FRAME.response && type !== FRAME.end && type !== FRAME.abort) return
    const exchange = this.#exchanges.get(id)
    if (exchange !== undefined) this.#pieces.pass(exchange)
  }

  #up(): void {
    this.#isUp = true
    if (this.end === null) this.#events.linked(this)
  }

  /** A frame of a released response: it was under way. */
  #stray(type: number, id: number, bytes: number): void {
    if (type !== FRAME.data) this.#promises.aside(id)
    if (type !== FRAME.end)
      this.#promises.strayResponse(id, type === FRAME.data ? Math.max(1, bytes) : Math.max(0, bytes))
  }

  #responseFrame(exchange: Exchange, type: number, bytes: Buffer, start: number, end: number): void {
    // The head comes first and once: a second head would be a second response to the client.
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
    if ((flags & RESPONSE_FLAG.file) !== 0) this.#lifecycle.fileNamed(exchange)
    takeResponseBytes(exchange, end - from)
    exchange.closes = endsConnection(exchange, flags)
    const closing = exchange.closes ? withClose(bytes, from, end) : null
    const isTaken =
      closing === null ? writeResponse(exchange, bytes, from, end) : writeResponse(exchange, closing, 0, closing.length)
    if ((flags & RESPONSE_FLAG.complete) === 0) return this.#passed(exchange, isTaken)
    // A body filter may have refused the response meanwhile.
    if (exchange.attempt === this) this.#complete(exchange, flags, exchange.firstByteMs)
  }

  #pass(exchange: Exchange, bytes: Buffer, start: number, end: number): void {
    if (start === end) throw new LinkBreach('it sends a part of a response without a byte')
    takeResponseBytes(exchange, end - start)
    if (this.#pieces.take(exchange, bytes, start, end)) return
    // A body filter may have refused the bytes before these.
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
    this.#events.completed(exchange, exchange.closes || (flags & RESPONSE_FLAG.close) !== 0, nowMs, this)
  }

  /**
   * The response is complete and the body was not read to its end. The application reads on, as from a connection of
   * its own, or the rest of the body is dropped.
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
    this.#events.freed(this)
  }

  #refuse(exchange: Exchange, why: string): void {
    this.cancel(exchange, false)
    this.#lifecycle.badResponse(exchange, why)
  }

  /** `why`: what is wrong with the response; empty: the application broke it off. */
  #aborted(id: number, why: string): void {
    const reader = this.#readers.get(id)
    if (reader !== undefined) {
      this.#forgetReader(reader)
      this.#lifecycle.readingStopped(reader)
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
    if (why !== '') this.#lifecycle.badResponse(exchange, why)
    else if (exchange.responseBegun) this.#lifecycle.broken(exchange)
    else this.#lifecycle.failed(exchange, 'worker-aborted')
    this.#events.freed(this)
  }

  #pong(number: number, lagMs: number): void {
    this.#promises.ponged(number)
    this.lastPongMs = monotonicMs()
    this.lagMs = lagMs
    this.pingSentMs = 0
    if (this.handshakes.ponged()) this.ping(this.lastPongMs)
    if (this.#isOverfull) this.#goOn(this.lastPongMs)
    this.#events.freed(this)
  }

  /**
   * Marks all requests up to `id` as seen. The request of `id` may have been released meanwhile, so no request is
   * looked up by it. Ids ascend, and after a wrap the distance still separates earlier ids from later ones.
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
   * A client that does not read gets at most one interim response (`exchange/interim-response.ts`). So their credit is
   * returned without waiting for the client.
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
    this.#events.lost(this, exchanges)
    for (const exchange of readers) {
      exchange.reader = null
      this.#lifecycle.readingStopped(exchange)
    }
  }
}

/**
 * Whether the client's connection ends behind a response with these flags. If the response is not complete, nobody
 * knows how much of the request body the application will read: then the connection reads the rest.
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
