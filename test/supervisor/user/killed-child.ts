/**
 * `supervisor/user/killed-child.ts`: what the master starts, and kills, ends also where a program of the same user traces it. A real tracer for each kind: they wait three seconds together.
 */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readProcessStat } from '../../../kit/process/process-stat.js'
import { type CommandEnd, ShellCommand } from '../../../supervisor/attached/shell-command.js'
import { OutputGate } from '../../../supervisor/log/output-lines.js'
import { ChildLooks } from '../../../supervisor/reload/child-look.js'
import { LogChild } from '../../../supervisor/rotation/log-child.js'
import { FileRemovals } from '../../../supervisor/user/file-removal.js'
import { killForGood } from '../../../supervisor/user/killed-child.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { testPipes } from '../fixtures/test-pipes.js'

/** ptrace(2) by its number. */
const PTRACE: Record<string, number> = { x64: 101, arm64: 117 }
const perl = spawnSync('perl', ['-e', '1']).status === 0
const skip = (!perl && 'perl (perl-base)') || (PTRACE[process.arch] === undefined && 'ptrace of this machine')

/** Traces a process, and never waits for it. */
async function trace(t: { teardown(work: () => unknown): unknown }, pid: number): Promise<number> {
  const script = `syscall(${PTRACE[process.arch]}, 16, ${pid}, 0, 0) == 0 or exit 1; $| = 1; print "traces"; sleep 60`
  const tracer = spawn('perl', ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => tracer.kill('SIGKILL'))
  await once(tracer.stdout, 'data')
  return tracer.pid ?? 0
}

const asleep = ['/bin/sh', '-c', 'exec sleep 600', 'sh']

/** The child of ours that runs `sleep 600`, once there is one that is not known. */
async function sleeper(known: Set<number>): Promise<number> {
  for (;;) {
    const found = readdirSync('/proc')
      .map(Number)
      .find(pid => pid > 0 && !known.has(pid) && isSleeper(pid))
    if (found !== undefined) {
      known.add(found)
      return found
    }
    await new Promise(setImmediate)
  }
}

function isSleeper(pid: number): boolean {
  if (readProcessStat(pid)?.parent !== process.pid) return false
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1') === 'sleep\x00600\x00'
  } catch {
    // ENOENT: it has ended.
    return false
  }
}

t.test(
  'a hook, a daemon or a cron job; the process that moves the log; that which removes; that which looks',
  { skip },
  async t => {
    const known = new Set<number>()
    const told: unknown[] = []
    const tell = (_event: string, fields?: object) => void told.push((fields as { tracer: number }).tracer)
    const pipes = testPipes(t)
    const tracers: number[] = []
    const traceNext = async () => void tracers.push(await trace(t, await sleeper(known)))

    const folder = scratchFolder(t)
    const log = new LogChild({ path: join(folder, 'a.log'), owner: null, pipes, command: asleep, tell })
    const refused = t.rejects(log.make())
    await traceNext()
    log.stop()

    writeFileSync(join(folder, 'a'), '')
    const queue = new FileRemovals({ command: () => asleep, childMs: 2000, tell })
    queue.add(folder, ['a'], null)
    await traceNext()

    const stat = join(folder, 'stat')
    writeFileSync(stat, '#!/bin/sh\nexec sleep 600', { mode: 0o755 })
    const looks = new ChildLooks({ pipes, tellBlind: () => {}, tell, lookMs: 1000, find: () => stat })
    const looked = looks.look([{ key: '/x', path: '/x', as: null, entries: false }])
    await traceNext()

    const sink = { write: () => true, onDrain: () => {} }
    let end: ((end: CommandEnd) => void) | undefined
    const ended = new Promise<CommandEnd>(resolve => {
      end = resolve
    })
    const spec = {
      name: 'job',
      command: 'sleep 600',
      cwd: '/',
      env: { PATH: process.env.PATH ?? '' },
      credentials: null,
    }
    const shell = new ShellCommand(spec, { gate: new OutputGate(sink), pipes, log: tell }, end!)
    tracers.push(await trace(t, shell.pid ?? 0))
    shell.signal('SIGKILL')
    shell.signal('SIGKILL')
    t.match(await ended, { signal: 'SIGKILL', error: null })
    await refused
    await looked
    for (const pid of known) while (readProcessStat(pid)?.parent === process.pid) await new Promise(setImmediate)
    for (const pid of tracers) t.ok(told.includes(pid), 'each tracer is told')
  },
)

t.test('one that has ended is sent nothing: its number may be another’s', async t => {
  const child = spawn('true')
  await once(child, 'exit')
  killForGood(child, { credentials: null, letGo: () => t.fail('nothing is waited for') }, () => t.fail('no signal'))
})
