/** Workers are replaced by age and memory, replacement first: `supervisor/workers/memory-watch.ts`, `supervisor/workers/workers.ts`. */

import fs, { mkdirSync, renameSync, rmSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ReadUsage } from '../../../supervisor/host/process-usage.js'
import { areThere } from '../../../supervisor/run-folder/workers-folder.js'
import { plantTree, readyPids, startTree, type Tree } from '../fixtures/tree.js'

const MB = 1024 ** 2

/** Figures that a test sets, and a round each 20 ms. */
function figures() {
  const rssBytes = new Map<number, number>()
  const read: ReadUsage = pid => ({ rssBytes: rssBytes.get(pid) ?? 50 * MB, cpuSeconds: 1 })
  return { rssBytes, usage: { read, everyMs: 20 } }
}

function at(tree: Tree, event: string, pid: unknown): number {
  return tree.told.findIndex(told => told.event === event && told.fields.pid === pid)
}

t.test('an old worker goes when its successor serves', async t => {
  const limits = { maxWorkerLifetimeMs: 700, maxWorkerLifetimeDeltaMs: 100 }
  const tree = await startTree(t, { settings: limits })
  const [pid] = readyPids(tree)
  const exit = await tree.event('worker-exit', { pid })
  t.match(exit.fields, { code: 0, why: 'max-worker-lifetime' })
  t.ok(Number(exit.fields.aliveMs) >= 800, 'the delta counts once for slot 1')
  const next = await tree.event('worker-ready', { why: 'max-worker-lifetime' })
  t.ok(at(tree, 'worker-ready', next.fields.pid) < at(tree, 'worker-retiring', pid), 'replacement first')
})

t.test('so does one with too much memory, and its neighbour stays', async t => {
  const { rssBytes, usage } = figures()
  const limits = { minWorkerLifetimeMs: 0, reloadOnRssBytes: 100 * MB }
  const tree = await startTree(t, { settings: { ...limits, processes: 2 }, deps: { usage } })
  const [big, small] = readyPids(tree)
  rssBytes.set(big!, 101 * MB)
  t.match((await tree.event('worker-memory-high', { pid: big })).fields, { rssBytes: 101 * MB, why: 'reload-on-rss' })
  t.match((await tree.event('worker-exit', { pid: big })).fields, { code: 0, why: 'reload-on-rss' })
  const next = await tree.event('worker-ready', { why: 'reload-on-rss' })
  t.ok(at(tree, 'worker-ready', next.fields.pid) < at(tree, 'worker-retiring', big), 'replacement first')
  t.equal(readyPids(tree)[1], small)
})

t.test('one that is far too big is killed at once, drained or not', async t => {
  const { rssBytes, usage } = figures()
  const limits = { reloadOnRssBytes: 100 * MB, evilReloadOnRssBytes: 200 * MB }
  const tree = await startTree(t, { settings: limits, proxy: { neverDrained: true }, deps: { usage } })
  const [pid] = readyPids(tree)
  rssBytes.set(pid!, 201 * MB)
  t.match((await tree.event('worker-exit', { pid })).fields, { signal: 'SIGKILL', why: 'evil-reload-on-rss' })
  t.match((await tree.event('worker-ready', {}, 2)).fields, { why: 'respawn' })
})

t.test('the least life of a worker counts', async t => {
  const { rssBytes, usage } = figures()
  const limits = { minWorkerLifetimeMs: 1200, reloadOnRssBytes: 100 * MB }
  const tree = await startTree(t, { settings: limits, deps: { usage } })
  const [pid] = readyPids(tree)
  rssBytes.set(pid!, 101 * MB)
  process.kill(pid!, 'SIGUSR2')
  const exit = await tree.event('worker-exit', { pid })
  t.ok(Number(exit.fields.aliveMs) >= 1200, `${exit.fields.aliveMs} ms`)
})

t.test('memory-report tells of each worker, once a minute', async t => {
  const { usage } = figures()
  const tree = await startTree(t, { settings: { memoryReport: true, processes: 2 }, deps: { usage } })
  await tree.event('memory-report', { slot: 2, rssBytes: 50 * MB, cpuPercent: 0 })
  await tree.master.order({ type: 'scale', wanted: 3 }, () => {})
  await tree.event('worker-ready', { slot: 3 })
  await tree.event('memory-report', { slot: 3 })
  const reported = tree.told.filter(({ event }) => event === 'memory-report').map(({ fields }) => fields.slot)
  t.same(reported.sort(), [1, 2, 3])
})

for (const [title, lost] of [
  ['all sockets', ''],
  ['the link', 'worker-1.link'],
  ['the socket for tunnels', 'worker-1.tunnel'],
] as const) {
  t.test(`so does one that has lost ${title}`, async t => {
    const { usage } = figures()
    let folder = ''
    const keepRunFolder = () => mkdirSync(join(folder, 'workers'), { recursive: true })
    const tree = plantTree(t, { deps: { usage, keepRunFolder } })
    folder = tree.folder
    await tree.master.start()
    const [pid] = readyPids(tree)
    rmSync(join(tree.folder, 'workers', lost), { recursive: true })
    t.match((await tree.event('worker-exit', { pid })).fields, { code: 0, why: 'socket-gone' })
    const next = await tree.event('worker-ready', { why: 'socket-gone' })
    t.ok(at(tree, 'worker-ready', next.fields.pid) < at(tree, 'worker-retiring', pid), 'replacement first')
  })
}

t.test('where there is no place for sockets at all, nobody is replaced', async t => {
  const { usage } = figures()
  let kept = 0
  let enough = () => {}
  const keepRunFolder = () => {
    if (++kept === 10) enough()
  }
  const tree = await startTree(t, { deps: { usage, keepRunFolder } })
  rmSync(join(tree.folder, 'workers'), { recursive: true })
  kept = 0
  await new Promise<void>(resolve => {
    enough = resolve
  })
  t.notOk(tree.told.some(({ event }) => event === 'worker-retiring'))
  mkdirSync(join(tree.folder, 'workers'))
})

/** A tree on a clock that stands still unless it is moved, and `look`, which resolves when a look for its sockets has ended that began after the call. */
async function watched(t: Test) {
  const { usage } = figures()
  let begun = () => {}
  const clock = { nowMs: 1000 }
  const tree = await startTree(t, {
    deps: { usage, nowMs: () => clock.nowMs, keepRunFolder: () => begun(), backOffShare: 20 },
  })
  const ended = () => areThere([])
  const look = async (): Promise<void> => {
    // Those that began before may have seen what was there before.
    await ended()
    await new Promise<void>(resolve => {
      begun = resolve
    })
    await ended()
  }
  const socket = (workerId: number) => join(tree.folder, 'workers', `worker-${workerId}.link`)
  return {
    tree,
    clock,
    look,
    socket,
    retired: () => tree.told.filter(({ event }) => event === 'worker-retiring').length,
  }
}

t.test('an application that listens again within a second keeps its worker', async t => {
  const { tree, clock, look, socket, retired } = await watched(t)
  const away = `${socket(1)}.away`
  for (let time = 0; time < 3; time++) {
    renameSync(socket(1), away)
    await look()
    clock.nowMs += 999
    await look()
    renameSync(away, socket(1))
    await look()
    clock.nowMs += 999
  }
  t.equal(retired(), 0)
  t.equal(tree.told.filter(({ event }) => event === 'worker-start').length, 1)
  renameSync(socket(1), away)
  await look()
  clock.nowMs += 1000
  t.match((await tree.event('worker-retiring')).fields, { why: 'socket-gone' })
})

t.test('the master itself looks at nothing in the folder of the sockets', async t => {
  const { tree, look } = await watched(t)
  const { lstatSync, statSync } = fs
  const seen: string[] = []
  t.teardown(() => {
    Object.assign(fs, { lstatSync, statSync })
    syncBuiltinESMExports()
  })
  const noting =
    <T extends (...args: never[]) => unknown>(original: T) =>
    (...args: Parameters<T>) => {
      seen.push(String(args[0]))
      return original(...args)
    }
  Object.assign(fs, { lstatSync: noting(lstatSync), statSync: noting(statSync) })
  syncBuiltinESMExports()
  await look()
  const folder = join(tree.folder, 'workers')
  t.ok(seen.includes(folder), 'it looks for the folder')
  t.same(
    seen.filter(path => path.startsWith(`${folder}/`)),
    [],
  )
})

t.test('a loop of lost sockets slows down', async t => {
  const { tree, clock, look, socket, retired } = await watched(t)
  for (const workerId of [1, 2]) {
    rmSync(socket(workerId))
    await look()
    clock.nowMs += 1000
    await tree.event('worker-retiring', {}, workerId)
  }
  rmSync(socket(3))
  await look()
  clock.nowMs += 1999
  await look()
  t.equal(retired(), 2, 'behind the second one comes a wait: 100 ms, and here its share of 20')
  clock.nowMs += 1
  await tree.event('worker-retiring', {}, 3)
})
