/** Real commands in real groups: `supervisor/attached/shell-command.ts`. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { type CommandEnd, ShellCommand } from '../../../supervisor/attached/shell-command.js'
import { OutputGate } from '../../../supervisor/log/output-lines.js'
import { until } from '../../e2e/fixtures/watched-site.js'
import { testPipes } from '../fixtures/test-pipes.js'

/** Exists, and is no zombie that its new parent has not yet looked at. */
function isRunning(pid: number): boolean {
  const path = `/proc/${pid}/stat`
  return existsSync(path) && !/\) Z /.test(readFileSync(path, 'latin1'))
}

const env = { PATH: process.env.PATH ?? '' }
const pipes = testPipes(t)

/** Runs a command; `line` resolves with the first line that begins so. */
function run(command: string, cwd = process.cwd()) {
  const lines: string[] = []
  const waits: { start: string; found: (line: string) => void }[] = []
  const sink = {
    write: (bytes: Uint8Array) => {
      for (const line of Buffer.from(bytes).toString().trimEnd().split('\n')) {
        lines.push(line)
        for (const { start, found } of waits) if (line.startsWith(start)) found(line.slice(start.length))
      }
      return true
    },
    onDrain: () => {},
  }
  const line = (start: string) => new Promise<string>(found => waits.push({ start, found }))
  let shell: ShellCommand | undefined
  const ended = new Promise<CommandEnd>(resolve => {
    shell = new ShellCommand(
      { name: 'job', command, cwd, env, credentials: null },
      { gate: new OutputGate(sink), pipes },
      resolve,
    )
  })
  return { shell: shell!, ended, lines, line }
}

const ends: [title: string, command: string, end: Partial<CommandEnd>, lines: string[]][] = [
  ['well', 'echo one; echo two >&2; echo "three"', { code: 0, signal: null, error: null }, ['one', 'two', 'three']],
  ['with a code', 'exit 7', { code: 7, signal: null }, []],
  ['by a signal', 'kill -KILL $$', { code: null, signal: 'SIGKILL' }, []],
  ['not found', 'no-such-program-here', { code: 127 }, []],
  ['with nothing to read', 'cat; echo end', { code: 0 }, ['end']],
  ['as it is written', `printf '%s\\n' 'a b' "$0"`, { code: 0 }, ['a b', '/bin/sh']],
]
for (const [title, command, end, lines] of ends) {
  t.test(`ends ${title}`, async t => {
    const { shell, ended, lines: told } = run(command)
    t.match(await ended, end)
    const named = told.filter(line => !line.includes('not found'))
    t.same(named.toSorted(), lines.map(line => `[job] ${line}`).toSorted())
    if (title === 'not found') t.match(shell.errorLines()[0], /no-such-program-here/)
    shell.signal('SIGKILL')
  })
}

t.test('a folder that is not there', async t => {
  const { ended, shell } = run('true', '/no/such/folder')
  t.match(await ended, { code: null, error: /ENOENT/ })
  shell.signal('SIGTERM')
})

t.test('signals reach the command as themselves', async t => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'] as const) {
    const name = signal.slice(3)
    const { shell, ended, lines, line } = run(
      `trap 'echo got ${name}; exit 3' ${name}; echo up; while :; do sleep 0.05; done`,
    )
    await line('[job] up')
    shell.signal(signal)
    t.match(await ended, { code: 3 }, signal)
    t.ok(lines.includes(`[job] got ${name}`), `${signal}: ${lines.join('|')}`)
  }
  const { shell, ended, line } = run('echo up; exec sleep 1000')
  await line('[job] up')
  shell.signal('SIGTERM')
  t.match(await ended, { code: null, signal: 'SIGTERM' })
})

t.test('what a command leaves behind goes with it', async t => {
  const { ended, line } = run(
    `sh -c 'trap "" TERM; echo left $$; exec sleep 1000' & while :; do sleep 0.05; done & sleep 0.2`,
  )
  const left = Number(await line('[job] left '))
  t.match(await ended, { code: 0 })
  await until('it is gone, although it ignores SIGTERM', () => !isRunning(left))
})

t.test('SIGKILL takes the whole group', async t => {
  const { shell, ended, line } = run(`sleep 1000 & echo $!; wait`)
  const inner = Number(await line('[job] '))
  shell.signal('SIGKILL')
  t.match(await ended, { signal: 'SIGKILL' })
  await until('what it started is gone', () => !isRunning(inner))
})

t.test('when the master is killed the command ends', async t => {
  const master = spawn(process.execPath, [fileURLToPath(new URL('../fixtures/command-owner.js', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: master.stdout! })
  const [first] = await once(lines, 'line')
  const pid = Number(/\d+/.exec(first)?.[0])
  t.ok(isRunning(pid))
  process.kill(master.pid!, 'SIGKILL')
  // The command holds the pipe: it ends when the last of its group is gone.
  await once(lines, 'close')
  await until('it is gone', () => !isRunning(pid))
})
