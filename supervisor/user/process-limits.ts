/**
 * Why fork(2) says EAGAIN, which it says of each limit on the number of processes: that of the cgroup (`TasksMax=`),
 * that of the user (RLIMIT_NPROC), and those of the system. What is reached is named with its figures, and what to do
 * about it.
 *
 * A child of the master that has ended keeps the number of each of its threads that had made the master its tracer
 * (PTRACE_TRACEME), and one that a program made the master's child keeps its own: Node reaps neither, so only the end
 * of the master frees them. They are named too.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf } from '../../kit/ground/failure.js'
import { listChildren } from '../../kit/process/child-list.js'
import { parseProcessStat } from '../../kit/process/process-stat.js'

/** What is asked of the system. `read`: the text of a file of the kernel; null: it is not there, or may not be read. */
export interface LimitsSystem {
  uid: number
  read(path: string): string | null
  /** Of the master, dead ones too. */
  children(): readonly number[]
  /** How many threads the kernel lists of a process. */
  threadsOf(pid: number): number
}

/** A limit, and how much of it is used; null: that is not known. */
interface Limit {
  /** With its file or its name for the kernel. */
  name: string
  used: number | null
  most: number
  remedy: string
}

const LINUX: LimitsSystem = {
  get uid() {
    return process.getuid?.() ?? -1
  },
  read: readText,
  children: () => listChildren() ?? [],
  threadsOf: pid => namesIn(`/proc/${pid}/task`).length,
}

/** From this share on a limit counts as reached: some of what had it reached may have ended meanwhile. */
const REACHED = 0.95
/** Each look is two files: some milliseconds for all. */
const MOST_CHILDREN = 200
/** As few are on their way to be reaped. */
const FEW_HELD = 8
const V2 = '/sys/fs/cgroup'
const V1 = '/sys/fs/cgroup/pids'
const RESTART = 'restart daimyo, which frees them'

/** `remedy` as in `start-obstacle.ts`. */
export function findProcessLimits(system = LINUX): { why: string; remedy: string } {
  const limits = [...cgroupLimits(system), ...userLimits(system), ...systemLimits(system)]
  const reached = limits.filter(({ used, most }) => used !== null && used >= most * REACHED)
  const suspects = reached.length > 0 ? reached : limits
  const held = heldNumbers(system)
  const told = [...suspects.map(describe), ...(held > FEW_HELD ? [`dead children of the master keep ${held}`] : [])]
  const remedies = new Set([...(held > FEW_HELD ? [RESTART] : []), ...suspects.map(({ remedy }) => remedy)])
  return {
    why: ['no more processes are allowed (EAGAIN)', ...(told.length > 0 ? [told.join(', ')] : [])].join(': '),
    remedy: [...remedies].join(', or '),
  }
}

/** Puts into an error of spawn(2) what stands behind EAGAIN, for whoever tells its message. */
export function explainNoProcess(error: Error): void {
  if (codeOf(error) !== 'EAGAIN') return
  const { why, remedy } = findProcessLimits()
  error.message = [error.message, why, ...(remedy === '' ? [] : [remedy])].join(': ')
}

function describe({ name, used, most }: Limit): string {
  return used === null ? `${name} allows ${most}` : `${name} allows ${most}, ${used} are in use`
}

/** Of the master's cgroup and of those above it: each counts. The longest path first. */
function cgroupLimits({ read }: LimitsSystem): Limit[] {
  const groups = (read('/proc/self/cgroup') ?? '').split('\n').flatMap(line => {
    const [, controllers = '', path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (path === undefined || path.includes('/..')) return []
    const folder = controllers === '' ? V2 : V1
    return controllers === '' || controllers.split(',').includes('pids') ? [{ folder, path }] : []
  })
  return groups.flatMap(({ folder, path }) =>
    andAbove(path).flatMap(group => {
      const most = numberIn(read(join(folder, group, 'pids.max')))
      if (most === null) return []
      const used = numberIn(read(join(folder, group, 'pids.current')))
      return [{ name: `pids.max of the cgroup ${group}`, used, most, remedy: 'TasksMax in the unit' }]
    }),
  )
}

function andAbove(path: string): string[] {
  const parts = path.split('/').filter(Boolean)
  return [...parts.map((_, at) => `/${parts.slice(0, parts.length - at).join('/')}`), '/']
}

/** The kernel does not hold root to it. How many the user has is not told anywhere. */
function userLimits({ uid, read }: LimitsSystem): Limit[] {
  const [, soft] = /^Max processes\s+(\d+)/m.exec(read('/proc/self/limits') ?? '') ?? []
  if (uid === 0 || soft === undefined) return []
  return [
    {
      name: `RLIMIT_NPROC of uid ${uid}`,
      used: null,
      most: Number(soft),
      remedy: 'ulimit -u, or LimitNPROC in the unit',
    },
  ]
}

function systemLimits({ read }: LimitsSystem): Limit[] {
  // `0.20 0.18 0.12 1/80 11206`: running of all threads.
  const used = numberIn(/\/(\d+)/.exec(read('/proc/loadavg') ?? '')?.[1] ?? null)
  return ['threads-max', 'pid_max'].flatMap(name => {
    const most = numberIn(read(`/proc/sys/kernel/${name}`))
    return most === null ? [] : [{ name: `kernel.${name}`, used, most, remedy: `sysctl kernel.${name}` }]
  })
}

/** Of children that have ended and were not reaped: numbers of processes and of threads. */
function heldNumbers({ children, read, threadsOf }: LimitsSystem): number {
  const dead = children()
    .slice(0, MOST_CHILDREN)
    .filter(pid => ['Z', 'X'].includes(parseProcessStat(read(`/proc/${pid}/stat`) ?? '').state))
  return dead.reduce((sum, pid) => sum + threadsOf(pid), 0)
}

/** Null: no number, such as `max`. */
function numberIn(text: string | null): number | null {
  return text !== null && /^\d+\s*$/.test(text) ? Number(text) : null
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // ENOENT: no such limit. EACCES, ESRCH.
    return null
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // ENOENT: it was reaped meanwhile.
    return []
  }
}
