/**
 * Opens a log file for appending. Must stay true: root writes to and gives away only the very file that `logto` names;
 * a link that the service's user planted in its own log folder is refused (how CVE-2016-1247 made nginx give away
 * /etc/shadow), and opening never waits (a FIFO without a reader, a file under a lease).
 */

import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  openSync,
  renameSync,
  writeSync,
} from 'node:fs'
import type { Credentials } from '../channel/messages.js'
import { codeOf, EXIT, Failure, reasonOf } from '../ground/failure.js'
import { createLog } from './log.js'

const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants

/**
 * A descriptor on `path`, made with mode 0640 when it is missing and owned by `owner`, so that proxies without
 * privileges can open the same file. Throws a `log` Failure: 77 when it is not ours to write, 71 otherwise.
 */
export function openLogFile(path: string, owner: Credentials | null): number {
  let descriptor: number
  let movedTo: string | null = null
  try {
    descriptor = open(path)
  } catch (error) {
    movedTo = moveHeld(path, error)
    if (movedTo === null) throw cannotOpen(path, error)
    descriptor = openAgain(path)
  }
  try {
    if (owner !== null && process.geteuid?.() === 0) giveTo(descriptor, owner)
    if (movedTo !== null) createLog(line => writeSync(descriptor, line))('log-held', { path, movedTo })
    return descriptor
  } catch (error) {
    closeSync(descriptor)
    throw cannotOpen(path, error)
  }
}

/**
 * A descriptor on a log that another process has just made with `openLogFile`. Nothing is created, moved or chowned
 * here, because each of these could wait for the lock of a folder or a file (inode(7)). Failures as `openLogFile`.
 */
export function openMadeLogFile(path: string): number {
  try {
    return open(path, 0)
  } catch (error) {
    throw cannotOpen(path, error)
  }
}

function open(path: string, making = O_CREAT): number {
  return openSync(path, O_WRONLY | O_APPEND | making | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0o640)
}

function openAgain(path: string): number {
  try {
    return open(path)
  } catch (error) {
    throw cannotOpen(path, error)
  }
}

/**
 * The file's owner may hold a lease on it (F_SETLEASE of fcntl(2)): opening is EAGAIN then, for as long as its owner
 * renews the lease. Such a file is moved aside, which no lease prevents; returns its new name, null when this is not
 * the reason.
 */
function moveHeld(path: string, error: unknown): string | null {
  if (codeOf(error) !== 'EAGAIN') return null
  try {
    if (!lstatSync(path).isFile()) return null
    const movedTo = `${path}.held-${new Date().toISOString().replaceAll(/[-:.]/g, '')}`
    renameSync(path, movedTo)
    return movedTo
  } catch (cause) {
    throw cannotOpen(path, cause)
  }
}

/** Devices and FIFOs keep their owner. A file with a second name may belong to another user elsewhere. */
function giveTo(descriptor: number, owner: Credentials): void {
  const stats = fstatSync(descriptor)
  if (!stats.isFile() || (stats.uid === owner.uid && stats.gid === owner.gid)) return
  if (stats.nlink !== 1) throw new Error('it has a second name (a hard link)')
  fchownSync(descriptor, owner.uid, owner.gid)
  fchmodSync(descriptor, 0o640)
}

function cannotOpen(path: string, error: unknown): Failure {
  const code = codeOf(error)
  const why = code === 'ELOOP' ? 'it is a symbolic link' : reasonOf(error)
  const exitCode = ['EACCES', 'EPERM', 'EROFS', 'ELOOP'].includes(code) ? EXIT.permission : EXIT.os
  return new Failure('log', `cannot open the log: logto=${path}: ${why}`, exitCode, error)
}
