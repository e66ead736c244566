/**
 * CPU time of whole process trees, from `/proc/<pid>/stat` (proc(5)). `measure.ts` reads it before and after each run,
 * `program.ts` uses it to find processes that a stopped program left behind. The sum over a tree never falls while its
 * root lives: the time of a descendant that ended is in its parent's `cutime` and `cstime`.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { codeOf, Failure } from '../kit/ground/failure.js'

/** One process. `startTicks` (since boot) tells two lives of one pid apart; `cpuTicks` includes reaped children. */
export interface ProcessTimes {
  pid: number
  parentPid: number
  startTicks: number
  cpuTicks: number
  /** Ended, and not yet waited for by its parent. */
  zombie: boolean
}

/** USER_HZ: 100 a second on every architecture that Node is built for. */
const MICROSECONDS_PER_TICK = 10_000

/**
 * CPU time in microseconds that the processes `roots` and all their descendants have used; a Failure when a root is
 * gone.
 */
export function cpuMicroseconds(roots: readonly number[], processes = readProcesses()): number {
  for (const pid of roots) {
    if (!processes.has(pid))
      throw new Failure('BENCH_PROCESS_GONE', `reading CPU time failed: pid=${pid}: the process ended`)
  }
  return treeOf(processes, roots).reduce((sum, { cpuTicks }) => sum + cpuTicks, 0) * MICROSECONDS_PER_TICK
}

/** The processes `roots` that live, and all their descendants, each once. */
export function treeOf(processes: ReadonlyMap<number, ProcessTimes>, roots: readonly number[]): ProcessTimes[] {
  const children = new Map<number, ProcessTimes[]>()
  for (const times of processes.values()) {
    const siblings = children.get(times.parentPid)
    if (siblings) siblings.push(times)
    else children.set(times.parentPid, [times])
  }
  const found = new Map<number, ProcessTimes>()
  const waiting = roots.flatMap(pid => processes.get(pid) ?? [])
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.has(next.pid)) continue
    found.set(next.pid, next)
    waiting.push(...(children.get(next.pid) ?? []))
  }
  return [...found.values()]
}

/** All processes that this user may see, by pid. */
export function readProcesses(): Map<number, ProcessTimes> {
  const processes = new Map<number, ProcessTimes>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const times = parseStat(readFileSync(`/proc/${name}/stat`, 'latin1'))
      processes.set(times.pid, times)
    } catch (error) {
      // ENOENT, ESRCH: it ended between the two reads.
      if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ESRCH') throw error
    }
  }
  return processes
}

/**
 * One line of `/proc/<pid>/stat`. The name in parentheses may hold spaces and parentheses, so fields count from the
 * last `)`.
 */
export function parseStat(text: string): ProcessTimes {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  // proc(5) numbers from 1, and `fields[0]` is number 3, the state: number N is `fields[N - 3]`.
  const field = (number: number): number => Number(fields[number - 3])
  const numbers = {
    pid: Number.parseInt(text, 10),
    parentPid: field(4),
    startTicks: field(22),
    cpuTicks: field(14) + field(15) + field(16) + field(17),
  }
  if (!Object.values(numbers).every(Number.isInteger)) {
    throw new Failure('BENCH_STAT', `reading a process failed: ${JSON.stringify(text)}: not a line of /proc/<pid>/stat`)
  }
  return { ...numbers, zombie: fields[0] === 'Z' }
}
