/**
 * What two readings of the clocks, taken one after the other, say of the time between them. Used by `clock-watch.ts`. Pure.
 */

/** All in milliseconds. `runMs`: monotonic; `bootMs`: the same with the time in which the machine was suspended; `cpuMs`: what this process has used. */
export interface ClockReading {
  runMs: number
  wallMs: number
  bootMs: number
  cpuMs: number
}

/**
 * `stepMs` is never negative. `why`: the machine was suspended; the master was busy by itself; or it got no turn: stopped, in a virtual machine that was
 * paused, starved, or waiting for a disk.
 */
export type ClockFinding =
  | { event: 'clock-stepped'; stepMs: number; direction: 'forward' | 'backward' }
  | { event: 'stood-still'; stillMs: number; why: 'suspended' | 'busy' | 'no-turn' }

/** Less than this is what a busy machine or a clock that is being adjusted does. */
const LEAST_MS = 2000

/** `lookMs`: what should have passed between the two. */
export function compareReadings(before: ClockReading, now: ClockReading, lookMs: number): ClockFinding[] {
  const ranMs = now.runMs - before.runMs
  const lateMs = over(ranMs - lookMs)
  const suspendedMs = over(now.bootMs - before.bootMs - ranMs)
  const stepMs = over(now.wallMs - before.wallMs - ranMs - suspendedMs)
  const findings: ClockFinding[] = []
  const stillMs = lateMs + suspendedMs
  if (stillMs > 0) {
    const isBusy = now.cpuMs - before.cpuMs > lateMs / 2
    const why = suspendedMs > 0 ? 'suspended' : isBusy ? 'busy' : 'no-turn'
    findings.push({ event: 'stood-still', stillMs, why })
  }
  if (stepMs !== 0) {
    findings.push({
      event: 'clock-stepped',
      stepMs: Math.abs(stepMs),
      direction: stepMs > 0 ? 'forward' : 'backward',
    })
  }
  return findings
}

/** Rounded; 0 for what is too little to be told of, in either direction. */
function over(ms: number): number {
  return Math.abs(ms) > LEAST_MS ? Math.round(ms) : 0
}
