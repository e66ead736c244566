/**
 * Frees a name that is ours, whatever somebody has put there: a directory is renamed aside, anything else is unlinked.
 * Must stay true: nothing is followed, nothing is deleted recursively, and the work is bounded. It may take as long as
 * the file system likes, and so is done in the process that needs the name.
 */

import { renameSync, unlinkSync } from 'node:fs'
import { codeOf } from './failure.js'

/** Between two attempts somebody may exchange a file for a directory. */
const MOST_ATTEMPTS = 3

/** Never throws: a name that cannot be cleared is told by whoever cannot bind it. */
export function clearName(path: string): void {
  for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
    try {
      return unlinkOrMove(path)
    } catch (error) {
      // EACCES, EPERM, EROFS, EBUSY (a mount point), ENOTDIR, or exchanged meanwhile.
      if (codeOf(error) === 'ENOENT') return
    }
  }
}

/** Throws what rename(2) says. */
export function moveAside(path: string): void {
  // Loaded here: it takes some 10 ms, which each worker's start would pay.
  const { randomBytes } = process.getBuiltinModule('node:crypto')
  renameSync(path, `${path}.planted-${randomBytes(8).toString('hex')}`)
}

function unlinkOrMove(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    // EISDIR is Linux's word for a directory, EPERM that of POSIX.
    if (!['EISDIR', 'EPERM'].includes(codeOf(error))) throw error
    moveAside(path)
  }
}
