/** Which CPUs a slot gets: `supervisor/host/cpu-affinity.ts`. */

import t from 'tap'
import { affinityOf, cpusOfSlot, readCpuList } from '../../../supervisor/host/cpu-affinity.js'

const given: [slot: number, perWorker: number, allowed: number[], expected: number[]][] = [
  [1, 1, [0, 1, 2, 3], [0]],
  [4, 1, [0, 1, 2, 3], [3]],
  [5, 1, [0, 1, 2, 3], [0]],
  [2, 2, [0, 1, 2, 3], [2, 3]],
  [2, 3, [0, 1, 2, 3], [3, 0, 1]],
  [3, 3, [0, 1, 2, 3], [2, 3, 0]],
  [1, 8, [0, 1], [0, 1]],
  [2, 1, [4, 6, 9], [6]],
  [1024, 1024, [7], [7]],
]
for (const [slot, perWorker, allowed, expected] of given) {
  t.test(`slot ${slot} of ${perWorker} among ${allowed}`, async t => {
    t.same(cpusOfSlot(slot, perWorker, allowed), expected)
  })
}

const lists: [string, number[]][] = [
  ['0', [0]],
  ['\t0-3\n', [0, 1, 2, 3]],
  ['0-1,4,8-9', [0, 1, 4, 8, 9]],
  ['', []],
]
for (const [list, expected] of lists)
  t.test(`reads ${JSON.stringify(list)}`, async t => t.same(readCpuList(list), expected))

t.test('none unless it is asked for', async t => {
  t.equal(affinityOf(1, 0), null)
  t.equal(affinityOf(1, 1)?.length, 1)
})
