/** How many workers are wanted: `supervisor/workers/scaler.ts`. */

import t from 'tap'
import type { ProxyToMaster } from '../../../kit/channel/messages.js'
import { FIFO_LETTERS } from '../../../supervisor/master/signals.js'
import type { Resize } from '../../../supervisor/workers/scaler.js'
import { plantTree, startTree, type Tree } from '../fixtures/tree.js'

/** As `daimyo scale` asks; with the number before and after. */
async function scale({ master }: Tree, wanted: number | 'auto') {
  const before = master.status().wanted
  const outcome = await master.order({ type: 'scale', wanted }, () => {})
  return outcome.ok ? { ...outcome, before, wanted: master.status().wanted } : outcome
}

t.test('scale sets the number of workers, and auto leaves it to the configuration', async t => {
  const tree = await startTree(t)
  t.same(await scale(tree, 3), { ok: true, before: 1, wanted: 3 })
  await tree.event('worker-ready', { slot: 3 })
  t.same(await scale(tree, 'auto'), { ok: true, before: 3, wanted: 1 })
  await tree.event('worker-exit', { slot: 3, why: 'fewer' })
  t.equal(tree.master.status().wanted, 1)
})

t.test('the FIFO asks for `processes` workers at most, and for one at least', async t => {
  const tree = await startTree(t, { settings: { processes: 2 } })
  const ask = async (letter: '+' | '-', times: number) => {
    const before = tree.told.length
    const event = FIFO_LETTERS[letter] as Resize
    tree.master.signal(`fifo-${letter}`, { ...event, by: event.by * times })
    await tree.event('workers-wanted', {}, 1, before)
    return tree.master.status().wanted
  }
  t.equal(await ask('+', 65_536), 2)
  t.equal(await ask('-', 65_536), 1)
  t.equal(await ask('+', 1), 2)
  t.same(await scale(tree, 3), { ok: true, before: 2, wanted: 3 })
  t.equal(await ask('+', 1), 3, 'those that somebody asked for by name stay')
  t.equal(await ask('-', 1), 2)
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
    t.match(await scale(tree, count), { ok: false, reason: /accepted a whole number from 1 to 1024/ }, title)
  }
  t.equal(tree.master.status().wanted, 1)
})

t.test('without an application there is nothing to scale', async t => {
  const tree = await startTree(t, { settings: { app: null } })
  t.match(await scale(tree, 2), { ok: false, reason: 'there is no application' })
})

t.test('a master that stops refuses', async t => {
  const tree = await startTree(t, { behaviour: { deaf: true }, settings: { reloadMercyMs: 500 } })
  const stopped = tree.master.stop('test')
  t.match(await scale(tree, 2), { ok: false, reason: 'the master stops: test' })
  await stopped
})

const cheaper = { cheaper: 1, cheaperOverloadMs: 1000, cheaperIdleMs: 1000 }
const metrics = (workers: { workerId: number; inFlight: number; requests?: number }[]): ProxyToMaster => ({
  type: 'metrics',
  families: [],
  workers: workers.map(worker => ({ requests: 0, lagMs: 0, answered: 0, failed: 0, waitedMs: 0, ...worker })),
  queued: 0,
})

t.test('the number follows the load, within its bounds', async t => {
  const tree = await startTree(t, { settings: { ...cheaper, processes: 2 } })
  t.equal(tree.master.status().wanted, 1, 'the least at first')
  await tree.proxySays(metrics([{ workerId: 1, inFlight: 1 }]))
  await tree.event('workers-wanted', { wanted: 2, why: 'spare' })
  await tree.event('worker-ready', { slot: 2 })
  await tree.proxySays(metrics([1, 2].map(workerId => ({ workerId, inFlight: 0 }))))
  await tree.event('workers-wanted', { wanted: 1, why: 'spare' })
  await tree.event('worker-exit', { slot: 2, why: 'fewer', code: 0 })
})

t.test('workers that wait for requests are idle ones', async t => {
  const settings = { processes: 3, lazy: true, ...cheaper, cheaperInitial: 3 }
  const tree = await startTree(t, { settings })
  await tree.event('workers-wanted', { wanted: 2, why: 'spare' })
  t.match(tree.master.status().workers, [{ phase: 'waiting' }, { phase: 'waiting' }])
})

t.test('a person’s number counts until it is left to the configuration again', async t => {
  const tree = await startTree(t, { settings: { ...cheaper, processes: 3 } })
  t.match(await scale(tree, 4), { ok: true, wanted: 4 })
  await tree.event('worker-ready', { slot: 4 })
  t.match(await scale(tree, 'auto'), { ok: true, before: 4, wanted: 1 })
})

t.test('cheap: the first request starts the workers', async t => {
  const tree = await startTree(t, { settings: { processes: 2, cheap: true } })
  t.match(tree.master.status(), { wanted: 0, workers: [] })
  await tree.proxySays({ type: 'worker-wanted' })
  await tree.event('workers-wanted', { wanted: 2, why: 'first-request' })
  await tree.event('worker-ready', { slot: 2 })
})

t.test('idle: the workers go when there is nothing to do, and come back', async t => {
  const tree = await startTree(t, { settings: { idleMs: 1500 } })
  await tree.proxySays(metrics([{ workerId: 1, inFlight: 1 }]))
  await tree.proxySays(metrics([{ workerId: 1, inFlight: 0, requests: 1 }]))
  await tree.event('workers-wanted', { wanted: 0, why: 'idle' })
  await tree.event('worker-exit', { slot: 1, why: 'fewer' })
  t.match(tree.master.status(), { wanted: 0, workers: [] })
  await tree.proxySays({ type: 'worker-wanted' })
  await tree.event('worker-ready', { slot: 1 }, 2)
})

t.test('idle: nobody goes before the proxy accepts', async t => {
  const tree = plantTree(t, { settings: { idleMs: 1000 }, proxy: { bootMs: 3500 } })
  const started = tree.master.start()
  await tree.event('worker-ready', { slot: 1 })
  await tree.event('workers-wanted', { wanted: 0, why: 'idle' })
  await started
  const order = tree.told.flatMap(({ event }) => (/^(proxy-listening|workers-wanted)$/.test(event) ? [event] : []))
  t.same(order, ['proxy-listening', 'workers-wanted'])
})

t.test('a reload while all sleep proves the new code, and lets it sleep', async t => {
  const tree = await startTree(t, { settings: { cheap: true } })
  t.match(await tree.master.reload(() => {}), { ok: true, generation: 2 })
  t.match(tree.master.status(), { wanted: 0, generation: 2 })
  tree.reading = {
    settings: { ...tree.settings, app: tree.app('bad.json', { boot: 'failed' }) },
    mistakes: [],
    remarks: [],
  }
  t.match(await tree.master.reload(() => {}), { ok: false, reason: /no such module/ })
  t.match(tree.master.status(), { wanted: 0, generation: 2 })
  await tree.proxySays({ type: 'worker-wanted' })
  t.match((await tree.event('worker-ready', {}, 2)).fields, { generation: 2 })
})

t.test('die-on-idle needs sockets of systemd', async t => {
  const tree = plantTree(t, { settings: { idleMs: 1000, dieOnIdle: true } })
  await t.rejects(tree.master.start(), { exitCode: 78, message: /die-on-idle: .*127\.0\.0\.1/ })
})
