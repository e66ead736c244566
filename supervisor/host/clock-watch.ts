/**
 * Sees that the wall clock was set, and that the machine or the whole tree stood still; says each once, in the log.
 * Nobody is judged by either: deadlines are the running clock's (`kit/ground/running-clock.ts`), which is watched by
 * being read here.
 */

import { readFileSync } from 'node:fs'
import { uptime } from 'node:os'
import { type RunningClock, STILL_MS } from '../../kit/ground/running-clock.js'
import { type ClockFinding, type ClockReading, compareReadings } from './clock-findings.js'

const LOOK_MS = STILL_MS / 2

export class ClockWatch {
  readonly #clock: RunningClock
  readonly #onFound: (finding: ClockFinding) => void
  readonly #read: () => ClockReading
  #before: ClockReading
  #timer: NodeJS.Timeout | null = null

  constructor(clock: RunningClock, onFound: (finding: ClockFinding) => void, read = readClocks) {
    this.#clock = clock
    this.#onFound = onFound
    this.#read = read
    this.#before = read()
  }

  /** Looks from now on; keeps no process alive. */
  start(): void {
    this.#before = this.#read()
    this.#clock.isWatched = true
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref()
  }

  look(): void {
    this.#clock.now()
    const now = this.#read()
    const findings = compareReadings(this.#before, now, LOOK_MS)
    this.#before = now
    for (const finding of findings) this.#onFound(finding)
  }

  stop(): void {
    this.#clock.isWatched = false
    if (this.#timer !== null) clearInterval(this.#timer)
  }
}

/** Of this process, now. */
export function readClocks(): ClockReading {
  const { user, system } = process.cpuUsage()
  return {
    runMs: performance.now(),
    wallMs: Date.now(),
    // /proc/uptime, or CLOCK_BOOTTIME: goes on while the machine is suspended, as CLOCK_MONOTONIC does not.
    bootMs: uptime() * 1000,
    cpuMs: (user + system) / 1000,
    queuedMs: readQueuedMs(),
    awakeMs: performance.eventLoopUtilization().active,
  }
}

/**
 * What the kernel says of the main thread (`/proc/PID/schedstat`: nanoseconds on a core, in the queue for one); 0 where
 * it does not.
 */
function readQueuedMs(): number {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'latin1').split(' ')[1] ?? 0) / 1e6
  } catch {
    // ENOENT: a kernel without CONFIG_SCHED_INFO, a sandbox.
    return 0
  }
}
