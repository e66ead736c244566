/**
 * Bounds the events that a proxy sends to the master: of each name so many at once, and so many a second after that. An
 * application decides how often some of them happen, such as `bad-answer`; it must not be able to fill the log of the
 * master and the channel to it. Pure: the time is passed in.
 */

import type { ProxyEventName } from '../../kit/channel/child-events.js'
import { TokenBucket } from '../../kit/ground/token-bucket.js'

const RATE = { atOnce: 50, perSecond: 10 }

interface Told {
  bucket: TokenBucket
  omitted: number
}

/** Bounded by the table of event names. */
export class EventBudget {
  readonly #byName = new Map<ProxyEventName, Told>()

  /**
   * Null: the event is left out, and counted. Otherwise it may be sent, and the number says how many of its name were
   * left out before it.
   */
  admit(event: ProxyEventName, nowMs: number): number | null {
    const told = this.#toldOf(event, nowMs)
    if (!told.bucket.takeOne(nowMs)) {
      told.omitted += 1
      return null
    }
    const { omitted } = told
    told.omitted = 0
    return omitted
  }

  /** Counts an event that is left out for another reason. */
  omit(event: ProxyEventName, nowMs: number): void {
    this.#toldOf(event, nowMs).omitted += 1
  }

  #toldOf(event: ProxyEventName, nowMs: number): Told {
    const known = this.#byName.get(event)
    if (known !== undefined) return known
    const told = { bucket: new TokenBucket(RATE, nowMs), omitted: 0 }
    this.#byName.set(event, told)
    return told
  }
}
