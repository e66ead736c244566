/**
 * Ends the processes that keep another one from being reaped. The kernel shows a dead process to its parent only after
 * its tracer (ptrace(2)) has looked, or has ended. Called some seconds after SIGKILL.
 *
 * Must stay true: it kills only processes of the service's user, in whatever user namespace: they could have killed the
 * traced process as well. It never kills pid 1, the master, or a process that also traces the master, such as an
 * `strace -f` that started it.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { codeOf } from '../ground/failure.js'
import { statusField, statusNumber } from './process-stat.js'

/** Between SIGKILL and the first search for the tracer of a process that is not reaped. */
export const REAP_MS = 3000

/** Between two such searches. */
export const REAP_LOOK_MS = 1000

/**
 * Between SIGKILL and the moment at which a process that has not ended is given up: it waits in the kernel, or a tracer
 * holds it that is not ours to kill. A process of 100 GB takes some seconds to give its memory back.
 */
export const GIVE_UP_MS = 10_000

/**
 * A process that SIGKILL has not ended: it keeps its memory and its files, and nobody waits for it. `why` comes from
 * `describeStay`.
 */
export interface UnendedProcess {
  pid: number
  what: string
  why: string
}

export interface Tracer {
  pid: number
  name: string
}

/** What this module asks the system for. */
export interface TracedSystem {
  ownPid: number
  /** The user of the master. */
  ownUid: number
  /** The text of `/proc/PID/status` for a process or a thread; null: there is none, or it may not be read. */
  status(pid: number): string | null
  /** The same for each thread of a process, ended ones included. */
  threads(pid: number): string[]
  /** Identifies its user namespace; null: the process is gone, or this may not be read. */
  userNamespace(pid: number): string | null
  /** The function of the kernel in which it waits; empty: none, or the kernel does not tell. */
  waitsIn(pid: number): string
  /** SIGKILL. Throws as kill(2). */
  kill(pid: number): void
}

/** Threads that are checked in one turn. A process that was killed has few left, unless they are traced. */
const MOST_THREADS = 1000

const LINUX: TracedSystem = {
  ownPid: process.pid,
  ownUid: process.getuid?.() ?? -1,
  status: pid => readText(`/proc/${pid}/status`),
  threads: pid => {
    const folder = `/proc/${pid}/task`
    return threadsIn(folder).flatMap(thread => readText(`${folder}/${thread}/status`) ?? [])
  },
  userNamespace: pid => readLink(`/proc/${pid}/ns/user`),
  waitsIn: pid => (readText(`/proc/${pid}/wchan`) ?? '').replace(/^0$/, ''),
  kill: pid => void process.kill(pid, 'SIGKILL'),
}

/**
 * Kills the tracers of this process, which was killed and is not reaped. Returns the tracers that it has killed.
 * `credentials`: of the service's user.
 */
export function endTracers(pid: number, credentials: { uid: number } | null, system = LINUX): Tracer[] {
  const uid = credentials?.uid ?? system.ownUid
  const spared = new Set([0, 1, system.ownPid, ...tracersOf(system.ownPid, system)])
  return tracersOf(pid, system).flatMap(tracer => {
    const status = system.status(tracer)
    if (status === null || spared.has(tracer) || !isOf(uid, tracer, status, system) || !isKilled(tracer, system))
      return []
    return [{ pid: tracer, name: nameIn(status) }]
  })
}

/**
 * Whether a tracer is the user's. Its number may be another one by now: whoever enters a user namespace of its own may
 * become one of the subordinate ids of that user there (newuidmap(1)), and keeps what it traces. Nobody in another user
 * namespace may begin to trace a process of ours (ptrace(2): that takes the same one, or CAP_SYS_PTRACE in ours), so it
 * was this user when it began; and only root makes root of somebody there.
 */
function isOf(uid: number, tracer: number, status: string, system: TracedSystem): boolean {
  const user = userIn(status)
  if (user === uid) return true
  const [theirs, ours] = [system.userNamespace(tracer), system.userNamespace(system.ownPid)]
  return user !== null && user !== 0 && theirs !== null && ours !== null && theirs !== ours
}

/**
 * Why a process that was killed has not ended, as far as the kernel tells: `it is traced by gdb:300`, `it waits in the
 * kernel (rpc_wait_bit_killable)`.
 */
export function describeStay(pid: number, system = LINUX): string {
  const tracers = tracersOf(pid, system).map(tracer => `${plain(nameIn(system.status(tracer) ?? ''))}:${tracer}`)
  if (tracers.length > 0) return `it is traced by ${tracers.join(', ')}`
  const place = plain(system.waitsIn(pid))
  return `it waits in the kernel${place === '' ? '' : ` (${place})`}`
}

/**
 * All threads of the process have ended, and one of them had made the master its tracer (PTRACE_TRACEME). The kernel
 * reports the end of the process only after the master has reaped that thread by its own id, and Node has no call for
 * this.
 */
export function isDeadTracee(pid: number, system = LINUX): boolean {
  const threads = system.threads(pid)
  return (
    threads.every(status => /^[ZX]/.test(statusField(status, 'State') ?? '')) &&
    tracersOf(pid, system).includes(system.ownPid)
  )
}

/** Returns processes, each once: TracerPid may be any thread of the tracer. */
function tracersOf(pid: number, system: TracedSystem): number[] {
  const threads = new Set(system.threads(pid).map(status => statusNumber(status, 'TracerPid') ?? 0))
  const processes = [...threads].map(thread =>
    thread === 0 ? 0 : (statusNumber(system.status(thread) ?? '', 'Tgid') ?? 0),
  )
  return [...new Set(processes)].filter(process => process !== 0)
}

function isKilled(pid: number, system: TracedSystem): boolean {
  try {
    system.kill(pid)
    return true
  } catch (error) {
    // EPERM: a master without privileges, and a program that became another user.
    if (!['ESRCH', 'EPERM'].includes(codeOf(error))) throw error
    return false
  }
}

/** `pid 456, a worker of slot 2, does not end: it waits in the kernel`. */
export function describeUnended({ pid, what, why }: UnendedProcess): string {
  return `pid ${pid}, ${what}, does not end: ${why}`
}

/** A process chooses its own name. Characters that would look like the next name are left out. */
function plain(name: string): string {
  return name.replace(/[^ -~]|[,:]/g, '?')
}

function nameIn(status: string): string {
  return statusField(status, 'Name') ?? ''
}

/** The real user. A change of effective ids does not hide it, and it may kill the process (kill(2)). */
function userIn(status: string): number | null {
  return statusNumber(status, 'Uid')
}

function threadsIn(folder: string): string[] {
  try {
    return readdirSync(folder).slice(0, MOST_THREADS)
  } catch {
    // ENOENT: it was reaped meanwhile, or a system without /proc.
    return []
  }
}

function readLink(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch {
    // ENOENT, ESRCH: gone meanwhile. EACCES: neither ours nor of our user.
    return null
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // ENOENT, ESRCH: gone meanwhile.
    return null
  }
}
