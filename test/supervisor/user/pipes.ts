/** `supervisor/user/pipes.ts`: pipes over which no descriptor can be sent, and whose lock no child holds. */

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { codeOf, Failure } from '../../../kit/ground/failure.js'
import { readProcessStat } from '../../../kit/process/process-stat.js'
import { Child } from '../../../supervisor/child/spawn-child.js'
import { OutputGate } from '../../../supervisor/log/output-lines.js'
import { type PipeKind, PipeStock } from '../../../supervisor/user/pipes.js'
import { attackSource, LINGER_S } from '../fixtures/lingering-socket.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { startPiped, takePipes, testPipes } from '../fixtures/test-pipes.js'

const env = { PATH: process.env.PATH ?? '' }
/** Sockets. */
const openNow = () =>
  readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
    } catch (error) {
      // ENOENT: the folder itself.
      if (codeOf(error) !== 'ENOENT') throw error
      return false
    }
  }).length
const OF_CHILD: PipeKind[] = ['from-child', 'from-child', 'to-child', 'from-child']

t.test('each is a pair of its own on the loopback, one way, and none is read before it is used', async t => {
  const stock = new PipeStock()
  const before = openNow()
  const kinds = Array.from({ length: 10 }, (_, number) => (number % 3 === 0 ? 'to-child' : 'from-child') as PipeKind)
  const pipes = await takePipes(t, stock, kinds)
  for (const [number, { master, child }] of pipes.entries()) {
    t.same([master.remotePort, master.remoteAddress], [child.localPort, '127.0.0.1'])
    t.same([child.remotePort, child.remoteAddress], [master.localPort, '127.0.0.1'])
    const [reads, writes] = kinds[number] === 'to-child' ? [child, master] : [master, child]
    writes.write('word')
    t.equal(String((await once(reads, 'data'))[0]), 'word')
  }
  t.equal(new Set(pipes.map(({ child }) => child.localPort)).size, 10)
  await stock.fill()
  await stock.close()
  for (const { master, child } of pipes) for (const socket of [master, child]) socket.destroy()
  t.equal(openNow(), before, 'what was not taken is closed, and no listener is left')
  await t.rejects(takePipes(t, stock, ['to-child']), { code: 'pipes', message: /the master is ending/ })
})

t.test('who finds one ready gets it at once, all others in their order', async t => {
  const stock = testPipes(t)
  await stock.fill(6)
  const got: number[] = []
  const ask = (number: number) =>
    stock.ask(OF_CHILD, pipes => {
      if (Array.isArray(pipes)) got.push(number)
      for (const { master } of Array.isArray(pipes) ? pipes : []) master.destroy()
    })
  for (let number = 0; number < 6; number++) ask(number)
  t.same(got, [0, 1, 2, 3, 4, 5])
  for (let number = 6; number < 56; number++) ask(number)
  const callOff = ask(56)
  const last = takePipes(t, stock, OF_CHILD)
  t.equal(got.length, 6)
  callOff()
  await last
  t.same(
    got.slice(6),
    Array.from({ length: 50 }, (_, number) => number + 6),
    'the one that was called off got none',
  )
})

t.test('strangers that connect get nothing, and keep nobody from a pipe', async t => {
  const strangers: Socket[] = []
  t.teardown(() => {
    for (const socket of strangers) socket.destroy()
  })
  const ports: number[] = []
  // More than may wait, at first before each of ours, later behind them.
  const onListening = (port: number, host: string) => {
    const flood = () => {
      for (let count = 0; count < 600; count++) strangers.push(connect(port, host).on('error', () => {}))
    }
    if (ports.push(port) <= 2) flood()
    else process.nextTick(flood)
  }
  const stock = new PipeStock({ onListening, tryMs: 3000 })
  t.teardown(() => stock.close())
  const pipes = await takePipes(t, stock, OF_CHILD)
  const theirs = new Set(strangers.map(({ localPort }) => localPort))
  for (const { master, child } of pipes) {
    t.equal(master.remotePort, child.localPort)
    t.notOk(theirs.has(master.remotePort))
  }
})

t.test('a port whose connections nobody accepts is given up for another', async t => {
  const ports: number[] = []
  const blocked = ['127.0.0.1', '::1']
  const stock = new PipeStock({
    tryMs: 1000,
    onListening: (port, host) => {
      ports.push(port)
      // A try that finds nothing in time: this turn takes as long.
      if (ports.length <= 2 && blocked.includes(host))
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1100)
    },
  })
  t.teardown(() => stock.close())
  const pipes = await takePipes(t, stock, ['from-child'])
  t.equal(pipes.length, 1)
  t.equal(new Set(ports).size, ports.length)
})

t.test('without descriptors the failure says so, and later ones are made', async t => {
  const script = `
    const { PipeStock } = await import(process.argv[1])
    const { openSync, closeSync } = await import('node:fs')
    const stock = new PipeStock()
    const ask = () => new Promise(resolve => stock.ask(['from-child', 'to-child'], resolve))
    const held = []
    try { for (;;) held.push(openSync('/dev/null')) } catch {}
    const refused = await ask()
    console.log(refused.code, refused.exitCode, refused.message)
    for (const fd of held) closeSync(fd)
    console.log((await ask()).length)
    process.exit()`
  const path = fileURLToPath(new URL('../../../supervisor/user/pipes.js', import.meta.url))
  const limited = ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', script, path]
  const { stdout, stderr } = spawnSync('/bin/sh', limited, { encoding: 'utf8' })
  t.equal(stderr, '')
  t.match(stdout, /^pipes 71 cannot make pipes for children on the loopback: .*max-fd\n2\n$/)
})

const namespace = {
  skip: spawnSync('unshare', ['-rn', 'true']).status !== 0 && 'unshare (util-linux), and the right to',
}
t.test('without a loopback the failure says so, and one of IPv6 alone is enough', namespace, async t => {
  const script = `
    const { PipeStock } = await import(process.argv[1])
    const stock = new PipeStock()
    stock.ask(['from-child', 'to-child'], pipes => {
      console.log(pipes.message ?? pipes.map(({ master }) => master.remoteAddress).join(' '))
      process.exit()
    })`
  const path = fileURLToPath(new URL('../../../supervisor/user/pipes.js', import.meta.url))
  const within = (before: string) => {
    const words = [before, 'sh', process.execPath, '--input-type=module', '-e', script, path]
    return spawnSync('unshare', ['-rn', 'sh', '-c', ...words], { encoding: 'utf8' }).stdout
  }
  t.match(within('exec "$@"'), /^cannot make pipes for children on the loopback: .*: the loopback is down/)
  t.match(within('ip link set lo up; exec "$@"'), /^127.0.0.1 127.0.0.1\n/)
  t.match(within('ip link set lo up; ip addr del 127.0.0.1/8 dev lo; exec "$@"'), /^::1 ::1\n/)
})

t.test('a child that cannot be spawned leaves nothing open', async t => {
  const pipes = testPipes(t)
  await pipes.fill(4)
  const before = openNow()
  const program = { program: '/bin/true', args: [], env: { BIG: 'x'.repeat(10_000_000) }, cwd: '/' }
  await t.rejects(startPiped(pipes, program, ['ignore', 'from-child', 'from-child', 'to-child']), /E2BIG/)
  t.equal(openNow(), before - 6)
  const missing = { ...program, program: '/no/such', env: {} }
  const { child, streams } = await startPiped(pipes, missing, ['ignore', 'from-child', 'ignore', 'to-child'])
  const [, stdout, , control] = streams as Socket[]
  stdout!.resume()
  const closed = Promise.all([once(stdout!, 'close'), once(control!, 'close')])
  t.equal(child.pid, undefined)
  control!.destroy()
  await closed
  t.equal(openNow(), before - 10)
})

t.test('the end of each side is noticed, and the last words come first', async t => {
  const program = { program: '/bin/sh', args: ['-c', 'read -r line; echo "$line"; exec cat'], env, cwd: '/' }
  const before = openNow()
  const stock = new PipeStock()
  const { child, streams } = await startPiped(stock, program, ['to-child', 'from-child', 'inherit'])
  const [control, stdout] = streams as Socket[]
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
  const { streams } = await startPiped(testPipes(t), program, stdio)
  const [stdin, stdout, , control] = streams as Socket[]
  await once(stdout!, 'data')
  const closed = new Promise(resolve => control!.on('close', resolve))
  // The kernel takes the first words, and refuses those behind them.
  const write = () => void (control!.writable && control!.write('nobody reads', () => setImmediate(write)))
  write()
  await closed
  stdin!.destroy()
  await once(stdout!, 'close')
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
  const started = new Promise(resolve => {
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
        started: resolve,
      },
    )
  })
  await started
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
  t.match(printed, /NODE_HANDLE/, 'the kernel takes the words of such a message, and not its socket')
  t.match(broken, /^a message of \d+ bytes: /, 'and the channel ends with them, as with any others')
})

/** ptrace(2) by its number. */
const PTRACE: Record<string, number> = { x64: 101, arm64: 117 }
const ptraces = {
  skip: perl.skip || (PTRACE[process.arch] === undefined && 'a machine whose ptrace is not known here'),
}

t.test('a child that makes the master its tracer and stops does not live on unseen', ptraces, async t => {
  const script = `syscall(${PTRACE[process.arch]}, 0, 0, 0, 0); $| = 1; print "traced"; kill "STOP", $$; sleep 600`
  const program = { program: 'perl', args: ['-e', script], env, cwd: '/' }
  const { child, streams } = await startPiped(testPipes(t), program, ['ignore', 'from-child', 'ignore'])
  const pid = child.pid ?? 0
  t.teardown(() => endProcess(pid))
  const exited = once(child, 'exit')
  const [said] = await once(streams[1] as Socket, 'data')
  t.equal(String(said), 'traced')
  await exited
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

t.test('a stock that is closed refuses who still asks, and ends', async t => {
  const stock = new PipeStock()
  const answers: unknown[] = []
  for (let asked = 0; asked < 10; asked++) stock.ask(['from-child', 'to-child'], answer => void answers.push(answer))
  await stock.close()
  t.equal(answers.length, 10)
  t.ok(answers.every(answer => answer instanceof Failure))
})
