/**
 * Which requests kill workers and are refused for a time (`quarantine-deaths`). One per proxy; each proxy counts for
 * itself. Pure but for the log event that `held` writes.
 *
 * A request is known by its method and its path as received, without the query, which may hold secrets. At each death,
 * every request in flight without a response is a suspect. A request that gets a response later, from any worker, is
 * cleared of all deaths; a request that kills never gets one. So a death counts against a request only if it is the
 * last suspect left. Deaths by a SIGKILL from outside, and by the master's hand, count against no request; harakiri of
 * a blocked loop counts against the request that blocked it.
 */

import { createHash } from 'node:crypto'
import type { ProxySettings, WorkerEnd } from '../../kit/channel/messages.js'

export type QuarantineRules = Pick<ProxySettings, 'quarantineDeaths' | 'quarantineWindowMs' | 'quarantineTimeMs'>

/** `deaths` count against `title`. */
export type OnHeld = (title: string, deaths: number) => void

/**
 * Bounds: a death with more suspects is ignored, the oldest deaths and holds are dropped, a longer title is kept as its
 * hash.
 */
const MOST_SUSPECTS = 256
const MOST_DEATHS = 64
const MOST_HELD = 1024
const LONGEST_TITLE = 256

interface Death {
  workerId: number
  atMs: number
  suspects: Set<string>
  /** The worker ended by itself, or was blocked. Until that is known, the death does not count. */
  isProven: boolean
}

export class Quarantine {
  rules: QuarantineRules
  /**
   * Whether `responded` and `holdSeconds` have nothing to look at, which is the rule. For reading only; a field,
   * because each request asks for it.
   */
  isIdle = true
  readonly #onHeld: OnHeld
  #deaths: Death[] = []
  /** Until when a request is held, by title. */
  readonly #held = new Map<string, number>()

  constructor(rules: QuarantineRules, onHeld: OnHeld) {
    this.rules = rules
    this.#onHeld = onHeld
  }

  /**
   * The link of a worker ended with these requests in flight. `end` null: the master has not said how the worker ended.
   */
  died(workerId: number, titles: Iterable<string>, end: WorkerEnd | null, nowMs: number): void {
    if (end === 'asked' || end === 'killed') return
    this.#add({ workerId, atMs: nowMs, suspects: new Set([...titles].map(keyOf)), isProven: end === 'crashed' }, nowMs)
  }

  /** The master says how a worker ended. */
  gone(workerId: number, end: WorkerEnd, nowMs: number): void {
    if (this.#deaths.length === 0) return
    if (end !== 'crashed') {
      this.#deaths = this.#deaths.filter(death => death.isProven || death.workerId !== workerId)
      this.#changed()
      return
    }
    for (const death of this.#deaths) if (death.workerId === workerId) death.isProven = true
    this.#judge(nowMs)
  }

  /** The worker has to die because this request blocks its loop. */
  blocked(workerId: number, title: string, nowMs: number): void {
    this.#add({ workerId, atMs: nowMs, suspects: new Set([keyOf(title)]), isProven: true }, nowMs)
  }

  /** A worker has responded to this request: it does not kill workers. */
  responded(title: string, nowMs: number): void {
    const key = keyOf(title)
    let changed = false
    for (const { suspects } of this.#deaths) changed = suspects.delete(key) || changed
    if (!changed) return
    this.#deaths = this.#deaths.filter(({ suspects }) => suspects.size > 0)
    this.#judge(nowMs)
  }

  /** For how many more seconds the request is held; 0: it is not held. */
  holdSeconds(title: string, nowMs: number): number {
    const key = keyOf(title)
    const untilMs = this.#held.get(key)
    if (untilMs === undefined) return 0
    if (untilMs > nowMs) return Math.ceil((untilMs - nowMs) / 1000)
    this.#held.delete(key)
    this.#changed()
    return 0
  }

  #add(death: Death, nowMs: number): void {
    const { size } = death.suspects
    if (this.rules.quarantineDeaths === 0 || size === 0 || size > MOST_SUSPECTS) return
    this.#deaths.push(death)
    if (this.#deaths.length > MOST_DEATHS) this.#deaths.shift()
    this.#judge(nowMs)
  }

  /** Forgets old deaths, and holds each request that enough deaths count against. */
  #judge(nowMs: number): void {
    const { quarantineDeaths: deaths, quarantineWindowMs, quarantineTimeMs } = this.rules
    this.#deaths = this.#deaths.filter(({ atMs }) => nowMs - atMs <= quarantineWindowMs)
    const against = new Map<string, Death[]>()
    for (const death of this.#deaths) {
      const [suspect] = death.suspects
      if (!death.isProven || death.suspects.size !== 1 || suspect === undefined) continue
      against.set(suspect, [...(against.get(suspect) ?? []), death])
    }
    for (const [title, proofs] of against) {
      if (deaths === 0 || proofs.length < deaths) continue
      // All deaths but one stay: when the hold is over, one more death is enough.
      this.#deaths = this.#deaths.filter(death => death !== proofs[0])
      this.#hold(title, nowMs + quarantineTimeMs)
      this.#onHeld(title, proofs.length)
    }
    this.#changed()
  }

  #changed(): void {
    this.isIdle = this.#deaths.length === 0 && this.#held.size === 0
  }

  #hold(title: string, untilMs: number): void {
    this.#held.delete(title)
    this.#held.set(title, untilMs)
    const [oldest] = this.#held.keys()
    if (this.#held.size > MOST_HELD && oldest !== undefined) this.#held.delete(oldest)
  }
}

function keyOf(title: string): string {
  if (title.length <= LONGEST_TITLE) return title
  return `${title.slice(0, title.indexOf(' '))} sha256:${createHash('sha256').update(title).digest('hex')}`
}
