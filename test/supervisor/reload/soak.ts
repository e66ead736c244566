/** What a soak makes of the proxies' figures: `supervisor/reload/soak.ts`. */

import t from 'tap'
import { figuresSince, judgeSoak } from '../../../supervisor/reload/soak.js'
import type { ResponseFigures } from '../../../supervisor/workers/worker-loads.js'

const figures = (answered: number, failed = 0, meanMs = 10): ResponseFigures => ({
  answered,
  failed,
  waitedMs: answered * meanMs,
})

const cases: [title: string, canary: ResponseFigures, old: ResponseFigures, atOnce: RegExp | null, inTheEnd: RegExp][] =
  [
    ['as good as the old ones', figures(100), figures(300), null, /^passed 100 answers, 0 of them 5xx/],
    ['nobody asked', figures(0), figures(0), null, /^passed too few answers to compare: 0/],
    ['too few answers', figures(19, 19), figures(300), null, /^passed too few/],
    ['only 5xx', figures(20, 20), figures(60), /^failed 20 of its 20 answers were 5xx, 0 of 60/, /^failed/],
    ['two failures happen to anybody', figures(20, 2), figures(60), null, /^passed/],
    ['three do not', figures(20, 3), figures(60), /^failed/, /^failed/],
    ['as bad as the old ones', figures(100, 50), figures(300, 150), null, /^passed/],
    ['twice as bad, and a little', figures(100, 14), figures(300, 18), /^failed/, /^failed/],
    ['1 % more is nothing', figures(1000, 9), figures(3000), null, /^passed/],
    ['nobody to compare with', figures(100, 50), figures(0), /^failed/, /^failed/],
    [
      'slower',
      figures(100, 0, 80),
      figures(300, 0, 10),
      null,
      /^failed its answers took 80 ms on average, those of the old workers 10/,
    ],
    ['a little slower, as what has just started is', figures(100, 0, 60), figures(300, 0, 10), null, /^passed/],
    ['slower than too few', figures(100, 0, 500), figures(19, 0, 10), null, /^passed/],
  ]
for (const [title, canary, old, atOnce, inTheEnd] of cases) {
  t.test(title, async t => {
    const now = judgeSoak(canary, old, false)
    if (atOnce === null) t.equal(now, null, 'not yet')
    else t.match(text(now), atOnce)
    t.match(text(judgeSoak(canary, old, true)), inTheEnd)
  })
}

t.test('only what the old workers answered since the beginning counts, and never less than nothing', async t => {
  const before = new Map([
    [1, figures(100, 10)],
    [2, figures(50)],
    [3, figures(70)],
  ])
  const now: Record<number, ResponseFigures> = { 1: figures(130, 11), 2: figures(20), 4: figures(5, 1) }
  const sum = figuresSince(before, [1, 2, 4], workerId => now[workerId]!)
  t.same(sum, { answered: 35, failed: 2, waitedMs: 350 })
})

function text(verdict: ReturnType<typeof judgeSoak>): string {
  if (verdict === null) return ''
  return `${verdict.type} ${verdict.type === 'passed' ? verdict.text : verdict.reason}`
}
