/**
 * Frees a name that is ours, whatever lies there: a directory is renamed aside, anything else is unlinked. Must stay
 * true: no link is followed, nothing is deleted recursively, and the work is bounded. The file system may take any time
 * for it, so the process that needs the name does it.
 */

import { renameSync, unlinkSync } from 'node:fs'
import { codeOf } from './failure.js'

/** Between two attempts another process may put a directory in the place of a file. */
const MOST_ATTEMPTS = 3

/** Never throws. If the name cannot be cleared, the later bind fails and reports it. */
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

/** Throws the error of rename(2). */
export function moveAside(path: string): void {
  // Loaded only here: loading it takes about 10 ms, which would delay the start of each worker.
  const { randomBytes } = process.getBuiltinModule('node:crypto')
  renameSync(path, `${path}.planted-${randomBytes(8).toString('hex')}`)
}

function unlinkOrMove(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    // For a directory unlink(2) fails with EISDIR on Linux, with EPERM in POSIX.
    if (!['EISDIR', 'EPERM'].includes(codeOf(error))) throw error
    moveAside(path)
  }
}
