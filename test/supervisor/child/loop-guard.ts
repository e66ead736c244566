/**
 * Tests `supervisor/child/loop-guard.ts` and its thread: this process is the master, and a program makes its processes children of it (clone(2) with CLONE_PARENT).
 */

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { readProcessStat } from '../../../kit/process/process-stat.js'
import { guardLoop, type LoopGuardOptions } from '../../../supervisor/child/loop-guard.js'
import { spawnOwn } from '../../../supervisor/user/own-children.js'
import { until } from '../../e2e/fixtures/watched-site.js'

/** clone(2) by its number. */
const CLONE: Record<string, number> = { x64: 56, arm64: 220 }
const perl = spawnSync('perl', ['-e', '1']).status === 0
const skip = (!perl && 'perl (perl-base)') || (CLONE[process.arch] === undefined && 'clone of this machine')

/** Its number is printed. 0x8011: CLONE_PARENT and SIGCHLD. */
const PROGRAM = `$| = 1; my $pid = syscall(${CLONE[process.arch]}, 0x8011, 0, 0, 0, 0); print "$pid\\n" if $pid; alarm 60; sleep 100`
const LOOK_MS = 40

/** A program of ours, and a strange child that it has made. */
async function plant(t: Test) {
  const own = spawnOwn('perl', ['-e', PROGRAM], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => own.kill('SIGKILL'))
  const [text] = await once(own.stdout as Socket, 'data')
  const strange = Number(text)
  t.match(readProcessStat(strange), { parent: process.pid }, 'it is a child of ours')
  t.teardown(() => process.kill(strange, 'SIGKILL'))
  return { own: own.pid ?? 0, strange }
}

function start(t: Test, options: Partial<LoopGuardOptions> = {}) {
  const told: [event: string, fields: object | undefined][] = []
  const stop = guardLoop({ log: (event, fields) => told.push([event, fields]), lookMs: LOOK_MS, ...options })
  t.teardown(stop)
  return { told, stop }
}

/** The loop does not go round until the process is dead, or 20 s have passed. */
function standStill(pid: number): void {
  const word = new Int32Array(new SharedArrayBuffer(4))
  for (let waits = 0; waits < 1000 && !isDead(pid); waits++) Atomics.wait(word, 0, 0, 20)
}

const isDead = (pid: number) => readProcessStat(pid)?.state === 'Z'

t.test('while the loop stands still, who was not started here is killed', { skip }, async t => {
  const { told } = start(t)
  const first = await plant(t)
  standStill(first.strange)
  t.ok(isDead(first.strange))
  t.notOk(isDead(first.own), 'but nobody else')
  await until('it is told', () => told.length > 0)
  t.match(told, [['strange-children-killed', { count: 1, name: 'perl' }]])

  const second = await plant(t)
  standStill(second.strange)
  t.ok(isDead(second.strange), 'again')
  t.equal(told.length, 1, 'and not told again so soon')
})

t.test('what is killed later is told later', { skip }, async t => {
  const { told } = start(t, { tellMs: 500 })
  for (let count = 0; count < 3; count++) standStill((await plant(t)).strange)
  const sum = () => told.reduce((sum, [, fields]) => sum + Number((fields as { count: number }).count), 0)
  await until('all are told', () => sum() === 3)
  t.ok(told.length <= 3)
})

t.test('pid 1 has children that it did not start', { skip }, async t => {
  const { told } = start(t, { pid: 1 })
  const { strange } = await plant(t)
  const word = new Int32Array(new SharedArrayBuffer(4))
  for (let waits = 0; waits < 20; waits++) Atomics.wait(word, 0, 0, LOOK_MS)
  t.notOk(isDead(strange))
  t.same(told, [])
})

t.test('a master without it', async t => {
  const untold = start(t, { list: () => null })
  t.same(untold.told, [
    ['strange-children-unwatched', { why: 'the kernel does not list children (CONFIG_PROC_CHILDREN)' }],
  ])
  const lost = start(t, { entry: '/nonexistent/thread.js' })
  await until('it is told', () => lost.told.length > 0)
  t.match(lost.told, [['strange-children-unwatched', { why: /Cannot find module/ }]])
})
