/**
 * Which requests kill workers, and are held back for a time (`quarantine-deaths`). One per proxy, made by `rescuer.ts`;
 * each proxy counts for itself. Pure but for the log event that `held` tells.
 *
 * A request is known by its method and its path as received, without the query, which may hold secrets. Of each death,
 * what was in flight without a response is suspect. Who is answered afterwards, by any worker, is cleared of all
 * deaths; a request that kills is never answered. So a death speaks against a request only while that is the last
 * suspect left. Deaths by somebody else's SIGKILL, and by the master's hand, speak against nobody; harakiri of a
 * blocked loop speaks against the request that blocked it.
 */

import { createHash } from 'node:crypto'
import type { ProxySettings, WorkerEnd } from '../../kit/channel/messages.js'

export type QuarantineRules = Pick<ProxySettings, 'quarantineDeaths' | 'quarantineWindowMs' | 'quarantineTimeMs'>

/** `deaths` were laid to `title`. */
export type OnHeld = (title: string, deaths: number) => void

/**
 * Bounds: a death of more suspects tells nothing, the oldest deaths and holds make way, a longer title is kept as its
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
  /** The worker ended by itself, or was blocked: until that is known the death does not count. */
  isProven: boolean
}

export class Quarantine {
  rules: QuarantineRules
  /**
   * Whether `responded` and `holdSeconds` have nothing to look at: mostly so. For reading only; a field, because it is
   * asked for at each request.
   */
  isIdle = true
  readonly #onHeld: OnHeld
  #deaths: Death[] = []
  /** Until when, by title. */
  readonly #held = new Map<string, number>()

  constructor(rules: QuarantineRules, onHeld: OnHeld) {
    this.rules = rules
    this.#onHeld = onHeld
  }

  /** A worker's link ended with these in flight; `end` null: the master has not said how. */
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

  /** Its worker has to die because this request blocks the loop. */
  blocked(workerId: number, title: string, nowMs: number): void {
    this.#add({ workerId, atMs: nowMs, suspects: new Set([keyOf(title)]), isProven: true }, nowMs)
  }

  /** A worker has answered it: it does not kill. */
  responded(title: string, nowMs: number): void {
    const key = keyOf(title)
    let changed = false
    for (const { suspects } of this.#deaths) changed = suspects.delete(key) || changed
    if (!changed) return
    this.#deaths = this.#deaths.filter(({ suspects }) => suspects.size > 0)
    this.#judge(nowMs)
  }

  /** For how many seconds from now it is held back, 0: it is not. */
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

  /** Forgets what is long ago, and holds back whom enough deaths speak against alone. */
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
      // All but one stay: when its time is over, one more death is enough.
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
