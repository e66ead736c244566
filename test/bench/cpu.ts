import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { cpuMicroseconds, type ProcessTimes, parseStat, readProcesses, treeOf } from '../../bench/cpu.js'

const stat = (name: string, phase = 'S'): string =>
  `412 (${name}) ${phase} 7 412 412 0 -1 4194560 900 0 0 0 11 22 33 44 20 0 11 0 98765 1000 200 184467 1 1 0 0 0 0 0\n`

t.test('parseStat', t => {
  const expected = { pid: 412, parentPid: 7, startTicks: 98_765, cpuTicks: 110, zombie: false }
  const cases: [string, string, ProcessTimes][] = [
    ['a plain name', stat('node'), expected],
    ['a name with spaces', stat('nginx: worker'), expected],
    ['a name that looks like the rest of the line', stat('x) R 1 1 (y'), expected],
    ['a zombie', stat('node', 'Z'), { ...expected, zombie: true }],
  ]
  for (const [title, text, times] of cases) t.strictSame(parseStat(text), times, title)
  for (const text of ['', '412 (node)', '412 (node) S x 1'])
    t.throws(() => parseStat(text), { code: 'BENCH_STAT' }, JSON.stringify(text))
  t.end()
})

const family = (...rows: [pid: number, parentPid: number, cpuTicks: number][]): Map<number, ProcessTimes> =>
  new Map(rows.map(([pid, parentPid, cpuTicks]) => [pid, { pid, parentPid, cpuTicks, startTicks: 0, zombie: false }]))

t.test('treeOf and cpuMicroseconds', t => {
  const processes = family([1, 0, 1000], [10, 1, 1], [11, 10, 2], [12, 11, 4], [20, 1, 8], [30, 1, 16])
  const cases: [string, number[], number[], number][] = [
    ['a root with its descendants', [10], [10, 11, 12], 70_000],
    ['two roots', [20, 10], [10, 11, 12, 20], 150_000],
    ['a root below a root counts once', [10, 11], [10, 11, 12], 70_000],
    ['no roots', [], [], 0],
  ]
  for (const [title, roots, pids, microseconds] of cases) {
    t.strictSame(
      treeOf(processes, roots)
        .map(({ pid }) => pid)
        .sort((a, b) => a - b),
      pids,
      title,
    )
    t.equal(cpuMicroseconds(roots, processes), microseconds, `${title}: CPU time`)
  }
  t.throws(
    () => cpuMicroseconds([10, 99], processes),
    { code: 'BENCH_PROCESS_GONE', message: /pid=99/ },
    'a root that is gone',
  )
  t.end()
})

t.test('a real tree: a grandchild that has ended still counts', async t => {
  const burn = 'const end = performance.now() + 300; while (performance.now() < end) {}'
  const program = `require('child_process').execFileSync(process.execPath, ['-e', ${JSON.stringify(burn)}]); console.log('burnt'); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const { pid = 0 } = child
  t.strictSame(
    treeOf(readProcesses(), [pid]).map(times => times.pid),
    [pid],
    'the grandchild is gone',
  )
  // Wall time was burnt: on a busy machine the CPU got less of it, but never nothing, and two starts of Node cost under 2 s.
  const used = cpuMicroseconds([pid])
  t.ok(used >= 100_000 && used < 2_500_000, `${used} µs`)
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.throws(() => cpuMicroseconds([pid]), { code: 'BENCH_PROCESS_GONE' }, 'after its end')
})
