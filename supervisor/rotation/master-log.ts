/**
 * The master's own log file (`logto`), which root may have to make in a folder that belongs to others. Must stay
 * true: in a folder that others than root may write to it is opened and moved as the service's user; elsewhere root
 * opens this very name, and gives the file to that user. While the master runs, another process moves and makes it (`log-child.ts`).
 */

import type { Credentials } from '../../kit/channel/messages.js'
import { openLogFile, openMadeLogFile } from '../../kit/log/log-file.js'
import { asOpening, onGuardedPath, openingOf } from '../user/guarded-path.js'
import { backUpLog } from './log-backup.js'

/** A descriptor to append to; Failures as `openLogFile`. */
export function openMasterLog(path: string, owner: Credentials | null): number {
  return onGuardedPath(path, 'name', owner, () => openLogFile(path, owner))
}

/** The same, of a file that is there; of nobody else's folder while the master runs, see `offered-log.ts`. */
export function openMadeMasterLog(path: string, owner: Credentials | null): number {
  return onGuardedPath(path, 'name', owner, () => openMadeLogFile(path))
}

/** `backUpLog`, at a start. */
export function backUpMasterLog(path: string, owner: Credentials | null): string | null {
  const opening = openingOf(path, 'name', owner)
  return asOpening(opening, owner, () => backUpLog(path, new Date(), undefined, undefined, opening.as))
}
