/** Tests `supervisor/screen/top-screen.ts`: what stands where, in every size. */

import t from 'tap'
import { drawTop } from '../../../supervisor/screen/top-screen.js'
import { topView } from '../../../supervisor/screen/top-view.js'
import { topReport } from '../fixtures/top-report.js'

const draw = (more: Parameters<typeof topReport>[0], columns: number, rows: number) =>
  drawTop(topView(null, { report: topReport(more), atMs: 0 }), { columns, rows }, 5000)

t.test('everything has its place', async t => {
  const lines = draw({}, 200, 24)
  t.match(lines[0], /^daimyo 0\.1\.0: pid \d+, 1 of 1 workers ready, generation 1, up 5s$/)
  t.equal(lines[1], '- requests/s, p50 -, p99 -, in flight 2, queued 3, connections 4')
  t.match(lines[3], /^SLOT +PID +PHASE +GEN +REQUESTS +REQ\/S +IN FLIGHT +RSS +CPU +LAG +DEATHS +SINCE +WHY$/)
  t.match(lines[4], / 412 +ready /)
  t.same(lines.slice(5), [
    '',
    '  AGE  SLOT  METHOD  PATH',
    '1m01s     1  GET     /slow',
    '',
    'LAST EVENTS',
    'first event',
    'last event',
  ])
})

t.test('a request that waits, and a young one', async t => {
  const lines = draw({ inFlight: [{ method: 'POST', path: '/x', ageMs: 12, slot: 0 }] }, 80, 24)
  t.ok(lines.includes(' 12ms  waits  POST    /x') || lines.some(line => /12ms +waits +POST +\/x/.test(line)))
})

t.test('never larger than the terminal', async t => {
  const many = {
    events: Array.from({ length: 20 }, (_, at) => `event ${at} ${'x'.repeat(300)}`),
    inFlight: Array.from({ length: 40 }, (_, at) => ({
      method: 'GET',
      path: `/${'y'.repeat(300)}${at}`,
      ageMs: at,
      slot: 1,
    })),
  }
  const report = topReport(many)
  report.status.workers = Array.from({ length: 64 }, (_, at) => ({ ...report.status.workers[0]!, slot: at + 1 }))
  for (const rows of [1, 2, 3, 5, 8, 10, 24, 50, 200]) {
    for (const columns of [1, 20, 80, 300]) {
      const lines = drawTop(topView(null, { report, atMs: 0 }), { columns, rows }, 0)
      t.ok(lines.length <= rows, `${lines.length} lines in ${rows} rows`)
      t.ok(Math.max(...lines.map(line => line.length)) <= columns, `${columns} columns`)
    }
  }
  const lines = drawTop(topView(null, { report, atMs: 0 }), { columns: 80, rows: 24 }, 0)
  t.ok(lines.some(line => /^… and \d+ more$/.test(line)))
  t.match(lines.at(-1), /^event 19 /, 'the newest event is the last line')
})

t.test('nobody else moves the cursor', async t => {
  const lines = draw(
    { events: ['\u001b[2Jgone'], inFlight: [{ method: 'GET', path: '/\u0007', ageMs: 1, slot: 1 }] },
    80,
    24,
  )
  t.notMatch(lines.join(''), /[\x00-\x1f\x7f-\x9f]/)
})
