/**
 * Cheap clocks for the hot path: one for durations and deadlines, one for the age of what is remembered.
 */

import { RunningClock } from '../../kit/ground/running-clock.js'

/** Watched as long as the proxy sweeps (`proxy-server.ts`). */
export const runningClock = new RunningClock()

/** Milliseconds in which the proxy could look (`kit/ground/running-clock.ts`): of deadlines, which are compared with nothing else. */
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
