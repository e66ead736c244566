/**
 * Whether a process that a file names still exists, and is still the same one. Pids are reused, so only the pid
 * together with the start time identifies a process. What must stay true: a process that we merely may not signal
 * (EPERM) is never reported as gone.
 */

import { closeSync, existsSync, openSync, readdirSync, readSync, type Stats, statSync } from 'node:fs'
import { uptime } from 'node:os'
import { codeOf } from '../../kit/ground/failure.js'
import { isDead, parseProcessStat, readProcessStat, statusNumber } from '../../kit/process/process-stat.js'

/**
 * One life of a process. `startTicks`: its start time since boot (proc(5), field 22). Empty: the system has no /proc.
 */
export interface ProcessLife {
  pid: number
  startTicks: string
}

/** The current life of `pid`. Null: there is none. A zombie counts as gone: it only waits for its parent. */
export function lifeOf(pid: number): ProcessLife | null {
  if (!Number.isSafeInteger(pid) || pid <= 0 || !isSignallable(pid)) return null
  const text = readProcFile(pid, 'stat')
  if (text === null) return { pid, startTicks: '' }
  const stat = parseProcessStat(text)
  return isDead(stat) ? null : { pid, startTicks: stat.startTicks }
}

/** Whether exactly this life goes on. */
export function isAlive(life: ProcessLife): boolean {
  const now = lifeOf(life.pid)
  return now !== null && (life.startTicks === '' || now.startTicks === '' || now.startTicks === life.startTicks)
}

/**
 * The first bytes of the command line of `pid`, its words joined by spaces. Null: it cannot be read. A process can
 * declare any part of its memory as its command line (prctl(2), PR_SET_MM_MAP).
 */
export function commandOf(pid: number): string | null {
  return readProcFile(pid, 'cmdline')?.replaceAll('\0', ' ').trim() ?? null
}

/** The real user of `pid`, which changes of effective ids do not hide. Null: unknown. */
export function userOf(pid: number): number | null {
  return statusNumber(readProcFile(pid, 'status') ?? '', 'Uid')
}

/** The children of `pid` that were not reaped. None if the system has no /proc. */
export function childrenOf(pid: number): number[] {
  try {
    const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
    return pids.filter(child => readProcessStat(child)?.parent === pid)
  } catch {
    // ENOENT: the system has no /proc.
    return []
  }
}

/**
 * Whether `pid` has the file open. Also true if that is unknown (EACCES: /proc/PID/fd needs the right to trace the
 * process).
 */
export function hasOpen(pid: number, { dev, ino }: Pick<Stats, 'dev' | 'ino'>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some(descriptor => {
      const open = statSync(`/proc/${pid}/fd/${descriptor}`, { throwIfNoEntry: false })
      return open?.dev === dev && open.ino === ino
    })
  } catch (error) {
    return codeOf(error) !== 'ENOENT' || !existsSync('/proc/self/fd')
  }
}

/** When the life began, in milliseconds since the epoch by the present clock. Null: the kernel does not tell. */
export function startTimeOf(life: ProcessLife): number | null {
  if (life.startTicks === '') return null
  // USER_HZ is 100 on every architecture that Node runs on (proc(5), time(7)).
  const ageSeconds = uptime() - Number(life.startTicks) / 100
  return ageSeconds < 0 ? null : Date.now() - ageSeconds * 1000
}

/** Resolves with true when the life has ended, or with false after `deadlineMs`. */
export async function waitUntilGone(life: ProcessLife, deadlineMs: number): Promise<boolean> {
  // Only a parent is told of an exit, and Node has no pidfd. So any other process has to poll.
  const deadline = performance.now() + deadlineMs
  while (isAlive(life)) {
    if (performance.now() >= deadline) return false
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  return true
}

function isSignallable(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) !== 'ESRCH'
  }
}

const LONGEST_FILE_BYTES = 64 * 1024

/** The beginning of the file, at most LONGEST_FILE_BYTES. */
function readProcFile(pid: number, name: string): string | null {
  try {
    const fd = openSync(`/proc/${pid}/${name}`, 'r')
    try {
      const bytes = Buffer.alloc(LONGEST_FILE_BYTES)
      return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0))
    } finally {
      closeSync(fd)
    }
  } catch {
    // ENOENT: the process is gone, or the system has no /proc. EACCES: hidepid.
    return null
  }
}
