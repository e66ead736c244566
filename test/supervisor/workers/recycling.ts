/** When a worker has lived long enough: `supervisor/workers/recycling.ts`. */

import t from 'tap'
import type { RecycleLimits } from '../../../supervisor/config/values/settings.js'
import {
  judgeAge,
  judgeMemory,
  REST_MS,
  type RecycleFacts,
  type RecycleVerdict,
  requestsOf,
} from '../../../supervisor/workers/recycling.js'
import { NO_LIMITS } from '../fixtures/tree.js'

const now = (why: string): RecycleVerdict => ({ why, waitMs: null })
const later = (waitMs: number | null): RecycleVerdict => ({ why: null, waitMs })

const ages: [title: string, Partial<RecycleLimits>, Partial<RecycleFacts>, RecycleVerdict][] = [
  ['no limits', {}, { ageMs: 1e12 }, later(null)],
  ['enough requests', {}, { asked: 'max-requests' }, now('max-requests')],
  ['enough requests too soon', { minLifetimeMs: 500 }, { asked: 'max-requests', ageMs: 200 }, later(300)],
  ['enough requests, old enough', { minLifetimeMs: 500 }, { asked: 'max-requests', ageMs: 500 }, now('max-requests')],
  ['too much memory too soon', {}, { asked: 'reload-on-rss', ageMs: REST_MS - 1 }, later(1)],
  ['too much memory', {}, { asked: 'reload-on-rss', ageMs: REST_MS }, now('reload-on-rss')],
  ['too much memory, no rest wanted', { minLifetimeMs: 0 }, { asked: 'reload-on-rss' }, now('reload-on-rss')],
  ['a person’s reason waits for nothing', { minLifetimeMs: 500 }, { asked: 'restart' }, now('restart')],
  ['before its time', { maxLifetimeMs: 1000 }, { ageMs: 999, slot: 3 }, later(1)],
  ['its time', { maxLifetimeMs: 1000 }, { ageMs: 1000, slot: 3 }, now('max-worker-lifetime')],
  ['a later slot', { maxLifetimeMs: 1000, maxLifetimeDeltaMs: 100 }, { ageMs: 1000, slot: 3 }, later(300)],
  ['a least life beyond the longest', { maxLifetimeMs: 1000, minLifetimeMs: 2000 }, { ageMs: 1500 }, later(500)],
  [
    'whichever comes first',
    { maxLifetimeMs: 1000 },
    { asked: 'reload-on-rss', ageMs: 1000 },
    now('max-worker-lifetime'),
  ],
  ['the sooner of two waits', { maxLifetimeMs: 1000 }, { asked: 'reload-on-rss', ageMs: 400 }, later(600)],
]

t.test('age', t => {
  for (const [title, limits, facts, expected] of ages) {
    const verdict = judgeAge({ slot: 1, ageMs: 0, asked: null, ...facts }, { ...NO_LIMITS, ...limits })
    t.same(verdict, expected, title)
  }
  t.end()
})

t.test('a wait is exact: when it is over there is a reason, and a millisecond before there is none', t => {
  for (const maxLifetimeMs of [0, 700, 90_000])
    for (const minLifetimeMs of [null, 0, 500, 70_000])
      for (const asked of [null, 'max-requests', 'reload-on-rss', 'max-worker-lifetime'])
        for (const ageMs of [0, 600, 65_000]) {
          const limits = { ...NO_LIMITS, maxLifetimeMs, minLifetimeMs, maxLifetimeDeltaMs: 10 }
          const { why, waitMs } = judgeAge({ slot: 2, ageMs, asked }, limits)
          if (waitMs === null) t.equal(why === null, asked === null && maxLifetimeMs === 0)
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
    t.equal(judgeMemory(rss, { ...NO_LIMITS, reloadOnRssBytes, evilReloadOnRssBytes }), expected, `${rss}`)
  }
  t.end()
})

t.test('requests', t => {
  t.equal(requestsOf(3, 0, { ...NO_LIMITS, maxRequestsDelta: 10 }), 0, 'never stays never')
  t.equal(requestsOf(3, 100, { ...NO_LIMITS, maxRequestsDelta: 10 }), 130)
  t.end()
})
