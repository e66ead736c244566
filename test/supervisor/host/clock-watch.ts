/** Who sees that clocks were set: `supervisor/host/clock-watch.ts`, on clocks of the test's own and on the real ones. */

import t from 'tap'
import { RunningClock } from '../../../kit/ground/running-clock.js'
import { type ClockFinding, compareReadings } from '../../../supervisor/host/clock-findings.js'
import { ClockWatch, readClocks } from '../../../supervisor/host/clock-watch.js'

t.test('a step is told once', async t => {
  const found: ClockFinding[] = []
  const clocks = { runMs: 0, wallMs: 0, bootMs: 0, cpuMs: 0, queuedMs: 0, awakeMs: 0 }
  const pass = (ms: number) => {
    for (const name of ['runMs', 'wallMs', 'bootMs'] as const) clocks[name] += ms
  }
  const watch = new ClockWatch(
    new RunningClock(() => clocks.runMs),
    finding => found.push(finding),
    () => ({ ...clocks }),
  )
  pass(250)
  watch.look()
  pass(250)
  clocks.wallMs += 3_600_000
  watch.look()
  pass(250)
  watch.look()
  t.same(found, [{ event: 'clock-stepped', stepMs: 3_600_000, direction: 'forward' }])
})

t.test('the clocks of this machine agree, and the running clock is watched from start to stop', async t => {
  let nowMs = 0
  const clock = new RunningClock(() => nowMs)
  const watch = new ClockWatch(clock, finding => t.fail(JSON.stringify(finding)))
  watch.start()
  nowMs = 10_000
  watch.look()
  t.ok(clock.now() < 1000)
  watch.stop()
  nowMs = 20_000
  t.ok(clock.now() > 10_000)
})

t.test('who waits in the kernel was not denied a core', async t => {
  const turn = () => new Promise(resolve => setImmediate(resolve))
  await turn()
  const before = readClocks()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2100)
  await turn()
  t.match(compareReadings(before, readClocks(), 0), [{ event: 'stood-still', why: 'kernel-wait' }])
})
