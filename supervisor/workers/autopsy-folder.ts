/** Looks into the folder of `leak-autopsy`. What must stay true: a look is bounded and changes nothing. */

import { lstatSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import type { Task } from '../child/task-children.js'
import { namesIn } from '../user/folder-names.js'
import { asServiceUser } from '../user/service-user.js'

const NAME = /^daimyo-slot\d+-pid\d+-\d{8}T\d{6}Z\.heapsnapshot(\.partial)?$/

/**
 * Far more than `leak-autopsy` keeps. The limit is lower than that of names, because lstat(2) and a removal take longer
 * than reading a name.
 */
const MOST_SNAPSHOTS = 1000

export interface Snapshot {
  name: string
  writtenMs: number
}

/**
 * `kept`: the newest first. Unfinished snapshots are useless but count as snapshots, so they are removed with the old
 * ones. Null: there are too many names to look at. `freeBytes`: the space that users other than root may use.
 */
export interface AutopsyFolder {
  kept: Snapshot[] | null
  freeBytes: number
}

/** Runs as this user. Throws errors of the system. */
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
