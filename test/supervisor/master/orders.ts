/** Orders to a real master with fake children: `supervisor/master/orders.ts`. */

import t from 'tap'
import type { Order } from '../../../supervisor/master/orders.js'
import { plantTree, readyPids, startTree } from '../fixtures/tree.js'

const silent = () => {}

t.test('scale goes both ways and is answered when it has happened', async t => {
  const tree = await startTree(t)
  t.same(await tree.master.order({ type: 'scale', wanted: 3 }, silent), { ok: true })
  t.equal(readyPids(tree).length, 3)
  t.same(await tree.master.order({ type: 'scale', wanted: 1 }, silent), { ok: true })
  t.equal(tree.master.status().workers.length, 1)
  await tree.master.order({ type: 'scale', wanted: 2 }, silent)
  t.same(await tree.master.order({ type: 'scale', wanted: 'auto' }, silent), { ok: true })
  t.equal(tree.master.status().wanted, 1)
})

t.test('scale does not wait for workers that are recycled, but for those that it takes away', async t => {
  const settings = { processes: 2, workerReloadMercyMs: 60_000, reloadMercyMs: 200 }
  const tree = await startTree(t, { settings, behaviour: { deaf: true } })
  await tree.event('worker-ready', {}, 2)
  const recycled = readyPids(tree)[0]!
  t.teardown(() => process.kill(recycled, 'SIGKILL'))
  process.kill(recycled, 'SIGUSR2')
  await tree.event('fake-stop', { slot: 1 })
  t.same(await tree.master.order({ type: 'scale', wanted: 3 }, silent), { ok: true })
  t.notOk(tree.told.some(({ event }) => event === 'worker-exit'))
  const scaled = tree.master.order({ type: 'scale', wanted: 2 }, silent)
  const { pid } = (await tree.event('fake-stop', { slot: 3 })).fields
  process.kill(Number(pid), 'SIGKILL')
  t.same(await scaled, { ok: true })
  t.equal(tree.told.filter(({ event }) => event === 'worker-exit').length, 1)
})

t.test('a scaled number outlives a reload, unless the INI has another one', async t => {
  const tree = await startTree(t)
  await tree.master.order({ type: 'scale', wanted: 2 }, silent)
  t.match(await tree.master.reload(silent), { ok: true })
  t.equal(tree.master.status().wanted, 2)
  tree.reading = { ...tree.reading, settings: { ...tree.settings, processes: 3 } }
  t.match(await tree.master.reload(silent), { ok: true })
  t.equal(tree.master.status().wanted, 3)
})

t.test('a worker that does not start fails the order with its lines', async t => {
  const tree = await startTree(t)
  tree.app('app.json', { boot: 'exit' })
  const scaled = await tree.master.order({ type: 'scale', wanted: 2 }, silent)
  t.match(scaled, {
    ok: false,
    reason: /^slot 2: .*code 7.*: daimyo tries again$/,
    lines: ['cannot find the database'],
  })
  await tree.master.order({ type: 'scale', wanted: 1 }, silent)
  const [before] = readyPids(tree)
  const restarted = await tree.master.order({ type: 'restart-worker', slot: 1 }, silent)
  t.match(restarted, { ok: false, reason: /^slot 1: .*: the former worker stays$/ })
  t.same(readyPids(tree), [before])
  tree.app('app.json', {})
  t.same(await tree.master.order({ type: 'restart-worker', slot: 1 }, silent), { ok: true }, 'and later it works')
  t.not(readyPids(tree)[0], before)
})

t.test('a worker that dies while its replacement boots is not said to go on', async t => {
  const tree = await startTree(t)
  const [before] = readyPids(tree)
  tree.app('app.json', { boot: 'never' })
  const restarted = tree.master.order({ type: 'restart-worker', slot: 1 }, silent)
  await tree.event('fake-boot', {}, 2)
  process.kill(before!, 'SIGKILL')
  await tree.event('worker-exit', { pid: before! })
  process.kill(tree.master.status().workers[0]!.pid!, 'SIGKILL')
  t.match(await restarted, { ok: false, reason: /^slot 1: .*SIGKILL before it was ready: daimyo tries again$/ })
})

t.test('a worker is replaced before it goes', async t => {
  const tree = await startTree(t, { settings: { processes: 2 } })
  const before = readyPids(tree)
  const steps: string[] = []
  t.same(await tree.master.order({ type: 'restart-worker', slot: 2 }, text => steps.push(text)), { ok: true })
  const after = readyPids(tree)
  t.equal(after[0], before[0])
  t.not(after[1], before[1])
  t.same(steps, [`slot 2: starting a worker beside pid ${before[1]}`])
  const events = tree.told.map(({ event, fields }) => `${event} ${fields.pid} ${fields.why ?? ''}`)
  const ready = events.findIndex(line => line.startsWith(`worker-ready ${after[1]}`))
  const leaves = events.findIndex(line => line.startsWith(`worker-retiring ${before[1]} restart-worker`))
  t.ok(ready !== -1 && leaves > ready, events.join('\n'))
  t.match(tree.master.metricsState()?.restarts, { 'restart-worker': 1 }, 'and that is counted')
})

t.test('pause is told to proxies, also to one that comes later, and to the status', async t => {
  const tree = await startTree(t)
  t.same(await tree.master.order({ type: 'pause' }, silent), { ok: true })
  t.same(await tree.master.order({ type: 'pause' }, silent), { ok: true }, 'twice is once')
  t.equal(tree.master.status().paused, true)
  t.match((await tree.got()).at(-1), { type: 'pause', isPaused: true })
  const [proxy] = tree.master.status().proxies
  process.kill(proxy!.pid!, 'SIGKILL')
  await tree.event('proxy-listening', {}, 2)
  t.match((await tree.got())[1], { type: 'pause', isPaused: true }, 'before it accepts')
  await tree.master.order({ type: 'resume' }, silent)
  t.match((await tree.got()).at(-1), { type: 'pause', isPaused: false })
  t.equal(tree.master.status().paused, false)
  t.equal(tree.told.filter(({ event }) => event === 'paused').length, 1)
})

const refused: [Order, RegExp][] = [
  [{ type: 'scale', wanted: 0 }, /received 0: accepted a whole number from 1 to 1024/],
  [{ type: 'scale', wanted: 1025 }, /received 1025/],
  [{ type: 'restart-worker', slot: 2 }, /^no slot 2: there are 1$/],
]
t.test('what cannot be is refused at once', async t => {
  const tree = await startTree(t)
  for (const [order, reason] of refused) t.match(await tree.master.order(order, silent), { ok: false, reason })
  t.equal(tree.master.status().wanted, 1)
  t.ok(tree.master.stop('test'))
  t.match(await tree.master.order({ type: 'pause' }, silent), { ok: false, reason: 'the master stops: test' })
})

t.test('without an application there is nothing to scale', async t => {
  const tree = await startTree(t, { settings: { app: null } })
  t.match(await tree.master.order({ type: 'scale', wanted: 2 }, silent), { ok: false, reason: /no application/ })
})

t.test('before the start nothing is taken, and a stop ends what is under way', async t => {
  const tree = plantTree(t)
  t.match(await tree.master.order({ type: 'pause' }, silent), { ok: false, reason: 'the master has not started' })
  await tree.master.start()
  tree.app('app.json', { boot: 'never' })
  const scaled = tree.master.order({ type: 'scale', wanted: 2 }, silent)
  await tree.event('worker-start', { slot: 2 })
  tree.master.stop('enough')
  t.match(await scaled, { ok: false, reason: 'the master stops: enough' })
})
