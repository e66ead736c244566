/**
 * The foreign upstreams of one mount (`http-to`): which of them an exchange goes to, the queue of those for which none
 * has room, and where an exchange goes on when its upstream failed. Made by `upstreams.ts`; the rules are in
 * `upstream-choice.ts` and `rescue.ts`.
 *
 * What must stay true: an exchange whose method is not idempotent is written to an upstream once; whatever happens, its
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
import { WaitingLine } from '../exchange/waiting-line.js'
import type { ErrorCode } from '../http/error-response.js'
import { monotonicMs } from '../process/clock.js'
import type { TunnelClient, TunnelOutcome, Tunnels } from '../tunnel/tunnels.js'
import { loadUndici } from './lazy-undici.js'
import { type FailureReason, UpstreamAttempt } from './upstream-attempt.js'
import {
  type Choice,
  chooseUpstream,
  countAnswer,
  countFailure,
  type HealthRules,
  newStanding,
  type Standing,
} from './upstream-choice.js'
import { upstreamConnector } from './upstream-connector.js'
import { viaField } from './upstream-head.js'

/** What a group tells; each exchange gets exactly one of `answered`, `failed` and `broken`, unless it was cancelled. */
export interface GroupEvents {
  /** It is about to be sent to an upstream. */
  assigned(exchange: Exchange): void
  /** The answer that begins now names a file to be sent in its place. */
  fileNamed(exchange: Exchange): void
  answered(exchange: Exchange, close: boolean): void
  failed(exchange: Exchange, code: ErrorCode): void
  /** A part of the answer is with the client, and there will be no more. */
  broken(exchange: Exchange): void
  /** Its deadline has passed: it is to be cancelled and answered. */
  expired(exchange: Exchange): void
}

/** What a group needs of the rest of the proxy; `settings` are those of now. */
export interface GroupWorld {
  settings: ProxySettings
  metrics: { queued(mount: string, seconds: number): void; rescue(outcome: string): void }
  event(name: ProxyEventName, fields: ToldFields): void
}

export interface Upstream extends Standing {
  /** Its place in the option, from 0: a label of the metrics. */
  readonly index: number
  readonly address: UpstreamAddress
  readonly pool: Pool
  readonly failuresByReason: Map<FailureReason, number>
}

/** Where an exchange has been. */
interface Course {
  readonly exchange: Exchange
  readonly tried: Set<Upstream>
  /** Null while it waits. */
  upstream: Upstream | null
  unseenAttempts: number
}

/** As `tunnel.ts`. */
const MOST_HEAD_BYTES = 64 * 1024
/** Shorter than the five seconds after which Node closes an idle connection. */
const KEEP_ALIVE_MS = 4000

export class UpstreamGroup implements WaitingPlace<Exchange> {
  readonly mount: string
  readonly upstreams: readonly Upstream[]
  readonly #events: GroupEvents
  readonly #world: GroupWorld
  readonly #tunnels: Tunnels
  readonly #connectMs: number
  /** Those that wait, and those that an upstream has. */
  readonly #courses = new Map<Exchange, Course>()
  readonly #waiting = new WaitingLine()
  #isPumping = false
  #last = -1

  constructor(mount: string, addresses: UpstreamAddress[], world: GroupWorld, tunnels: Tunnels, events: GroupEvents) {
    this.mount = mount
    this.#world = world
    this.#tunnels = tunnels
    this.#events = events
    this.#connectMs = world.settings.httpConnectTimeoutMs
    this.upstreams = addresses.map((address, index) => openUpstream(address, index, this.#connectMs))
  }

  /** Whether it is what a new configuration wants. The pools keep the connect time that they were made with. */
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
    return this.#courses.size === 0
  }

  dispatch(exchange: Exchange, now: number): void {
    // A client of undici cannot ask for the server as a whole, and nginx refuses it too.
    if (exchange.head.target === '*') return this.#events.failed(exchange, 'bad-path')
    exchange.wireHeaders += viaField(exchange.head)
    const course: Course = { exchange, tried: new Set(), upstream: null, unseenAttempts: 0 }
    this.#courses.set(exchange, course)
    if (this.#waiting.size > 0) this.#queue(course, now, false)
    else this.#place(course, now, false)
  }

  /** Its client is gone while it waits. */
  leave(exchange: Exchange): void {
    this.#dequeue(exchange)
    this.#courses.delete(exchange)
  }

  /** Past their deadline: whoever is told cancels them. */
  late(now: number): Exchange[] {
    const late: Exchange[] = []
    for (const exchange of this.#courses.keys())
      if (exchange.deadlineMs !== 0 && exchange.deadlineMs <= now) late.push(exchange)
    return late
  }

  /** Refuses those that have waited too long, and lets wait no longer those that an upstream is back for. */
  sweep(now: number): void {
    if (this.#waiting.size === 0) return
    for (const exchange of this.#waiting.removeLate(now)) {
      exchange.queue = null
      this.#courses.delete(exchange)
      this.#events.failed(exchange, 'no-upstream')
    }
    this.#pump(now)
  }

  /** What is in flight is let go; for the end of the process. */
  destroy(): void {
    for (const { pool } of this.upstreams) void pool.destroy()
  }

  /** `isRescue`: it has waited already and goes before the others. */
  #place(course: Course, now: number, isRescue: boolean): void {
    const choice = this.#choose(course, now)
    if (choice === 'full') this.#queue(course, now, isRescue)
    else this.#follow(course, choice, now)
  }

  #choose({ exchange, tried }: Course, now: number): Choice<Upstream> {
    const { workerConnections: limit } = this.#world.settings
    const mayTrial = isIdempotent(exchange.head.method)
    return chooseUpstream(this.upstreams, tried, { now, limit, after: this.#last, mayTrial })
  }

  #follow(course: Course, choice: Upstream | 'exhausted', now: number): void {
    if (choice === 'exhausted') this.#giveUp(course, 'upstream-unreachable')
    else this.#assign(course, choice, now)
  }

  #queue(course: Course, now: number, isRescue: boolean): void {
    const { exchange } = course
    const { httpQueue, httpQueueTimeoutMs } = this.#world.settings
    if (!isRescue && this.#waiting.size >= httpQueue) return this.#giveUp(course, 'queue-full')
    if (exchange.queuedMs === 0) {
      exchange.queuedMs = now
      exchange.queueDeadlineMs = httpQueueTimeoutMs > 0 ? now + httpQueueTimeoutMs : Number.POSITIVE_INFINITY
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
   * In their order, until the first has no room. Not while it goes on already: whoever fails at once gives a place
   * back, and would begin it anew, each inside the one before.
   */
  #pump(now: number): void {
    if (this.#isPumping) return
    this.#isPumping = true
    for (let exchange = this.#waiting.first; exchange !== null; exchange = this.#waiting.first) {
      const course = this.#courses.get(exchange)!
      const choice = this.#choose(course, now)
      if (choice === 'full') break
      this.#dequeue(exchange)
      this.#follow(course, choice, now)
    }
    this.#isPumping = false
  }

  #assign(course: Course, upstream: Upstream, now: number): void {
    const { exchange } = course
    if (exchange.queuedMs > 0) this.#world.metrics.queued(this.mount, (now - exchange.queuedMs) / 1000)
    exchange.queuedMs = 0
    exchange.dispatchMs = now
    exchange.attempts += 1
    upstream.inFlight += 1
    upstream.onTrial = upstream.outUntilMs !== 0
    this.#last = upstream.index
    course.upstream = upstream
    course.tried.add(upstream)
    if (exchange.bodyComplete) this.#startClock(exchange, now)
    if (isTunnel(exchange)) this.#openTunnel(course, upstream)
    else this.#send(course, upstream)
  }

  #openTunnel(course: Course, upstream: Upstream): void {
    const { exchange } = course
    this.#tunnels.openTo(upstream.address, exchange, exchange.client as TunnelClient, {
      ...this.#tunnelOutcome(course, upstream),
      freed: () => this.#release(course),
      cancelled: isLate => this.#cancelled(course, upstream, isLate),
    })
  }

  /** The clock of harakiri runs from the last byte of the request to the first one of the answer, as at a worker. */
  #startClock(exchange: Exchange, now: number): void {
    exchange.startClock(harakiriMsOf(exchange, this.#world.settings), now)
  }

  #send(course: Course, upstream: Upstream): void {
    const { exchange } = course
    this.#events.assigned(exchange)
    const attempt = new UpstreamAttempt(exchange, {
      fileNamed: () => this.#events.fileNamed(exchange),
      answered: close => {
        this.#succeed(upstream)
        this.#end(course)
        this.#events.answered(exchange, close)
      },
      cancelled: isLate => this.#cancelled(course, upstream, isLate),
      failed: (reason, seen, why) => this.#failed(course, upstream, reason, seen, why),
    })
    exchange.attempt = attempt
    // We are about to read the body. undici knows no 100, and nginx does the same.
    exchange.continueBody()
    attempt.start(upstream.pool, harakiriMsOf(exchange, this.#world.settings))
  }

  #tunnelOutcome(course: Course, upstream: Upstream): TunnelOutcome {
    return {
      failed: code => {
        if (code === 'no-tunnel')
          return this.#failed(course, upstream, 'unreachable', false, 'no tunnel could be opened')
        if (code === 'upstream-lost')
          return this.#failed(course, upstream, 'reset', true, 'it hung up before it answered a handshake')
        this.#fail(upstream, 'bad-answer', 'its answer to a handshake is malformed')
        this.#giveUp(course, code)
      },
      begun: () => this.#succeed(upstream),
      over: close => {
        this.#end(course)
        this.#events.answered(course.exchange, close)
      },
      broken: () => {
        this.#end(course)
        this.#events.broken(course.exchange)
      },
    }
  }

  #failed(course: Course, upstream: Upstream, reason: FailureReason, seen: boolean, why: string): void {
    const { exchange } = course
    if (reason === 'late' && !exchange.answerBegun) {
      this.#cancelled(course, upstream, true)
      return this.#events.expired(exchange)
    }
    this.#fail(upstream, reason, why)
    this.#release(course)
    exchange.deadlineMs = 0
    if (!seen) course.unseenAttempts += 1
    if (reason === 'bad-answer' && !exchange.answerBegun) {
      this.#world.event('bad-answer', { request: exchange.title, ...this.#named(upstream), why })
      return this.#giveUp(course, 'bad-answer')
    }
    const { answerBegun, attempts, kept, head } = exchange
    const { unseenAttempts } = course
    const seenAttempts = attempts - unseenAttempts
    const orphan = { method: head.method, answerBegun, seen, attempts: seenAttempts, unseenAttempts }
    const verdict = verdictOnForeign({ ...orphan, replayable: kept !== null })
    if (verdict === 'break') {
      this.#end(course)
      return this.#events.broken(exchange)
    }
    this.#world.metrics.rescue(verdict === 'again' ? 'again' : 'given-up')
    if (verdict === 'give-up') return this.#giveUp(course, seen ? 'upstream-lost' : 'upstream-unreachable')
    // A connection that broke may have been an idle one that was just being closed: where there is no other upstream,
    // the same one gets another chance.
    if (seen && course.tried.size === this.upstreams.length) course.tried.clear()
    this.#place(course, monotonicMs(), true)
  }

  #giveUp(course: Course, code: ErrorCode): void {
    this.#end(course)
    this.#events.failed(course.exchange, code)
  }

  #cancelled(course: Course, upstream: Upstream, isLate: boolean): void {
    if (isLate) this.#fail(upstream, 'late', 'its answer did not begin in time')
    this.#end(course)
  }

  #end(course: Course): void {
    this.#courses.delete(course.exchange)
    this.#release(course)
  }

  #release(course: Course): void {
    const { upstream } = course
    if (upstream === null) return
    course.upstream = null
    upstream.inFlight -= 1
    // Nothing came of it, neither good nor bad: another request may try.
    upstream.onTrial = false
    if (this.#waiting.size > 0) this.#pump(monotonicMs())
  }

  #succeed(upstream: Upstream): void {
    if (countAnswer(upstream)) this.#world.event('upstream-back', this.#named(upstream))
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
  return { ...newStanding(), index, address, pool, failuresByReason: new Map() }
}
