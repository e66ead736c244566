/** When a worker has lived long enough: `supervisor/workers/recycling.ts`. */

import t from 'tap'
import {
  judgeAge,
  judgeMemory,
  REST_MS,
  type RecycleFacts,
  type RecycleLimits,
  type RecycleVerdict,
  requestsOf,
} from '../../../supervisor/workers/recycling.js'
import { DEFAULTS } from '../fixtures/tree.js'

const now = (why: string): RecycleVerdict => ({ why, waitMs: null })
const later = (waitMs: number | null): RecycleVerdict => ({ why: null, waitMs })

const ages: [title: string, Partial<RecycleLimits>, Partial<RecycleFacts>, RecycleVerdict][] = [
  ['no limits', {}, { ageMs: 1e12 }, later(null)],
  ['enough requests', {}, { asked: 'max-requests' }, now('max-requests')],
  ['enough requests too soon', { minWorkerLifetimeMs: 500 }, { asked: 'max-requests', ageMs: 200 }, later(300)],
  [
    'enough requests, old enough',
    { minWorkerLifetimeMs: 500 },
    { asked: 'max-requests', ageMs: 500 },
    now('max-requests'),
  ],
  ['too much memory too soon', {}, { asked: 'reload-on-rss', ageMs: REST_MS - 1 }, later(1)],
  ['too much memory', {}, { asked: 'reload-on-rss', ageMs: REST_MS }, now('reload-on-rss')],
  ['too much memory, no rest wanted', { minWorkerLifetimeMs: 0 }, { asked: 'reload-on-rss' }, now('reload-on-rss')],
  ['a person’s reason waits for nothing', { minWorkerLifetimeMs: 500 }, { asked: 'restart' }, now('restart')],
  ['before its time', { maxWorkerLifetimeMs: 1000 }, { ageMs: 999, slot: 3 }, later(1)],
  ['its time', { maxWorkerLifetimeMs: 1000 }, { ageMs: 1000, slot: 3 }, now('max-worker-lifetime')],
  ['a later slot', { maxWorkerLifetimeMs: 1000, maxWorkerLifetimeDeltaMs: 100 }, { ageMs: 1000, slot: 3 }, later(300)],
  [
    'a least life beyond the longest',
    { maxWorkerLifetimeMs: 1000, minWorkerLifetimeMs: 2000 },
    { ageMs: 1500 },
    later(500),
  ],
  [
    'whichever comes first',
    { maxWorkerLifetimeMs: 1000 },
    { asked: 'reload-on-rss', ageMs: 1000 },
    now('max-worker-lifetime'),
  ],
  ['the sooner of two waits', { maxWorkerLifetimeMs: 1000 }, { asked: 'reload-on-rss', ageMs: 400 }, later(600)],
]

t.test('age', t => {
  for (const [title, limits, facts, expected] of ages) {
    const verdict = judgeAge({ slot: 1, ageMs: 0, asked: null, ...facts }, { ...DEFAULTS, ...limits })
    t.same(verdict, expected, title)
  }
  t.end()
})

t.test('a wait is exact: when it is over there is a reason, and a millisecond before there is none', t => {
  for (const maxWorkerLifetimeMs of [0, 700, 90_000])
    for (const minWorkerLifetimeMs of [null, 0, 500, 70_000])
      for (const asked of [null, 'max-requests', 'reload-on-rss', 'max-worker-lifetime'])
        for (const ageMs of [0, 600, 65_000]) {
          const limits = { ...DEFAULTS, maxWorkerLifetimeMs, minWorkerLifetimeMs, maxWorkerLifetimeDeltaMs: 10 }
          const { why, waitMs } = judgeAge({ slot: 2, ageMs, asked }, limits)
          if (waitMs === null) t.equal(why === null, asked === null && maxWorkerLifetimeMs === 0)
          else {
            t.ok(waitMs > 0)
            t.not(judgeAge({ slot: 2, ageMs: ageMs + waitMs, asked }, limits).why, null)
            t.equal(judgeAge({ slot: 2, ageMs: ageMs + waitMs - 1, asked }, limits).why, null)
          }
        }
  t.end()
})

const sizes: [rss: number, reload: number, evil: number, expected: string][] = [
  [1e12, 0, 0, 'nothing'],
  [100, 100, 200, 'nothing'],
  [101, 100, 200, 'replace'],
  [200, 100, 200, 'replace'],
  [201, 100, 200, 'kill'],
  [201, 0, 200, 'kill'],
]

t.test('memory', t => {
  for (const [rss, reloadOnRssBytes, evilReloadOnRssBytes, expected] of sizes) {
    t.equal(judgeMemory(rss, { ...DEFAULTS, reloadOnRssBytes, evilReloadOnRssBytes }), expected, `${rss}`)
  }
  t.end()
})

t.test('requests', t => {
  t.equal(requestsOf(3, { ...DEFAULTS, maxRequests: 0, maxRequestsDelta: 10 }), 0, 'never stays never')
  t.equal(requestsOf(3, { ...DEFAULTS, maxRequests: 100, maxRequestsDelta: 10 }), 130)
  t.end()
})
