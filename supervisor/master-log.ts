/**
 * The master's own log file (`logto`), which root may have to make in a folder that belongs to others. Must stay
 * true: in a folder that others than root may write to it is opened, measured and moved as the service's user;
 * elsewhere root opens this very name, and gives the file to that user.
 */

import { lstatSync } from 'node:fs'
import { openLogFile } from '../kit/log-file.js'
import type { Credentials } from '../kit/messages.js'
import { asOpening, onGuardedPath, openingOf } from './guarded-path.js'
import { type BackupFolder, backUpLog } from './log-backup.js'

/** A descriptor to append to; Failures as `openLogFile`. */
export function openMasterLog(path: string, owner: Credentials | null): number {
  return onGuardedPath(path, 'name', owner, () => openLogFile(path, owner))
}

/** `backUpLog`, where the log has at least so many bytes. */
export function backUpMasterLog(
  path: string,
  owner: Credentials | null,
  { leastBytes = 1, kept, folder }: { leastBytes?: number; kept?: number; folder?: BackupFolder } = {},
): string | null {
  const opening = openingOf(path, 'name', owner)
  return asOpening(opening, owner, () => {
    if ((lstatSync(path, { throwIfNoEntry: false })?.size ?? 0) < leastBytes) return null
    return backUpLog(path, new Date(), kept, folder, opening.as)
  })
}
