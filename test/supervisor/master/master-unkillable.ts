/**
 * A child that SIGKILL does not end keeps nothing from its end: `supervisor/child/spawn-child.ts`, `supervisor/workers/workers.ts`, `supervisor/master/shutdown.ts`.
 * A process that waits in the kernel cannot be made at will; to its parent one is the same that died and whose tracer, another user's, does not look.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { GIVE_UP_MS } from '../../../kit/process/tracers.js'
import { HELD_EVERY_MS } from '../../../supervisor/workers/workers.js'
import { isAlive, readyPids, startTree, type Tree, type TreeOptions } from '../fixtures/tree.js'

/** ptrace(2) by its number. */
const PTRACE: Record<string, number> = { x64: 101, arm64: 117 }
const perl = spawnSync('perl', ['-e', '1']).status === 0
const skip =
  (process.getuid?.() !== 0 && 'root') ||
  (!perl && 'perl (perl-base)') ||
  (PTRACE[process.arch] === undefined && 'ptrace of this machine')

/** Seizes these processes (PTRACE_SEIZE), becomes nobody, and never looks at them. */
async function seize(t: Test, pids: readonly number[]): Promise<ChildProcess> {
  const script = `syscall(${PTRACE[process.arch]}, 0x4206, $_ + 0, 0, 0) == 0 or exit 1 for @ARGV;
    $( = $) = 65534; $< = $> = 65534; $| = 1; print "traces"; sleep 60`
  const tracer = spawn('perl', ['-e', script, ...pids.map(String)], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => tracer.kill('SIGKILL'))
  await once(tracer.stdout!, 'data')
  return tracer
}

// Each waits for the first look at its killed child, which a timer brings.
t.jobs = 4

/** A master on a clock that can be moved on. */
async function movable(t: Test, options: TreeOptions = {}) {
  const clock = { aheadMs: 0 }
  const tree = await startTree(t, {
    ...options,
    deps: { nowMs: () => performance.now() + clock.aheadMs, backOffShare: 0 },
  })
  return { tree, clock }
}

/** Lets the time pass after which a killed process is given up. */
async function giveUp(tree: Tree, clock: { aheadMs: number }, event: string, count = 1): Promise<void> {
  clock.aheadMs += GIVE_UP_MS
  await tree.event(event, {}, count)
}

const end = async (tracer: ChildProcess): Promise<void> => {
  tracer.kill('SIGKILL')
  await once(tracer, 'exit')
}

const untilGone = async (pids: readonly number[]): Promise<void> => {
  while (pids.some(isAlive)) await new Promise(setImmediate)
}

t.test('a stop ends, and says which process it leaves', { skip, buffered: true }, async t => {
  const { tree, clock } = await movable(t, { settings: { processes: 2, reloadMercyMs: 0 } })
  await tree.event('worker-ready', {}, 2)
  const [pid, other] = readyPids(tree) as [number, number]
  const tracer = await seize(t, [pid])
  const stopped = tree.master.stop('test')
  await tree.event('worker-exit', { pid: other })
  await tree.event('worker-killed', { pid })
  await giveUp(tree, clock, 'worker-unkillable')
  await stopped
  t.equal(await tree.master.finished, 0)
  t.match(tree.master.unended, [{ pid, what: 'a worker of slot 1', why: /^it is traced by perl:\d+$/ }])
  t.match((await tree.event('master-stopped')).fields, { left: String(pid) })
  await end(tracer)
  await untilGone([pid])
})

t.test('so it does for a proxy', { skip, buffered: true }, async t => {
  const { tree, clock } = await movable(t, { settings: { reloadMercyMs: 0 }, proxy: { deaf: true } })
  const pid = tree.master.status().proxies[0]?.pid ?? 0
  const tracer = await seize(t, [pid])
  const stopped = tree.master.stop('test')
  await tree.event('proxy-draining')
  await tree.event('proxy-killed')
  await giveUp(tree, clock, 'proxy-unkillable')
  await stopped
  t.match(tree.master.unended, [{ pid, what: 'proxy 1' }])
  await end(tracer)
  await untilGone([pid])
})

t.test(
  'a reload goes on with the next slot, and the status shows the process until it ends',
  { skip, buffered: true },
  async t => {
    const settings = { processes: 2, workerReloadMercyMs: 0, reloadOverlap: 0 }
    const { tree, clock } = await movable(t, { settings })
    await tree.event('worker-ready', {}, 2)
    const [pid] = readyPids(tree) as [number]
    const tracer = await seize(t, [pid])
    const lines: string[] = []
    const reload = tree.master.reload(line => lines.push(line))
    await tree.event('worker-killed', { pid })
    await giveUp(tree, clock, 'worker-unkillable')
    t.match(await reload, { ok: true })
    t.match(
      lines.filter(line => line.startsWith(`pid ${pid}`)),
      [/a worker of slot 1, does not end: it is traced by perl/],
    )
    t.match(tree.master.status(), { workers: [{ phase: 'ready' }, { phase: 'ready' }], unended: [{ pid }] })
    await end(tracer)
    t.match((await tree.event('worker-exit', { pid })).fields, { why: 'reload' })
    t.equal(tree.master.status().unended, undefined)
  },
)

t.test('a slot of which two do not end gets no further worker, but by a reload', { skip, buffered: true }, async t => {
  const { tree, clock } = await movable(t)
  const tracers: ChildProcess[] = []
  for (const count of [1, 2]) {
    await tree.event('worker-ready', {}, count)
    const [pid] = readyPids(tree) as [number]
    tracers.push(await seize(t, [pid]))
    // The master kills it as it kills one whose loop is blocked.
    const loop = { request: 'GET /', elapsedMs: 1, inFlight: 1, others: '', at: '-', stack: '' }
    await tree.proxySays({ type: 'worker-blocked', workerId: count, ...loop })
    await tree.event('worker-harakiri', { pid })
    await giveUp(tree, clock, 'worker-unkillable', count)
  }
  t.match((await tree.event('slot-held-back')).fields, { slot: 1, why: 'unended', leaving: 2 })
  t.equal(tree.told.filter(({ event }) => event === 'worker-start').length, 2)
  clock.aheadMs += HELD_EVERY_MS
  await tree.event('slot-held-back', {}, 2)
  t.match(await tree.master.reload(() => {}), { ok: true })
  for (const tracer of tracers) await end(tracer)
  await tree.event('worker-exit', {}, 2)
})
