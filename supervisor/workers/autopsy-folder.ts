/** What lies in the folder of `leak-autopsy`. Must stay true: a look is bounded, and changes nothing. */

import { lstatSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import type { Task } from '../child/task-children.js'
import { namesIn } from '../user/folder-names.js'
import { asServiceUser } from '../user/service-user.js'

const NAME = /^daimyo-slot\d+-pid\d+-\d{8}T\d{6}Z\.heapsnapshot(\.partial)?$/

/** Far more than `leak-autopsy` keeps: to look at a file, or to remove it, takes longer than to read its name. */
const MOST_SNAPSHOTS = 1000

export interface Snapshot {
  name: string
  writtenMs: number
}

/**
 * `kept`: the newest first; halves are as good as none, and go with the others. Null: there is more than can be looked
 * at. `freeBytes`: for everybody, as root counts nothing of its own reserve.
 */
export interface AutopsyFolder {
  kept: Snapshot[] | null
  freeBytes: number
}

/** As this user. Throws what the system says. */
export const autopsyTask: Task<{ folder: string; credentials: Credentials | null }, AutopsyFolder> = {
  name: 'see-autopsies',
  work: ({ folder, credentials }) =>
    asServiceUser(credentials, () => {
      const kept = snapshotsIn(folder)
      const { bavail, bsize } = statfsSync(folder)
      return { kept, freeBytes: bavail * bsize }
    }),
}

function snapshotsIn(folder: string): Snapshot[] | null {
  const { names, isWhole } = namesIn(folder)
  const ours = names.filter(name => NAME.test(name))
  if (!isWhole || ours.length > MOST_SNAPSHOTS) return null
  return ours
    .map(name => ({ name, stats: lstatSync(join(folder, name), { throwIfNoEntry: false }) }))
    .flatMap(({ name, stats }) => (stats?.isFile() ? [{ name, writtenMs: stats.mtimeMs }] : []))
    .sort((a, b) => b.writtenMs - a.writtenMs)
}
