/** The end of the tree: `supervisor/master/master.ts` with `supervisor/master/shutdown.ts`. */

import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { isAlive, plantTree, readyPids, startTree } from '../fixtures/tree.js'

for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT']) {
  t.test(`${signal} drains the proxies, then stops the workers, and ends with 0`, async t => {
    const tree = await startTree(t, { settings: { processes: 2 } })
    await tree.event('worker-ready', {}, 2)
    tree.signals.emit(signal)
    t.equal(await tree.master.finished, 0)
    const names = tree.told.map(({ event }) => event)
    t.ok(names.indexOf('proxy-exit') < names.indexOf('fake-stop'), 'the workers last')
    t.match((await tree.event('worker-exit')).fields, { code: 0, why: signal })
    t.match((await tree.event('master-stopped')).fields, { why: signal })
    t.equal(tree.signals.listenerCount(signal), 0)
    t.match(tree.metrics.retired.sort(), ['proxy-1-1', 'worker-1', 'worker-2'])
  })
}

t.test('the port is free when it has stopped', async t => {
  const tree = await startTree(t)
  const { port } = new URL(tree.master.status().urls[0]!)
  await tree.master.stop('test')
  const next = createServer().listen(Number(port), '127.0.0.1')
  await once(next, 'listening')
  next.close()
  t.pass()
})

t.test('a unix socket is removed when it has stopped', async t => {
  const tree = plantTree(t)
  const path = join(tree.folder, 'http.sock')
  Object.assign(tree.settings, { listeners: [{ kind: 'unix', path }] })
  await tree.master.start()
  t.match(await tree.ask('who'), /^1 /)
  await tree.master.stop('test')
  t.notOk(existsSync(path))
})

t.test('the mercy bounds deaf proxies and workers', async t => {
  const tree = await startTree(t, { settings: { reloadMercyMs: 50 }, proxy: { deaf: true }, behaviour: { deaf: true } })
  await tree.master.stop('test')
  await tree.event('proxy-exit', { signal: 'SIGKILL' })
  await tree.event('worker-exit', { signal: 'SIGKILL', why: 'test' })
  t.equal(await tree.master.finished, 0)
})

t.test('a second SIGINT does not wait, but the same key press does', async t => {
  let nowMs = 0
  const tree = await startTree(t, { proxy: { deaf: true }, behaviour: { deaf: true }, deps: { nowMs: () => nowMs } })
  const pids = readyPids(tree)
  tree.signals.emit('SIGINT')
  await tree.event('proxy-draining')
  tree.signals.emit('SIGINT')
  tree.signals.emit('SIGUSR1')
  await tree.event('logs-reopened')
  t.ok(pids.every(isAlive))
  nowMs = 1000
  tree.signals.emit('SIGINT')
  t.equal(await tree.master.finished, 0)
  await tree.event('worker-exit', { signal: 'SIGKILL', why: 'SIGINT' })
})

t.test('SIGUSR1 reopens the logs of master and proxies', async t => {
  const tree = await startTree(t)
  tree.signals.emit('SIGUSR1')
  await tree.event('logs-reopened')
  t.equal(tree.reopened, 1)
  t.ok((await tree.got()).some(({ type }) => type === 'reopen-logs'))
})

t.test('in the middle of a stop the logs are reopened all the same', async t => {
  const tree = await startTree(t, { proxy: { deaf: true }, settings: { reloadMercyMs: 60_000 } })
  const stopped = tree.master.stop('test')
  await tree.event('proxy-draining')
  t.match(await tree.master.order({ type: 'reopen-logs' }, () => {}), { ok: true })
  t.equal(tree.reopened, 1)
  t.match(await tree.master.order({ type: 'pause' }, () => {}), { ok: false, reason: 'the master stops: test' })
  tree.signals.emit('SIGINT')
  process.kill(tree.master.status().proxies[0]?.pid ?? 0, 'SIGKILL')
  await stopped
})

t.test('SIGTTIN starts one worker more, SIGTTOU ends one, but never the last', async t => {
  const tree = await startTree(t)
  tree.signals.emit('SIGTTIN')
  await tree.event('worker-ready', { slot: 2 })
  t.equal(tree.master.status().wanted, 2)
  tree.signals.emit('SIGTTOU')
  await tree.event('worker-exit', { slot: 2, code: 0, why: 'fewer' })
  tree.signals.emit('SIGTTOU')
  await tree.event('workers-wanted', { wanted: 1 }, 2)
  t.match(tree.master.status(), { wanted: 1, workers: [{ slot: 1, phase: 'ready' }] })
})

t.test('a worker that dies while the proxies drain is not replaced', async t => {
  const tree = await startTree(t, { proxy: { deaf: true } })
  const [pid] = readyPids(tree)
  tree.master.stop('test')
  await tree.event('proxy-draining')
  process.kill(pid!, 'SIGKILL')
  await tree.event('worker-exit')
  t.equal(tree.told.filter(({ event }) => event === 'worker-start').length, 1)
  process.kill(tree.master.status().proxies[0]!.pid!, 'SIGKILL')
  await tree.master.finished
})
