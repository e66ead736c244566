/** Sums must not depend on the order of their terms, or a counter falls when a worker dies. */

import t from 'tap'
import { addRow, roundRow, zeroRow } from '../../../supervisor/metrics/exact-sum.js'

const nobody = { text: '', values: [] }

function sum(values: number[]): number {
  const row = zeroRow(nobody, 1)
  for (const value of values) addRow(row, { ...nobody, values: [value] })
  return roundRow(row).values[0] ?? Number.NaN
}

/** A small generator of numbers, so that a failure comes back. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield state / 2 ** 32
  }
}

const cases: [string, number[], number][] = [
  ['nothing', [], 0],
  ['tenths', [0.1, 0.2, 0.3, 0.4], 1],
  ['a large one between small ones', [1, 1e16, 1, -1e16], 2],
]

for (const [title, values, expected] of cases) t.test(title, async t => t.equal(sum(values), expected))

t.test('any order and any grouping gives the same number, where plain addition does not', async t => {
  const random = numbers(7)
  let plainDiffers = 0
  for (let round = 0; round < 2000; round++) {
    const values = Array.from(
      { length: 6 },
      () => Math.round(random.next().value * 1e6) / 10 ** Math.floor(random.next().value * 6),
    )
    const shuffled = [...values].sort(() => random.next().value - 0.5)
    const dead = zeroRow(nobody, 1)
    for (const value of shuffled.slice(0, 3)) addRow(dead, { ...nobody, values: [value] })
    const total = zeroRow(nobody, 1)
    for (const row of [dead, ...shuffled.slice(3).map(value => ({ ...nobody, values: [value] }))]) addRow(total, row)
    if (roundRow(total).values[0] !== sum(values)) t.fail(`differs in round ${round}`, { values, shuffled })
    if (shuffled.reduce((a, b) => a + b) !== values.reduce((a, b) => a + b)) plainDiffers += 1
  }
  t.ok(plainDiffers > 100, `the test has teeth: plain addition differs ${plainDiffers} times`)
})
