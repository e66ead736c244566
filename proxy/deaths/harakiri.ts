/**
 * The clock of requests that a worker has: who passed a deadline, and whether its worker's loop is blocked.
 * Swept ten times a second by `proxy-server.ts`; decides, and leaves the doing to `HarakiriEvents`.
 *
 * A passed deadline alone costs one request a 504. Only a worker that does not answer a ping either is blocked and has
 * to die; until that is known, the other deadlines on its link wait, because the blocked loop, not they themselves, may
 * be what made them late. Meanwhile the worker's watchdog is asked where in the code the loop is.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import { noStack, type StackReport } from '../../kit/link/stack-report.js'
import type { Exchange } from '../exchange/exchange.js'
import { type HarakiriRules, harakiriMsOf } from '../exchange/harakiri-deadline.js'
import { LATE_MS } from '../link/dispatcher.js'
import type { Link } from '../link/link.js'
import { requestStack, type StackRequest } from './stack-request.js'

export interface HarakiriEvents {
  /** Past its deadline: 504, and the application is told. */
  expired(exchange: Exchange): void
  /**
   * The loop is blocked, at `stack`; `guilty` is printable. Not `isKnown`: that one was in flight, and may be innocent.
   */
  blocked(link: Link, guilty: string, elapsedMs: number, isKnown: boolean, stack: StackReport): void
}

/** How long a worker may leave a ping unanswered after a deadline has passed. */
const VERDICT_MS = 500

/** A ping unanswered for so long has the watchdog asked where the loop is; one that only waits has answered by then. */
const ASK_MS = 50

/**
 * How long the verdict waits for the watchdog at most, all in all: the kill is to come within a second after the
 * deadline.
 */
const ANSWER_MS = 750

/** An idle worker is asked for its lag this often. */
const IDLE_PING_MS = 1000

/** What is told where no request was in flight. */
const NO_REQUEST = '-'

/** `harakiriQueueThreshold`: so many have to wait for a worker before anybody is judged. */
export type ClockRules = HarakiriRules & Pick<ProxySettings, 'harakiriQueueThreshold'>

interface Suspicion {
  guilty: string
  isKnown: boolean
  sinceMs: number
  raisedMs: number
  stack: StackRequest | null
}

export class HarakiriClock {
  readonly #events: HarakiriEvents
  readonly #requestStack: typeof requestStack
  readonly #suspicions = new Map<Link, Suspicion>()

  constructor(events: HarakiriEvents, askForStack = requestStack) {
    this.#events = events
    this.#requestStack = askForStack
  }

  /** `queued` requests wait for a worker. */
  sweep(links: Iterable<Link>, rules: ClockRules, queued: number, nowMs: number): void {
    const isPressed = queued >= rules.harakiriQueueThreshold
    for (const link of [...links]) {
      this.#keepPinging(link, nowMs)
      if (!link.condemned) this.#judge(link, rules, isPressed, nowMs)
    }
  }

  forget(link: Link): void {
    this.#suspicions.get(link)?.stack?.cancel()
    this.#suspicions.delete(link)
  }

  #keepPinging(link: Link, nowMs: number): void {
    const everyMs = link.inFlight > 0 || link.tunnels > 0 ? LATE_MS : IDLE_PING_MS
    if ((link.open || link.retiring) && link.pingSentMs === 0 && nowMs - link.lastPongMs > everyMs) link.ping(nowMs)
  }

  /** Not `isPressed`: whoever is late may go on, but what has begun is brought to its end. */
  #judge(link: Link, rules: ClockRules, isPressed: boolean, nowMs: number): void {
    const suspicion = this.#suspicions.get(link)
    if (suspicion !== undefined) {
      if (link.lastPongMs >= suspicion.raisedMs) this.forget(link)
      else return this.#weigh(link, suspicion, nowMs)
    }
    if (!isPressed) return
    const oldest = this.#expireDue(link, nowMs)
    if (oldest !== null) this.#suspect(link, oldest.title, oldest.dispatchMs, true, nowMs)
    else if (isSilent(link, rules.harakiriMs, nowMs) && !mayBlock(link, rules, nowMs)) this.#suspectSilent(link, nowMs)
  }

  /** No ping has been answered since. */
  #weigh(link: Link, suspicion: Suspicion, nowMs: number): void {
    const ageMs = nowMs - suspicion.raisedMs
    if (nowMs - link.pingSentMs > ASK_MS) suspicion.stack ??= this.#requestStack(link.worker.linkPath)
    if (ageMs <= VERDICT_MS) return
    const stack = suspicion.stack?.report ?? null
    if (stack === null && ageMs <= ANSWER_MS) return
    this.forget(link)
    const { guilty, sinceMs, isKnown } = suspicion
    this.#events.blocked(
      link,
      guilty,
      nowMs - sinceMs,
      isKnown,
      stack ?? noStack('the watchdog did not answer in time'),
    )
  }

  /**
   * Expires those that were late when the loop was last seen turning, and besides them the one that blocks the loop,
   * which is returned; the others wait for the verdict on their worker. Which one blocks it, the worker's watchdog
   * says; where it does not, it is taken to be the one that is late longest.
   */
  #expireDue(link: Link, nowMs: number): Exchange | null {
    const due = link.exchanges.filter(exchange => exchange.deadlineMs !== 0 && exchange.deadlineMs <= nowMs)
    if (due.length === 0) return null
    due.sort((a, b) => a.deadlineMs - b.deadlineMs)
    const { stuck } = link
    const known = stuck === null ? due.find(exchange => exchange.deadlineMs > link.lastPongMs) : stuck
    // The loop is blocked by one that still has time: that is not the fault of those that are late, and it gets its
    // time.
    const suspect = known !== undefined && due.includes(known) ? known : null
    for (const exchange of due) {
      const isInnocent = exchange.deadlineMs > link.lastPongMs && suspect !== null
      if (exchange === suspect || !isInnocent) this.#events.expired(exchange)
    }
    return suspect
  }

  #suspect(link: Link, guilty: string, sinceMs: number, isKnown: boolean, nowMs: number): void {
    if (link.pingSentMs === 0) link.ping(nowMs)
    const suspicion = { guilty, sinceMs, isKnown, raisedMs: nowMs, stack: null }
    this.#suspicions.set(link, suspicion)
    this.#weigh(link, suspicion, nowMs)
  }

  /**
   * Nothing moves any more although no request has passed a deadline: their responses have begun, or there are only
   * WebSockets, or it was a timer. Such a worker gets no new request, so nothing else would ever find it.
   */
  #suspectSilent(link: Link, nowMs: number): void {
    const exchange = link.stuck ?? link.exchanges[0]
    const [guilty, sinceMs] = exchange ? [exchange.title, exchange.dispatchMs] : [NO_REQUEST, link.pingSentMs]
    this.#suspect(link, guilty, sinceMs, exchange !== undefined && exchange === link.stuck, nowMs)
  }
}

function isSilent({ pingSentMs }: Link, harakiriMs: number, nowMs: number): boolean {
  return harakiriMs > 0 && pingSentMs !== 0 && nowMs - pingSentMs > harakiriMs
}

/** The loop is, or may be, in a request that has more time than others: by its mount, or as the application said. */
function mayBlock(link: Link, rules: HarakiriRules, nowMs: number): boolean {
  const { stuck } = link
  if (stuck === null) return link.exchanges.some(({ deadlineMs }) => deadlineMs > nowMs)
  return stuck.deadlineMs > nowMs || (!stuck.responseBegun && harakiriMsOf(stuck, rules) === 0)
}
