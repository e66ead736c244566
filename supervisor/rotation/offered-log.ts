/**
 * Opens the log that a child of the service's user has made and keeps open (`log-child.ts`), through the descriptor of
 * the child: a lookup of the name would wait while another process has locked the folder (inode(7)).
 *
 * The child may be traced, and offer any file in place of the log. Must stay true:
 * - the file is opened as the service's user, so the kernel checks the rights of that user: with a read-only descriptor
 *   of a file the child cannot make the master write to it;
 * - the offered file is first opened with O_PATH, which asks no file system and opens no device. It is judged by the
 *   kernel's facts about this descriptor of ours, which no other process can exchange; fstat(2) and the real open come
 *   after that. So it is a regular file in a mount of the master: a file system that the user has mounted in its own
 *   namespace (FUSE, also below an overlay) is never asked.
 */

import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { codeOf } from '../../kit/ground/failure.js'
import { asOpening, type Opening } from '../user/guarded-path.js'
import { O_PATH } from '../user/service-user.js'

const { O_WRONLY, O_APPEND, O_NONBLOCK, O_NOCTTY } = constants

/** The offer of our child, which has not been reaped yet, so its pid is still its own. */
export interface OfferedLog {
  pid: number
  fd: number
}

/** The facts that all files in the folder of the log share. */
export interface LogPlace {
  mountId: string
  device: number
}

/** A descriptor to append to. `home`: the place of the log at the start. Throws the reason if the log is not opened. */
export function openOfferedLog(offered: OfferedLog, opening: Opening, home: LogPlace): number {
  const place = asOpening(opening, opening.as, () => take(offered))
  try {
    const why = whyRefused(place, home)
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
    // EACCES: the process is ending, and its part of /proc belongs to root already.
    if (/^(ENOENT|EACCES)$/.test(codeOf(error) ?? ''))
      throw new Error('the process that makes the log has ended', { cause: error })
    throw error
  }
}

/**
 * The place of the log that is open as `fd` in this process. Called as root, since /proc/self belongs to root. Asks no
 * file system except by fstat(2).
 */
export function placeOf(fd: number): LogPlace {
  return { mountId: mountIdOf(fd), device: fstatSync(fd).dev }
}

function mountIdOf(fd: number): string {
  return /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? ''
}

/** Null: the file is accepted. */
function whyRefused(fd: number, home: LogPlace): string | null {
  // Refuses files of /proc, whose rights depend on the process that writes; pipes, sockets and files in memory only;
  // files in a mount that the user has made.
  if (mountIdOf(fd) !== home.mountId) return 'it lies in another mount than the log did at the start'
  const found = fstatSync(fd)
  if (found.dev !== home.device) return 'it lies on another device than the log did at the start'
  // A FIFO is refused too, because open(2) would wait for the holder of its lock.
  return found.isFile() ? null : 'it is no file'
}
