/** How many workers are wanted: `supervisor/scaler.ts`. */

import t from 'tap'
import { startTree } from './fixtures/tree.js'

t.test('scale sets the number of workers, and auto leaves it to the configuration', async t => {
  const tree = await startTree(t)
  t.same(await tree.master.scale(3), { ok: true, before: 1, wanted: 3 })
  await tree.event('worker-ready', { slot: 3 })
  t.same(await tree.master.scale('auto'), { ok: true, before: 3, wanted: 1 })
  await tree.event('worker-exit', { slot: 3, why: 'fewer' })
  t.equal(tree.master.status().wanted, 1)
})

const refused: [title: string, count: number][] = [
  ['none at all', 0],
  ['fewer than none', -1],
  ['a part of one', 1.5],
  ['no number', Number.NaN],
  ['more than there may be', 1025],
]

t.test('what cannot be is refused with a reason, and changes nothing', async t => {
  const tree = await startTree(t)
  for (const [title, count] of refused) {
    t.match(await tree.master.scale(count), { ok: false, reason: /accepted a whole number from 1 to 1024/ }, title)
  }
  t.equal(tree.master.status().wanted, 1)
})

t.test('without an application there is nothing to scale', async t => {
  const tree = await startTree(t, { settings: { app: null } })
  t.match(await tree.master.scale(2), { ok: false, reason: 'there is no application' })
})

t.test('a master that stops refuses', async t => {
  const tree = await startTree(t, { behaviour: { deaf: true }, settings: { reloadMercyMs: 500 } })
  const stopped = tree.master.stop('test')
  t.match(await tree.master.scale(2), { ok: false, reason: 'the master stops: test' })
  await stopped
})
