/**
 * Cheap clocks for the hot path: one for durations and deadlines, one for the age of what is remembered.
 */

import { RunningClock } from '../../kit/ground/running-clock.js'

/** Watched as long as the proxy sweeps (`proxy-server.ts`). */
export const runningClock = new RunningClock()

/**
 * Milliseconds in which the proxy could look (`kit/ground/running-clock.ts`): of deadlines, which are compared with
 * nothing else.
 */
export const monotonicMs: () => number = runningClock.now

/**
 * Between two readings of `monotonicMs`, with the time in which the proxy could not look: what logs and metrics tell.
 */
export const passedMs: (fromMs: number, toMs: number) => number = runningClock.passedMs

/**
 * Milliseconds, also those in which everything stood still: of what must not be older than its time, whoever could
 * look.
 */
export function strictMs(): number {
  return performance.now()
}
