/** Tests `supervisor/host/process-presence.ts` with real processes. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import t from 'tap'
import {
  commandOf,
  isAlive,
  lifeOf,
  startTimeOf,
  userOf,
  waitUntilGone,
} from '../../../supervisor/host/process-presence.js'
import { nameThisProcess } from '../../kit/fixtures/own-name.js'

const endless = ['-e', 'process.stdin.resume()', 'marker-word']

t.test('a process is found, and is gone after its end', async t => {
  const child = spawn(process.execPath, endless, { stdio: ['pipe', 'ignore', 'ignore'] })
  await once(child, 'spawn')
  const life = lifeOf(child.pid ?? 0)
  if (life === null) throw new Error('the child is not seen')
  t.ok(isAlive(life))
  t.match(commandOf(life.pid), /marker-word/)
  const closed = once(child, 'close')
  child.kill('SIGKILL')
  t.equal(await waitUntilGone(life, 5000), true)
  await closed
  t.equal(lifeOf(life.pid), null)
  t.equal(commandOf(life.pid), null)
})

t.test('of a command line of any length the beginning is read', async t => {
  const words = Array.from({ length: 10 }, () => 'x'.repeat(100_000))
  const child = spawn(process.execPath, [...endless, ...words], { stdio: ['pipe', 'ignore', 'ignore'] })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child, 'spawn')
  const command = commandOf(child.pid ?? 0) ?? ''
  t.match(command, /marker-word x+$/)
  t.ok(command.length <= 64 * 1024, `${command.length} characters`)
})

t.test('waiting for a process that stays ends at the deadline', async t => {
  const life = lifeOf(process.pid)
  if (life === null) throw new Error('we are not seen')
  t.equal(await waitUntilGone(life, 50), false)
})

t.test(
  'the same pid with another start time is another process',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async t => {
    t.equal(isAlive({ pid: process.pid, startTicks: '1' }), false)
    t.equal(isAlive({ pid: process.pid, startTicks: '' }), true, 'without a start time the number decides')
  },
)

t.test('the start time is that of the process', { skip: process.platform !== 'linux' && 'needs /proc' }, async t => {
  const life = lifeOf(process.pid)
  const started = life === null ? null : startTimeOf(life)
  t.ok(Math.abs((started ?? 0) - (Date.now() - process.uptime() * 1000)) < 1000, `started=${started}`)
  t.equal(startTimeOf({ pid: 1, startTicks: '' }), null)
  t.equal(startTimeOf({ pid: 1, startTicks: '99999999999999' }), null, 'a start in the future says nothing')
})

t.test('no name makes another user of a process', { skip: process.platform !== 'linux' && 'needs /proc' }, async t => {
  for (const name of ['node', '\rUid:7', '\u2028Uid:7']) {
    nameThisProcess(t, name)
    t.equal(userOf(process.pid), process.getuid?.())
  }
})

const noProcesses: [string, number][] = [
  ['zero means our process group to kill(2)', 0],
  ['a negative number means a process group', -1],
  ['no whole number', 1.5],
  ['not a number', Number.NaN],
  ['past every pid_max', 2 ** 31 - 2],
]
for (const [title, pid] of noProcesses) t.equal(lifeOf(pid), null, title)

t.test(
  'a zombie is gone, although its pid can still be signalled',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async t => {
    // The shell becomes a program that never waits for the child that it inherits; only then may the child end.
    const script = 'cat <&3 >/dev/null & echo $!; exec sleep 60'
    const parent = spawn('/bin/sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore', 'pipe'] })
    t.teardown(() => parent.kill('SIGKILL'))
    const [chunk] = await once(parent.stdout as Readable, 'data')
    const pid = Number(String(chunk))
    while (readFileSync(`/proc/${parent.pid}/comm`, 'latin1') !== 'sleep\n') await new Promise(setImmediate)
    ;(parent.stdio[3] as Writable).end()
    const life = lifeOf(pid) ?? { pid, startTicks: '' }
    t.equal(await waitUntilGone(life, 5000), true)
    t.ok(process.kill(pid, 0), 'it is still in the process table')
  },
)
