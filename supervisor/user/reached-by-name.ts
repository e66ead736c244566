/**
 * Whether the service's user can reach an open file by the file's own name.
 *
 * The links of /proc/self (`cwd`, `root`, `fd/3`) lead to what this process has open, without a check of the folders
 * above. A process may always follow its own links, whatever its identity is at that moment, and may read its own
 * `maps` and `environ`. So a link of the service's user to one of these would show that user files of root. The check
 * comes after the open, so nobody can change anything in between.
 */

import { fstatSync, lstatSync, readlinkSync, statfsSync } from 'node:fs'
import { codeOf } from '../../kit/ground/failure.js'

/** The type of statfs(2): PROC_SUPER_MAGIC of linux/magic.h. */
const PROC = 0x9fa0

/** Why the file behind a descriptor is refused. Null: it is not. Call it as the service's user. */
export function whyNotByName(fd: number): string | null {
  if (process.platform !== 'linux') return null
  try {
    const name = readlinkSync(`/proc/self/fd/${fd}`)
    if (statfsSync(name).type === PROC) return 'it lies in /proc'
    const opened = fstatSync(fd)
    const named = lstatSync(name)
    return opened.dev === named.dev && opened.ino === named.ino ? null : 'it was changed meanwhile'
  } catch (error) {
    // ENOENT: the file was moved or removed meanwhile. ENOTDIR, ELOOP: the same happened to a folder above it.
    return codeOf(error) === 'EACCES' ? 'a folder above it is closed' : 'it was changed meanwhile'
  }
}
