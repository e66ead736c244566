/** The requests that a proxy has in flight, for `daimyo top`. */

import type { InFlightRequest } from '../../kit/channel/messages.js'
import type { Exchange } from '../exchange/exchange.js'
import { passedMs } from '../process/clock.js'

/** More than a terminal shows. */
const MOST = 20
/** A path is cut: the response has a bound. */
const PATH_CHARACTERS = 200

/** The oldest requests, those that wait for a worker included; paths without their queries. */
export function inFlightRequests(exchanges: readonly Exchange[], nowMs: number): InFlightRequest[] {
  return exchanges
    .toSorted((a, b) => a.startMs - b.startMs)
    .slice(0, MOST)
    .map(({ head, startMs, attempt, slot }) => ({
      method: head.method.slice(0, 20),
      path: (head.target.split('?', 1)[0] ?? '').slice(0, PATH_CHARACTERS),
      ageMs: Math.round(passedMs(startMs, nowMs)),
      slot: attempt === null ? 0 : slot,
    }))
}
