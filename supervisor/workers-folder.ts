/**
 * The names `worker-ID.sock`, `.link`, `.tunnel` and `.watch` in the folder `workers/` of a run folder. Called by
 * `worker.ts` and `run-folder.ts`.
 * Must stay true: in that folder everything under these names is ours, whatever the service's user puts there. A name
 * that is in the way of a worker is cleared: a directory is renamed aside, anything else is unlinked. Nothing is
 * followed, nothing is deleted recursively, and the work is bounded.
 *
 * Root may do this itself although the folder belongs to the service's user: the folder above is root's, so the user
 * cannot replace `workers/`, and neither unlink(2) nor rename(2) follows the last component.
 */

import { randomBytes } from 'node:crypto'
import { lstatSync, renameSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf } from '../kit/failure.js'
import type { Credentials } from '../kit/messages.js'
import { namesIn } from './folder-names.js'
import { asServiceUser } from './service-user.js'

/** Between two attempts the user may exchange a file for a directory. */
const MOST_ATTEMPTS = 3

/** Whether a worker may have made this name. */
export function isWorkerName(name: string): boolean {
  return /^worker-[\w.-]+\.(sock|link|tunnel|watch)$/.test(name)
}

/**
 * Clears one name. Never throws: a name that cannot be cleared is told by the worker that cannot bind it, and costs
 * that worker only.
 */
export function clearWorkerName(path: string, credentials: Credentials | null): void {
  try {
    permitted(credentials, () => clear(path))
  } catch {
    // EACCES, EPERM, EROFS, EBUSY (a mount point), ENOTDIR.
  }
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

/** Clears our names among the first entries of the folder; throws when the folder cannot be read. The others are cleared by the workers that need them. */
export function clearWorkerNames(folder: string, credentials: Credentials | null): void {
  for (const name of permitted(credentials, () => namesIn(folder).names)) {
    if (isWorkerName(name)) clearWorkerName(join(folder, name), credentials)
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

function clear(path: string): void {
  for (let attempt = 1; ; attempt++) {
    try {
      return unlinkOrMove(path)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return
      if (attempt === MOST_ATTEMPTS) throw error
    }
  }
}

function unlinkOrMove(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    // EISDIR is Linux's word for a directory, EPERM that of POSIX.
    if (!['EISDIR', 'EPERM'].includes(codeOf(error))) throw error
    renameSync(path, `${path}.planted-${randomBytes(8).toString('hex')}`)
  }
}
