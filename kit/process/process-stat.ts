/**
 * Reads `/proc/PID/stat` (proc_pid_stat(5)) and `/proc/PID/status` (proc_pid_status(5)). Must stay true: a process
 * chooses its own name, so no name may be read as another field.
 */

import { readFileSync } from 'node:fs'

/**
 * `state`: one letter, `T` stopped, `Z` dead and not reaped. `startTicks`: since boot, which tells two lives of one pid
 * apart.
 */
export interface ProcessStat {
  /** The first 15 bytes of the program's name, or of what the process calls itself. */
  name: string
  state: string
  parent: number
  session: number
  /** Used by all its threads, in user mode and in the kernel. */
  cpuTicks: number
  /** How many of its threads have not ended. */
  threads: number
  startTicks: string
}

/** null where there is no such process, or it may not be looked at (hidepid), or there is no /proc. */
export function readProcessStat(pid: number): ProcessStat | null {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    // ENOENT, ESRCH: gone meanwhile.
    return null
  }
}

/** Parses the text of the file. The name is in parentheses, and may itself contain spaces and parentheses. Pure. */
export function parseProcessStat(text: string): ProcessStat {
  const end = text.lastIndexOf(')')
  const fields = text.slice(end + 2).split(' ')
  return {
    name: text.slice(text.indexOf('(') + 1, end),
    state: fields[0] ?? '',
    parent: Number(fields[1]),
    session: Number(fields[3]),
    cpuTicks: Number(fields[11]) + Number(fields[12]),
    threads: Number(fields[17]),
    startTicks: fields[19] ?? '',
  }
}

/**
 * A field of the text of `/proc/PID/status`; null: it has none of this name. Pure.
 * The first line is the name. In it the kernel escapes `\n` and `\\` only, while `^` of a regular expression with the
 * flag `m` also matches behind `\r`, U+2028 and U+2029: a name `\rUid:0` would be a field.
 */
export function statusField(status: string, field: string): string | null {
  const lines = status.split('\n')
  const candidates = field === 'Name' ? lines.slice(0, 1) : lines.slice(1)
  const line = candidates.find(line => line.startsWith(`${field}:`))
  return line === undefined ? null : line.slice(field.length + 1).replace(/^[\t ]+/, '')
}

/** The number that the field begins with; null: there is none. */
export function statusNumber(status: string, field: string): number | null {
  const [digits] = /^\d+/.exec(statusField(status, field) ?? '') ?? []
  return digits === undefined ? null : Number(digits)
}

/** USER_HZ: the unit that Linux shows to programs, whatever its internal tick is. */
const TICKS_PER_SECOND = 100

export function cpuSecondsOf({ cpuTicks }: Pick<ProcessStat, 'cpuTicks'>): number {
  return cpuTicks / TICKS_PER_SECOND
}

/**
 * A zombie is dead: it only waits for its parent. But the file shows the state of the first thread. If that thread ends
 * alone (pthread_exit(3), SYS_exit), the process lives on in its other threads. The kernel still counts the first one,
 * so a count above 1 means a living process.
 */
export function isDead({ state, threads }: Pick<ProcessStat, 'state' | 'threads'>): boolean {
  return state === 'X' || (state === 'Z' && !(threads > 1))
}
