/**
 * Chooses a worker for each request, and holds the queue of requests that wait for one. One per proxy.
 * `worker-responder.ts` hands exchanges in; links report freed slots.
 */

import type { ProxySettings, WorkerAddress, WorkerEnd, WorkerLoad } from '../../kit/channel/messages.js'
import type { Exchange } from '../exchange/exchange.js'
import type { ResponderEvents } from '../exchange/responder.js'
import { WaitingLine } from '../exchange/waiting-line.js'
import type { ErrorCode } from '../http/error-response.js'
import { monotonicMs } from '../process/clock.js'
import { cookieValue, slotToken } from '../route/sticky-cookie.js'
import { Link, type LinkEvents } from './link.js'

export interface DispatcherEvents extends LinkEvents {
  /** This link takes the exchange, which had to wait. */
  assigned(exchange: Exchange, link: Link, nowMs: number): void
  /**
   * Per retiring worker: whether requests and tunnels are left. Told at once and at each change. Both false: the worker
   * is drained, and nothing more is told.
   */
  left(workerId: number, requests: boolean, tunnels: boolean): void
  /** A request waits and no worker could take it. With `lazy`: one more worker would help. */
  starved(): void
}

/** The usual number in flight is averaged over this many requests. */
const USUAL_REQUESTS = 64
/** With `lazy`: the time between two calls for one more worker. It is shorter than the load of an application. */
const CALL_MS = 500
/** A living worker whose link ends this often breaks the protocol: a worker ends its link once, when it stops. */
const MOST_ENDS = 5
/**
 * A ping without a pong for this long means that the loop of the worker is late. The worker gets nothing new until its
 * pong.
 */
export const LATE_MS = 250

type Left = 'nothing' | 'requests' | 'tunnels' | 'both'

export class Dispatcher {
  readonly #events: DispatcherEvents
  readonly #lifecycle: ResponderEvents
  #links: readonly Link[] = []
  /** The search for a worker begins behind the one that was chosen last, so equal workers take turns. */
  #turn = 0
  /** The average number of requests that the workers have in flight at this proxy. */
  #usual = 0
  /** What was told last of each retiring link. */
  readonly #left = new WeakMap<Link, Left>()
  /** Broken links by worker. The master has not said that the worker is gone: it gets a new link. */
  readonly #broken = new Map<number, WorkerAddress>()
  /** How often the link of a living worker has ended. */
  readonly #ends = new Map<number, number>()
  /** The last link that broke was never made: there was no free descriptor. */
  #lacksDescriptors = false
  #settings: ProxySettings
  readonly #waiting = new WaitingLine()
  #isPaused = false
  /** The proxy stops. The master starts no worker any more. */
  #isDraining = false
  /** A request had to go to a worker that was not idle, or to none. */
  #isCrowded = false
  #calledMs = 0

  constructor(settings: ProxySettings, events: DispatcherEvents, lifecycle: ResponderEvents) {
    this.#settings = settings
    this.#events = events
    this.#lifecycle = lifecycle
  }

  set settings(settings: ProxySettings) {
    this.#settings = settings
    this.pump()
  }

  /**
   * While paused, everything waits: no deadline runs and no request is refused. The client connections bound the queue,
   * because each has at most one request in it. After the pause, all waiting requests have the whole
   * `http-queue-timeout` again.
   */
  set isPaused(isPaused: boolean) {
    if (isPaused === this.#isPaused) return
    this.#isPaused = isPaused
    this.#waiting.waitUntil(this.#queueDeadline(monotonicMs()))
    if (!isPaused) this.pump()
  }

  /**
   * The proxy stops. The living workers serve waiting requests. When no worker is left that could ever take one, the
   * rest is refused.
   */
  drain(): void {
    this.#isDraining = true
    this.isPaused = false
    this.#refuseHopeless()
  }

  get links(): readonly Link[] {
    return this.#links
  }

  get queued(): number {
    return this.#waiting.size
  }

  connect(worker: WorkerAddress): void {
    this.#links = [...this.#links, new Link(worker, this.#events, this.#lifecycle)]
  }

  linked(link: Link): void {
    this.#lacksDescriptors = false
    if (!link.retiring) link.open = true
    this.pump()
  }

  retire(workerId: number): void {
    const link = this.#linkOf(workerId)
    this.#forget(workerId)
    if (link === undefined) this.#events.left(workerId, false, false)
    else {
      link.retiring = true
      link.open = false
      this.freed(link)
    }
    this.#refuseHopeless()
    if (link !== undefined && this.#waiting.size > 0) this.#callForWorkers()
  }

  /**
   * Workers that are late or full will take the waiting requests. A lazy worker that waits for its first request could
   * serve them sooner.
   */
  #callForWorkers(): void {
    if (this.#settings.lazy || this.#links.every(link => link.retiring)) this.#events.starved()
  }

  /** Every request has a worker, but one more worker would help. */
  #callForMore(nowMs: number): void {
    if (!this.#isCrowded || !this.#settings.lazy || nowMs - this.#calledMs < CALL_MS) return
    this.#isCrowded = false
    this.#calledMs = nowMs
    this.#events.starved()
  }

  /** The master saw the process end. Without this, a link that never came up would be waited for. */
  gone(workerId: number, end: WorkerEnd): void {
    this.#forget(workerId)
    this.#linkOf(workerId)?.dismiss(end)
    this.#refuseHopeless()
  }

  lost(link: Link): void {
    this.#links = this.#links.filter(other => other !== link)
    this.#lacksDescriptors = link.lacksDescriptor
    if (link.retiring) this.#tellLeft(link, 'nothing')
    else if (link.end === null && this.#mayLinkAgain(link)) this.#broken.set(link.worker.workerId, link.worker)
    this.#refuseHopeless()
  }

  #mayLinkAgain(link: Link): boolean {
    const { workerId } = link.worker
    // The link was not ended by the worker.
    if (!link.isUp) return true
    const ends = (this.#ends.get(workerId) ?? 0) + 1
    this.#ends.set(workerId, ends)
    if (ends < MOST_ENDS) return true
    link.end = 'crashed'
    this.#events.broke(link, `it ended its link ${ends} times`)
    return false
  }

  #forget(workerId: number): void {
    this.#broken.delete(workerId)
    this.#ends.delete(workerId)
  }

  freed(link: Link): void {
    if (this.#waiting.size > 0) this.pump()
    if (link.retiring) this.#tellLeft(link, leftOf(link))
  }

  /** Each state once: every pong frees a link. */
  #tellLeft(link: Link, left: Left): void {
    const before = this.#left.get(link)
    if (before === left || before === 'nothing') return
    this.#left.set(link, left)
    this.#events.left(
      link.worker.workerId,
      left === 'both' || left === 'requests',
      left === 'both' || left === 'tunnels',
    )
  }

  /**
   * The link that takes the exchange: the worker of its cookie, else the choice of `choose`. Null: the exchange waits
   * or is refused.
   */
  dispatch(exchange: Exchange, nowMs: number): Link | null {
    const link = this.#waiting.size === 0 ? this.#linkFor(exchange, nowMs) : null
    if (link === null) this.#wait(exchange, nowMs)
    return link
  }

  #wait(exchange: Exchange, nowMs: number): void {
    if (this.#isHopeless) this.#lifecycle.failed(exchange, 'stopping')
    else if (!this.#isPaused && this.#waiting.size >= this.#settings.httpQueue)
      this.#lifecycle.failed(exchange, 'queue-full')
    else {
      this.#queue(exchange, nowMs)
      this.#waiting.push(exchange)
    }
  }

  /** A rescued request goes before the others: it has waited already. */
  dispatchFirst(exchange: Exchange, nowMs: number): Link | null {
    const link = this.#linkFor(exchange, nowMs)
    if (link === null) this.#queueFirst(exchange, nowMs)
    return link
  }

  /** This link could not be reached. Another link gets the exchange, at once or when it is free. */
  dispatchElsewhere(exchange: Exchange, link: Link, nowMs: number): void {
    const { open } = link
    link.open = false
    const other = this.#isPaused ? null : this.choose(nowMs)
    link.open = open
    if (other !== null) this.#events.assigned(exchange, other, nowMs)
    else this.#queueFirst(exchange, nowMs)
  }

  #queueFirst(exchange: Exchange, nowMs: number): void {
    if (this.#isHopeless) return this.#lifecycle.failed(exchange, 'stopping')
    this.#queue(exchange, nowMs)
    this.#waiting.unshift(exchange)
  }

  #queue(exchange: Exchange, nowMs: number): void {
    if (this.#waiting.size === 0) this.#callForWorkers()
    exchange.queue = this
    exchange.queuedMs = nowMs
    exchange.queueDeadlineMs = this.#queueDeadline(nowMs)
  }

  #queueDeadline(nowMs: number): number {
    const { httpQueueTimeoutMs } = this.#settings
    return httpQueueTimeoutMs > 0 && !this.#isPaused ? nowMs + httpQueueTimeoutMs : Number.POSITIVE_INFINITY
  }

  /**
   * The worker with the fewest requests in flight among those that respond to their pings and have room. Equal workers
   * take turns. Null: no worker.
   *
   * Under load, when an idle worker is the exception, prefer a fast worker with an unflushed batch: it finishes the
   * batch before another worker would have woken up, and waking one costs more than a small request.
   */
  choose(nowMs: number): Link | null {
    const links = this.#links
    const count = links.length
    let best: Link | null = null
    let joined: Link | null = null
    let fewest = this.#settings.workerConnections
    let fewestJoined = fewest
    let total = 0
    let turn = this.#turn
    for (let step = 0, at = this.#turn; step < count; step++, at++) {
      if (at >= count) at = 0
      const link = links[at]!
      const inFlight = link.inFlight + link.tunnels
      total += link.inFlight
      if (inFlight >= fewestJoined || !isResponsive(link, nowMs)) continue
      if (link.takesCompanions) {
        joined = link
        fewestJoined = inFlight
      }
      if (inFlight >= fewest) continue
      best = link
      fewest = inFlight
      turn = at + 1
    }
    if (fewest > 0) this.#isCrowded = true
    this.#usual += (total - this.#usual) / USUAL_REQUESTS
    if (joined !== null && (fewest > 0 || this.#usual > count)) return joined
    this.#turn = turn
    return best
  }

  #hasRoom(link: Link): boolean {
    return link.inFlight + link.tunnels < this.#settings.workerConnections
  }

  /** The worker of the client's cookie if it can take the request, else any worker. */
  #linkFor(exchange: Exchange, nowMs: number): Link | null {
    if (this.#isPaused) return null
    const { sticky } = this.#settings
    if (sticky !== null) {
      const token = cookieValue(exchange.head, sticky)
      const isPreferred = (link: Link) =>
        slotToken(sticky, link.worker.slot) === token && isResponsive(link, nowMs) && this.#hasRoom(link)
      const preferred = token === null ? undefined : this.#links.find(isPreferred)
      if (preferred !== undefined) {
        if (preferred.inFlight + preferred.tunnels > 0) this.#isCrowded = true
        return preferred
      }
    }
    return this.choose(nowMs)
  }

  #linkOf(workerId: number): Link | undefined {
    return this.#links.find(({ worker }) => worker.workerId === workerId)
  }

  /** Gives waiting exchanges to workers with room. */
  pump(): void {
    const nowMs = monotonicMs()
    for (;;) {
      const exchange = this.#waiting.first
      const link = exchange === null ? null : this.#linkFor(exchange, nowMs)
      if (exchange === null || link === null) return
      this.leave(exchange)
      this.#events.assigned(exchange, link, nowMs)
    }
  }

  /** The exchange waits no longer: it is served, or its client is gone. */
  leave(exchange: Exchange): void {
    exchange.queue = null
    this.#waiting.remove(exchange)
  }

  /**
   * No worker will take anything any more. A worker with a broken link may be linked again until the master says that
   * it is gone. A retiring worker gets nothing new.
   */
  get #isHopeless(): boolean {
    if (!this.#isDraining || this.#broken.size > 0) return false
    return this.#links.every(({ retiring, end }) => retiring || end !== null)
  }

  #refuseHopeless(): void {
    if (this.#waiting.size > 0 && this.#isHopeless) this.refuseAll('stopping')
  }

  /** Refuses all waiting exchanges. */
  refuseAll(code: ErrorCode): void {
    for (const exchange of this.#waiting.all()) {
      this.leave(exchange)
      this.#lifecycle.failed(exchange, code)
    }
  }

  /** Refuses exchanges that have waited too long, and connects broken links again. */
  sweep(nowMs: number): void {
    for (const worker of this.#broken.values()) this.connect(worker)
    this.#broken.clear()
    for (const link of this.#links) link.sweep(nowMs)
    // Again, because the master may have ended the last worker since.
    if (this.#waiting.size > 0) this.#callForWorkers()
    this.#callForMore(nowMs)
    for (const exchange of this.#waiting.removeLate(nowMs)) {
      exchange.queue = null
      this.#lifecycle.failed(exchange, this.#lacksDescriptors ? 'no-files' : 'no-worker')
    }
  }

  /** The exchanges at workers and in the queue. */
  exchanges(): Exchange[] {
    return [...this.#links.flatMap(link => link.exchanges), ...this.#waiting.all()]
  }

  loads(): WorkerLoad[] {
    const nowMs = monotonicMs()
    return this.#links.map(link => ({
      workerId: link.worker.workerId,
      requests: link.requests,
      inFlight: link.inFlight + link.tunnels,
      // A ping without a pong counts as lag: a blocked loop cannot report its own.
      lagMs: Math.round(link.pingSentMs === 0 ? link.lagMs : Math.max(link.lagMs, nowMs - link.pingSentMs)),
      answered: link.figures.responded,
      failed: link.figures.failed,
      waitedMs: Math.round(link.figures.waitedMs),
    }))
  }
}

function leftOf({ inFlight, tunnels }: Link): Left {
  if (inFlight > 0) return tunnels > 0 ? 'both' : 'requests'
  return tunnels > 0 ? 'tunnels' : 'nothing'
}

function isResponsive(link: Link, nowMs: number): boolean {
  return link.open && (link.pingSentMs === 0 || nowMs - link.pingSentMs <= LATE_MS)
}
