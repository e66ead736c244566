/**
 * The names `worker-ID.sock`, `.link`, `.tunnel` and `.watch` in the folder `workers/` of a run folder.
 *
 * What must stay true: everything under these names in that folder is ours, whatever the service's user puts there. A
 * worker frees the names that it needs (`kit/ground/clear-name.ts`). The master removes leftovers by a child
 * (`file-removal.ts`), because the removal of a planted file may take minutes. At its start it moves planted
 * directories aside, which is quick. No link is followed, nothing is deleted recursively, and the work is bounded.
 *
 * Root may rename there although the folder belongs to the service's user: the folder above is root's, so the user
 * cannot replace `workers/`, and rename(2) does not follow the last component.
 */

import { lstatSync, rmdirSync, type Stats, unlinkSync } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { moveAside } from '../../kit/ground/clear-name.js'
import { codeOf } from '../../kit/ground/failure.js'
import { removals } from '../user/file-removal.js'
import { namesIn } from '../user/folder-names.js'
import { addThreadHolder, asServiceUser } from '../user/service-user.js'

/** Whether a worker may have made this name. */
export function isWorkerName(name: string): boolean {
  return /^worker-[\w.-]+\.(sock|link|tunnel|watch)$/.test(name)
}

/**
 * Queues the removal of files that an ended worker has left at `paths`. Normally there are none. In another user's
 * folder the master does not check first: lstat(2) waits for a process that holds the folder's lock.
 */
export function removeWorkerNames(paths: readonly string[], credentials: Credentials | null): void {
  const isOthers = credentials !== null && process.geteuid?.() === 0
  for (const path of paths)
    if (isOthers || isRemovable(lookAt(path, credentials))) removals.add(dirname(path), [basename(path)], credentials)
}

/** Whether no file has this name. A file that may not be looked at counts as present. */
export function isGone(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined
  } catch (error) {
    // EACCES: the service's user closed the folder. ENOTDIR: a file stands in its place.
    return codeOf(error) === 'ENOTDIR'
  }
}

let looks: Promise<unknown> = Promise.resolve()

/**
 * Whether a file has each of these names. lstat(2) waits for a process that holds the folder's lock, so it runs in a
 * thread. One thread serves all workers, because the log needs other threads. Calls run one after the other: a call
 * with no names resolves when all earlier calls have ended.
 *
 * The call is lstat(2), never stat(2): a link at one of the names leads to any file system of the user. If the user
 * mounts one of its own at a name by fusermount(1), others, root too, get EACCES at once, unless root's /etc/fuse.conf
 * says `user_allow_other`. A thread that waits in such a file system would keep the master from every change of its
 * identity.
 */
export function areThere(paths: readonly string[]): Promise<boolean> {
  const look = looks.then(() => lookForAll(paths))
  looks = look
  return look
}

async function lookForAll(paths: readonly string[]): Promise<boolean> {
  const removeHolder = addThreadHolder(() => true)
  try {
    for (const path of paths) await lstat(path)
    return true
  } catch (error) {
    // EACCES: the service's user closed the folder. A file that may not be looked at counts as present.
    return !['ENOENT', 'ENOTDIR'].includes(codeOf(error))
  } finally {
    removeHolder()
  }
}

/**
 * Clears our names among the first entries of the folder; the caller then waits for `removals`. Workers that need one
 * of the other names clear it. Throws if the folder cannot be read.
 */
export function clearWorkerNames(folder: string, credentials: Credentials | null): void {
  const names = permitted(credentials, () => namesIn(folder).names).filter(isWorkerName)
  const paths = names.map(name => join(folder, name))
  for (const path of paths) if (lookAt(path, credentials)?.isDirectory()) move(path, credentials)
  for (const path of paths)
    if (isRemovable(lookAt(path, credentials))) removals.add(folder, [basename(path)], credentials)
}

/** The work left in the workers' folder when a master ends. `isMade`: the folder is removed too. */
export interface WorkersEnd {
  folder: string
  credentials: Credentials | null
  isMade: boolean
}

/**
 * Clears our names in another process (`child/task-children.ts`), if the folder belongs to another user: that user may
 * hold the lock of the folder or of a file in it, and then only that process waits. Throws if the folder cannot be
 * read.
 */
export const workersTask = {
  name: 'end-workers-folder',
  work({ folder, credentials, isMade }: WorkersEnd): void {
    for (const name of permitted(credentials, () => namesIn(folder).names).filter(isWorkerName)) {
      const path = join(folder, name)
      if (lookAt(path, credentials)?.isDirectory()) move(path, credentials)
      else remove(path, credentials)
    }
    if (isMade) removeEmptyFolder(folder)
  },
}

/** Removes the folder if it is empty. No error if it is not empty, or missing. */
export function removeEmptyFolder(path: string): void {
  try {
    rmdirSync(path)
  } catch (error) {
    // ENOTEMPTY: somebody else's file, or the next master has claimed the folder. ENOENT: systemd was faster.
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EBUSY', 'EROFS'].includes(codeOf(error)))
      throw error
  }
}

function remove(path: string, credentials: Credentials | null): void {
  try {
    permitted(credentials, () => unlinkSync(path))
  } catch {
    // ENOENT: the worker was faster. EACCES, EROFS: the next worker that needs the name reports it.
  }
}

/**
 * Whether it is a file that may be removed. A directory stays: no worker gets the same name again, and the next start
 * moves it aside.
 */
function isRemovable(stats: Stats | undefined): boolean {
  return stats !== undefined && !stats.isDirectory()
}

/** Undefined: there is no such file, or it may not be looked at. */
function lookAt(path: string, credentials: Credentials | null): Stats | undefined {
  try {
    return permitted(credentials, () => lstatSync(path, { throwIfNoEntry: false }))
  } catch {
    // EACCES: its user closed the folder. ENOTDIR: a file stands in its place.
    return undefined
  }
}

function move(path: string, credentials: Credentials | null): void {
  try {
    permitted(credentials, () => moveAside(path))
  } catch {
    // EACCES, EROFS, EBUSY (a mount point): the worker that cannot bind the name reports it.
  }
}

/**
 * Does the work as our user. If the kernel refuses (a root without CAP_DAC_OVERRIDE), does it as the service's user.
 */
function permitted<T>(credentials: Credentials | null, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (credentials === null || !['EACCES', 'EPERM'].includes(codeOf(error))) throw error
    return asServiceUser(credentials, work)
  }
}
