/**
 * Whether what was opened as the service's user can be reached by that user under its own name.
 *
 * The links of /proc/self (`cwd`, `root`, `fd/3`) lead to what this process has open, past all folders above it, and a
 * process may always follow its own, whoever it is at the moment; so it may read its own `maps` and `environ`. A link
 * of the service's user to one of these would show root's files to that user. Looked at behind the opening, so nobody
 * can change anything in between.
 */

import { fstatSync, lstatSync, readlinkSync, statfsSync } from 'node:fs'
import { codeOf } from '../../kit/ground/failure.js'

/** The type of statfs(2): PROC_SUPER_MAGIC of linux/magic.h. */
const PROC = 0x9fa0

/** Why the thing behind a descriptor is refused; null: it is not. To be called as the service's user. */
export function whyNotByName(fd: number): string | null {
  if (process.platform !== 'linux') return null
  try {
    const name = readlinkSync(`/proc/self/fd/${fd}`)
    if (statfsSync(name).type === PROC) return 'it lies in /proc'
    const opened = fstatSync(fd)
    const named = lstatSync(name)
    return opened.dev === named.dev && opened.ino === named.ino ? null : 'it was changed meanwhile'
  } catch (error) {
    // ENOENT: it was moved or removed meanwhile. ENOTDIR, ELOOP: the same for a folder above it.
    return codeOf(error) === 'EACCES' ? 'a folder above it is closed' : 'it was changed meanwhile'
  }
}
