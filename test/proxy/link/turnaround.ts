/** When a worker counts as quick. */

import t from 'tap'
import { Turnaround } from '../../../proxy/link/turnaround.js'

t.test('what it did lately decides', t => {
  const turnaround = new Turnaround()
  t.notOk(turnaround.isQuick, 'nothing is known yet')
  turnaround.took(0.2)
  t.ok(turnaround.isQuick)
  turnaround.took(10)
  t.notOk(turnaround.isQuick, 'one slow answer is enough')
  for (let answer = 0; answer < 16; answer++) turnaround.took(0.2)
  t.ok(turnaround.isQuick, 'and is forgotten')
  t.end()
})
