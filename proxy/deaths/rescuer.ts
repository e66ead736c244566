/**
 * Settles what becomes of the requests of dead workers. For each, `rescue.ts` decides and `quarantine.ts` remembers it.
 * Requests wait here until the master has said how their worker ended. One per proxy. The master's word comes before or
 * after the end of the link, whichever the kernel delivers first.
 */

import type { ProxyEventName, ToldFields } from '../../kit/channel/child-events.js'
import type { WorkerEnd } from '../../kit/channel/messages.js'
import type { Exchange } from '../exchange/exchange.js'
import type { ResponderEvents } from '../exchange/responder.js'
import type { Link } from '../link/link.js'
import type { RequestMetrics } from '../observe/request-metrics.js'
import { Quarantine, type QuarantineRules } from './quarantine.js'
import { type Verdict, verdictOn } from './rescue.js'

export interface RescueEvents {
  /** Send it to another worker, before the requests that have not been sent yet. */
  again(exchange: Exchange): void
}

/** What the rescuer needs from the rest of the proxy. */
export interface RescueWorld {
  settings: QuarantineRules
  metrics: Pick<RequestMetrics, 'rescue' | 'quarantine'>
  event(name: ProxyEventName, fields: ToldFields): void
}

/** The master reaps a dead child within milliseconds. If a link broke and its worker lives, no word ever comes. */
const WORD_MS = 1000

interface Undecided {
  workerId: number
  deadlineMs: number
  exchanges: Exchange[]
}

/** What becomes of an exchange whose worker ended in this way. */
export function verdictFor(
  { responseBegun, seen, attempts, replayable, head }: Exchange,
  end: WorkerEnd | null,
): Verdict {
  return verdictOn({ method: head.method, responseBegun, seen, attempts, replayable: replayable !== null, end })
}

export class Rescuer {
  readonly #world: RescueWorld
  readonly #events: RescueEvents
  readonly #lifecycle: Pick<ResponderEvents, 'failed' | 'broken'>
  #undecided: Undecided[] = []
  readonly quarantine: Quarantine

  constructor(world: RescueWorld, events: RescueEvents, lifecycle: Pick<ResponderEvents, 'failed' | 'broken'>) {
    this.#world = world
    this.#events = events
    this.#lifecycle = lifecycle
    this.quarantine = new Quarantine(world.settings, (request, deaths) => {
      world.metrics.quarantine()
      world.event('request-quarantined', { request, deaths, seconds: world.settings.quarantineTimeMs / 1000 })
    })
  }

  set rules(rules: QuarantineRules) {
    this.quarantine.rules = rules
  }

  /** `exchanges` were in flight there, oldest first. */
  lost({ worker: { workerId }, end, condemned }: Link, exchanges: readonly Exchange[], nowMs: number): void {
    const awaited = exchanges.filter(({ firstByteMs }) => firstByteMs === 0).map(({ title }) => title)
    if (!condemned) this.quarantine.died(workerId, awaited, end, nowMs)
    // Last first, because each goes to the head of the queue: so they keep their order.
    const waiting = exchanges.toReversed().filter(exchange => !this.#settle(exchange, end))
    if (waiting.length > 0) this.#undecided.push({ workerId, deadlineMs: nowMs + WORD_MS, exchanges: waiting })
  }

  /** The master's word. */
  gone(workerId: number, end: WorkerEnd, nowMs: number): void {
    this.quarantine.gone(workerId, end, nowMs)
    this.#decide(undecided => undecided.workerId === workerId, end)
  }

  /** The worker has to die because this request blocks its loop. */
  blocked(workerId: number, title: string, nowMs: number): void {
    this.quarantine.blocked(workerId, title, nowMs)
  }

  /** Decides without the master's word if it does not come in time. */
  sweep(nowMs: number): void {
    if (this.#undecided.length > 0) this.#decide(({ deadlineMs }) => deadlineMs <= nowMs, 'crashed')
  }

  #decide(isMeant: (undecided: Undecided) => boolean, end: WorkerEnd): void {
    const meant = this.#undecided.filter(isMeant)
    if (meant.length === 0) return
    this.#undecided = this.#undecided.filter(undecided => !isMeant(undecided))
    for (const exchange of meant.flatMap(({ exchanges }) => exchanges)) {
      // The client may have left meanwhile.
      if (!exchange.finished) this.#settle(exchange, end)
    }
  }

  /** False: not decided yet. */
  #settle(exchange: Exchange, end: WorkerEnd | null): boolean {
    exchange.deadlineMs = 0
    exchange.ownHarakiriMs = null
    const verdict = verdictFor(exchange, end)
    if (verdict === 'ask') return false
    if (verdict === 'break') this.#lifecycle.broken(exchange)
    else {
      this.#world.metrics.rescue(verdict === 'again' ? 'again' : 'given-up')
      if (verdict === 'again') this.#events.again(exchange)
      else this.#lifecycle.failed(exchange, 'worker-died')
    }
    return true
  }
}
