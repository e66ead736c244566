/**
 * Harakiri: which requests have passed their deadline, and whether the loop of their worker is blocked. Swept ten times
 * a second. It decides; `HarakiriEvents` acts.
 *
 * A passed deadline alone costs one request a 504. Only a worker that also leaves a ping without a pong is blocked and
 * has to die. Until that is known, the other deadlines on its link wait: the blocked loop, and not the requests
 * themselves, may have made them late. Meanwhile the worker's watchdog is asked where in the code the loop is.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import { noStack, type StackReport } from '../../kit/link/stack-report.js'
import type { Exchange } from '../exchange/exchange.js'
import { type HarakiriRules, harakiriMsOf } from '../exchange/harakiri-deadline.js'
import type { ResponderEvents } from '../exchange/responder.js'
import { LATE_MS } from '../link/dispatcher.js'
import type { Link } from '../link/link.js'
import { requestStack, type StackRequest } from './stack-request.js'

export interface HarakiriEvents {
  /**
   * The loop is blocked, at `stack`; `guilty` is printable. Not `isKnown`: `guilty` was in flight, but may be innocent.
   */
  blocked(link: Link, guilty: string, elapsedMs: number, isKnown: boolean, stack: StackReport): void
}

/** After a passed deadline a worker may leave a ping without a pong for this long. */
const VERDICT_MS = 500

/**
 * After this time without a pong, the watchdog is asked where the loop is. A worker that only waits has sent its pong
 * by then.
 */
const ASK_MS = 50

/**
 * The verdict waits for the watchdog at most this long in all: the kill has to come within a second after the deadline.
 */
const ANSWER_MS = 750

/** How often an idle worker gets a ping, to learn its lag. */
const IDLE_PING_MS = 1000

/** The title if no request was in flight. */
const NO_REQUEST = '-'

/** `harakiriQueueThreshold`: a request is judged only if this many wait for a worker. */
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
  readonly #lifecycle: Pick<ResponderEvents, 'expired'>
  readonly #requestStack: typeof requestStack
  readonly #suspicions = new Map<Link, Suspicion>()

  constructor(
    events: HarakiriEvents,
    lifecycle: Pick<ResponderEvents, 'expired'>,
    askForStack: typeof requestStack = requestStack,
  ) {
    this.#events = events
    this.#lifecycle = lifecycle
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

  /** Not `isPressed`: late requests may go on, but suspicions that exist are brought to their end. */
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

  /** The ping has had no pong since. */
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
   * Expires the requests that were late when the loop was last seen running. Besides them it expires the request that
   * blocks the loop, and returns it; the others wait for the verdict on their worker. The worker's watchdog says which
   * request blocks the loop; if it does not, the request that is late longest is suspected.
   */
  #expireDue(link: Link, nowMs: number): Exchange | null {
    const due = link.exchanges.filter(exchange => exchange.deadlineMs !== 0 && exchange.deadlineMs <= nowMs)
    if (due.length === 0) return null
    due.sort((a, b) => a.deadlineMs - b.deadlineMs)
    const { stuck } = link
    const known = stuck === null ? due.find(exchange => exchange.deadlineMs > link.lastPongMs) : stuck
    // The request that blocks the loop still has time. That is not the fault of the late ones, and the request gets its
    // time.
    const suspect = known !== undefined && due.includes(known) ? known : null
    for (const exchange of due) {
      const isInnocent = exchange.deadlineMs > link.lastPongMs && suspect !== null
      if (exchange === suspect || !isInnocent) this.#lifecycle.expired(exchange)
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
   * The loop is blocked although no request has passed a deadline: the responses have begun, or there are only
   * WebSockets, or a timer blocks it. Such a worker gets no new request, so no deadline would ever find it.
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

/**
 * The loop is, or may be, in a request that has more time than others: by its mount, or by the application's own word.
 */
function mayBlock(link: Link, rules: HarakiriRules, nowMs: number): boolean {
  const { stuck } = link
  if (stuck === null) return link.exchanges.some(({ deadlineMs }) => deadlineMs > nowMs)
  return stuck.deadlineMs > nowMs || (!stuck.responseBegun && harakiriMsOf(stuck, rules) === 0)
}
