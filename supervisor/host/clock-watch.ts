/**
 * Notices that the wall clock was set, and that the machine or the whole tree stood still. Each is logged once. Neither
 * causes a kill: deadlines use the running clock (`kit/ground/running-clock.ts`), and these regular reads let that
 * clock notice the pause.
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

  /** Starts to look. The timer does not keep the process alive. */
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

/** The clocks of this process now. */
export function readClocks(): ClockReading {
  const { user, system } = process.cpuUsage()
  return {
    runMs: performance.now(),
    wallMs: Date.now(),
    // From /proc/uptime or CLOCK_BOOTTIME. It counts while the machine is suspended; CLOCK_MONOTONIC does not.
    bootMs: uptime() * 1000,
    cpuMs: (user + system) / 1000,
    queuedMs: readQueuedMs(),
    awakeMs: performance.eventLoopUtilization().active,
  }
}

/**
 * How long the main thread waited for a core (`/proc/PID/schedstat`: nanoseconds on a core, nanoseconds in the queue
 * for one). 0: the kernel does not tell.
 */
function readQueuedMs(): number {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'latin1').split(' ')[1] ?? 0) / 1e6
  } catch {
    // ENOENT: a kernel without CONFIG_SCHED_INFO, or a sandbox.
    return 0
  }
}
