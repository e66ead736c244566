/** How long a place stays empty after a death: `supervisor/child/back-off.ts`. */

import t from 'tap'
import {
  afterDeath,
  afterKill,
  afterLoss,
  HEALTHY_MS,
  NO_BACK_OFF,
  shortened,
} from '../../../supervisor/child/back-off.js'

/** The delays of so many deaths in a row. */
function delays(servedMs: number | null, count: number): number[] {
  let backOff = NO_BACK_OFF
  return Array.from({ length: count }, () => {
    backOff = afterDeath(backOff, servedMs, 1000)
    return backOff.notBeforeMs - 1000
  })
}

const loops: [string, number | null, number[]][] = [
  ['never ready', null, [0, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]],
  ['ready, then dead', 0, [0, 100, 200, 400, 800, 1000, 1000]],
  ['nearly healthy', HEALTHY_MS - 1, [0, 100, 200]],
  ['healthy', HEALTHY_MS, [0, 0, 0]],
]
for (const [title, servedMs, expected] of loops) {
  t.test(title, t => {
    t.same(delays(servedMs, expected.length), expected)
    t.end()
  })
}

t.test('a healthy life ends a crash loop', t => {
  t.same(afterDeath({ deaths: 9, notBeforeMs: 0 }, HEALTHY_MS, 50), { deaths: 1, notBeforeMs: 50 })
  t.end()
})

t.test('weeks of deaths overflow nothing', t => {
  t.equal(afterDeath({ deaths: 1e6, notBeforeMs: 0 }, null, 50).notBeforeMs, 30_050)
  t.end()
})

t.test('somebody else kills it', t => {
  t.same(afterKill({ deaths: 9, notBeforeMs: 0 }, 0, 50), NO_BACK_OFF, 'what could serve comes back at once')
  let backOff = NO_BACK_OFF
  for (let death = 0; death < 20; death++) backOff = afterKill(backOff, null, 50)
  t.same(backOff, { deaths: 20, notBeforeMs: 1050 }, 'what could not slows down, to a second')
  t.end()
})

t.test('replaced because its sockets had gone', t => {
  let backOff = NO_BACK_OFF
  const waits = Array.from({ length: 11 }, () => {
    backOff = afterLoss(backOff, HEALTHY_MS - 1, 50)
    return backOff.notBeforeMs - 50
  })
  t.same(waits, [0, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000])
  t.same(afterLoss(backOff, HEALTHY_MS, 50), { deaths: 1, notBeforeMs: 50 }, 'one that had them for long ends the loop')
  t.end()
})

t.test('a share of the wait', t => {
  t.same(shortened({ deaths: 5, notBeforeMs: 1800 }, 1000, 0.5), { deaths: 5, notBeforeMs: 1400 })
  t.same(shortened({ deaths: 5, notBeforeMs: 1800 }, 1000, 1), { deaths: 5, notBeforeMs: 1800 })
  t.end()
})
