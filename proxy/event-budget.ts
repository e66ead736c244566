/**
 * How many events a proxy tells the master: of each name so many at once, and so many a second after that. An application decides how often some of
 * them happen, such as `bad-answer`; the log of the master and the channel to it must not be its to fill. Pure: the time is passed in.
 */

import type { ProxyEventName } from '../kit/child-events.js'

const AT_ONCE = 50
const PER_SECOND = 10

interface Bucket {
  left: number
  filledMs: number
  omitted: number
}

/** Bounded by the table of event names. */
export class EventBudget {
  readonly #buckets = new Map<ProxyEventName, Bucket>()

  /** Null: the event is to be left out, and is counted. Otherwise it may be told, and so many of its name were left out before it. */
  admit(event: ProxyEventName, nowMs: number): number | null {
    const bucket = this.#bucketOf(event, nowMs)
    bucket.left = Math.min(AT_ONCE, bucket.left + ((nowMs - bucket.filledMs) / 1000) * PER_SECOND)
    bucket.filledMs = nowMs
    if (bucket.left < 1) {
      bucket.omitted += 1
      return null
    }
    bucket.left -= 1
    const { omitted } = bucket
    bucket.omitted = 0
    return omitted
  }

  /** Counts an event that is left out for another reason. */
  omit(event: ProxyEventName, nowMs: number): void {
    this.#bucketOf(event, nowMs).omitted += 1
  }

  #bucketOf(event: ProxyEventName, nowMs: number): Bucket {
    const known = this.#buckets.get(event)
    if (known !== undefined) return known
    const bucket = { left: AT_ONCE, filledMs: nowMs, omitted: 0 }
    this.#buckets.set(event, bucket)
    return bucket
  }
}
