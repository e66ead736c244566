/** Credit that is held: for all that came before a mark, one mark at a time, and nothing is lost. */

import t from 'tap'
import { HeldCredit } from '../../../proxy/link/held-credit.js'

function held() {
  const marks: (() => void)[] = []
  const applied: [id: number, bytes: number][] = []
  const credit = new HeldCredit({
    mark: taken => void marks.push(taken),
    apply: (id, bytes) => void applied.push([id, bytes]),
  })
  return { credit, marks, applied }
}

t.test('credit counts once its mark is reached', async t => {
  const { credit, marks, applied } = held()
  t.notOk(credit.isHolding)
  credit.hold(1, 10)
  t.ok(credit.isHolding)
  t.equal(credit.of(1), 10)
  t.equal(credit.of(2), 0)
  t.same(applied, [])
  marks.shift()?.()
  t.same(applied, [[1, 10]])
  t.equal(credit.of(1), 0)
  t.notOk(credit.isHolding)
})

t.test('what comes behind a mark waits for the next one, as one sum for each exchange', async t => {
  const { credit, marks, applied } = held()
  credit.hold(1, 1)
  for (let count = 0; count < 1000; count++) {
    credit.hold(1, 2)
    credit.hold(2, 3)
  }
  t.equal(marks.length, 1, 'one mark at a time')
  t.equal(credit.of(1), 2001)
  marks.shift()?.()
  t.same(applied.splice(0), [[1, 1]])
  t.equal(marks.length, 1)
  marks.shift()?.()
  t.same(applied, [
    [1, 2000],
    [2, 3000],
  ])
  t.equal(marks.length, 0)
})

t.test('the next credit after that is held again', async t => {
  const { credit, marks, applied } = held()
  for (const bytes of [1, 2]) {
    credit.hold(7, bytes)
    marks.shift()?.()
  }
  t.same(applied, [
    [7, 1],
    [7, 2],
  ])
})
