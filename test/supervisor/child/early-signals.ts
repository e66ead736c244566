/** Which deaths before the first line are accidents: `supervisor/child/early-signals.ts`. */

import t from 'tap'
import { MASTERS_SIGNALS } from '../../../kit/process/masters-signals.js'
import { EarlySignals } from '../../../supervisor/child/early-signals.js'
import { SIGNALS } from '../../../supervisor/master/signals.js'

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
