/** What a watchdog says of a stack, and what is made of it. */

import t from 'tap'
import { noStack, printStack, readStackReport, watchdogPathOf } from '../../../kit/link/stack-report.js'

const frame = (name: string, place: string) => ({ name, place })

t.test('a report', async t => {
  const report = { frames: [frame('f', 'node:fs:1'), frame('g', '/a.js:2')], why: '' }
  t.same(readStackReport(JSON.stringify(report)), report)
  t.same(printStack(report), { at: '/a.js:2', stack: 'f (node:fs:1) < g (/a.js:2)' })
  t.same(printStack({ frames: [frame('test', 'built-in'), frame('g', 'a.js:2')], why: '' }).at, 'a.js:2')
  t.same(printStack({ frames: [frame('f', 'node:fs:1')], why: '' }).at, 'node:fs:1')
  t.same(printStack(noStack('no luck')), { at: '-', stack: 'none: no luck' })
  t.equal(watchdogPathOf('/run/worker-1.2.link'), '/run/worker-1.2.watch')
})

t.test('what is no report', async t => {
  for (const text of ['', '{', 'null', '7', '[]', '{"frames":[]}', '{"frames":1,"why":""}', '{"why":""}'])
    t.same(readStackReport(text), noStack('no answer'), text)
})

t.test('an application that answers in the place of the watchdog', async t => {
  const frames = [...Array.from({ length: 50 }, () => frame('x'.repeat(1000), 'y'.repeat(1000))), { name: 1 }, null]
  const report = readStackReport(JSON.stringify({ frames: [null, 7, ...frames], why: 'z'.repeat(1000) }))
  t.equal(report.frames.length, 20)
  t.ok(report.frames.every(({ name, place }) => name.length <= 301 && place.length <= 301))
  t.equal(report.why.length, 301)
})
