/** How long a place stays empty after a death: `supervisor/back-off.ts`. */

import t from 'tap'
import { afterDeath, HEALTHY_MS, NO_BACK_OFF } from '../../supervisor/back-off.js'

t.test('the delay doubles from the second death on, up to its bound', t => {
  let backOff = NO_BACK_OFF
  const delays: number[] = []
  for (let death = 0; death < 12; death++) {
    backOff = afterDeath(backOff, 0, 1000)
    delays.push(backOff.notBeforeMs - 1000)
  }
  t.same(delays, [0, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000])
  t.end()
})

const cases: [string, number, number, number][] = [
  ['never ready', 5, 0, 1600],
  ['a short life', 5, HEALTHY_MS - 1, 1600],
  ['a healthy life', 5, HEALTHY_MS, 0],
  ['weeks of deaths', 1e6, 0, 30_000],
]
for (const [title, deaths, servedMs, delayMs] of cases) {
  t.test(title, t => {
    t.equal(afterDeath({ deaths, notBeforeMs: 0 }, servedMs, 50).notBeforeMs, 50 + delayMs)
    t.end()
  })
}
