/**
 * The pidfile: the master's pid and a newline, for `kill -HUP $(cat daimyo.pid)`. What must stay true: readers see a
 * whole file or none. The target of a planted link is neither written nor removed. The pidfile of a live daimyo is
 * never taken, however many masters start at the same moment.
 *
 * uWSGI leaves the file behind unless `vacuum` is set. daimyo always removes it at exit while it is still its own: a
 * pidfile that outlives its process will name a stranger some day.
 */

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { onGuardedPath } from '../user/guarded-path.js'
import { O_PATH } from '../user/service-user.js'
import { MASTER_NAME } from './process-names.js'
import { childrenOf, commandOf, hasOpen, lifeOf, startTimeOf, userOf } from './process-presence.js'

const longestPidfile = 64

/**
 * Throws a `pidfile` Failure if `path` cannot become ours: it is a link or not a regular file (77), or it names a
 * running daimyo (69). Called before anything is started; `writePidfile` checks again. The file is opened as
 * `guarded-path.ts` allows for the service's `credentials`. The process that it names is checked with our own rights.
 */
export function checkPidfile(path: string, credentials: Credentials | null = null, own = process.pid): void {
  findStale(path, path, credentials, own)
}

/**
 * The file at `place` that may be replaced. `place` is `path` or the name of a right to it. Null: there is no file.
 * Throws as `checkPidfile` does.
 */
function findStale(path: string, place: string, credentials: Credentials | null, own: number): Stats | null {
  const { found, pid } = onGuardedPath(place, 'name', credentials, () => ({
    found: lookOrRefuse(place),
    pid: readPid(place),
  }))
  if (found === null) return null
  if (!found.isFile()) {
    const what = found.isSymbolicLink() ? 'it is a symbolic link' : 'it is not a regular file'
    throw new Failure('pidfile', `cannot use the pidfile: pidfile=${place}: ${what}`, EXIT.permission)
  }
  if (pid !== null && pid !== own && isRunningDaimyo(pid, found, credentials)) {
    throw new Failure(
      'pidfile',
      `cannot use the pidfile: pidfile=${path}: daimyo runs with pid ${pid}`,
      EXIT.unavailable,
    )
  }
  return found
}

/** A written pidfile, and this process's descriptor of it. */
export interface WrittenPidfile {
  fd: number
  dev: number
  ino: number
}

/**
 * Writes the pid `own` to `path` (mode 0644) in one step, and replaces a stale pidfile. Fails as `checkPidfile` does.
 * The file stays open for the life of the master, so the next start can see that this master wrote it.
 */
export function writePidfile(path: string, credentials: Credentials | null = null, own = process.pid): WrittenPidfile {
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const way = findWay(path, credentials, own)
    const written = onGuardedPath(path, 'name', credentials, () => placePidfile(path, own, way))
    // Null: another start was faster. If it is a running daimyo, the next round reports that.
    if (written !== null) return written
  }
  throw unwritable(path, new Error('other processes keep changing it'))
}

/** A round is lost only if another start was faster, and then its master runs. */
const MOST_ROUNDS = 100
/** Each one is left by a master that was killed in the moment in which it took the pidfile. */
const MOST_RIGHTS = 16

/** A stale pidfile, or a stale right to one. */
interface Stale {
  place: string
  found: Stats
}

/** `free`: the first free name after the stale ones. */
interface Way {
  stale: Stale[]
  free: string
}

/**
 * A stale pidfile stays until another one replaces it: otherwise a third start could find the name free meanwhile. A
 * start that wants to replace it links its own file to a name that is made from the stale file. Only one start can make
 * that link: the link is the right to replace. If its owner died, the right is stale too, and the next link is named
 * after that one.
 */
function findWay(path: string, credentials: Credentials | null, own: number): Way {
  const stale: Stale[] = []
  for (let free = path; stale.length <= MOST_RIGHTS; ) {
    const found = findStale(path, free, credentials, own)
    if (found === null) return { stale, free }
    stale.push({ place: free, found })
    free = join(dirname(path), `.${basename(path)}.after-${found.ino}-${found.mtimeMs}`)
  }
  throw unwritable(path, new Error(`remove the files .${basename(path)}.after-* beside it`))
}

/** Null: another start was faster. */
function placePidfile(path: string, pid: number, way: Way): WrittenPidfile | null {
  const draft = join(dirname(path), `.${basename(path)}.${pid}.new`)
  try {
    removeIfThere(draft)
    const fd = writeNewFile(draft, `${pid}\n`)
    const isOurs = tookPlace(draft, path, way)
    removeIfThere(draft)
    if (!isOurs) {
      closeSync(fd)
      return null
    }
    const { dev, ino } = fstatSync(fd)
    return { fd, dev, ino }
  } catch (error) {
    throw unwritable(path, error)
  }
}

/** The owner of the right moves its file to `path` if all stale files are still as it saw them. */
function tookPlace(draft: string, path: string, { stale, free }: Way): boolean {
  try {
    linkSync(draft, free)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    // EPERM, ENOSYS, EOPNOTSUPP, EMLINK: the file system has no hard links, and so no rights.
    holdingFile(path, () => renameSync(draft, path))
    return true
  }
  if (free === path) return true
  try {
    if (!stale.every(isUnchanged)) return false
    holdingFile(path, () => renameSync(free, path))
    for (const { place } of stale.slice(1)) removeIfThere(place)
    return true
  } finally {
    // The draft has moved, or is useless. If another start takes the name now, it sees that the pidfile has changed.
    removeIfThere(free)
  }
}

function isUnchanged({ place, found }: Stale): boolean {
  const now = lookAt(place)
  return now !== null && now.dev === found.dev && now.ino === found.ino && now.mtimeMs === found.mtimeMs
}

function unwritable(path: string, error: unknown): Failure {
  const exitCode = ['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error)) ? EXIT.permission : EXIT.os
  return new Failure('pidfile', `cannot write the pidfile: pidfile=${path}: ${reasonOf(error)}`, exitCode, error)
}

/** Removes the pidfile if it still holds our pid. Returns whether it did. Never throws: at exit nothing could react. */
export function removePidfile(path: string, pid: number = process.pid): boolean {
  try {
    if (!lookAt(path)?.isFile() || readPid(path) !== pid) return false
    holdingFile(path, () => unlinkSync(path))
    return true
  } catch {
    // EACCES, EROFS: the file stays, and the next start finds it stale.
    return false
  }
}

/** The input of a task on a pidfile. `own`: the pid of the master. */
export interface PidfileRequest {
  path: string
  credentials: Credentials | null
  own: number
}

/**
 * The same in another process (`child/task-children.ts`). `remove` returns whether the file does not name this master
 * any more.
 */
export const pidfileTasks = {
  check: {
    name: 'check-pidfile',
    work: ({ path, credentials, own }: PidfileRequest) => checkPidfile(path, credentials, own),
  },
  write: {
    name: 'write-pidfile',
    work: ({ path, credentials, own }: PidfileRequest) => writePidfile(path, credentials, own),
  },
  remove: {
    name: 'remove-pidfile',
    work: ({ path, credentials, own }: PidfileRequest) =>
      onGuardedPath(path, 'name', credentials, () => removePidfile(path, own) || readPid(path) !== own),
  },
}

/**
 * Opens our own descriptor of the pidfile that the process `pid` has just written and keeps open. This needs no file
 * system. A root without CAP_SYS_PTRACE may not look into that process, so it opens the name, which the kernel has
 * cached. Null: it failed, and the next start takes the file for a stale one.
 */
export function holdWritten(
  pid: number,
  written: WrittenPidfile,
  { path, credentials }: PidfileRequest,
): number | null {
  try {
    return openWritten(`/proc/${pid}/fd/${written.fd}`, written, O_PATH)
  } catch {
    try {
      return onGuardedPath(path, 'name', credentials, () => openWritten(path, written, O_PATH | constants.O_NOFOLLOW))
    } catch {
      // The service's user has moved the file already.
      return null
    }
  }
}

function openWritten(path: string, { dev, ino }: WrittenPidfile, flags: number): number {
  const fd = openSync(path, flags)
  const found = fstatSync(fd)
  if (found.dev === dev && found.ino === ino) return fd
  closeSync(fd)
  throw new Error(`${path}: it is another file`)
}

/**
 * The pid in a pidfile. Null: there is no such file, or it holds something else. At most 65 bytes are read, however
 * large the file is.
 */
export function readPid(path: string): number | null {
  try {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      if (!fstatSync(descriptor).isFile()) return null
      const bytes = Buffer.alloc(longestPidfile + 1)
      const length = readSync(descriptor, bytes, 0, bytes.length, 0)
      const text = length > longestPidfile ? '' : bytes.toString('utf8', 0, length).trim()
      return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : null
    } finally {
      closeSync(descriptor)
    }
  } catch {
    // ENOENT, ELOOP (a link), EACCES, EAGAIN (a lease).
    return null
  }
}

/**
 * Whether the process `pid` is a daimyo that wrote the file. It must have started before the file was written: a
 * process that started later only got the same pid, as happens after a crash of the whole machine. A stepped clock can
 * make this wrong, for two INIs that share one pidfile by mistake.
 *
 * The process must belong to us or to the file's owner: otherwise the owner could name any process. A master that root
 * starts with `uid` stays root's. So a process of another user is not a master of this service: the service's user only
 * wrote its pid into the file. A master of root for another service has another pidfile open.
 */
function isRunningDaimyo(pid: number, file: Stats, credentials: Credentials | null): boolean {
  const life = lifeOf(pid)
  if (life === null) return false
  const owner = userOf(pid)
  const isRootsMaster = credentials !== null && process.geteuid?.() === 0
  const owners = isRootsMaster ? [0] : [process.geteuid?.(), process.getuid?.(), file.uid]
  if (owner !== null && !owners.includes(owner)) return false
  const command = commandOf(pid)
  if (command === null) return true
  const startedMs = startTimeOf(life)
  if (!isMasterCommand(command) || (startedMs !== null && startedMs > file.mtimeMs + 1000)) return false
  return !isRootsMaster || isHeldBy(pid, file)
}

/**
 * A task of the master writes the file, and ends when the master has the file open. So the tasks are checked first.
 * Tasks belong to root; a worker of the service's user is not a task.
 */
function isHeldBy(master: number, file: Stats): boolean {
  const tasks = childrenOf(master).filter(pid => userOf(pid) === 0)
  return [...tasks, master].some(pid => hasOpen(pid, file))
}

/** `daimyo: master …` once the title is set, maybe after a `procname-prefix`. Before that `node …/daimyo.js …`. */
function isMasterCommand(command: string): boolean {
  return command.includes(MASTER_NAME) || /(^|[ /])daimyo(\.js)?( |$)/.test(command)
}

function writeNewFile(path: string, text: string): number {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  const descriptor = openSync(path, flags, 0o644)
  writeSync(descriptor, text)
  fsyncSync(descriptor)
  return descriptor
}

function removeIfThere(path: string): void {
  try {
    holdingFile(path, () => unlinkSync(path))
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

/** A pidfile has fewer blocks. */
const MOST_BLOCKS = 128

/**
 * Removes or replaces the file at `path` by `work`. The service's user may have given that file any number of blocks,
 * and the file system may need minutes to free them. Such a file stays open, so it is freed when this process has
 * ended.
 */
function holdingFile(path: string, work: () => void): void {
  const held = hold(path)
  try {
    work()
  } finally {
    if (held !== null && fstatSync(held).blocks <= MOST_BLOCKS) closeSync(held)
  }
}

/** Null: there is no file. */
function hold(path: string): number | null {
  try {
    return openSync(path, O_PATH | constants.O_NOFOLLOW)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return null
  }
}

function lookOrRefuse(path: string): Stats | null {
  try {
    return lookAt(path)
  } catch (error) {
    // EACCES, ELOOP, ENAMETOOLONG.
    const message = `cannot use the pidfile: pidfile=${path}: ${reasonOf(error)}`
    throw new Failure('pidfile', message, EXIT.permission, error)
  }
}

function lookAt(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null
}
