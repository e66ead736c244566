/** Cheap clocks for the hot path: one for durations and deadlines, one for the age of remembered things. */

import { RunningClock } from '../../kit/ground/running-clock.js'

/** Watched as long as the proxy sweeps (`proxy-server.ts`). */
export const runningClock = new RunningClock()

/**
 * Milliseconds in which the proxy could look (`kit/ground/running-clock.ts`): for deadlines, which are compared with
 * nothing else.
 */
export const monotonicMs: () => number = runningClock.now

/**
 * The time between two readings of `monotonicMs`, including the time in which the proxy could not look: for logs and
 * metrics.
 */
export const passedMs: (fromMs: number, toMs: number) => number = runningClock.passedMs

/**
 * Milliseconds, including the time in which everything stood still: for things that must not be older than their time,
 * whether or not anybody could look.
 */
export function strictMs(): number {
  return performance.now()
}
