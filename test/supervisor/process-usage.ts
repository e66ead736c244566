/** Memory and CPU of the children: `supervisor/process-usage.ts`. */

import t from 'tap'
import { ProcessUsage, type ReadUsage } from '../../supervisor/process-usage.js'

const HOUR_MS = 3_600_000

function usageOf(t: { teardown(end: () => void): void }, pids: () => number[], read?: ReadUsage): ProcessUsage {
  const usage = new ProcessUsage(pids, { read, everyMs: HOUR_MS })
  t.teardown(() => usage.stop())
  return usage
}

t.test('reads a real process', async t => {
  const usage = usageOf(t, () => [process.pid])
  t.equal(usage.of(process.pid), null)
  await usage.round()
  const { rssBytes, cpuPercent, cpuSeconds } = usage.of(process.pid)!
  t.ok(rssBytes > 10_000_000 && cpuPercent >= 0 && cpuSeconds > 0)
  t.equal(usage.of(null), null)
})

t.test('a process that is gone spoils nothing', async t => {
  const usage = usageOf(t, () => [process.pid, 2 ** 22 - 1])
  await usage.round()
  t.ok(usage.of(process.pid))
  t.equal(usage.of(2 ** 22 - 1), null)
})

t.test('a round is never overtaken, and an empty one asks nobody', async t => {
  let pids = [5]
  let rounds = 0
  let finish = (_: Awaited<ReturnType<ReadUsage>>) => {}
  const usage = usageOf(
    t,
    () => pids,
    () => {
      rounds++
      return new Promise(resolve => {
        finish = resolve
      })
    },
  )
  const first = usage.round()
  await usage.round()
  t.equal(rounds, 1)
  finish({ 5: { memory: 1, cpu: 12.345, ctime: 2500 } })
  await first
  t.same(usage.of(5), { rssBytes: 1, cpuPercent: 12.3, cpuSeconds: 2.5 })
  pids = []
  await usage.round()
  t.equal(rounds, 1)
})

t.test('what cannot be read is not known', async t => {
  let isBroken = false
  const usage = usageOf(
    t,
    () => [5],
    async () => {
      if (isBroken) throw new Error('No matching pid found')
      return { 5: { memory: 1, cpu: 0, ctime: 0 } }
    },
  )
  await usage.round()
  t.ok(usage.of(5))
  isBroken = true
  await usage.round()
  t.equal(usage.of(5), null)
})
