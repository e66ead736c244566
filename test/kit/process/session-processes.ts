/** What is left of a session, and its end: `kit/process/session-processes.ts`. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { isDead, parseProcessStat, readProcessStat } from '../../../kit/process/process-stat.js'
import { endSession, processesOfSession } from '../../../kit/process/session-processes.js'

const isRunning = (pid: number) => {
  const stat = readProcessStat(pid)
  return stat !== null && !isDead(stat)
}

/** A shell that leads a session, starts what `source` says, prints the pids of it, and ends. */
async function startSession(t: Test, source: string): Promise<{ leader: number; children: number[] }> {
  const shell: ChildProcess = spawn('/bin/bash', ['-c', source], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  shell.stdout?.on('data', chunk => {
    printed += chunk
  })
  await once(shell, 'exit')
  while (!printed.includes('.')) await once(shell.stdout!, 'data')
  const children = printed.match(/\d+/g)?.map(Number) ?? []
  t.teardown(() => {
    for (const pid of children) if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  })
  return { leader: shell.pid!, children }
}

const QUIET = '>/dev/null 2>&1 </dev/null'

const kinds: [title: string, source: string][] = [
  ['a child', `sleep 1000 ${QUIET} & echo $!.`],
  ['the child of a child', `sh -c 'sleep 1000 ${QUIET} & echo $!.'`],
  ['one in a process group of its own', `set -m; sleep 1000 ${QUIET} & echo $!.`],
  ['several', `sleep 1000 ${QUIET} & echo $!; sleep 1000 ${QUIET} & echo $!.`],
]
for (const [title, source] of kinds) {
  t.test(`${title}: found and ended by SIGTERM`, async t => {
    const { leader, children } = await startSession(t, source)
    const found = await processesOfSession(leader)
    t.same(found.map(({ pid }) => pid).sort(), children.sort())
    t.same(await endSession(leader, found, 60_000), { killed: [], left: [] })
    t.notOk(children.some(isRunning))
  })
}

t.test('what SIGTERM does not end is killed', async t => {
  const { leader, children } = await startSession(t, `trap '' TERM; sleep 1000 ${QUIET} & echo $!.`)
  const { killed, left } = await endSession(leader, await processesOfSession(leader), 10)
  t.match(killed, [{ pid: children[0], name: 'sleep' }])
  t.same(left, [])
  t.notOk(children.some(isRunning))
})

t.test('many are ended in many turns of the loop', async t => {
  const { leader, children } = await startSession(
    t,
    `trap '' TERM; for count in {1..250}; do sleep 1000 ${QUIET} & echo $!; done; echo .`,
  )
  const found = await processesOfSession(leader)
  t.equal(found.length, 250)
  let turn = 0
  const count = () => {
    turn += 1
    counting = setImmediate(count)
  }
  let counting = setImmediate(count)
  const signalled = new Map<number, number>()
  const kill = process.kill
  process.kill = (pid, signal) => {
    signalled.set(turn, (signalled.get(turn) ?? 0) + 1)
    return kill.call(process, pid, signal)
  }
  t.teardown(() => {
    process.kill = kill
    clearImmediate(counting)
  })
  const { killed, left } = await endSession(leader, found, 1)
  t.same([killed.length, left.length], [250, 0])
  t.notOk(children.some(isRunning))
  t.ok(Math.max(...signalled.values()) <= 100, `at most ${Math.max(...signalled.values())} in one turn`)
})

t.test('one in a session of its own is somebody else', async t => {
  const { leader, children } = await startSession(t, `setsid sleep 1000 ${QUIET} & echo $!.`)
  // Until setsid has run it is in the shell's session.
  while ((await processesOfSession(leader)).length > 0);
  t.ok(children.every(isRunning))
})

t.test('a number that is a new process’s is left alone', async t => {
  const other = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' })
  t.teardown(() => other.kill('SIGKILL'))
  t.same(await processesOfSession(other.pid!), [])
})

/** ptrace(2) by its number. */
const PTRACE: Record<string, number> = { x64: 101, arm64: 117 }
const ptraces = {
  skip:
    (spawnSync('perl', ['-e', '1']).status !== 0 && 'perl (perl-base)') ||
    (PTRACE[process.arch] === undefined && 'a machine whose ptrace is not known here'),
}

t.test('a leader that made us its tracer and stopped has not ended, and is the same one', ptraces, async t => {
  const script = `my $pid = fork; if (!$pid) { open STDOUT, '>', '/dev/null'; exec 'sleep', '1000' } $| = 1; print "$pid.";
    syscall(${PTRACE[process.arch]}, 0, 0, 0, 0); kill 'STOP', $$; sleep 600`
  const perl = spawn('perl', ['-e', script], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
  const leader = perl.pid!
  const { startTicks } = readProcessStat(leader)!
  const exited = once(perl, 'exit')
  const [printed] = await once(perl.stdout, 'data')
  const child = Number.parseInt(String(printed), 10)
  t.teardown(() => {
    for (const pid of [child, leader]) if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  })
  await exited
  t.equal(readProcessStat(leader)?.state, 't', 'libuv took its stop for its end')
  t.same(await processesOfSession(leader), [], 'the number alone says nothing')
  t.same(await processesOfSession(leader, `${startTicks}0`), [], 'a process of another start is a new one')
  const found = await processesOfSession(leader, startTicks)
  t.match(found, [{ pid: child }])
  t.match(await endSession(leader, found, 60_000, () => false, startTicks), { left: [] })
  t.notOk(isRunning(child))
})

t.test('of this process itself, without itself', async t => {
  const stat = readProcessStat(process.pid)
  t.match(stat, { state: 'R' })
  const found = await processesOfSession(process.pid)
  t.notOk(found.some(({ pid }) => pid === process.pid))
})

t.test('the kernel’s line', async t => {
  t.same(parseProcessStat('12 (a (b) c) Z 1 12 11 0 -1 0 0 0 0 0 7 3 0 0 20 0 1 0 987 0\n'), {
    cpuTicks: 10,
    name: 'a (b) c',
    state: 'Z',
    parent: 1,
    session: 11,
    threads: 1,
    startTicks: '987',
  })
  t.equal(readProcessStat(0), null)
})

t.test('who is dead', async t => {
  const line = (state: string, threads: number) =>
    `12 (a) ${state} 1 12 11 0 -1 0 0 0 0 0 0 0 0 0 20 0 ${threads} 0 987 0\n`
  const cases: [title: string, line: string, expected: boolean][] = [
    ['one that runs', line('R', 1), false],
    ['one that sleeps', line('S', 7), false],
    ['one that waits for its parent', line('Z', 1), true],
    ['one that is being taken away', line('Z', 0), true],
    ['one of no threads any more', line('X', 0), true],
    ['one whose first thread has ended and another one runs', line('Z', 2), false],
    ['one with many others', line('Z', 33), false],
    ['a line that breaks off', '12 (a) Z', true],
  ]
  for (const [title, text, expected] of cases) t.equal(isDead(parseProcessStat(text)), expected, title)
})
