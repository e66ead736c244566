/** What a worker has started and left goes with it, whatever its end was: `supervisor/workers/worker-remains.ts`, in a real tree. */

import t, { type Test } from 'tap'
import { readProcessStat } from '../../../kit/process/process-stat.js'
import { lifeOf, waitUntilGone } from '../../../supervisor/host/process-presence.js'
import { described, WorkerRemains } from '../../../supervisor/workers/worker-remains.js'
import { watchLostTime } from '../../kit/fixtures/lost-time.js'
import type { Behaviour } from '../fixtures/fake-worker.js'
import { startTree, type Tree, type TreeOptions } from '../fixtures/tree.js'

interface Parent {
  tree: Tree
  pid: number
  child: number
}

/** A tree whose worker has a child. */
async function startParent(t: Test, forks: Behaviour['forks'], options: TreeOptions = {}): Promise<Parent> {
  const tree = await startTree(t, { ...options, behaviour: { ...options.behaviour, forks } })
  const { pid, child } = (await tree.event('fake-fork')).fields
  t.teardown(() => isRunning(Number(child)) && process.kill(Number(child), 'SIGKILL'))
  return { tree, pid: Number(pid), child: Number(child) }
}

const isRunning = (pid: number) => lifeOf(pid) !== null

const BLOCKED = { request: 'GET /', elapsedMs: 1, at: 'a.js:1', stack: 'f (a.js:1)', inFlight: 1, others: '' }

/** One after the other, each of the worker that took the place of the one before. */
const ends: [title: string, end: (parent: Parent, workerId: number) => unknown][] = [
  ['a SIGKILL from outside', ({ pid }) => process.kill(pid, 'SIGKILL')],
  ['a crash', ({ pid }) => process.kill(pid, 'SIGABRT')],
  ['its harakiri', ({ tree }, workerId) => tree.proxySays({ type: 'worker-blocked', workerId, ...BLOCKED })],
  ['a reload', ({ tree }) => tree.master.reload(() => {})],
]
t.test('whatever the end of the worker was, its child is told, and ended', async t => {
  let parent = await startParent(t, 'mortal', { deps: { backOffShare: 0 } })
  for (const [index, [title, end]] of ends.entries()) {
    const { tree, pid, child } = parent
    const life = lifeOf(child)!
    await end(parent, index + 1)
    const { fields } = await tree.event('worker-left-processes', { pid })
    t.match(fields, { slot: 1, generation: 1, processes: 1, names: `sleep:${child}`, why: 'ended' }, title)
    t.ok(await waitUntilGone(life, 15_000))
    const next = (await tree.event('fake-fork', {}, index + 2)).fields
    parent = { tree, pid: Number(next.pid), child: Number(next.child) }
    await tree.event('worker-ready', { pid: next.pid ?? null })
  }
  t.notOk(parent.tree.told.some(({ event }) => event === 'worker-processes-killed'))
})

t.test('one that SIGTERM does not end is killed, and the stop waits for that', async t => {
  const { tree, pid, child } = await startParent(t, 'deaf')
  await tree.master.stop('test')
  t.notOk(isRunning(child))
  t.match((await tree.event('worker-processes-killed', { pid })).fields, { processes: 1, names: `sleep:${child}` })
})

t.test('a worker that counts as gone may not look dead: what it left is ended', async t => {
  const { tree, pid, child } = await startParent(t, 'mortal')
  const { startTicks } = readProcessStat(pid)!
  const told: object[] = []
  const remains = new WorkerRemains({ log: (event, fields) => void told.push({ event, ...fields }), put: () => {} })
  const life = lifeOf(child)!
  remains.sweep({ slot: 1, pid, generation: 1, startTicks: '1' }, false)
  while (!remains.areGone) await new Promise(setImmediate)
  t.same(told, [], 'nothing of a worker of another start')
  remains.sweep({ slot: 1, pid, generation: 1, startTicks }, false)
  t.ok(await waitUntilGone(life, 15_000))
  while (!remains.areGone) await new Promise(setImmediate)
  t.match(told, [{ event: 'worker-left-processes', pid, names: `sleep:${child}`, why: 'ended', startTicks: undefined }])
  t.ok(isRunning(pid), 'itself is not signalled')
  await tree.master.stop('test')
})

t.test('a worker is swept by its number and its start', async t => {
  const swept: object[] = []
  const { sweep } = WorkerRemains.prototype
  t.teardown(() => Object.assign(WorkerRemains.prototype, { sweep }))
  WorkerRemains.prototype.sweep = function (worker, keeps) {
    swept.push(worker)
    sweep.call(this, worker, keeps)
  }
  const { tree, pid } = await startParent(t, 'mortal')
  const { startTicks } = readProcessStat(pid)!
  await tree.master.stop('test')
  t.match(swept, [{ slot: 1, pid, startTicks }])
})

t.test('a second SIGINT does not wait for it', async t => {
  let nowMs = 0
  const options = { proxy: { deaf: true }, behaviour: { deaf: true }, deps: { nowMs: () => nowMs } }
  const { tree, child } = await startParent(t, 'deaf', options)
  tree.signals.emit('SIGINT')
  await tree.event('proxy-draining')
  nowMs = 1000
  const [sinceMs, lostMs] = [performance.now(), watchLostTime(t)]
  tree.signals.emit('SIGINT')
  t.equal(await tree.master.finished, 0)
  t.notOk(isRunning(child))
  t.ok(performance.now() - sinceMs < 1000 + lostMs(), 'less than the grace')
})

t.test('with keep-children it stays, and is told', async t => {
  const { tree, pid, child } = await startParent(t, 'mortal', { settings: { keepChildren: true } })
  await tree.master.stop('test')
  t.ok(isRunning(child))
  t.match((await tree.event('worker-left-processes', { pid })).fields, { processes: 1, why: 'kept' })
})

t.test('one that leads a session of its own stays', async t => {
  const { tree, child } = await startParent(t, 'detached')
  await tree.master.stop('test')
  t.ok(isRunning(child))
  t.notOk(tree.told.some(({ event }) => event === 'worker-left-processes'))
})

t.test('a name that looks like several is one', async t => {
  const named = (name: string) => described([{ pid: 7, name }]).names
  t.same(['init:1,sshd', 'a b', 'x\ny\x1b[2J'].map(named), ['init?1?sshd:7', 'a b:7', 'x?y?[2J:7'])
})
