/**
 * Which worker gets a request, and the queue of those that wait for one: design §2, dispatch.
 * One per proxy; `phases.ts` hands exchanges in, links report freed slots.
 */

import type { ProxySettings, WorkerAddress, WorkerLoad } from '../kit/messages.js'
import { monotonicMs } from './clock.js'
import type { ErrorCode } from './error-response.js'
import type { Exchange } from './exchange.js'
import { Link, type LinkEvents } from './link.js'

export interface DispatcherEvents {
  /** This link takes the exchange now. */
  assigned(exchange: Exchange, link: Link, now: number): void
  /** It waited in vain, or could not even wait. */
  refused(exchange: Exchange, code: ErrorCode): void
  /** What a retiring worker still has; told at once and when it changes. Neither: it is drained, and nothing is told after that. */
  left(workerId: number, requests: boolean, tunnels: boolean): void
}

/** A ping that has waited so long means that the worker's loop is late: it gets nothing new until it answers. */
export const LATE_MS = 250

type Left = 'nothing' | 'requests' | 'tunnels' | 'both'

export class Dispatcher {
  readonly #events: DispatcherEvents
  readonly #links = new Map<number, Link>()
  /** What was told last of links that retire. */
  readonly #left = new WeakMap<Link, Left>()
  /** Workers whose link broke and of which the master has not said that they are gone: they get another one. */
  readonly #broken = new Map<number, { worker: WorkerAddress; events: LinkEvents }>()
  /** The last link that broke was never made, for want of a descriptor. */
  #lacksDescriptors = false
  #settings: ProxySettings
  #waiting: Exchange[] = []

  constructor(settings: ProxySettings, events: DispatcherEvents) {
    this.#settings = settings
    this.#events = events
  }

  set settings(settings: ProxySettings) {
    this.#settings = settings
    this.pump()
  }

  get links(): Iterable<Link> {
    return this.#links.values()
  }

  get queued(): number {
    return this.#waiting.length
  }

  connect(worker: WorkerAddress, events: LinkEvents): void {
    this.#links.set(worker.workerId, new Link(worker, events))
  }

  linked(link: Link): void {
    this.#lacksDescriptors = false
    if (!link.retiring) link.open = true
    this.pump()
  }

  retire(workerId: number): void {
    const link = this.#links.get(workerId)
    this.#broken.delete(workerId)
    if (link === undefined) return this.#events.left(workerId, false, false)
    link.retiring = true
    link.open = false
    this.freed(link)
  }

  /** The master saw the process end; a link that never came up would otherwise be waited for. */
  gone(workerId: number): void {
    this.#broken.delete(workerId)
    this.#links.get(workerId)?.dismiss()
  }

  lost(link: Link): void {
    const { worker, events } = link
    this.#links.delete(worker.workerId)
    this.#lacksDescriptors = link.lacksDescriptor
    if (link.retiring) this.#tellLeft(link, 'nothing')
    else if (!link.dismissed) this.#broken.set(worker.workerId, { worker, events })
  }

  freed(link: Link): void {
    if (this.#waiting.length > 0) this.pump()
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

  /** Hands the exchange to the worker with the fewest in flight, or queues it. */
  dispatch(exchange: Exchange, now: number): void {
    const link = this.#waiting.length === 0 ? this.choose(now) : null
    if (link !== null) this.#events.assigned(exchange, link, now)
    else if (this.#waiting.length >= this.#settings.queueRequests) this.#events.refused(exchange, 'queue-full')
    else {
      this.#queue(exchange, now)
      this.#waiting.push(exchange)
    }
  }

  /** A rescued request has waited already: it goes before the others. */
  dispatchFirst(exchange: Exchange, now: number): void {
    const link = this.choose(now)
    if (link !== null) return this.#events.assigned(exchange, link, now)
    this.#queue(exchange, now)
    this.#waiting.unshift(exchange)
  }

  /** This link could not be reached: another one gets the exchange, or whichever is free next. */
  dispatchElsewhere(exchange: Exchange, link: Link, now: number): void {
    const { open } = link
    link.open = false
    const other = this.choose(now)
    link.open = open
    if (other !== null) return this.#events.assigned(exchange, other, now)
    this.#queue(exchange, now)
    this.#waiting.unshift(exchange)
  }

  #queue(exchange: Exchange, now: number): void {
    const { queueMs } = this.#settings
    exchange.queue = this
    exchange.queuedMs = now
    exchange.queueDeadlineMs = queueMs > 0 ? now + queueMs : Number.POSITIVE_INFINITY
  }

  /** The worker with the fewest in flight among those that answer their pings and have room; null: none. */
  choose(now: number): Link | null {
    let best: Link | null = null
    let bestInFlight = this.#settings.workerConnections
    for (const link of this.#links.values()) {
      if (!link.open || (link.pingSentMs !== 0 && now - link.pingSentMs > LATE_MS)) continue
      const inFlight = link.inFlight + link.tunnels
      if (inFlight < bestInFlight) {
        best = link
        bestInFlight = inFlight
      }
    }
    return best
  }

  /** Gives waiting exchanges to workers that have room. */
  pump(): void {
    const now = monotonicMs()
    let taken = 0
    while (taken < this.#waiting.length) {
      const link = this.choose(now)
      if (link === null) break
      const exchange = this.#waiting[taken]!
      taken += 1
      exchange.queue = null
      this.#events.assigned(exchange, link, now)
    }
    if (taken > 0) this.#waiting.splice(0, taken)
  }

  leave(exchange: Exchange): void {
    exchange.queue = null
    this.#waiting = this.#waiting.filter(other => other !== exchange)
  }

  /** Refuses those that have waited too long, and links broken links anew. */
  sweep(now: number): void {
    for (const { worker, events } of this.#broken.values()) this.connect(worker, events)
    this.#broken.clear()
    if (this.#waiting.length === 0) return
    const late = this.#waiting.filter(exchange => exchange.queueDeadlineMs <= now)
    if (late.length === 0) return
    this.#waiting = this.#waiting.filter(exchange => exchange.queueDeadlineMs > now)
    for (const exchange of late) {
      exchange.queue = null
      this.#events.refused(exchange, this.#lacksDescriptors ? 'no-files' : 'no-worker')
    }
  }

  loads(): WorkerLoad[] {
    return [...this.#links.values()].map(link => ({
      workerId: link.worker.workerId,
      requests: link.requests,
      inFlight: link.inFlight + link.tunnels,
      lagMs: Math.round(link.lagMs),
    }))
  }
}

function leftOf({ inFlight, tunnels }: Link): Left {
  if (inFlight > 0) return tunnels > 0 ? 'both' : 'requests'
  return tunnels > 0 ? 'tunnels' : 'nothing'
}
