/** The clock of deadlines: `kit/ground/running-clock.ts`. */

import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { COUNTED_MS, RunningClock, STILL_MS, TurnsOfLoop, waitOn } from '../../../kit/ground/running-clock.js'

const cases: [title: string, readMs: number[], expected: number[]][] = [
  ['turn by turn', [100, 200, 350], [100, 200, 350]],
  ['a busy turn', [100, 100 + STILL_MS], [100, 100 + STILL_MS]],
  ['a standstill counts a little', [100, 60_100, 60_150], [100, 100 + COUNTED_MS, 150 + COUNTED_MS]],
  ['one after the other', [1000, 2000, 3000], [COUNTED_MS, 2 * COUNTED_MS, 3 * COUNTED_MS]],
]
for (const [title, readMs, expected] of cases) {
  t.test(title, async t => {
    let atMs = 0
    const clock = new RunningClock(() => atMs)
    clock.isWatched = true
    const seen = readMs.map(ms => {
      atMs = ms
      return clock.now()
    })
    t.same(seen, expected)
  })
}

t.test('what is told of a duration leaves nothing out', async t => {
  let atMs = 0
  const clock = new RunningClock(() => atMs)
  clock.isWatched = true
  const nowAt = (ms: number) => {
    atMs = ms
    return clock.now()
  }
  const [begun, paused, between, pausedAgain] = [100, 5100, 5200, 9200].map(nowAt) as [number, number, number, number]
  t.equal(clock.passedMs(begun, paused), 5000)
  t.equal(clock.passedMs(paused, between), 100, 'a standstill before it is none of its')
  t.equal(clock.passedMs(begun, between), 5100, 'nor is one after it')
  t.equal(clock.passedMs(between, pausedAgain), 4000)
  t.equal(clock.passedMs(begun, pausedAgain), 9100)
})

t.test('unwatched it forgives nothing, neither before nor afterwards', async t => {
  let atMs = 0
  const clock = new RunningClock(() => atMs)
  atMs = 60_000
  clock.isWatched = true
  t.equal(clock.now(), 60_000)
  atMs = 120_000
  clock.isWatched = false
  t.equal(clock.now(), 60_000 + COUNTED_MS)
  atMs = 180_000
  t.equal(clock.now(), 120_000 + COUNTED_MS)
})

t.test('a short wait is over when the loop has turned, however long a turn has taken', async t => {
  const turns = new TurnsOfLoop(20)
  const begun = turns.begin()
  const fromMs = performance.now()
  while (performance.now() - fromMs < 100);
  await new Promise<void>(resolve => void waitOn(() => performance.now(), 0, resolve))
  t.notOk(turns.isOver(begun), 'when the timers of the standstill have come')
  await setImmediate()
  await setImmediate()
  t.notOk(turns.isOver(begun), 'when the sockets have been polled once')
  const later = turns.begin()
  const laterMs = performance.now()
  while (!turns.isOver(begun)) await setImmediate()
  t.notOk(turns.isOver(later), 'each wait is its own')
  while (!turns.isOver(later)) await setImmediate()
  t.ok(performance.now() - laterMs >= 20)
})

t.test('a wait goes on for what was lost, and can be called off', async t => {
  let lostMs = 0
  const now = () => performance.now() - lostMs
  const endMs = now() + 30
  waitOn(now, 5, () => t.fail('called off'))()
  await new Promise<void>(resolve => {
    waitOn(now, 30, resolve)
    lostMs = 20
  })
  t.ok(now() >= endMs)
})
