/**
 * The workers of the application as one responder: choice of a worker, link, deadline, rescue, WebSockets. One per
 * proxy. `link/` moves the requests, `deaths/` decides what becomes of them when a worker is blocked or dies.
 */

import type { ProxySettings, WorkerAddress, WorkerEnd } from '../kit/channel/messages.js'
import type { StackReport } from '../kit/link/stack-report.js'
import { HarakiriClock, type HarakiriEvents } from './deaths/harakiri.js'
import { type RescueEvents, Rescuer } from './deaths/rescuer.js'
import { type Exchange, isTunnel } from './exchange/exchange.js'
import type { Responder, ResponderEvents } from './exchange/responder.js'
import { Dispatcher, type DispatcherEvents } from './link/dispatcher.js'
import type { Link } from './link/link.js'
import { monotonicMs } from './process/clock.js'
import type { RequestLifecycleWorld } from './request-lifecycle-world.js'
import { type TunnelClient, type TunnelEvents, Tunnels } from './tunnel/tunnels.js'

export class WorkerResponder implements Responder, DispatcherEvents, HarakiriEvents, RescueEvents {
  readonly dispatcher: Dispatcher
  readonly tunnels: Tunnels
  readonly #world: RequestLifecycleWorld
  readonly #events: ResponderEvents
  readonly #tunnelEvents: TunnelEvents
  readonly #harakiri: HarakiriClock
  readonly #rescuer: Rescuer

  constructor(world: RequestLifecycleWorld, events: ResponderEvents) {
    this.#world = world
    this.#events = events
    this.dispatcher = new Dispatcher(world.settings, this, events)
    this.tunnels = new Tunnels(this.dispatcher, world.metrics.tunnels)
    this.#tunnelEvents = {
      begun: (exchange, nowMs) => this.#clear(exchange, nowMs),
      failed: (exchange, code) => events.failed(exchange, code),
      complete: (exchange, close) => events.complete(exchange, close),
      broken: exchange => events.broken(exchange),
    }
    this.#harakiri = new HarakiriClock(this, events)
    this.#rescuer = new Rescuer(world, this, events)
  }

  /** A new configuration. */
  apply(settings: ProxySettings): void {
    this.#rescuer.rules = settings
    this.dispatcher.settings = settings
  }

  // A request: dispatched, assigned to a link, then its response.

  dispatch(exchange: Exchange, nowMs: number): void {
    const link = this.dispatcher.dispatch(exchange, nowMs)
    if (link !== null) this.assigned(exchange, link, nowMs)
  }

  assigned(exchange: Exchange, link: Link, nowMs: number): void {
    // It may have got into quarantine while it waited.
    if (this.refusesHeldBack(exchange, nowMs)) return
    if (exchange.queuedMs > 0) this.#world.metrics.queued(exchange.mount, (nowMs - exchange.queuedMs) / 1000)
    exchange.queuedMs = 0
    exchange.dispatchMs = nowMs
    exchange.slot = link.worker.slot
    if (isTunnel(exchange)) return this.#openTunnel(exchange, link, nowMs)
    this.#events.sending(exchange)
    link.send(exchange, exchange.client.closing)
    if (exchange.bodyComplete) exchange.startClock(this.#world.settings, nowMs)
    else if (exchange.bodyWindow > 0) exchange.client.resumeBody()
  }

  /** Refuses a request in quarantine with 503. False: it is not in quarantine. */
  refusesHeldBack(exchange: Exchange, nowMs: number): boolean {
    const { quarantine } = this.#rescuer
    if (quarantine.isIdle) return false
    const seconds = quarantine.holdSeconds(exchange.title, nowMs)
    if (seconds > 0) this.#events.failed(exchange, 'quarantined', [['Retry-After', String(seconds)]])
    return seconds > 0
  }

  /** A WebSocket handshake goes to the worker's own socket. */
  #openTunnel(exchange: Exchange, link: Link, nowMs: number): void {
    exchange.attempts += 1
    exchange.startClock(this.#world.settings, nowMs)
    this.tunnels.open(exchange, exchange.client as TunnelClient, link, this.#tunnelEvents)
  }

  completed(exchange: Exchange, close: boolean, nowMs: number, link: Link): void {
    this.#clear(exchange, nowMs)
    this.#events.complete(exchange, close, nowMs)
    this.dispatcher.freed(link)
  }

  /** A worker has responded to this request. So the request does not kill workers. */
  #clear(exchange: Exchange, nowMs: number): void {
    const { quarantine } = this.#rescuer
    if (!quarantine.isIdle) quarantine.responded(exchange.title, nowMs)
  }

  freed(link: Link): void {
    this.dispatcher.freed(link)
  }

  // A worker: linked, blocked, lost, gone, drained.

  connect(worker: WorkerAddress): void {
    this.dispatcher.connect(worker)
  }

  linked(link: Link): void {
    this.dispatcher.linked(link)
    this.#world.linked(link.worker.workerId)
  }

  retire(workerId: number, tunnelMs: number): void {
    this.tunnels.retire(workerId, tunnelMs)
    this.dispatcher.retire(workerId)
  }

  left(workerId: number, requests: boolean, tunnels: boolean): void {
    this.#world.left(workerId, requests, tunnels)
  }

  starved(): void {
    this.#world.starved()
  }

  sweep(nowMs: number): void {
    this.dispatcher.sweep(nowMs)
    this.#rescuer.sweep(nowMs)
    this.#harakiri.sweep(this.dispatcher.links, this.#world.settings, this.dispatcher.queued, nowMs)
    for (const exchange of this.tunnels.sweep(nowMs, this.#world.settings.wsIdleTimeoutMs))
      this.#events.expired(exchange)
  }

  blocked(link: Link, guilty: string, elapsedMs: number, isKnown: boolean, stack: StackReport): void {
    link.condemned = true
    link.open = false
    if (isKnown) this.#rescuer.blocked(link.worker.workerId, guilty, monotonicMs())
    this.#world.blocked(link, guilty, elapsedMs, stack)
  }

  /** A worker that broke the protocol of its link counts as crashed. */
  broke(link: Link, why: string): void {
    this.#world.linkBroken(link.worker.workerId, why)
  }

  lost(link: Link, exchanges: Exchange[]): void {
    this.#harakiri.forget(link)
    this.dispatcher.lost(link)
    this.#rescuer.lost(link, exchanges, monotonicMs())
  }

  /** The request of a dead worker goes to another one. */
  again(exchange: Exchange): void {
    const nowMs = monotonicMs()
    const link = this.dispatcher.dispatchFirst(exchange, nowMs)
    if (link !== null) this.assigned(exchange, link, nowMs)
  }

  /** The master saw the process end. */
  gone(workerId: number, end: WorkerEnd): void {
    this.dispatcher.gone(workerId, end)
    this.tunnels.gone(workerId, monotonicMs())
    this.#rescuer.gone(workerId, end, monotonicMs())
  }
}
