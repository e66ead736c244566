/** What two successive readings of the clocks say about the time between them. Pure. */

/**
 * All in milliseconds. `wallMs` counts from the epoch, the others from some moment. `runMs`: monotonic. `bootMs`:
 * monotonic, with the time in which the machine was suspended. `cpuMs`: the CPU time of this process. `queuedMs`: how
 * long its main thread was ready but had no core. `awakeMs`: how long its loop did not wait for events.
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
 * Why the master stood still. `suspended`: the machine was suspended. `busy`: the master used the time itself.
 * `starved`: it was ready, and other processes had the cores. `kernel-wait`: a system call took that long, for example
 * on a disk. `no-turn`: it waited for events and was not woken: it was stopped or frozen, or its virtual machine was
 * paused.
 */
export type StillReason = 'suspended' | 'busy' | 'starved' | 'kernel-wait' | 'no-turn'

/** `stepMs` is never negative. */
export type ClockFinding =
  | { event: 'clock-stepped'; stepMs: number; direction: 'forward' | 'backward' }
  | { event: 'stood-still'; stillMs: number; why: StillReason }

/** A busy machine, or a clock that is being adjusted, causes smaller differences. */
const LEAST_MS = 2000

/** `lookMs`: the time that should have passed between the two readings. */
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

/** The reason that took most of the time. A loop that is awake uses a core, waits for one, or is in the kernel. */
function reasonOf(before: ClockReading, now: ClockReading, lateMs: number): StillReason {
  const tookMost = (clock: 'cpuMs' | 'queuedMs' | 'awakeMs') => now[clock] - before[clock] > lateMs / 2
  if (tookMost('cpuMs')) return 'busy'
  if (tookMost('queuedMs')) return 'starved'
  return tookMost('awakeMs') ? 'kernel-wait' : 'no-turn'
}

/** Rounded. 0 if the difference, in either direction, is too small to be reported. */
function over(ms: number): number {
  return Math.abs(ms) > LEAST_MS ? Math.round(ms) : 0
}
