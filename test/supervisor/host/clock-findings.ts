/** What two readings of the clocks say: `supervisor/host/clock-findings.ts`. */

import t from 'tap'
import { type ClockFinding, type ClockReading, compareReadings } from '../../../supervisor/host/clock-findings.js'

const HOUR_MS = 3_600_000
const LOOK_MS = 250
const before: ClockReading = { runMs: 10_000, wallMs: 1.7e12, bootMs: 50_000, cpuMs: 300, queuedMs: 70, awakeMs: 900 }

const cases: [title: string, passed: Partial<ClockReading>, expected: ClockFinding[]][] = [
  ['nothing', {}, []],
  ['a late look', { runMs: 2250, wallMs: 2250, bootMs: 2250 }, []],
  ['a clock that is adjusted', { wallMs: 2249 }, []],
  [
    'an hour forward',
    { wallMs: LOOK_MS + HOUR_MS },
    [{ event: 'clock-stepped', stepMs: HOUR_MS, direction: 'forward' }],
  ],
  ['an hour back', { wallMs: LOOK_MS - HOUR_MS }, [{ event: 'clock-stepped', stepMs: HOUR_MS, direction: 'backward' }]],
  ['stopped', { runMs: 5250, wallMs: 5250, bootMs: 5250 }, [{ event: 'stood-still', stillMs: 5000, why: 'no-turn' }]],
  [
    'busy',
    { runMs: 5250, wallMs: 5250, bootMs: 5250, cpuMs: 4000 },
    [{ event: 'stood-still', stillMs: 5000, why: 'busy' }],
  ],
  [
    'busy, and had to wait for a core at times',
    { runMs: 5250, wallMs: 5250, bootMs: 5250, cpuMs: 3000, queuedMs: 2200, awakeMs: 5200 },
    [{ event: 'stood-still', stillMs: 5000, why: 'busy' }],
  ],
  [
    'without a core',
    { runMs: 5250, wallMs: 5250, bootMs: 5250, cpuMs: 10, queuedMs: 5000, awakeMs: 20 },
    [{ event: 'stood-still', stillMs: 5000, why: 'starved' }],
  ],
  [
    'a slow disk',
    { runMs: 5250, wallMs: 5250, bootMs: 5250, cpuMs: 10, queuedMs: 100, awakeMs: 5000 },
    [{ event: 'stood-still', stillMs: 5000, why: 'kernel-wait' }],
  ],
  [
    'suspended: the monotonic clock stands still',
    { wallMs: LOOK_MS + HOUR_MS, bootMs: LOOK_MS + HOUR_MS },
    [{ event: 'stood-still', stillMs: HOUR_MS, why: 'suspended' }],
  ],
  [
    'suspended, with processes that were stopped longer',
    { runMs: 5250, wallMs: 5250 + HOUR_MS, bootMs: 5250 + HOUR_MS },
    [{ event: 'stood-still', stillMs: HOUR_MS + 5000, why: 'suspended' }],
  ],
  [
    'a machine that woke up with a wrong clock',
    { bootMs: LOOK_MS + HOUR_MS },
    [
      { event: 'stood-still', stillMs: HOUR_MS, why: 'suspended' },
      { event: 'clock-stepped', stepMs: HOUR_MS, direction: 'backward' },
    ],
  ],
]
for (const [title, passed, expected] of cases) {
  t.test(title, async t => {
    const elapsed = { runMs: LOOK_MS, wallMs: LOOK_MS, bootMs: LOOK_MS, cpuMs: 1, queuedMs: 1, awakeMs: 1, ...passed }
    const now = {
      runMs: before.runMs + elapsed.runMs,
      wallMs: before.wallMs + elapsed.wallMs,
      bootMs: before.bootMs + elapsed.bootMs,
      cpuMs: before.cpuMs + elapsed.cpuMs,
      queuedMs: before.queuedMs + elapsed.queuedMs,
      awakeMs: before.awakeMs + elapsed.awakeMs,
    }
    t.same(compareReadings(before, now, LOOK_MS), expected)
  })
}
