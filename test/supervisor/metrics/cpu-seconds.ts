/** CPU time of a slot over the lives of its workers. */

import t from 'tap'
import { CpuSeconds } from '../../../supervisor/metrics/cpu-seconds.js'

t.test('a slot never falls: replacement first, death, no reading at all', async t => {
  const cpu = new CpuSeconds()
  const shows: [string, () => void, [number, number][]][] = [
    ['nothing is known', () => {}, []],
    ['one worker', () => cpu.record(1, 10, 5), [[1, 5]]],
    ['it works on', () => cpu.record(1, 10, 6), [[1, 6]]],
    ['a reading that fell is not believed', () => cpu.record(1, 10, 2), [[1, 6]]],
    ['its replacement starts', () => cpu.record(1, 11, 1), [[1, 7]]],
    ['it goes', () => cpu.retire(10), [[1, 7]]],
    ['it cannot go twice', () => cpu.retire(10), [[1, 7]]],
    ['an unknown worker goes', () => cpu.retire(99), [[1, 7]]],
    [
      'another slot',
      () => cpu.record(2, 12, 3),
      [
        [1, 7],
        [2, 3],
      ],
    ],
  ]
  for (const [title, act, expected] of shows) {
    act()
    t.same([...cpu.bySlot()], expected, title)
  }
})
