/**
 * The foreign upstreams of one mount (`http-to`): the choice for each exchange, the queue if none has room, and
 * failover when an upstream failed. The rules are in `upstream-choice.ts` and `rescue.ts`.
 *
 * What must stay true: an exchange whose method is not idempotent is written to an upstream once. Whatever happens, its
 * place there is given back once.
 */

import { isIPv6 } from 'node:net'
import type { Pool } from 'undici'
import type { ProxyEventName, ToldFields } from '../../kit/channel/child-events.js'
import type { ProxySettings } from '../../kit/channel/messages.js'
import { isIdempotent } from '../../kit/link/frames.js'
import type { UpstreamAddress } from '../../kit/options/values/value-types.js'
import { verdictOnForeign } from '../deaths/rescue.js'
import type { WaitingPlace } from '../exchange/attempt.js'
import { type Exchange, isTunnel } from '../exchange/exchange.js'
import { harakiriMsOf } from '../exchange/harakiri-deadline.js'
import type { Responder, ResponderEvents } from '../exchange/responder.js'
import { WaitingLine } from '../exchange/waiting-line.js'
import type { ErrorCode } from '../http/error-response.js'
import { monotonicMs } from '../process/clock.js'
import type { ForeignTunnelEvents, TunnelClient, Tunnels } from '../tunnel/tunnels.js'
import { loadUndici } from './lazy-undici.js'
import { type FailureReason, UpstreamAttempt } from './upstream-attempt.js'
import {
  type Choice,
  chooseUpstream,
  countFailure,
  countSuccess,
  type HealthRules,
  newHealth,
  type UpstreamHealth,
} from './upstream-choice.js'
import { upstreamConnector } from './upstream-connector.js'

/** What a group needs from the rest of the proxy; `settings` are the current ones. */
export interface GroupWorld {
  settings: ProxySettings
  metrics: { queued(mount: string, seconds: number): void; rescue(outcome: string): void }
  event(name: ProxyEventName, fields: ToldFields): void
}

export interface Upstream extends UpstreamHealth {
  /** Its place in the option, from 0: a label of the metrics. */
  readonly index: number
  readonly address: UpstreamAddress
  readonly pool: Pool
  readonly failuresByReason: Map<FailureReason, number>
}

/** The upstreams that an exchange has tried. */
interface Failover {
  readonly exchange: Exchange
  readonly tried: Set<Upstream>
  /** Null while the exchange waits. */
  upstream: Upstream | null
  unseenAttempts: number
}

/** As in `tunnel.ts`. */
const MOST_HEAD_BYTES = 64 * 1024
/** Shorter than the five seconds after which Node closes an idle connection. */
const KEEP_ALIVE_MS = 4000

export class UpstreamGroup implements Responder, WaitingPlace<Exchange> {
  readonly mount: string
  readonly upstreams: readonly Upstream[]
  readonly #events: ResponderEvents
  readonly #world: GroupWorld
  readonly #tunnels: Tunnels
  readonly #connectMs: number
  /** Waiting exchanges, and exchanges at an upstream. */
  readonly #failovers = new Map<Exchange, Failover>()
  readonly #waiting = new WaitingLine()
  #isPumping = false
  #last = -1

  constructor(
    mount: string,
    addresses: UpstreamAddress[],
    world: GroupWorld,
    tunnels: Tunnels,
    events: ResponderEvents,
  ) {
    this.mount = mount
    this.#world = world
    this.#tunnels = tunnels
    this.#events = events
    this.#connectMs = world.settings.httpConnectTimeoutMs
    this.upstreams = addresses.map((address, index) => openUpstream(address, index, this.#connectMs))
  }

  /** Whether a new configuration wants the same. The pools keep the connect time that they were made with. */
  isMadeOf(addresses: UpstreamAddress[], connectMs: number): boolean {
    return (
      connectMs === this.#connectMs &&
      JSON.stringify(addresses) === JSON.stringify(this.upstreams.map(({ address }) => address))
    )
  }

  get queued(): number {
    return this.#waiting.size
  }

  get isIdle(): boolean {
    return this.#failovers.size === 0
  }

  dispatch(exchange: Exchange, nowMs: number): void {
    // undici cannot send `*`, and nginx refuses it too.
    if (exchange.head.target === '*') return this.#events.failed(exchange, 'bad-path')
    const failover: Failover = { exchange, tried: new Set(), upstream: null, unseenAttempts: 0 }
    this.#failovers.set(exchange, failover)
    if (this.#waiting.size > 0) this.#queue(failover, nowMs, false)
    else this.#place(failover, nowMs, false)
  }

  /** The client of a waiting exchange is gone. */
  leave(exchange: Exchange): void {
    this.#dequeue(exchange)
    this.#failovers.delete(exchange)
  }

  /**
   * Reports exchanges past their deadline, refuses those that have waited too long, and sends waiting ones to upstreams
   * that are back.
   */
  sweep(nowMs: number): void {
    for (const exchange of this.#late(nowMs)) this.#events.expired(exchange)
    if (this.#waiting.size === 0) return
    for (const exchange of this.#waiting.removeLate(nowMs)) {
      exchange.queue = null
      this.#failovers.delete(exchange)
      this.#events.failed(exchange, 'no-upstream')
    }
    this.#pump(nowMs)
  }

  /** A list of its own: each exchange that expires leaves the group, and may let another one in. */
  #late(nowMs: number): Exchange[] {
    const late: Exchange[] = []
    for (const exchange of this.#failovers.keys())
      if (exchange.deadlineMs !== 0 && exchange.deadlineMs <= nowMs) late.push(exchange)
    return late
  }

  /** Drops everything in flight; for the end of the process. */
  destroy(): void {
    for (const { pool } of this.upstreams) void pool.destroy()
  }

  /** `isRescue`: the exchange has waited already and goes before the others. */
  #place(failover: Failover, nowMs: number, isRescue: boolean): void {
    const choice = this.#choose(failover, nowMs)
    if (choice === 'full') this.#queue(failover, nowMs, isRescue)
    else this.#follow(failover, choice, nowMs)
  }

  #choose({ exchange, tried }: Failover, nowMs: number): Choice<Upstream> {
    const { workerConnections: limit } = this.#world.settings
    const mayTrial = isIdempotent(exchange.head.method)
    return chooseUpstream(this.upstreams, tried, { nowMs, limit, after: this.#last, mayTrial })
  }

  #follow(failover: Failover, choice: Upstream | 'exhausted', nowMs: number): void {
    if (choice === 'exhausted') this.#giveUp(failover, 'upstream-unreachable')
    else this.#assign(failover, choice, nowMs)
  }

  #queue(failover: Failover, nowMs: number, isRescue: boolean): void {
    const { exchange } = failover
    const { httpQueue, httpQueueTimeoutMs } = this.#world.settings
    if (!isRescue && this.#waiting.size >= httpQueue) return this.#giveUp(failover, 'queue-full')
    if (exchange.queuedMs === 0) {
      exchange.queuedMs = nowMs
      exchange.queueDeadlineMs = httpQueueTimeoutMs > 0 ? nowMs + httpQueueTimeoutMs : Number.POSITIVE_INFINITY
    }
    exchange.queue = this
    if (isRescue) this.#waiting.unshift(exchange)
    else this.#waiting.push(exchange)
  }

  #dequeue(exchange: Exchange): void {
    exchange.queue = null
    this.#waiting.remove(exchange)
  }

  /**
   * Serves the queue in order, until the first exchange has no room. Not recursively: an exchange that fails at once
   * gives its place back, which would call this again, each call inside the one before.
   */
  #pump(nowMs: number): void {
    if (this.#isPumping) return
    this.#isPumping = true
    for (let exchange = this.#waiting.first; exchange !== null; exchange = this.#waiting.first) {
      const failover = this.#failovers.get(exchange)!
      const choice = this.#choose(failover, nowMs)
      if (choice === 'full') break
      this.#dequeue(exchange)
      this.#follow(failover, choice, nowMs)
    }
    this.#isPumping = false
  }

  #assign(failover: Failover, upstream: Upstream, nowMs: number): void {
    const { exchange } = failover
    if (exchange.queuedMs > 0) this.#world.metrics.queued(this.mount, (nowMs - exchange.queuedMs) / 1000)
    exchange.queuedMs = 0
    exchange.dispatchMs = nowMs
    exchange.attempts += 1
    upstream.inFlight += 1
    upstream.onTrial = upstream.outUntilMs !== 0
    this.#last = upstream.index
    failover.upstream = upstream
    failover.tried.add(upstream)
    if (exchange.bodyComplete) exchange.startClock(this.#world.settings, nowMs)
    if (isTunnel(exchange)) this.#openTunnel(failover, upstream)
    else this.#send(failover, upstream)
  }

  #openTunnel(failover: Failover, upstream: Upstream): void {
    const { exchange } = failover
    const events = this.#tunnelEvents(failover, upstream)
    this.#tunnels.openTo(upstream.address, exchange, exchange.client as TunnelClient, events)
  }

  #send(failover: Failover, upstream: Upstream): void {
    const { exchange } = failover
    this.#events.sending(exchange)
    const attempt = new UpstreamAttempt(exchange, {
      fileNamed: () => this.#events.fileNamed(exchange),
      complete: close => {
        this.#succeed(upstream)
        this.#end(failover)
        this.#events.complete(exchange, close)
      },
      cancelled: isLate => this.#cancelled(failover, upstream, isLate),
      failed: (reason, seen, why) => this.#failed(failover, upstream, reason, seen, why),
    })
    exchange.attempt = attempt
    // The body is about to be read: the proxy sends the 100, because undici does not know it. nginx does the same.
    exchange.continueBody()
    attempt.start(upstream.pool, harakiriMsOf(exchange, this.#world.settings))
  }

  #tunnelEvents(failover: Failover, upstream: Upstream): ForeignTunnelEvents {
    return {
      freed: () => this.#release(failover),
      cancelled: (_, isLate) => this.#cancelled(failover, upstream, isLate),
      failed: (_, code) => {
        if (code === 'no-tunnel')
          return this.#failed(failover, upstream, 'unreachable', false, 'no tunnel could be opened')
        if (code === 'upstream-lost')
          return this.#failed(failover, upstream, 'reset', true, 'it hung up before it responded to a handshake')
        this.#fail(upstream, 'bad-answer', 'its response to a handshake is malformed')
        this.#giveUp(failover, code)
      },
      begun: () => this.#succeed(upstream),
      complete: (exchange, close) => {
        this.#end(failover)
        this.#events.complete(exchange, close)
      },
      broken: exchange => {
        this.#end(failover)
        this.#events.broken(exchange)
      },
    }
  }

  #failed(failover: Failover, upstream: Upstream, reason: FailureReason, seen: boolean, why: string): void {
    const { exchange } = failover
    if (reason === 'late' && !exchange.responseBegun) {
      this.#cancelled(failover, upstream, true)
      return this.#events.expired(exchange)
    }
    this.#fail(upstream, reason, why)
    this.#release(failover)
    exchange.deadlineMs = 0
    if (!seen) failover.unseenAttempts += 1
    if (reason === 'bad-answer' && !exchange.responseBegun) {
      this.#world.event('bad-answer', { request: exchange.title, ...this.#named(upstream), why })
      return this.#giveUp(failover, 'bad-answer')
    }
    const { responseBegun, attempts, replayable, head } = exchange
    const { unseenAttempts } = failover
    const seenAttempts = attempts - unseenAttempts
    const orphan = { method: head.method, responseBegun, seen, attempts: seenAttempts, unseenAttempts }
    const verdict = verdictOnForeign({ ...orphan, replayable: replayable !== null })
    if (verdict === 'break') {
      this.#end(failover)
      return this.#events.broken(exchange)
    }
    this.#world.metrics.rescue(verdict === 'again' ? 'again' : 'given-up')
    if (verdict === 'give-up') return this.#giveUp(failover, seen ? 'upstream-lost' : 'upstream-unreachable')
    // A broken connection may have been an idle one that was just being closed. If there is no other upstream, the same
    // one gets another chance.
    if (seen && failover.tried.size === this.upstreams.length) failover.tried.clear()
    this.#place(failover, monotonicMs(), true)
  }

  #giveUp(failover: Failover, code: ErrorCode): void {
    this.#end(failover)
    this.#events.failed(failover.exchange, code)
  }

  #cancelled(failover: Failover, upstream: Upstream, isLate: boolean): void {
    if (isLate) this.#fail(upstream, 'late', 'its response did not begin in time')
    this.#end(failover)
  }

  #end(failover: Failover): void {
    this.#failovers.delete(failover.exchange)
    this.#release(failover)
  }

  #release(failover: Failover): void {
    const { upstream } = failover
    if (upstream === null) return
    failover.upstream = null
    upstream.inFlight -= 1
    // No result, neither good nor bad: another request may be the trial.
    upstream.onTrial = false
    if (this.#waiting.size > 0) this.#pump(monotonicMs())
  }

  #succeed(upstream: Upstream): void {
    if (countSuccess(upstream)) this.#world.event('upstream-back', this.#named(upstream))
  }

  #fail(upstream: Upstream, reason: FailureReason, why: string): void {
    upstream.failuresByReason.set(reason, (upstream.failuresByReason.get(reason) ?? 0) + 1)
    const { httpMaxFails, httpGracetimeMs } = this.#world.settings
    const rules: HealthRules = { maxFails: httpMaxFails, graceMs: httpGracetimeMs }
    if (!countFailure(upstream, rules, monotonicMs())) return
    this.#world.event('upstream-out', { ...this.#named(upstream), reason, why, graceMs: httpGracetimeMs })
  }

  #named({ address }: Upstream): { mount: string; upstream: string } {
    return {
      mount: this.mount,
      upstream: 'path' in address ? `unix:${address.path}` : `${address.host}:${address.port}`,
    }
  }
}

function openUpstream(address: UpstreamAddress, index: number, connectMs: number): Upstream {
  const origin =
    'path' in address
      ? 'http://localhost'
      : `http://${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`
  const { Pool } = loadUndici()
  const pool = new Pool(origin, {
    pipelining: 1,
    connect: upstreamConnector(address, connectMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MOST_HEAD_BYTES,
  })
  return { ...newHealth(), index, address, pool, failuresByReason: new Map() }
}
