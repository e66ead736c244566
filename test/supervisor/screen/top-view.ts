/** Tests `supervisor/screen/top-view.ts`: rates and latencies between two looks. */

import t from 'tap'
import { topView } from '../../../supervisor/screen/top-view.js'
import { topReport } from '../fixtures/top-report.js'

const buckets = (...counts: number[]) =>
  counts.map((count, at) => ({ seconds: [0.001, 0.01, 0.1, null][at] ?? null, count }))

t.test('the first look compares with nothing', async t => {
  const view = topView(null, { report: topReport({ latency: buckets(1, 2, 3, 4) }), atMs: 5000 })
  t.match(view, { rate: null, p50Seconds: 0.01 })
  t.equal(view.rates.size, 0)
})

t.test('the second one has rates', async t => {
  const before = { report: topReport({ latency: buckets(100, 100, 100, 100) }), atMs: 1000 }
  const report = topReport({ latency: buckets(150, 198, 199, 200) })
  report.status.workers[0]!.requests += 30
  const view = topView(before, { report, atMs: 3000 })
  t.match(view, { rate: 50, p50Seconds: 0.001, p99Seconds: 0.1 })
  t.equal(view.rates.get(7), 15)
  const beyond = topView(before, { report: topReport({ latency: buckets(100, 100, 100, 300) }), atMs: 3000 })
  t.match(beyond, { p50Seconds: null })
})

t.test('nothing answered, a master that was restarted, a clock that stands still', async t => {
  const before = { report: topReport({ latency: buckets(9, 9, 9, 9) }), atMs: 1000 }
  t.match(topView(before, { ...before, atMs: 2000 }), { rate: 0, p50Seconds: null, p99Seconds: null })
  t.match(topView(before, { report: topReport({ latency: buckets(1, 1, 1, 1) }), atMs: 2000 }), { rate: 0 })
  t.match(topView(before, before), { rate: null })
})
