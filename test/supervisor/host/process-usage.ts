/** Memory and CPU of the children: `supervisor/host/process-usage.ts`. */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { readProcessStat } from '../../../kit/process/process-stat.js'
import { ProcessUsage, type ReadUsage } from '../../../supervisor/host/process-usage.js'
import { nameThisProcess } from '../../kit/fixtures/own-name.js'

const HOUR_MS = 3_600_000

function usageOf(t: { teardown(end: () => void): void }, pids: () => number[], read?: ReadUsage): ProcessUsage {
  const usage = new ProcessUsage(pids, { read, everyMs: HOUR_MS })
  t.teardown(() => usage.stop())
  return usage
}

t.test('reads a real process', async t => {
  const usage = usageOf(t, () => [process.pid])
  t.equal(usage.of(process.pid), null)
  usage.round()
  const { rssBytes, cpuPercent, cpuSeconds } = usage.of(process.pid)!
  t.ok(rssBytes > 10_000_000 && cpuPercent >= 0 && cpuSeconds > 0)
  t.equal(usage.of(null), null)
})

t.test(
  'a name that looks like the memory is none',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async t => {
    nameThisProcess(t, '\rVmRSS:1 kB\r')
    const usage = usageOf(t, () => [process.pid])
    usage.round()
    t.ok(usage.of(process.pid)!.rssBytes > 10_000_000)
  },
)

/** exit(2) of one thread, by its number. */
const EXIT: Record<string, number> = { x64: 60, arm64: 93 }
const threads =
  EXIT[process.arch] === undefined || spawnSync('perl', ['-Mthreads', '-e', '1']).status !== 0
    ? { skip: 'needs a perl with threads, and the number of exit(2)' }
    : {}

t.test('a process whose first thread has ended has its memory still', threads, async t => {
  const script = `threads->create(sub { $| = 1; print "there"; sleep 600 }); syscall(${EXIT[process.arch]}, 0)`
  const child = spawn('perl', ['-Mthreads', '-e', script], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const pid = child.pid ?? 0
  while (readProcessStat(pid)?.state !== 'Z') await new Promise(resolve => setImmediate(resolve))
  const usage = usageOf(t, () => [pid])
  usage.round()
  t.ok((usage.of(pid)?.rssBytes ?? 0) > 1_000_000, `${usage.of(pid)?.rssBytes} bytes`)
})

t.test('a process that is gone spoils nothing', async t => {
  const usage = usageOf(t, () => [process.pid, 2 ** 22 - 1])
  usage.round()
  t.ok(usage.of(process.pid))
  t.equal(usage.of(2 ** 22 - 1), null)
})

t.test('the share of a core is that of the time between two rounds', async t => {
  let [nowMs, cpuSeconds] = [0, 5]
  let pids = [5]
  const read: ReadUsage = () => ({ rssBytes: 1, cpuSeconds })
  const usage = new ProcessUsage(() => pids, { read, nowMs: () => nowMs, everyMs: HOUR_MS })
  t.teardown(() => usage.stop())
  const shares: [afterMs: number, seconds: number, percent: number][] = [
    [0, 5, 0],
    [2000, 6, 50],
    [2000, 6, 0],
    [2000, 10, 200],
    [1000, 3, 0],
    [0, 4, 0],
    [3000, 4.37, 12.3],
  ]
  for (const [afterMs, seconds, cpuPercent] of shares) {
    nowMs += afterMs
    cpuSeconds = seconds
    usage.round()
    t.same(usage.of(5), { rssBytes: 1, cpuSeconds, cpuPercent })
  }
  pids = []
  nowMs += 1000
  usage.round()
  t.ok(usage.of(5), 'nobody is asked')
})

t.test('what cannot be read is not known', async t => {
  let isGone = false
  const usage = usageOf(
    t,
    () => [5],
    () => (isGone ? null : { rssBytes: 1, cpuSeconds: 0 }),
  )
  usage.round()
  t.ok(usage.of(5))
  isGone = true
  usage.round()
  t.equal(usage.of(5), null)
})
