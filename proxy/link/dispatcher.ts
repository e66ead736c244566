/**
 * Which worker gets a request, and the queue of those that wait for one.
 * One per proxy; `request-lifecycle.ts` hands exchanges in, links report freed slots.
 */

import type { ProxySettings, WorkerAddress, WorkerEnd, WorkerLoad } from '../../kit/channel/messages.js'
import type { Exchange } from '../exchange/exchange.js'
import { WaitingLine } from '../exchange/waiting-line.js'
import type { ErrorCode } from '../http/error-response.js'
import { monotonicMs } from '../process/clock.js'
import { cookieValue, slotToken } from '../route/sticky-cookie.js'
import { Link, type LinkEvents } from './link.js'

export interface DispatcherEvents {
  /** This link takes the exchange, which had to wait, now. */
  assigned(exchange: Exchange, link: Link, nowMs: number): void
  /** It waited in vain, or could not even wait. */
  refused(exchange: Exchange, code: ErrorCode): void
  /**
   * What a retiring worker still has; told at once and when it changes. Neither: it is drained, and nothing is told
   * after that.
   */
  left(workerId: number, requests: boolean, tunnels: boolean): void
  /** A request waits, and there is no worker that could take it; with `lazy`: one worker more would be of use. */
  starved(): void
}

/** Over how many requests the usual number in flight is averaged. */
const USUAL_REQUESTS = 64
/** Between two calls for one more worker than are there, with `lazy`: a load takes longer. */
const CALL_MS = 500
/** A worker that lives and whose link ends so often has broken it: a worker ends its link when it stops, once. */
const MOST_ENDS = 5
/** A ping that has waited so long means that the worker's loop is late: it gets nothing new until it answers. */
export const LATE_MS = 250

type Left = 'nothing' | 'requests' | 'tunnels' | 'both'

export class Dispatcher {
  readonly #events: DispatcherEvents
  #links: readonly Link[] = []
  /** Where the search for a worker begins: behind the one that was chosen last, so that equals take turns. */
  #turn = 0
  /** How many requests the workers have in flight at this proxy, averaged. */
  #usual = 0
  /** What was told last of links that retire. */
  readonly #left = new WeakMap<Link, Left>()
  /** Workers whose link broke and of which the master has not said that they are gone: they get another one. */
  readonly #broken = new Map<number, { worker: WorkerAddress; events: LinkEvents }>()
  /** How many links of a worker have ended although it lives. */
  readonly #ends = new Map<number, number>()
  /** The last link that broke was never made, for want of a descriptor. */
  #lacksDescriptors = false
  #settings: ProxySettings
  readonly #waiting = new WaitingLine()
  #isPaused = false
  /** The proxy goes away: the master starts no worker any more. */
  #isDraining = false
  /** Some request had to go to a worker that was not idle, or to none. */
  #isCrowded = false
  #calledMs = 0

  constructor(settings: ProxySettings, events: DispatcherEvents) {
    this.#settings = settings
    this.#events = events
  }

  set settings(settings: ProxySettings) {
    this.#settings = settings
    this.pump()
  }

  /**
   * While paused everything waits: no deadline runs and none is refused, so the queue is bounded by the client
   * connections, each of which can have one request in it. Afterwards all that wait have the whole `http-queue-timeout`
   * again.
   */
  set isPaused(isPaused: boolean) {
    if (isPaused === this.#isPaused) return
    this.#isPaused = isPaused
    this.#waiting.waitUntil(this.#queueDeadline(monotonicMs()))
    if (!isPaused) this.pump()
  }

  /**
   * The proxy goes away. Requests that wait are served by the workers that live, and refused once none is left that
   * could ever take one.
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

  connect(worker: WorkerAddress, events: LinkEvents): void {
    this.#links = [...this.#links, new Link(worker, events)]
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
   * Workers that are only late or full will take what waits; one that waits for its first request could do so sooner.
   */
  #callForWorkers(): void {
    if (this.#settings.lazy || this.#links.every(link => link.retiring)) this.#events.starved()
  }

  /** Whoever is served waits for nobody, but another worker would be of use. */
  #callForMore(nowMs: number): void {
    if (!this.#isCrowded || !this.#settings.lazy || nowMs - this.#calledMs < CALL_MS) return
    this.#isCrowded = false
    this.#calledMs = nowMs
    this.#events.starved()
  }

  /** The master saw the process end; a link that never came up would otherwise be waited for. */
  gone(workerId: number, end: WorkerEnd): void {
    this.#forget(workerId)
    this.#linkOf(workerId)?.dismiss(end)
    this.#refuseHopeless()
  }

  lost(link: Link): void {
    const { worker, events } = link
    this.#links = this.#links.filter(other => other !== link)
    this.#lacksDescriptors = link.lacksDescriptor
    if (link.retiring) this.#tellLeft(link, 'nothing')
    else if (link.end === null && this.#mayLinkAgain(link)) this.#broken.set(worker.workerId, { worker, events })
    this.#refuseHopeless()
  }

  #mayLinkAgain(link: Link): boolean {
    const { workerId } = link.worker
    // It was not the worker that ended this one.
    if (!link.isUp) return true
    const ends = (this.#ends.get(workerId) ?? 0) + 1
    this.#ends.set(workerId, ends)
    if (ends < MOST_ENDS) return true
    link.end = 'crashed'
    link.events.broke(link, `it ended its link ${ends} times`)
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

  /** Once each: a link is freed by every pong. */
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
   * The link that takes the exchange now: of the worker of its cookie, else the one that `choose` finds. Null: it
   * waits, or is refused.
   */
  dispatch(exchange: Exchange, nowMs: number): Link | null {
    const link = this.#waiting.size === 0 ? this.#linkFor(exchange, nowMs) : null
    if (link === null) this.#wait(exchange, nowMs)
    return link
  }

  #wait(exchange: Exchange, nowMs: number): void {
    if (this.#isHopeless) this.#events.refused(exchange, 'stopping')
    else if (!this.#isPaused && this.#waiting.size >= this.#settings.httpQueue)
      this.#events.refused(exchange, 'queue-full')
    else {
      this.#queue(exchange, nowMs)
      this.#waiting.push(exchange)
    }
  }

  /** A rescued request has waited already: it goes before the others. */
  dispatchFirst(exchange: Exchange, nowMs: number): Link | null {
    const link = this.#linkFor(exchange, nowMs)
    if (link === null) this.#queueFirst(exchange, nowMs)
    return link
  }

  /** This link could not be reached: another one gets the exchange, or whichever is free next. */
  dispatchElsewhere(exchange: Exchange, link: Link, nowMs: number): void {
    const { open } = link
    link.open = false
    const other = this.#isPaused ? null : this.choose(nowMs)
    link.open = open
    if (other !== null) this.#events.assigned(exchange, other, nowMs)
    else this.#queueFirst(exchange, nowMs)
  }

  #queueFirst(exchange: Exchange, nowMs: number): void {
    if (this.#isHopeless) return this.#events.refused(exchange, 'stopping')
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
   * The worker with the fewest in flight among those that response their pings and have room, each in turn among
   * equals; null: none.
   *
   * Where an idle one is the exception, a request rather joins those that came in with it and have not left, at a
   * worker that is through with them before another one would have woken up: to be woken up is what a small request
   * costs most.
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

  /** The worker to which the client's cookie points, if it can take the request, or any other. */
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

  /** Gives waiting exchanges to workers that have room. */
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

  /** It waits no longer: it is served, or its client is gone. */
  leave(exchange: Exchange): void {
    exchange.queue = null
    this.#waiting.remove(exchange)
  }

  /**
   * No worker will take anything any more. One whose link has broken may be linked again until the master says that it
   * is gone; one that retires gets nothing new.
   */
  get #isHopeless(): boolean {
    if (!this.#isDraining || this.#broken.size > 0) return false
    return this.#links.every(({ retiring, end }) => retiring || end !== null)
  }

  #refuseHopeless(): void {
    if (this.#waiting.size > 0 && this.#isHopeless) this.refuseAll('stopping')
  }

  /** Nobody waits any longer. */
  refuseAll(code: ErrorCode): void {
    for (const exchange of this.#waiting.all()) {
      this.leave(exchange)
      this.#events.refused(exchange, code)
    }
  }

  /** Refuses those that have waited too long, and links broken links anew. */
  sweep(nowMs: number): void {
    for (const { worker, events } of this.#broken.values()) this.connect(worker, events)
    this.#broken.clear()
    for (const link of this.#links) link.sweep(nowMs)
    // Again: the master may have sent the last worker away just then.
    if (this.#waiting.size > 0) this.#callForWorkers()
    this.#callForMore(nowMs)
    for (const exchange of this.#waiting.removeLate(nowMs)) {
      exchange.queue = null
      this.#events.refused(exchange, this.#lacksDescriptors ? 'no-files' : 'no-worker')
    }
  }

  /** Those at workers and those that wait for one. */
  exchanges(): Exchange[] {
    return [...this.#links.flatMap(link => link.exchanges), ...this.#waiting.all()]
  }

  loads(): WorkerLoad[] {
    const nowMs = monotonicMs()
    return this.#links.map(link => ({
      workerId: link.worker.workerId,
      requests: link.requests,
      inFlight: link.inFlight + link.tunnels,
      // A ping without a response is a lag too: a loop that stands still could not tell it.
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
