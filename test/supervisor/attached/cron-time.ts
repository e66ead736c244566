/** Tests `supervisor/attached/cron-time.ts`: uWSGI's numbers, and the two nights on which the clock is changed. */

import t from 'tap'
import type { CronTimes } from '../../../kit/options/values/value-types.js'
import { nextRun } from '../../../supervisor/attached/cron-time.js'

const times = (text: string): CronTimes => {
  const [minute = -1, hour = -1, day = -1, month = -1, weekday = -1] = text.split(' ').map(Number)
  return { minute, hour, day, month, weekday }
}
/** Each next run after the one before. */
const runs = (text: string, after: string, count: number) => {
  const found: string[] = []
  let atMs: number | null = Date.parse(after)
  while (atMs !== null && found.length < count) {
    atMs = nextRun(times(text), atMs)
    found.push(atMs === null ? 'never' : new Date(atMs).toISOString().slice(0, 16))
  }
  return found
}

const cases: [zone: string, times: string, after: string, expected: string[]][] = [
  ['UTC', '-1 -1 -1 -1 -1', '2026-01-01T00:00:30Z', ['2026-01-01T00:01', '2026-01-01T00:02']],
  ['UTC', '-1 -1 -1 -1 -1', '2026-01-01T00:01:00Z', ['2026-01-01T00:02']],
  ['UTC', '59 2 -1 -1 -1', '2026-01-01T03:00Z', ['2026-01-02T02:59', '2026-01-03T02:59']],
  ['UTC', '-15 -1 -1 -1 -1', '2026-01-01T00:20Z', ['2026-01-01T00:30', '2026-01-01T00:45', '2026-01-01T01:00']],
  ['UTC', '0 -6 -1 -1 -1', '2026-01-01T00:00Z', ['2026-01-01T06:00', '2026-01-01T12:00']],
  ['UTC', '0 5 1 -1 -1', '2026-01-02T00:00Z', ['2026-02-01T05:00', '2026-03-01T05:00']],
  ['UTC', '0 0 29 2 -1', '2026-01-01T00:00Z', ['2028-02-29T00:00', '2032-02-29T00:00']],
  ['UTC', '0 0 -10 -6 -1', '2026-01-01T00:00Z', ['2026-06-10T00:00', '2026-06-20T00:00', '2026-06-30T00:00']],
  ['UTC', '0 0 -1 -1 0', '2026-01-01T00:00Z', ['2026-01-04T00:00', '2026-01-11T00:00']],
  ['UTC', '0 0 -1 -1 7', '2026-01-01T00:00Z', ['2026-01-04T00:00']],
  ['UTC', '0 0 13 -1 5', '2026-01-10T00:00Z', ['2026-01-13T00:00', '2026-01-16T00:00']],
  ['UTC', '0 0 30 2 -1', '2026-01-01T00:00Z', ['never']],
  // 2026-03-29: 02:00 CET is 03:00 CEST (01:00 UTC).
  ['Europe/Berlin', '30 2 -1 -1 -1', '2026-03-28T00:00Z', ['2026-03-28T01:30', '2026-03-29T01:00', '2026-03-30T00:30']],
  ['Europe/Berlin', '0 3 -1 -1 -1', '2026-03-28T12:00Z', ['2026-03-29T01:00', '2026-03-30T01:00']],
  ['Europe/Berlin', '30 -1 -1 -1 -1', '2026-03-29T00:00Z', ['2026-03-29T00:30', '2026-03-29T01:30']],
  // 2026-10-25: 03:00 CEST is 02:00 CET (01:00 UTC).
  ['Europe/Berlin', '30 2 -1 -1 -1', '2026-10-24T12:00Z', ['2026-10-25T00:30', '2026-10-26T01:30']],
  [
    'Europe/Berlin',
    '-30 -1 -1 -1 -1',
    '2026-10-25T00:00Z',
    ['2026-10-25T00:30', '2026-10-25T01:00', '2026-10-25T01:30'],
  ],
  ['Europe/Berlin', '30 3 -1 -1 -1', '2026-10-24T12:00Z', ['2026-10-25T02:30']],
  // By half an hour.
  ['Australia/Lord_Howe', '15 2 -1 -1 -1', '2026-10-03T00:00Z', ['2026-10-03T15:30', '2026-10-04T15:15']],
  // At midnight: 2026-09-06 begins at 01:00 (04:00 UTC) in Santiago.
  ['America/Santiago', '10 0 6 -1 -1', '2026-09-05T00:00Z', ['2026-09-06T04:00']],
]
for (const [zone, numbers, after, expected] of cases) {
  t.test(`${numbers} in ${zone} after ${after}`, async t => {
    const before = process.env.TZ
    process.env.TZ = zone
    t.teardown(() => {
      if (before === undefined) delete process.env.TZ
      else process.env.TZ = before
    })
    t.same(runs(numbers, after, expected.length), expected)
  })
}
