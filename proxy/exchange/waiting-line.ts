/**
 * The requests that wait for a worker, or for a foreign upstream: first in, first out. A list linked through the
 * exchanges themselves: to join, to be served and to leave from the middle (a client went away) cost the same with ten
 * waiting requests as with a hundred thousand, and nothing is allocated. An exchange waits in one line at most.
 */

import type { Exchange } from './exchange.js'

export class WaitingLine {
  #first: Exchange | null = null
  #last: Exchange | null = null
  /** The number of waiting exchanges; for reading only. A field, because each request asks for it. */
  size = 0

  get first(): Exchange | null {
    return this.#first
  }

  /** Adds an exchange at the end. */
  push(exchange: Exchange): void {
    exchange.waitsBehind = this.#last
    if (this.#last === null) this.#first = exchange
    else this.#last.waitsBefore = exchange
    this.#last = exchange
    this.size += 1
  }

  /** Adds an exchange at the front. */
  unshift(exchange: Exchange): void {
    exchange.waitsBefore = this.#first
    if (this.#first === null) this.#last = exchange
    else this.#first.waitsBehind = exchange
    this.#first = exchange
    this.size += 1
  }

  /** Removes `exchange`, which is in this line. */
  remove(exchange: Exchange): void {
    const { waitsBehind, waitsBefore } = exchange
    if (waitsBehind === null) this.#first = waitsBefore
    else waitsBehind.waitsBefore = waitsBefore
    if (waitsBefore === null) this.#last = waitsBehind
    else waitsBefore.waitsBehind = waitsBehind
    exchange.waitsBehind = null
    exchange.waitsBefore = null
    this.size -= 1
  }

  /** All waiting exchanges may wait until then. */
  waitUntil(deadlineMs: number): void {
    for (let each = this.#first; each !== null; each = each.waitsBefore) each.queueDeadlineMs = deadlineMs
  }

  /** From the first to the last. */
  all(): Exchange[] {
    const all: Exchange[] = []
    for (let each = this.#first; each !== null; each = each.waitsBefore) all.push(each)
    return all
  }

  /** Removes the exchanges whose time is over, in their order. Looks at each waiting exchange once. */
  removeLate(nowMs: number): Exchange[] {
    const late: Exchange[] = []
    for (let each = this.#first; each !== null; each = each.waitsBefore) {
      if (each.queueDeadlineMs <= nowMs) late.push(each)
    }
    for (const exchange of late) this.remove(exchange)
    return late
  }
}
