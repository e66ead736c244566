/**
 * Explains EAGAIN of fork(2). The kernel gives the same error for each limit on the number of processes: of the cgroup
 * (`TasksMax=`), of the user (RLIMIT_NPROC) and of the system. The text names the limits that are reached, with their
 * figures and a remedy.
 *
 * Dead children of the master may hold numbers too. A child keeps the number of each of its threads that made the
 * master its tracer (PTRACE_TRACEME). A process that another program made the master's child keeps its own number. Node
 * reaps neither, so only the end of the master frees them.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf } from '../../kit/ground/failure.js'
import { listChildren } from '../../kit/process/child-list.js'
import { parseProcessStat } from '../../kit/process/process-stat.js'

/**
 * The source of the figures. `read`: the text of a file of the kernel. Null: the file is missing, or may not be read.
 */
export interface LimitsSystem {
  uid: number
  read(path: string): string | null
  /** The children of the master, dead ones included. */
  children(): readonly number[]
  /** How many threads of a process the kernel lists. */
  threadsOf(pid: number): number
}

/** A limit and its use. `used` null: unknown. */
interface Limit {
  /** The name that the kernel or the system gives it. */
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

/** A limit counts as reached from this share on: some of the processes may have ended meanwhile. */
const REACHED = 0.95
/** Each check reads two files. All of them take some milliseconds. */
const MOST_CHILDREN = 200
/** This many dead children may simply wait to be reaped. */
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

/** Adds the reason for EAGAIN to the message of an error of spawn(2). */
export function explainNoProcess(error: Error): void {
  if (codeOf(error) !== 'EAGAIN') return
  const { why, remedy } = findProcessLimits()
  error.message = [error.message, why, ...(remedy === '' ? [] : [remedy])].join(': ')
}

function describe({ name, used, most }: Limit): string {
  return used === null ? `${name} allows ${most}` : `${name} allows ${most}, ${used} are in use`
}

/** The limits of the master's cgroup and of those above it, from the lowest up. All of them apply. */
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

/** The kernel does not apply RLIMIT_NPROC to root. It shows nowhere how many processes a user has. */
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
  // `0.20 0.18 0.12 1/80 11206`: the fourth field is running threads / all threads.
  const used = numberIn(/\/(\d+)/.exec(read('/proc/loadavg') ?? '')?.[1] ?? null)
  return ['threads-max', 'pid_max'].flatMap(name => {
    const most = numberIn(read(`/proc/sys/kernel/${name}`))
    return most === null ? [] : [{ name: `kernel.${name}`, used, most, remedy: `sysctl kernel.${name}` }]
  })
}

/** How many numbers, of processes and of threads, are held by children that have ended and were not reaped. */
function heldNumbers({ children, read, threadsOf }: LimitsSystem): number {
  const dead = children()
    .slice(0, MOST_CHILDREN)
    .filter(pid => ['Z', 'X'].includes(parseProcessStat(read(`/proc/${pid}/stat`) ?? '').state))
  return dead.reduce((sum, pid) => sum + threadsOf(pid), 0)
}

/** Null: the text is not a number, such as `max`. */
function numberIn(text: string | null): number | null {
  return text !== null && /^\d+\s*$/.test(text) ? Number(text) : null
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // ENOENT: this limit does not exist. EACCES, ESRCH: it cannot be read.
    return null
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // ENOENT: the process was reaped meanwhile.
    return []
  }
}
