/** What the log says of a blocked worker. That the verdicts come true is in `test/proxy/request-lifecycle-harakiri.ts` and `test/e2e/harakiri-spares-the-neighbours.ts`. */

import t from 'tap'
import { noStack } from '../../../kit/link/stack-report.js'
import { reportBlocked } from '../../../proxy/deaths/blocked-report.js'
import type { Exchange } from '../../../proxy/exchange/exchange.js'

function exchange(method: string, path: string, fields: Partial<Exchange> = {}): Exchange {
  const rest = { responseBegun: false, seen: method === 'POST', attempts: 1, replayable: [], ...fields }
  return { head: { method }, title: `${method} ${path}`, ...rest } as unknown as Exchange
}

t.test('what becomes of the others', async t => {
  const get = exchange('GET', '/a')
  const cases: [title: string, exchanges: Exchange[], tunnels: number, others: string][] = [
    ['nobody', [], 0, ''],
    ['one that may be sent again', [get], 0, 'sent again: GET /a'],
    ['one that may not', [exchange('POST', '/b')], 0, '502: POST /b'],
    ['not seen by the application', [exchange('POST', '/b', { seen: false })], 0, 'sent again: POST /b'],
    ['answered in part', [exchange('GET', '/c', { responseBegun: true })], 0, 'cut off: GET /c'],
    ['each', [get, exchange('POST', '/b'), get], 2, 'sent again: GET /a, GET /a; 502: POST /b; 2 tunnels: closed'],
    ['many', Array(13).fill(get), 0, `sent again: ${Array(10).fill('GET /a').join(', ')}; and 3 more`],
  ]
  for (const [title, exchanges, tunnels, others] of cases) {
    const link = { inFlight: exchanges.length, exchanges, tunnels }
    const report = reportBlocked(link, 'GET /burn', 3000.4, noStack('why'))
    const expected = { request: 'GET /burn', elapsedMs: 3000, at: '-', stack: 'none: why', inFlight: exchanges.length }
    t.same(report, { ...expected, others }, title)
  }
})
