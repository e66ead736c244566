/** The start of the tree, and the starts that must fail: `supervisor/master/master.ts`. */

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { EXIT, Failure } from '../../../kit/ground/failure.js'
import { plantTree, readyPids, startTree, type TreeOptions } from '../fixtures/tree.js'

t.test('starts proxies and workers, and says what runs', async t => {
  const tree = await startTree(t, { settings: { processes: 2, httpProcesses: 2 } })
  await tree.event('worker-ready', {}, 2)
  const status = tree.master.status()
  t.match(status, { version: '1.2.3', pid: process.pid, generation: 1, wanted: 2, stopping: false, reloading: false })
  t.match(status.urls, [/^http:\/\/127\.0\.0\.1:[1-9]\d*$/])
  t.match(status.workers, [
    { slot: 1, workerId: 1, phase: 'ready', generation: 1, socketPath: join(tree.folder, 'workers/worker-1.sock') },
    { slot: 2, workerId: 2, phase: 'ready', generation: 1 },
  ])
  t.same(
    status.proxies.map(({ proxyId, phase }) => [proxyId, phase]),
    [
      [1, 'listening'],
      [2, 'listening'],
    ],
  )
  t.ok(Math.abs(Date.now() - status.sinceMs) < 60_000, 'since is wall clock')
  t.match(await tree.ask('who'), /^[12] \d+$/)
})

t.test('a worker gets its environment, folder and slot, and nothing that is meant for the master', async t => {
  const tree = await startTree(t)
  const { fields } = await tree.event('fake-boot')
  t.match(fields, { cwd: tree.folder, slotFromEnv: '1', fromIni: 'yes', slot: 1, generation: 1 })
  t.notOk(fields.notify)
})

t.test('lazy-apps=false lets the first worker prove that the application loads', async t => {
  const tree = await startTree(t, { settings: { processes: 3 } })
  await tree.event('worker-ready', {}, 3)
  const order = tree.told.filter(({ event }) => /^worker-(start|ready)$/.test(event)).map(({ event }) => event)
  t.same(order.slice(0, 2), ['worker-start', 'worker-ready'])
})

t.test('lazy-apps=true starts all workers at once', async t => {
  const tree = await startTree(t, { settings: { processes: 3, lazyApps: true } })
  const order = tree.told.filter(({ event }) => /^worker-(start|ready)$/.test(event)).map(({ event }) => event)
  t.same(order.slice(0, 3), ['worker-start', 'worker-start', 'worker-start'])
})

t.test('without an application the proxies alone are the tree', async t => {
  const tree = await startTree(t, { settings: { app: null, processes: 4 } })
  t.same(tree.master.status().workers, [])
  t.equal(tree.master.status().wanted, 0)
})

const refusals: [string, TreeOptions, number, RegExp][] = [
  [
    'the application throws',
    { behaviour: { boot: 'failed' } },
    EXIT.unavailable,
    /no such module\n {4}Error: no such module\n/,
  ],
  [
    'the worker exits',
    { behaviour: { boot: 'exit' } },
    EXIT.unavailable,
    /ended with code 7 before it was ready\n.*database/,
  ],
  [
    'the worker is late',
    { behaviour: { boot: 'never' }, settings: { workerStartTimeoutMs: 50 } },
    EXIT.unavailable,
    /not ready within 50 ms/,
  ],
  [
    'several fail at once',
    { behaviour: { boot: 'failed' }, settings: { processes: 2, lazyApps: true } },
    EXIT.unavailable,
    /no such module/,
  ],
  [
    'there is no application',
    { settings: { app: '/nowhere/app.js' } },
    EXIT.unavailable,
    /app=\/nowhere\/app\.js: no such file/,
  ],
  ['there is no folder', { settings: { chdir: '/nowhere' } }, EXIT.unavailable, /chdir=\/nowhere: no such file/],
  ['the proxy gives up', { proxy: { fails: true } }, EXIT.unavailable, /proxy 1: no luck/],
]

for (const [title, options, exitCode, message] of refusals) {
  t.test(`the start fails when ${title}`, async t => {
    const tree = plantTree(t, options)
    const failure = await tree.master.start().then(
      () => null,
      (error: unknown) => error,
    )
    t.type(failure, Failure)
    t.match(failure, { message, exitCode })
    t.equal(await tree.master.finished, exitCode)
    t.same(tree.master.status().workers, [])
  })
}

t.test('the start fails when the port is taken, and names it', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as AddressInfo
  const tree = plantTree(t, { settings: { http: [{ kind: 'tcp', host: '127.0.0.1', port }] } })
  await t.rejects(tree.master.start(), {
    message: new RegExp(`127\\.0\\.0\\.1:${port}: .*in use`),
    exitCode: EXIT.unavailable,
  })
  t.equal(await tree.master.finished, EXIT.unavailable)
})

t.test('a stop during the start ends it with 0', async t => {
  const tree = plantTree(t, { behaviour: { boot: 'never' } })
  const started = tree.master.start()
  started.catch(() => {})
  await tree.event('fake-boot')
  tree.signals.emit('SIGTERM')
  await t.rejects(started, { code: 'stopped' })
  t.equal(await tree.master.finished, 0)
})

t.test('a stop before the listeners are open ends it too', async t => {
  const tree = plantTree(t)
  const started = tree.master.start()
  tree.signals.emit('SIGTERM')
  await t.rejects(started, { code: 'stopped' })
  t.equal(await tree.master.finished, 0)
  t.same(readyPids(tree), [])
})

t.test('nobody ages, and no deadline comes nearer, while the master stands still', async t => {
  const tree = await startTree(t)
  const ageMs = () => Date.now() - tree.master.status().workers[0]!.sinceMs
  const beforeMs = ageMs()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700)
  t.ok(ageMs() - beforeMs < 400)
})

t.test('workers that somebody kills again and again before the start is complete end it', async t => {
  // Without a link the start is not complete.
  const tree = plantTree(t, { proxy: { neverLinks: true } })
  const outcome = tree.master.start().then(
    () => 'started',
    (error: Error) => error.message,
  )
  for (let killed = 1; killed <= 20; killed++) {
    const { fields } = await tree.event('worker-ready', { slot: 1 }, killed)
    process.kill(Number(fields.pid), 'SIGKILL')
    await tree.event('worker-exit', { slot: 1, signal: 'SIGKILL' }, killed)
  }
  t.match(await outcome, /^cannot start: the application: worker ended by SIGKILL as 19 before it in this start/)
})
