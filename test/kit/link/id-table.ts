/** The table against a Map, with ids that wrap, entries that stay, and its order. */

import t from 'tap'
import { IdTable } from '../../../kit/link/id-table.js'

t.test('is a Map for ascending ids, whatever stays in it', async t => {
  const cases: [title: string, firstId: number, keepEvery: number, inFlight: number][] = [
    ['few in flight', 1, 0, 3],
    ['more than it begins with', 1, 0, 1000],
    ['some that stay for ever', 1, 7, 100],
    ['across the wrap', 0xffffff00, 11, 64],
  ]
  for (const [title, firstId, keepEvery, inFlight] of cases) {
    const table = new IdTable<string>()
    const map = new Map<number, string>()
    const open: number[] = []
    let deletedOnce = true
    for (let count = 0; count < 5000; count++) {
      const id = (firstId + count) >>> 0
      table.set(id, `${id}`)
      map.set(id, `${id}`)
      if (keepEvery === 0 || count % keepEvery !== 0) open.push(id)
      if (open.length > inFlight) {
        const gone = open.shift() ?? 0
        map.delete(gone)
        deletedOnce &&= table.delete(gone) && !table.delete(gone) && table.get(gone) === undefined
      }
    }
    t.ok(deletedOnce, `${title}: what was deleted is gone`)
    t.equal(table.size, map.size, title)
    t.ok(
      [...map].every(([id, value]) => table.get(id) === value),
      `${title}: all are found`,
    )
    t.same(table.values(), [...map.values()], `${title}: oldest first`)
    table.clear()
    t.same([table.size, table.values(), table.get(firstId)], [0, [], undefined], `${title}: cleared`)
  }
})

t.test('says which id would find its place taken, and takes it all the same', async t => {
  const table = new IdTable<string>()
  table.set(1, 'one')
  t.notOk(table.isFree(1))
  t.notOk(table.isFree(257), 'the same low bits')
  t.ok(table.isFree(2))
  table.set(257, 'other')
  t.same([table.get(1), table.get(257), table.get(513)], ['one', 'other', undefined])
  t.ok(table.delete(1))
  t.same([table.get(1), table.get(257), table.size], [undefined, 'other', 1])
})
