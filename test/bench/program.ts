import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readProcesses } from '../../bench/cpu.js'
import { findExecutable, Program, type ProgramSpec } from '../../bench/program.js'

const node = (folder: string, script: string): ProgramSpec => {
  return {
    name: 'sample',
    command: process.execPath,
    args: ['-e', script],
    env: { GREETING: 'hello' },
    logPath: join(folder, 'sample.log'),
  }
}

/** Fulfilled once the program has written `text`. */
async function hasWritten(program: Program, text: string): Promise<void> {
  while (!program.lastLines().includes(text)) await new Promise(setImmediate)
}

t.test('starts with its own environment, stops, and says nothing of a good end', async t => {
  // Not a Node program: the test runner puts itself into those.
  const args = ['-c', 'echo "$GREETING, $HOME."; exec sleep 1000']
  const program = await Program.start({ ...node(t.testdir(), ''), command: '/bin/sh', args })
  await hasWritten(program, 'hello, .')
  t.equal(program.end, null)
  t.strictSame(await program.stop(), [])
  t.equal(await program.ended, 'signal SIGTERM')
  t.strictSame(await program.stop(), [], 'stopping twice')
})

t.test('tells how a program ended by itself, and its last lines', async t => {
  const program = await Program.start(
    node(t.testdir(), "for (let i = 1; i < 9; i++) console.error('line ' + i); process.exitCode = 3"),
  )
  t.equal(await program.ended, 'code 3')
  t.equal(program.end, 'code 3')
  t.equal(program.lastLines(2), 'line 7\nline 8')
})

t.test('kills what a program leaves behind', async t => {
  const script = `const { pid } = require('child_process').spawn('sleep', ['1000'], { stdio: 'ignore', detached: true }); console.log('child', pid); setInterval(() => {}, 1000)`
  const program = await Program.start(node(t.testdir(), script))
  await hasWritten(program, 'child')
  const pid = Number(/child (\d+)/.exec(readFileSync(program.spec.logPath, 'utf8'))?.[1])
  t.strictSame(await program.stop(), [`sample left a process behind: pid=${pid}: killed`])
  while (readProcesses().get(pid)?.zombie === false) await new Promise(setImmediate)
  t.pass('it is gone')
})

t.test('a command that cannot be executed', async t => {
  const spec = { ...node(t.testdir(), ''), command: '/no/such/program' }
  await t.rejects(Program.start(spec), { code: 'BENCH_START', message: /starting a program failed: sample: .*ENOENT/ })
})

t.test('findExecutable', t => {
  const folder = t.testdir({ first: { tool: '' }, second: { tool: '' } })
  mkdirSync(join(folder, 'third'))
  writeFileSync(join(folder, 'third/tool'), '')
  chmodSync(join(folder, 'second/tool'), 0o755)
  const path = ['first', 'second', 'third'].map(name => join(folder, name)).join(':')
  t.equal(findExecutable('tool', path), join(folder, 'second/tool'), 'the first that may be executed')
  t.equal(findExecutable('no-such-tool', path), null)
  t.end()
})
