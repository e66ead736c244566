/** Which deaths before the first line are accidents: `supervisor/early-signals.ts`. */

import t from 'tap'
import { MASTERS_SIGNALS } from '../../kit/masters-signals.js'
import { EarlySignals } from '../../supervisor/early-signals.js'
import { SIGNALS } from '../../supervisor/signals.js'

t.test('the list is that of the master', async t => {
  t.same([...MASTERS_SIGNALS].toSorted(), Object.keys(SIGNALS).toSorted())
})

t.test('a few in a row are, more are not, until one has come up', async t => {
  const early = new EarlySignals()
  const ten = () => MASTERS_SIGNALS.slice(0, 5).flatMap(signal => [early.isAccident(signal), early.isAccident(signal)])
  t.same(new Set(ten()), new Set([true]))
  t.equal(early.isAccident('SIGHUP'), false)
  early.cameUp()
  t.same(new Set(ten()), new Set([true]))
})

for (const signal of ['SIGKILL', 'SIGSEGV', 'SIGABRT', null]) {
  t.test(`${signal} is none`, async t => t.equal(new EarlySignals().isAccident(signal), false))
}
