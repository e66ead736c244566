/** When a worker counts as quick. */

import t from 'tap'
import { ResponseFigures } from '../../../proxy/link/response-figures.js'

t.test('what it did lately decides', t => {
  const figures = new ResponseFigures()
  t.notOk(figures.isQuick, 'nothing is known yet')
  figures.took(0.2)
  t.ok(figures.isQuick)
  figures.took(10)
  t.notOk(figures.isQuick, 'one slow answer is enough')
  for (let answer = 0; answer < 16; answer++) figures.took(0.2)
  t.ok(figures.isQuick, 'and is forgotten')
  t.end()
})
