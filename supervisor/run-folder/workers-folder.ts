/**
 * The names `worker-ID.sock`, `.link`, `.tunnel` and `.watch` in the folder `workers/` of a run folder. Must stay true:
 * in that folder everything under these names is ours, whatever the service's user puts there. The worker that needs a
 * name frees it (`kit/ground/clear-name.ts`); the master has what is left removed by a child (`file-removal.ts`), since
 * what lies there may take minutes to remove. At its start it renames planted directories aside, which is quick.
 * Nothing is followed, nothing is deleted recursively, and the work is bounded.
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
 * Removes what a worker that is gone has left at `paths`, soon. In the normal case that is nothing; where the folder
 * belongs to another user it is not even looked for here: a look waits for whoever has locked the folder.
 */
export function removeWorkerNames(paths: readonly string[], credentials: Credentials | null): void {
  const isOthers = credentials !== null && process.geteuid?.() === 0
  for (const path of paths)
    if (isOthers || isRemovable(lookAt(path, credentials))) removals.add(dirname(path), [basename(path)], credentials)
}

/** Nothing has this name; what may not be looked at is there. */
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
 * Whether something has each of these names. It is looked for in a thread, since a look waits for whoever has locked
 * the folder, and in one thread for all workers: the log needs others. Looks are made one after the other; that for no
 * names resolves when those before have ended.
 *
 * lstat(2) only: a link at one of the names leads to any file system of the user's. One that the user mounts at a name
 * by fusermount(1) answers others, root too, at once (EACCES), unless root's /etc/fuse.conf says `user_allow_other`; a
 * thread that waits in it would keep the master from each change of its identity.
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
    // EACCES: the service's user closed the folder; what may not be looked at is there.
    return !['ENOENT', 'ENOTDIR'].includes(codeOf(error))
  } finally {
    removeHolder()
  }
}

/**
 * Clears our names among the first entries of the folder; `removals` are to be waited for. Throws when the folder
 * cannot be read. The others are cleared by the workers that need them.
 */
export function clearWorkerNames(folder: string, credentials: Credentials | null): void {
  const names = permitted(credentials, () => namesIn(folder).names).filter(isWorkerName)
  const paths = names.map(name => join(folder, name))
  for (const path of paths) if (lookAt(path, credentials)?.isDirectory()) move(path, credentials)
  for (const path of paths)
    if (isRemovable(lookAt(path, credentials))) removals.add(folder, [basename(path)], credentials)
}

/** What is left to do in the workers' folder when a master ends. `isMade`: it goes too. */
export interface WorkersEnd {
  folder: string
  credentials: Credentials | null
  isMade: boolean
}

/**
 * Clears our names by another process (`child/task-children.ts`), where the folder is another user's: whoever has
 * locked it, or a file of it, has that process wait. Throws where the folder cannot be read.
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

/** Stays where something is in it, or where it is none any more. */
export function removeEmptyFolder(path: string): void {
  try {
    rmdirSync(path)
  } catch (error) {
    // ENOTEMPTY: somebody else's file, or a next master that claimed it already; ENOENT: systemd was faster.
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EBUSY', 'EROFS'].includes(codeOf(error)))
      throw error
  }
}

function remove(path: string, credentials: Credentials | null): void {
  try {
    permitted(credentials, () => unlinkSync(path))
  } catch {
    // ENOENT: its worker was faster. EACCES, EROFS: the next worker that needs the name tells.
  }
}

/** A directory stays: it is in nobody's way, as no worker has the same name again, and the next start moves it. */
function isRemovable(stats: Stats | undefined): boolean {
  return stats !== undefined && !stats.isDirectory()
}

/** Undefined: there is nothing, or it may not be looked at. */
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
    // EACCES, EROFS, EBUSY (a mount point): the worker that cannot bind it tells.
  }
}

/** As we are, and where the kernel refuses that (a root without CAP_DAC_OVERRIDE) as the service's user. */
function permitted<T>(credentials: Credentials | null, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (credentials === null || !['EACCES', 'EPERM'].includes(codeOf(error))) throw error
    return asServiceUser(credentials, work)
  }
}
