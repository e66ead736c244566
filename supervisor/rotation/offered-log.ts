/**
 * Opens the log that a child of the service's user has made and keeps open (`log-child.ts`), by way of that descriptor: a lookup of the name would wait for whoever has locked the
 * folder (inode(7)).
 *
 * The child may be traced, and offer any file in place of the log. Must stay true:
 * - the file is opened as the service's user, for whom the kernel judges its rights: a descriptor that only reads does not help;
 * - what is offered is first taken with O_PATH, which asks no file system and opens no device. It is judged by what the kernel says of that descriptor of ours, which nobody can
 *   exchange any more, and only then asked by fstat(2) and opened. So it is a regular file, and lies in a mount of the master's own: a file system that the user has mounted in a namespace of its own
 *   (FUSE, also below an overlay) is never asked.
 */

import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { codeOf } from '../../kit/ground/failure.js'
import { asOpening, type Opening } from '../user/guarded-path.js'
import { O_PATH } from '../user/service-user.js'

const { O_WRONLY, O_APPEND, O_NONBLOCK, O_NOCTTY } = constants

/** Of a child of ours, which has not been seen to end. */
export interface OfferedLog {
  pid: number
  fd: number
}

/** A descriptor to append to. Throws why it is not had. */
export function openOfferedLog(offered: OfferedLog, opening: Opening): number {
  const place = asOpening(opening, opening.as, () => take(offered))
  try {
    const why = whyRefused(place)
    if (why !== null) throw new Error(`the process that makes the log offers something else: ${why}`)
    const again = () => openSync(`/proc/self/fd/${place}`, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY)
    return asOpening(opening, opening.as, again)
  } finally {
    closeSync(place)
  }
}

function take({ pid, fd }: OfferedLog): number {
  try {
    return openSync(`/proc/${pid}/fd/${fd}`, O_PATH)
  } catch (error) {
    // EACCES: it is ending, and its part of /proc is root's already.
    if (/^(ENOENT|EACCES)$/.test(codeOf(error) ?? ''))
      throw new Error('the process that makes the log has ended', { cause: error })
    throw error
  }
}

/** Null: it is not. Called as root, since /proc/self is root's. */
function whyRefused(place: number): string | null {
  const mountId = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${place}`, 'latin1'))?.[1]
  const mounts = readFileSync('/proc/self/mountinfo', 'latin1')
  // Pipes, sockets, and files that only memory holds have mounts of the kernel's, which are not listed.
  if (mountId === undefined || !mounts.split('\n').some(line => line.startsWith(`${mountId} `)))
    return 'it lies in no mount of ours'
  // A FIFO too: open(2) waits for whoever holds its lock.
  return fstatSync(place).isFile() ? null : 'it is no file'
}
