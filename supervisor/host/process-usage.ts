/**
 * Memory and CPU of the children, read from `/proc` every two seconds. The status and the metrics show them. On a
 * system without `/proc`, such as macOS, there are no figures.
 */

import { opendirSync, readFileSync } from 'node:fs'
import { cpuSecondsOf, readProcessStat, statusNumber } from '../../kit/process/process-stat.js'

/** The reading of one process. `cpuSeconds`: user and system time since its start. */
export interface UsageReading {
  rssBytes: number
  cpuSeconds: number
}

/** `cpuPercent`: the share of one core since the round before. 0 in the first round. */
export interface Usage extends UsageReading {
  cpuPercent: number
}

const EVERY_MS = 2000
/** Threads that are asked: only the first one of a process stays when it has ended, but others may end meanwhile. */
const MOST_LOOKS = 8

/** Null: the process is gone. */
export type ReadUsage = (pid: number) => UsageReading | null

/** Options with defaults. `onRound`: called after each reading. */
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

  /** The last figures of a process. Null: none yet. */
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

  /**
   * Rounded to tenths of a per cent. If another process has the pid now, its CPU time may be lower than before: then
   * the share is 0.
   */
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

/**
 * `VmRSS` of proc_pid_status(5), which is in kB on every architecture. A zombie has none. If the first thread of a
 * process has ended and others live, they tell it.
 */
function rssBytesOf(pid: number): number {
  return (rssKilobytesIn(`/proc/${pid}/status`) ?? rssOfThreads(pid) ?? 0) * 1024
}

function rssOfThreads(pid: number): number | null {
  try {
    const threads = opendirSync(`/proc/${pid}/task`)
    try {
      for (let looks = 0; looks < MOST_LOOKS; looks++) {
        const thread = threads.readSync()
        const kilobytes = thread === null ? null : rssKilobytesIn(`/proc/${pid}/task/${thread.name}/status`)
        if (kilobytes !== null) return kilobytes
      }
    } finally {
      threads.closeSync()
    }
  } catch {
    // ENOENT, ESRCH: the process is gone.
  }
  return null
}

function rssKilobytesIn(path: string): number | null {
  try {
    return statusNumber(readFileSync(path, 'latin1'), 'VmRSS')
  } catch {
    // ENOENT, ESRCH: the process or the thread is gone.
    return null
  }
}
