/**
 * The clock of requests that a worker has: who passed a deadline, and whether its worker's loop is blocked. Design §4.
 * Swept ten times a second by `proxy-server.ts`; decides, and leaves the doing to `HarakiriEvents`.
 *
 * A passed deadline alone costs one request a 504. Only a worker that does not answer a ping either is blocked and has to die; until
 * that is known, the other deadlines on its link wait, because the blocked loop, not they themselves, may be what made them late.
 */

import { LATE_MS } from './dispatcher.js'
import type { Exchange } from './exchange.js'
import type { Link } from './link.js'

export interface HarakiriEvents {
  /** Past its deadline: 504, and the application is told. */
  expired(exchange: Exchange): void
  /** The loop is blocked; `guilty` is printable. Not `isKnown`: that one was in flight, and may be innocent. */
  blocked(link: Link, guilty: string, elapsedMs: number, isKnown: boolean): void
}

/** How long a worker may leave a ping unanswered after a deadline has passed. */
const VERDICT_MS = 500

/** An idle worker is asked for its lag this often. */
const IDLE_PING_MS = 1000

/** What is told where no request was in flight. */
const NO_REQUEST = '-'

interface Suspicion {
  guilty: string
  sinceMs: number
  expiredMs: number
}

export class HarakiriClock {
  readonly #events: HarakiriEvents
  readonly #suspicions = new Map<Link, Suspicion>()

  constructor(events: HarakiriEvents) {
    this.#events = events
  }

  /** `harakiriMs` 0: no deadlines. */
  sweep(links: Iterable<Link>, harakiriMs: number, now: number): void {
    for (const link of [...links]) {
      this.#keepPinging(link, now)
      if (harakiriMs > 0 && !link.condemned) this.#judge(link, harakiriMs, now)
    }
  }

  forget(link: Link): void {
    this.#suspicions.delete(link)
  }

  #keepPinging(link: Link, now: number): void {
    const everyMs = link.inFlight > 0 || link.tunnels > 0 ? LATE_MS : IDLE_PING_MS
    if ((link.open || link.retiring) && link.pingSentMs === 0 && now - link.lastPongMs > everyMs) link.ping(now)
  }

  #judge(link: Link, harakiriMs: number, now: number): void {
    const suspicion = this.#suspicions.get(link)
    if (suspicion !== undefined) {
      if (link.lastPongMs >= suspicion.expiredMs) this.#suspicions.delete(link)
      else if (now - suspicion.expiredMs > VERDICT_MS) this.#condemn(link, suspicion, now)
      else return
    }
    if (link.condemned) return
    const oldest = this.#expireDue(link, now)
    if (oldest !== null) this.#suspect(link, oldest, now)
    else if (link.pingSentMs !== 0 && now - link.pingSentMs > harakiriMs) this.#condemnSilent(link, now)
  }

  /**
   * Expires those that were late when the loop was last seen turning, and besides them the one that blocks the loop, which is returned; the others wait for
   * the verdict on their worker. Which one blocks it, the worker's watchdog says; where it does not, it is taken to be the one that is late longest.
   */
  #expireDue(link: Link, now: number): Exchange | null {
    const due = link.exchanges.filter(exchange => exchange.deadlineMs !== 0 && exchange.deadlineMs <= now)
    if (due.length === 0) return null
    due.sort((a, b) => a.deadlineMs - b.deadlineMs)
    const { stuck } = link
    const known = stuck === null ? due.find(exchange => exchange.deadlineMs > link.lastPongMs) : stuck
    // The loop is blocked by one that still has time: that is not the fault of those that are late, and it gets its time.
    const suspect = known !== undefined && due.includes(known) ? known : null
    for (const exchange of due) {
      const isInnocent = exchange.deadlineMs > link.lastPongMs && suspect !== null
      if (exchange === suspect || !isInnocent) this.#events.expired(exchange)
    }
    return suspect
  }

  #suspect(link: Link, exchange: Exchange, now: number): void {
    if (link.pingSentMs === 0) link.ping(now)
    this.#suspicions.set(link, { guilty: exchange.title, sinceMs: exchange.dispatchMs, expiredMs: now })
  }

  #condemn(link: Link, { guilty, sinceMs }: Suspicion, now: number): void {
    this.#suspicions.delete(link)
    this.#events.blocked(link, guilty, now - sinceMs, true)
  }

  /**
   * Nothing moves any more although no request has passed a deadline: their answers have begun, or there are only WebSockets, or it was a
   * timer. Such a worker gets no new request, so nothing else would ever find it.
   */
  #condemnSilent(link: Link, now: number): void {
    const exchange = link.stuck ?? link.exchanges[0]
    if (exchange !== undefined)
      this.#events.blocked(link, exchange.title, now - exchange.dispatchMs, exchange === link.stuck)
    else this.#events.blocked(link, NO_REQUEST, now - link.pingSentMs, false)
  }
}
