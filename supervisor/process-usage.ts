/**
 * Memory and CPU of the children, read every two seconds through `pidusage`. Owned by `master.ts`; read by the status and
 * the metrics. A round that takes longer is never overtaken by the next; a pid that is gone is simply not in the next result.
 */

import pidusage from 'pidusage'

/** `cpuPercent`: of one core, since the round before. */
export interface Usage {
  rssBytes: number
  cpuPercent: number
  /** Used since the process started, user and system. */
  cpuSeconds: number
}

const EVERY_MS = 2000

/** pidusage keeps `/proc/PID/stat` of each process open so long after it was read last, of dead ones too: a minute unless told otherwise. */
const REMEMBERED_MS = 2.5 * EVERY_MS

/** The part of pidusage's figures that is used; `ctime` in milliseconds. */
interface Stat {
  memory: number
  cpu: number
  ctime: number
}

/** Figures by pid; a pid that is gone may be missing. */
export type ReadUsage = (pids: number[]) => Promise<Record<string, Stat | undefined>>

/** What has its value in production. `onRound`: new figures are there. */
export interface UsageOptions {
  read?: ReadUsage
  everyMs?: number
  onRound?: () => void
}

/** Reads figures on a timer of its own. */
export class ProcessUsage {
  readonly #pids: () => number[]
  readonly #read: ReadUsage
  readonly #timer: NodeJS.Timeout
  readonly #onRound: () => void
  #usage = new Map<number, Usage>()
  #isReading = false

  constructor(
    pids: () => number[],
    { read = readWithPidusage, everyMs = EVERY_MS, onRound = () => {} }: UsageOptions = {},
  ) {
    this.#pids = pids
    this.#read = read
    this.#onRound = onRound
    this.#timer = setInterval(() => void this.round(), everyMs)
    this.#timer.unref()
  }

  /** The last figures of a process, null: none yet. */
  of(pid: number | null): Usage | null {
    return pid === null ? null : (this.#usage.get(pid) ?? null)
  }

  /** Reads once, unless a round is under way. Called by the timer. */
  async round(): Promise<void> {
    const pids = this.#pids()
    if (this.#isReading || pids.length === 0) return
    this.#isReading = true
    try {
      this.#usage = readings(await this.#read(pids))
    } catch {
      // `No matching pid found`: all of them ended meanwhile. Stale figures are worse than none.
      this.#usage = new Map()
    } finally {
      this.#isReading = false
    }
    this.#onRound()
  }

  stop(): void {
    clearInterval(this.#timer)
    pidusage.clear()
  }
}

function readWithPidusage(pids: number[]): Promise<Record<string, Stat | undefined>> {
  return pidusage(pids, { maxage: REMEMBERED_MS })
}

function readings(stats: Awaited<ReturnType<ReadUsage>>): Map<number, Usage> {
  const usage = new Map<number, Usage>()
  for (const [pid, stat] of Object.entries(stats)) {
    if (!stat) continue
    const cpuPercent = Math.round(stat.cpu * 10) / 10
    usage.set(Number(pid), { rssBytes: stat.memory, cpuPercent, cpuSeconds: stat.ctime / 1000 })
  }
  return usage
}
