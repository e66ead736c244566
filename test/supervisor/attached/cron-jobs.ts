/** When cron jobs run on a clock that is set: `supervisor/attached/cron-jobs.ts`. Their runs and ends are tested in `master-attached-processes.ts`. */

import t from 'tap'
import { EXIT, Failure } from '../../../kit/ground/failure.js'
import type { EventFields } from '../../../kit/log/log.js'
import { cron } from '../../../kit/options/kinds/attached-kinds.js'
import { CronJobs } from '../../../supervisor/attached/cron-jobs.js'
import type { MasterContext } from '../../../supervisor/child/master-context.js'
import { OutputGate } from '../../../supervisor/log/output-lines.js'
import type { Pipes } from '../../../supervisor/user/pipes.js'

process.env.TZ = 'UTC'
const HOUR_MS = 3_600_000

/** `[passesMs, stepMs]`: so much time passes, then the clock is set by so much. */
const cases: [title: string, job: string, from: string, happens: [number, number][], runs: string[]][] = [
  ['no step', '0 3 -1 -1 -1', '02:30', [[HOUR_MS, 0]], ['03:30']],
  ['an hour forward: what was jumped over runs once, at once', '0 3 -1 -1 -1', '02:30', [[1000, HOUR_MS]], ['03:30']],
  ['every minute of it once', '-1 -1 -1 -1 -1', '02:30', [[1000, HOUR_MS]], ['03:30']],
  ['four hours forward: a correction', '0 3 -1 -1 -1', '02:30', [[1000, 4 * HOUR_MS]], ['skipped']],
  [
    'an hour back: not a second time',
    '0 3 -1 -1 -1',
    '02:50',
    [
      [0.2 * HOUR_MS, 0],
      [1000, -HOUR_MS],
      [HOUR_MS, 0],
      [23 * HOUR_MS, 0],
      [HOUR_MS, 0],
    ],
    ['03:02', '03:02'],
  ],
  [
    'forward and back again',
    '0 3 -1 -1 -1',
    '02:30',
    [
      [1000, HOUR_MS],
      [1000, -HOUR_MS],
      [HOUR_MS, 0],
      [1000, HOUR_MS],
    ],
    ['03:30'],
  ],
  [
    'a minute back, just behind a run of every hour',
    '30 -1 -1 -1 -1',
    '02:29',
    [
      [61_000, 0],
      [1000, -60_000],
      [60_000, 0],
      [HOUR_MS, 0],
    ],
    ['02:30', '03:30'],
  ],
  [
    'an hour back: a job of every hour does not rest',
    '30 -1 -1 -1 -1',
    '02:29',
    [
      [61_000, 0],
      [1000, -HOUR_MS],
      [HOUR_MS, 0],
    ],
    ['02:30', '02:30'],
  ],
  [
    'what has not run yet does, back or not',
    '0 3 -1 -1 -1',
    '02:50',
    [
      [1000, -HOUR_MS],
      [1.5 * HOUR_MS, 0],
    ],
    ['03:20'],
  ],
  [
    'a year back: the new time counts',
    '0 3 -1 -1 -1',
    '02:50',
    [
      [0.2 * HOUR_MS, 0],
      [1000, -(365 * 24 + 1) * HOUR_MS],
      [HOUR_MS, 0],
    ],
    ['03:02', '03:02'],
  ],
]
const noPipes: Pipes = {
  ask(_, answer) {
    answer(new Failure('pipes', 'there are none', EXIT.os))
    return () => {}
  },
}

for (const [title, numbers, from, happens, expected] of cases) {
  t.test(title, async t => {
    t.same(runsOf(numbers, from, happens), expected)
  })
}

/** The times of the clock at which a job was started, in UTC; its commands cannot be. */
function runsOf(numbers: string, from: string, happens: [number, number][]): string[] {
  let nowMs = 0
  let wallMs = Date.parse(`2026-06-15T${from}Z`)
  const runs: string[] = []
  const log = (event: string, _: EventFields = {}) => {
    if (event === 'cron-start') runs.push(new Date(wallMs).toISOString().slice(11, 16))
    else if (event === 'cron-skipped') runs.push('skipped')
  }
  const gate = new OutputGate({ write: () => true, onDrain: () => {} })
  const context = { nowMs: () => nowMs, log, put: () => {}, gate, pipes: noPipes } as unknown as MasterContext
  const place = () => ({ cwd: '/no/such/folder', env: {}, credentials: null })
  const jobs = new CronJobs(context, place, () => wallMs)
  const parsed = cron(false).parse(`${numbers} true`, { cwd: '/', chdir: '/', cores: 1 })
  if (!parsed.ok) throw new Error(numbers)
  jobs.apply({ cron: [parsed.value], cronHarakiriMs: 0 })
  for (const [passesMs, stepMs] of happens) {
    nowMs += passesMs
    wallMs += passesMs
    jobs.check()
    wallMs += stepMs
    jobs.check()
  }
  return runs
}
