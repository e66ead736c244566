/**
 * Computes the next run of a cron job: uWSGI's five numbers against the local clock. Pure.
 *
 * Daylight saving works as in Vixie cron. When the clock repeats an hour, a job at a fixed time in that hour runs once.
 * When the clock skips an hour, such a job runs right after the gap. A job of every hour runs by the time that really
 * passes.
 */

import type { CronTimes } from '../../kit/options/values/value-types.js'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** The 29th of February may be eight years away (1896, 2096). */
const FAREST_MS = 8 * 366 * 24 * HOUR_MS
/** After the clock was set back, times repeat for at most this long. */
const REPEAT_MS = 3 * HOUR_MS

/**
 * The first time after `afterMs` (milliseconds since the epoch), on a whole minute; null: never (the 30th of February).
 */
export function nextRun(times: CronTimes, afterMs: number): number | null {
  let atMs = (Math.floor(afterMs / MINUTE_MS) + 1) * MINUTE_MS
  while (atMs - afterMs < FAREST_MS) {
    if (isDue(times, atMs)) return atMs
    atMs += stepMs(times, new Date(atMs))
  }
  return null
}

/**
 * `nextRun` on a clock that was set back, for a job whose last run began `agoMs` ago. If the next time is less than
 * half of the usual interval after that run, the job has run at this time already, and the time is skipped. Otherwise
 * the job runs: a job of every few minutes must not rest for as long as the clock was set back.
 */
export function nextRunOfRepeatedTime(times: CronTimes, afterMs: number, agoMs: number): number | null {
  const nextMs = nextRun(times, afterMs)
  const secondMs = nextMs === null ? null : nextRun(times, nextMs)
  if (nextMs === null || secondMs === null) return nextMs
  return agoMs + nextMs - afterMs < (secondMs - nextMs) / 2 ? secondMs : nextMs
}

/** Whether the job runs in the minute that begins at `atMs`. */
function isDue(times: CronTimes, atMs: number): boolean {
  if (times.hour < 0) return matches(times, wallOf(atMs))
  if (matches(times, wallOf(atMs))) return !isRepeated(atMs)
  // The first minute after a gap stands for all minutes that the clock skipped.
  const wall = wallOf(atMs)
  for (let left = wallOf(atMs - MINUTE_MS) + MINUTE_MS; left < wall; left += MINUTE_MS) {
    if (matches(times, left)) return true
  }
  return false
}

/**
 * The step to the next minute, or over an hour in which nothing can match. It always lands on the first minute of a
 * local hour, because clocks change there.
 */
function stepMs({ hour }: CronTimes, at: Date): number {
  const isWorthLooking = hour < 0 ? at.getHours() % -hour === 0 : at.getHours() === hour
  return isWorthLooking ? MINUTE_MS : HOUR_MS - at.getMinutes() * MINUTE_MS
}

/** The local time as if it were UTC: a number for calculations. */
function wallOf(atMs: number): number {
  return atMs - new Date(atMs).getTimezoneOffset() * MINUTE_MS
}

/** Whether the clock showed this time before. */
function isRepeated(atMs: number): boolean {
  const setBackMs = atMs - REPEAT_MS - wallOf(atMs - REPEAT_MS) - (atMs - wallOf(atMs))
  return setBackMs < 0 && wallOf(atMs + setBackMs) === wallOf(atMs)
}

function matches({ minute, hour, day, month, weekday }: CronTimes, wallMs: number): boolean {
  const wall = new Date(wallMs)
  if (!fits(minute, wall.getUTCMinutes()) || !fits(hour, wall.getUTCHours())) return false
  if (!fits(month, wall.getUTCMonth() + 1)) return false
  const isDay = fits(day, wall.getUTCDate())
  const isWeekday = fits(weekday === 7 ? 0 : weekday, wall.getUTCDay())
  if (day === -1 || weekday === -1) return isDay && isWeekday
  return isDay || isWeekday
}

function fits(wanted: number, actual: number): boolean {
  return wanted < 0 ? actual % -wanted === 0 : actual === wanted
}
