/**
 * Memory and CPU of the children, read every two seconds from `/proc`. The status and the metrics show them. Where
 * there is no `/proc`, as on macOS, nothing is known.
 */

import { readFileSync } from 'node:fs'
import { cpuSecondsOf, readProcessStat, statusNumber } from '../../kit/process/process-stat.js'

/** What is read of one process. `cpuSeconds`: used since it started, user and system. */
export interface UsageReading {
  rssBytes: number
  cpuSeconds: number
}

/** `cpuPercent`: of one core, since the round before, 0 in the first one. */
export interface Usage extends UsageReading {
  cpuPercent: number
}

const EVERY_MS = 2000

/** Null: it is gone. */
export type ReadUsage = (pid: number) => UsageReading | null

/** What has its value in production. `onRound`: new figures are there. */
export interface UsageOptions {
  read?: ReadUsage
  nowMs?: () => number
  everyMs?: number
  onRound?: () => void
}

/** Reads figures on a timer of its own. */
export class ProcessUsage {
  readonly #pids: () => number[]
  readonly #read: ReadUsage
  readonly #nowMs: () => number
  readonly #timer: NodeJS.Timeout
  readonly #onRound: () => void
  #usage = new Map<number, Usage>()
  #readMs = 0

  constructor(
    pids: () => number[],
    { read = readUsage, nowMs = () => performance.now(), everyMs = EVERY_MS, onRound = () => {} }: UsageOptions = {},
  ) {
    this.#pids = pids
    this.#read = read
    this.#nowMs = nowMs
    this.#onRound = onRound
    this.#timer = setInterval(() => this.round(), everyMs)
    this.#timer.unref()
  }

  /** The last figures of a process, null: none yet. */
  of(pid: number | null): Usage | null {
    return pid === null ? null : (this.#usage.get(pid) ?? null)
  }

  /** One reading. */
  round(): void {
    const pids = this.#pids()
    if (pids.length === 0) return
    const nowMs = this.#nowMs()
    const before = this.#usage
    const usage = new Map<number, Usage>()
    for (const pid of pids) {
      const reading = this.#read(pid)
      if (reading !== null) usage.set(pid, { ...reading, cpuPercent: this.#share(reading, before.get(pid), nowMs) })
    }
    this.#usage = usage
    this.#readMs = nowMs
    this.#onRound()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** In tenths of a per cent. A pid that another process has now has used less than before. */
  #share({ cpuSeconds }: UsageReading, before: Usage | undefined, nowMs: number): number {
    if (before === undefined || nowMs <= this.#readMs) return 0
    const usedMs = Math.max(0, cpuSeconds - before.cpuSeconds) * 1000
    return Math.round((usedMs / (nowMs - this.#readMs)) * 1000) / 10
  }
}

function readUsage(pid: number): UsageReading | null {
  const stat = readProcessStat(pid)
  if (stat === null) return null
  return { rssBytes: rssBytesOf(pid), cpuSeconds: cpuSecondsOf(stat) }
}

/** `VmRSS` of proc_pid_status(5), in kB whatever a page is; a zombie has none. */
function rssBytesOf(pid: number): number {
  try {
    return (statusNumber(readFileSync(`/proc/${pid}/status`, 'latin1'), 'VmRSS') ?? 0) * 1024
  } catch {
    // ENOENT, ESRCH: gone meanwhile.
    return 0
  }
}
