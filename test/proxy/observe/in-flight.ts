/** Tests `proxy/observe/in-flight.ts`: the oldest requests, without what is nobody's business. */

import t from 'tap'
import type { Exchange } from '../../../proxy/exchange/exchange.js'
import { inFlightRequests } from '../../../proxy/observe/in-flight.js'

const exchange = (target: string, startMs: number, slot?: number) =>
  ({
    head: { method: 'GET', target },
    startMs,
    attempt: slot === undefined ? null : {},
    slot: slot ?? 0,
  }) as unknown as Exchange

t.same(inFlightRequests([exchange('/new', 90, 2), exchange('/old?token=secret', 10), exchange('*', 50.4)], 100), [
  { method: 'GET', path: '/old', ageMs: 90, slot: 0 },
  { method: 'GET', path: '*', ageMs: 50, slot: 0 },
  { method: 'GET', path: '/new', ageMs: 10, slot: 2 },
])
const many = inFlightRequests(
  Array.from({ length: 100 }, (_, at) => exchange(`/${'x'.repeat(500)}`, at)),
  100,
)
t.equal(many.length, 20)
t.equal(many[0]?.path.length, 200)
