/**
 * Cheap clocks for the hot path: one for durations and deadlines, one for the age of what is remembered, and the date in the forms that HTTP and logs
 * print, made once a second.
 */

import { RunningClock } from '../kit/running-clock.js'

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** Watched as long as the proxy sweeps (`proxy-server.ts`). */
export const runningClock = new RunningClock()

/** Milliseconds in which the proxy could look (`kit/running-clock.ts`): of deadlines, which are compared with nothing else. */
export function monotonicMs(): number {
  return runningClock.now()
}

/** Between two readings of `monotonicMs`, with the time in which the proxy could not look: what logs and metrics tell. */
export function passedMs(fromMs: number, toMs: number): number {
  return runningClock.passedMs(fromMs, toMs)
}

/** Milliseconds, also those in which everything stood still: of what must not be older than its time, whoever could look. */
export function strictMs(): number {
  return performance.now()
}

let second = -1
let httpText = ''
let logText = ''

/** IMF-fixdate, RFC 9110 §5.6.7. */
export function httpDate(): string {
  refresh()
  return httpText
}

/** As nginx's `$time_local`, in UTC: `21/Nov/2026:10:00:00 +0000`. */
export function logDate(): string {
  refresh()
  return logText
}

function refresh(): void {
  const now = Date.now()
  if (Math.floor(now / 1000) === second) return
  second = Math.floor(now / 1000)
  const date = new Date(now)
  httpText = date.toUTCString()
  const [day, month, year] = [date.getUTCDate(), MONTHS[date.getUTCMonth()], date.getUTCFullYear()]
  logText = `${String(day).padStart(2, '0')}/${month}/${year}:${date.toISOString().slice(11, 19)} +0000`
}
