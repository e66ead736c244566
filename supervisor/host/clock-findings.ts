/** What two readings of the clocks, taken one after the other, say of the time between them. Pure. */

/**
 * All in milliseconds, and all but the wall clock since some moment. `runMs`: monotonic; `bootMs`: the same with the
 * time in which the machine was suspended; `cpuMs`: what this process has used; `queuedMs`: how long its main thread
 * was ready and had no core; `awakeMs`: how long its loop did not wait for events.
 */
export interface ClockReading {
  runMs: number
  wallMs: number
  bootMs: number
  cpuMs: number
  queuedMs: number
  awakeMs: number
}

/**
 * Why the master stood still. `suspended`: the machine was; `busy`: it used the time itself; `starved`: it was ready
 * and others had the cores; `kernel-wait`: it was in a system call that took so long, as for a disk; `no-turn`: it
 * waited for events, and nobody woke it: stopped, frozen, or in a virtual machine that was paused.
 */
export type StillReason = 'suspended' | 'busy' | 'starved' | 'kernel-wait' | 'no-turn'

/** `stepMs` is never negative. */
export type ClockFinding =
  | { event: 'clock-stepped'; stepMs: number; direction: 'forward' | 'backward' }
  | { event: 'stood-still'; stillMs: number; why: StillReason }

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
    const why = suspendedMs > 0 ? 'suspended' : reasonOf(before, now, lateMs)
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

/** What took most of the time. A loop that is awake uses a core, waits for one, or is in the kernel. */
function reasonOf(before: ClockReading, now: ClockReading, lateMs: number): StillReason {
  const tookMost = (clock: 'cpuMs' | 'queuedMs' | 'awakeMs') => now[clock] - before[clock] > lateMs / 2
  if (tookMost('cpuMs')) return 'busy'
  if (tookMost('queuedMs')) return 'starved'
  return tookMost('awakeMs') ? 'kernel-wait' : 'no-turn'
}

/** Rounded; 0 for what is too little to be told of, in either direction. */
function over(ms: number): number {
  return Math.abs(ms) > LEAST_MS ? Math.round(ms) : 0
}
