/** `proxy/process/event-budget.ts`: how many events are told, and that none goes uncounted. */

import t from 'tap'
import { EventBudget } from '../../../proxy/process/event-budget.js'

function admitted(budget: EventBudget, count: number, nowMs: number): (number | null)[] {
  return Array.from({ length: count }, () => budget.admit('bad-answer', nowMs)).filter(each => each !== null)
}

t.test('fifty at once, and ten a second after that', t => {
  const budget = new EventBudget()
  t.same(admitted(budget, 1000, 5000), Array(50).fill(0))
  t.same(admitted(budget, 1000, 5050), [], 'not before its time')
  t.same(admitted(budget, 1000, 6000), [1950, ...Array(9).fill(0)], 'the next one says how many were left out')
  t.equal(admitted(budget, 1000, 1e9).length, 50, 'a long silence saves up no more than fifty')
  t.end()
})

t.test('one name does not use up what another has', t => {
  const budget = new EventBudget()
  admitted(budget, 1000, 0)
  t.equal(budget.admit('upstream-out', 0), 0)
  t.equal(budget.admit('bad-answer', 0), null)
  t.end()
})

t.test('every event is told or counted, at any pace', t => {
  const budget = new EventBudget()
  let told = 0
  let omitted = 0
  for (let nowMs = 0; nowMs < 20_000; nowMs += 7) {
    const before = budget.admit('named-file-refused', nowMs)
    if (before === null) continue
    told += 1
    omitted += before
  }
  const last = budget.admit('named-file-refused', 1e6)
  t.equal(told + omitted + (last ?? 0), Math.ceil(20_000 / 7))
  t.ok(told >= 245 && told <= 250, `${told} in 20 seconds`)
  t.end()
})

t.test('what is left out for another reason is counted too', t => {
  const budget = new EventBudget()
  budget.omit('upstream-back', 0)
  budget.omit('upstream-back', 0)
  t.equal(budget.admit('upstream-back', 1), 2)
  t.equal(budget.admit('upstream-back', 1), 0)
  t.end()
})
