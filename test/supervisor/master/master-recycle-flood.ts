/**
 * Workers that ask to be replaced without end cost themselves, and neither their neighbours nor the operator: `supervisor/workers/slots.ts`,
 * `supervisor/workers/workers.ts`.
 */

import t, { type Test } from 'tap'
import type { ReadUsage } from '../../../supervisor/host/process-usage.js'
import { readyPids, startTree, type Tree, type TreeOptions } from '../fixtures/tree.js'

const MB = 1024 ** 2
/** Too many for what is to be done meanwhile. */
const FLOOD = 20

const startsIn = (tree: Tree, slot: number) =>
  tree.told.filter(({ event, fields }) => event === 'worker-start' && fields.slot === slot)

/** Workers of the lowest of three slots ask as soon as they are ready, and nothing slows them down. */
const flooded = (t: Test, { settings, ...more }: TreeOptions = {}): Promise<Tree> =>
  startTree(t, {
    settings: { processes: 3, maxRequests: 1000, ...settings },
    behaviour: { recyclesIn: [1] },
    ...more,
    deps: { backOffShare: 0, ...more.deps },
  })

/** Fails when the lowest slot gets ever more workers first. */
async function happensDespite<T>(t: Test, tree: Tree, happening: Promise<T>): Promise<T | null> {
  const first = await Promise.race([happening, tree.event('worker-start', { slot: 1 }, FLOOD).then(() => null)])
  t.not(first, null, `the lowest slot has had ${startsIn(tree, 1).length} workers`)
  return first
}

t.test('an order for another slot happens', async t => {
  const tree = await flooded(t)
  await tree.event('worker-start', { slot: 1 }, 3)
  const order = tree.master.order({ type: 'restart-worker', slot: 3 }, () => {})
  t.same(await happensDespite(t, tree, order), { ok: true })
})

t.test('a reload happens', async t => {
  const tree = await flooded(t)
  await tree.event('worker-start', { slot: 1 }, 3)
  t.match(
    await happensDespite(
      t,
      tree,
      tree.master.reload(() => {}),
    ),
    { ok: true },
  )
})

t.test('a neighbour with too much memory is replaced', async t => {
  let big: number | undefined
  const read: ReadUsage = pid => ({ rssBytes: (pid === big ? 101 : 50) * MB, cpuSeconds: 1 })
  const settings = { minWorkerLifetimeMs: 0, reloadOnRssBytes: 100 * MB }
  const tree = await flooded(t, { settings, deps: { usage: { read, everyMs: 20 } } })
  await tree.event('worker-start', { slot: 1 }, 3)
  big = readyPids(tree)[2]
  await happensDespite(t, tree, tree.event('worker-exit', { pid: big, why: 'reload-on-rss' }))
})

/** One slot on a clock that stands still unless it is moved. */
async function frozen(t: Test, { settings, ...more }: TreeOptions = {}) {
  const clock = { nowMs: 1000 }
  const usage = { read: () => ({ rssBytes: MB, cpuSeconds: 1 }), everyMs: 20 }
  const tree = await startTree(t, {
    settings: { maxRequests: 1000, ...settings },
    ...more,
    deps: { nowMs: () => clock.nowMs, usage, ...more.deps },
  })
  const ask = () => process.kill(readyPids(tree)[0]!, 'SIGUSR2')
  return { tree, clock, ask }
}

t.test('those that do not end are two in a slot at most, and a reload waits for none of them', async t => {
  const { tree, clock } = await frozen(t, {
    settings: { workerReloadMercyMs: 2000, reloadOverlap: 0 },
    behaviour: { recyclesIn: [1], deaf: true },
    deps: { backOffShare: 0 },
  })
  await tree.event('worker-ready', {}, 3)
  await tree.event('fake-stop', {}, 2)
  t.equal(startsIn(tree, 1).length, 3, 'the third one has asked and waits')
  const reload = tree.master.reload(() => {})
  await tree.event('worker-ready', { why: 'reload' })
  await tree.event('fake-stop', {}, 3)
  t.equal(startsIn(tree, 1).length, 4, 'and so does the fourth')
  t.notOk(tree.told.some(({ event }) => event === 'worker-exit'))
  // From here on they end when they are told.
  tree.app('app.json', {})
  clock.nowMs += 3000
  t.match(await reload, { ok: true })
  t.match((await tree.event('worker-start', {}, 5)).fields, { generation: 2, why: 'max-requests' })
})

t.test('a slot whose workers ask too soon slows down, and what dies meanwhile is made good at once', async t => {
  const { tree, clock, ask } = await frozen(t)
  tree.app('app.json', { recyclesIn: [1] })
  ask()
  await tree.event('worker-exit', {}, 2)
  t.equal(startsIn(tree, 1).length, 3, 'the third one has asked, and waits')
  process.kill(readyPids(tree)[0]!, 'SIGKILL')
  await tree.event('worker-ready', { why: 'respawn' })
  t.equal(startsIn(tree, 1).length, 4, 'the fourth one waits too')
  clock.nowMs += 100
  t.match((await tree.event('worker-start', {}, 5)).fields, { why: 'max-requests' })
})

t.test('one that asks after a healthy life is replaced at once, however many before it asked too soon', async t => {
  const { tree, clock, ask } = await frozen(t)
  tree.app('app.json', { recyclesIn: [1] })
  ask()
  await tree.event('worker-exit', {}, 2)
  tree.app('app.json', {})
  clock.nowMs += 100
  await tree.event('worker-exit', {}, 3)
  clock.nowMs += 10_000
  ask()
  await tree.event('worker-exit', {}, 4)
  ask()
  t.match((await tree.event('worker-start', {}, 6)).fields, { why: 'max-requests' })
})
