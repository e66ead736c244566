/**
 * Whether a process that a file names is still there, and still the same one. Pids are used again, so a number alone
 * proves nothing: the start time beside it does. Must stay true: an answer of "gone" is never given for a process that
 * we may merely not signal (EPERM).
 */

import { existsSync, readdirSync, readFileSync, type Stats, statSync } from 'node:fs'
import { uptime } from 'node:os'
import { codeOf } from '../../kit/ground/failure.js'
import { isDead, parseProcessStat, readProcessStat, statusNumber } from '../../kit/process/process-stat.js'

/** One life of a process: `startTicks` since boot (proc(5), field 22), empty where there is no /proc. */
export interface ProcessLife {
  pid: number
  startTicks: string
}

/** The life that `pid` leads now, null when there is none; a zombie counts as gone, it only waits for its parent. */
export function lifeOf(pid: number): ProcessLife | null {
  if (!Number.isSafeInteger(pid) || pid <= 0 || !isSignallable(pid)) return null
  const text = readProcFile(pid, 'stat')
  if (text === null) return { pid, startTicks: '' }
  const stat = parseProcessStat(text)
  return isDead(stat) ? null : { pid, startTicks: stat.startTicks }
}

/** True while exactly this life goes on. */
export function isAlive(life: ProcessLife): boolean {
  const now = lifeOf(life.pid)
  return now !== null && (life.startTicks === '' || now.startTicks === '' || now.startTicks === life.startTicks)
}

/** The command line of `pid` with spaces between its words; null where it cannot be read. */
export function commandOf(pid: number): string | null {
  return readProcFile(pid, 'cmdline')?.replaceAll('\0', ' ').trim() ?? null
}

/** The real user of `pid`, whom no change of effective ids hides; null where it cannot be told. */
export function userOf(pid: number): number | null {
  return statusNumber(readProcFile(pid, 'status') ?? '', 'Uid')
}

/** The processes that `pid` has started and not reaped; none where there is no /proc. */
export function childrenOf(pid: number): number[] {
  try {
    const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
    return pids.filter(child => readProcessStat(child)?.parent === pid)
  } catch {
    // ENOENT: a system without /proc.
    return []
  }
}

/**
 * Whether `pid` has the file open; true also where that cannot be told (EACCES: /proc/PID/fd takes the right to trace
 * it).
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

/** When the life began, in milliseconds since the epoch by today's clock; null where the kernel does not tell. */
export function startTimeOf(life: ProcessLife): number | null {
  if (life.startTicks === '') return null
  // USER_HZ is 100 on every architecture that Node runs on (proc(5), time(7)).
  const ageSeconds = uptime() - Number(life.startTicks) / 100
  return ageSeconds < 0 ? null : Date.now() - ageSeconds * 1000
}

/** Resolves with true when the life has ended, with false when it has not within `deadlineMs`. */
export async function waitUntilGone(life: ProcessLife, deadlineMs: number): Promise<boolean> {
  // Only a parent is told of an exit, and Node has no pidfd: looking again is all that a stranger can do.
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

function readProcFile(pid: number, name: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    // ENOENT: gone meanwhile, or a system without /proc; EACCES: hidepid.
    return null
  }
}
