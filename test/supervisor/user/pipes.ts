/** `supervisor/user/pipes.ts`: pipes over which no descriptor can be sent, whose names are gone, and whose other side no other user can open. */

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { codeOf } from '../../../kit/ground/failure.js'
import { systemProgram } from '../../../kit/ground/system-path.js'
import { readProcessStat } from '../../../kit/process/process-stat.js'
import { Child } from '../../../supervisor/child/spawn-child.js'
import { OutputGate } from '../../../supervisor/log/output-lines.js'
import { type Pipe, PipeStock, removePipes, spawnPiped } from '../../../supervisor/user/pipes.js'
import { attackSource, LINGER_S } from '../fixtures/lingering-socket.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { testPipes } from '../fixtures/test-pipes.js'

const env = { PATH: process.env.PATH ?? '' }
const openNow = () => readdirSync('/proc/self/fd').length
const isNonBlocking = (fd: number) => {
  const flags = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? '0'
  return (Number.parseInt(flags, 8) & constants.O_NONBLOCK) !== 0
}

t.test('each is a FIFO of ours without a name, blocking on the child’s side alone', async t => {
  const folder = scratchFolder(t)
  const stock = new PipeStock({ folder })
  const before = openNow()
  const pipes: Pipe[] = []
  for (let count = 0; count < 10; count++) {
    const kind = count % 3 === 0 ? 'to-child' : 'from-child'
    const pipe = stock.take(kind)
    pipes.push(pipe)
    t.same(readdirSync(folder), [], 'no name')
    for (const fd of [pipe.master, pipe.child]) {
      const stats = fstatSync(fd)
      t.ok(stats.isFIFO() && stats.uid === process.getuid?.() && (stats.mode & 0o777) === 0o600)
    }
    t.same([pipe.master, pipe.child].map(isNonBlocking), [true, false])
    const [reads, writes] = kind === 'to-child' ? [pipe.child, pipe.master] : [pipe.master, pipe.child]
    writeSync(writes, 'word')
    t.equal(readSync(reads, Buffer.alloc(10)), 4)
    t.throws(() => writeSync(reads, 'x'), { code: 'EBADF' }, 'one way only')
  }
  t.equal(new Set(pipes.map(({ master }) => fstatSync(master).ino)).size, 10, 'none is another one')
  await stock.fill()
  await stock.close()
  for (const { master, child } of pipes) for (const fd of [master, child]) closeSync(fd)
  t.equal(openNow(), before, 'what was not taken is closed')
  t.throws(() => stock.take('to-child'), { code: 'pipes' })
})

t.test('many are made by one program', async t => {
  let calls = 0
  const find = (name: string) => {
    calls += 1
    return systemProgram(name)
  }
  const stock = new PipeStock({ folder: scratchFolder(t), find })
  t.teardown(() => stock.close())
  await stock.fill(6)
  for (let child = 0; child < 6; child++) {
    const pipes = [stock.take('to-child'), ...Array.from({ length: 3 }, () => stock.take('from-child'))]
    for (const { master, child } of pipes) for (const fd of [master, child]) closeSync(fd)
  }
  t.equal(calls, 1)
})

const refusals: [title: string, find: typeof systemProgram, folder: string, why: RegExp][] = [
  ['without mkfifo', () => null, '', /mkfifo is not installed \(coreutils\)/],
  ['where the folder is gone', systemProgram, 'gone', /ENOENT/],
  ['where the folder takes no FIFO', systemProgram, '/proc/self', /pipes for children in run-dir=\/proc\/self: /],
]
for (const [title, find, path, why] of refusals) {
  t.test(title, async t => {
    const folder = path.startsWith('/') ? path : join(scratchFolder(t), path)
    const stock = new PipeStock({ folder, find })
    const before = openNow()
    await stock.fill()
    for (const asks of [() => stock.demand(), () => stock.take('from-child')])
      t.throws(asks, { code: 'pipes', exitCode: 71, message: why })
    t.equal(openNow(), before)
  })
}

t.test('a folder that was removed is made anew first', async t => {
  const folder = join(scratchFolder(t), 'run')
  const stock = new PipeStock({ folder, keepFolder: () => mkdirSync(folder) })
  t.teardown(() => stock.close())
  const { master, child } = stock.take('from-child')
  closeSync(master)
  closeSync(child)
})

t.test('a start removes what a killed master left, and nothing else', async t => {
  const folder = scratchFolder(t)
  const left = ['pipe.77.1', 'pipe.77.12', 'pipe.77', 'pipes.77.1', 'pipe.77.1.x'].map(name => join(folder, name))
  spawnSync('mkfifo', left)
  writeFileSync(join(folder, 'pipe.77.2'), 'a file')
  removePipes(folder)
  t.same(readdirSync(folder).toSorted(), ['pipe.77', 'pipe.77.1.x', 'pipe.77.2', 'pipes.77.1'])
})

t.test('a child that cannot be spawned leaves nothing open', async t => {
  const pipes = testPipes(t)
  await pipes.fill(4)
  const before = openNow()
  const program = { program: '/bin/true', args: [], env: { BIG: 'x'.repeat(10_000_000) }, cwd: '/' }
  t.throws(() => spawnPiped(pipes, null, program, ['ignore', 'from-child', 'from-child', 'to-child'], {}), /E2BIG/)
  t.equal(openNow(), before - 6)
  const missing = { ...program, program: '/no/such', env: {} }
  const { child, streams } = spawnPiped(pipes, null, missing, ['ignore', 'from-child', 'ignore', 'to-child'], {})
  const [, stdout, , control] = streams as Socket[]
  stdout!.resume()
  const closed = Promise.all([once(stdout!, 'close'), once(control!, 'close')])
  await once(child, 'error')
  control!.destroy()
  await closed
  t.equal(openNow(), before - 10)
})

t.test('the end of each side is noticed, and the last words come first', async t => {
  const program = { program: '/bin/sh', args: ['-c', 'read -r line <&3; echo "$line"; exec 3<&-; cat'], env, cwd: '/' }
  const before = openNow()
  const stock = new PipeStock({ folder: scratchFolder(t) })
  const { child, streams } = spawnPiped(stock, null, program, ['ignore', 'from-child', 'inherit', 'to-child'], {})
  const [, stdout, , control] = streams as Socket[]
  let said = ''
  stdout!.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const closed = Promise.all([once(stdout!, 'close'), once(control!, 'close'), once(child, 'exit')])
  control!.end('hello\n')
  await closed
  t.equal(said, 'hello\n')
  await stock.close()
  t.ok(openNow() <= before, 'nothing stays open')
})

t.test('what cannot be read or written ends a pipe, and nothing else', async t => {
  const program = { program: '/bin/sh', args: ['-c', 'exec 3<&-; echo gone; read -r line'], env, cwd: '/' }
  const stdio = ['to-child', 'from-child', 'inherit', 'to-child'] as const
  const { streams } = spawnPiped(testPipes(t), null, program, stdio, {})
  const [stdin, stdout, , control] = streams as Socket[]
  await once(stdout!, 'data')
  const closed = new Promise(resolve => control!.on('close', resolve))
  control!.write('nobody reads')
  await closed
  stdin!.destroy()
  await once(stdout!, 'close')
})

t.test('no other user opens the other side', { skip: process.getuid?.() !== 0 && 'needs root' }, async t => {
  const { master, child } = testPipes(t).take('to-child')
  const tries = `for way in '<' '>' '<>'; do
    if (eval ": $way/proc/self/fd/3") 2>/dev/null; then echo open; else echo closed; fi
  done`
  const asked = (as: object) =>
    spawnSync('/bin/sh', ['-c', tries], { ...as, cwd: '/', stdio: ['ignore', 'pipe', 'inherit', child] })
  const nobody = asked({ uid: 65534, gid: 65534 })
  t.equal(nobody.stdout.toString(), 'closed\nclosed\nclosed\n')
  t.equal(asked({}).stdout.toString(), 'open\nopen\nopen\n', 'root may')
  closeSync(master)
  closeSync(child)
})

const perl = { skip: spawnSync('perl', ['-MSocket', '-e', '1']).status !== 0 && 'perl (perl-base)' }
t.test('a socket that lingers, sent over each descriptor of a child, holds the master up nowhere', perl, async t => {
  const folder = scratchFolder(t)
  const [entry, outcomes, holders] = ['child.cjs', 'outcomes', 'holders'].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(entry, attackSource([1, 2, 3, 4], outcomes, holders))
  let printed = ''
  const gate = new OutputGate({
    write: chunk => {
      printed += Buffer.from(chunk).toString('latin1')
      return true
    },
    onDrain: () => {},
  })
  const spec = { entry, nodeArgs: [], credentials: null, title: 'x', cwd: folder, env, descriptors: [], limits: {} }
  let isOver = false
  let broken: string | null = ''
  new Child(
    { ...spec, stdout: 'pipe' },
    { gate, pipes: testPipes(t) },
    {
      message: () => true,
      channelClosed: why => {
        broken = why
      },
      slowed: () => {},
      exit: () => {
        isOver = true
      },
    },
  )
  // Nothing is read meanwhile: whatever the kernel has taken waits to be read, and has no other owner by then.
  const pause = new Int32Array(new SharedArrayBuffer(4))
  while (!existsSync(outcomes) || !readFileSync(outcomes, 'utf8').endsWith('over\n')) Atomics.wait(pause, 0, 0, 20)
  t.teardown(() => {
    for (const pid of readFileSync(holders, 'utf8').trim().split('\n')) endProcess(Number(pid))
  })
  t.equal(readFileSync(holders, 'utf8').trim().split('\n').length, 4, 'there were four sockets')
  let longestMs = 0
  while (!isOver) {
    const sinceMs = performance.now()
    await nextTurn()
    longestMs = Math.max(longestMs, performance.now() - sinceMs)
  }
  t.ok(longestMs < (LINGER_S * 1000) / 2, `the longest turn took ${longestMs} ms`)
  t.equal(broken, null)
  t.notMatch(printed, /NODE_HANDLE/, 'the kernel takes no message with a socket')
})

/** ptrace(2) by its number. */
const PTRACE: Record<string, number> = { x64: 101, arm64: 117 }
const ptraces = {
  skip: perl.skip || (PTRACE[process.arch] === undefined && 'a machine whose ptrace is not known here'),
}

t.test('a child that makes the master its tracer and stops does not live on unseen', ptraces, async t => {
  const script = `syscall(${PTRACE[process.arch]}, 0, 0, 0, 0); $| = 1; print "traced"; kill "STOP", $$; sleep 600`
  const program = { program: 'perl', args: ['-e', script], env, cwd: '/' }
  const { child, streams } = spawnPiped(testPipes(t), null, program, ['ignore', 'from-child', 'ignore'], {})
  const pid = child.pid ?? 0
  t.teardown(() => endProcess(pid))
  const [said] = await once(streams[1] as Socket, 'data')
  t.equal(String(said), 'traced')
  await once(child, 'exit')
  while ((readProcessStat(pid)?.state ?? 'Z') !== 'Z') await nextTurn()
  t.pass('it is dead')
})

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    // ESRCH: its alarm was first.
    if (codeOf(error) !== 'ESRCH') throw error
  }
}
