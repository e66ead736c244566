/**
 * The run folder: the control socket, `master.pid` (the claim of the master that uses the folder) and `workers/` with
 * the sockets of the workers. The master claims it before it opens anything.
 *
 * What must stay true:
 * - At most one master uses a folder.
 * - A folder that another user made, or may write to, is refused.
 * - Under a root master with `uid` the folder belongs to root, and only `workers/` to the service's user. So no other
 *   user can answer commands in the master's place or make a dead master seem alive.
 * - In the folder only sockets and claims under our own names are removed, and only after their master is gone. In
 *   `workers/` everything under our names is ours (`workers-folder.ts`).
 */

import { lstatSync, unlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { codeOf } from '../../kit/ground/failure.js'
import { workersFolderOf } from '../config/values/run-folder-path.js'
import { findMaster } from '../control/control-client.js'
import { removals } from '../user/file-removal.js'
import { namesIn } from '../user/folder-names.js'
import { alreadyRunning, type Claim, claimFolder, isClaimName, removeDrafts } from './run-folder-claim.js'
import { openOwnFolder, openWorkersFolder, remakeOwnFolder } from './run-folder-owner.js'
import { clearWorkerNames, isWorkerName, removeEmptyFolder, type WorkersEnd } from './workers-folder.js'

/** A prepared folder. */
export interface RunFolder {
  path: string
  controlPath: string
  /**
   * Restores what was removed while we run: the folder, our claim, the workers' folder. True: something was missing.
   * Fails as `prepareRunFolder` does.
   */
  restore(): boolean
  /**
   * Removes what we made: our claim, dead sockets, and the folders that did not exist before. Takes at most twice
   * `RELEASE_MS`.
   */
  release(): Promise<void>
}

/**
 * How long a start and an end wait until the workers' sockets are removed. Normally there are none. A start waits
 * longer than one child may take, because the new workers reuse the names of earlier ones.
 */
const STALE_MS = 4000
const RELEASE_MS = 2000

/** The control socket of the master that uses this run folder. */
export function controlPathOf(runDir: string): string {
  return join(runDir, 'control.sock')
}

/**
 * Prepares `path` for a new master: mode 0710, owned by root and the service's group, or by our own user. Failures:
 * `already-running` (69, with the pid of the running master), `run-folder` (77 if the folder must not be used, 71 if
 * the system refuses). `end` clears the workers' folder at the end, if it belongs to another user.
 */
export async function prepareRunFolder(
  path: string,
  credentials: Credentials | null,
  end: EndWorkersFolder = endHere,
): Promise<RunFolder> {
  const { made } = await openOwnFolder(path, credentials, {
    isOurs: isOurName,
    // Before root takes over another user's folder: that user may run a master of its own there.
    askBefore: async () => {
      const running = await findMaster(controlPathOf(path), credentials === null ? [] : [credentials.uid])
      if (running !== null) throw alreadyRunning(path, running)
    },
  })
  const claim = claimFolder(path)
  try {
    // The claim is exact within one pid namespace. A master in another container is found only by its socket.
    const running = await findMaster(controlPathOf(path))
    if (running !== null) throw alreadyRunning(path, running)
    removeDrafts(path)
    removeSockets(path)
    const workers = openWorkersFolder(workersFolderOf(path), credentials, clearWorkerNames)
    await removals.settled(STALE_MS)
    return heldFolder(path, credentials, claim, { made: { folder: made, workers: workers.made }, end })
  } catch (error) {
    claim.release()
    throw error
  }
}

function heldFolder(
  path: string,
  credentials: Credentials | null,
  first: Claim,
  { made, end }: { made: FoldersMade; end: EndWorkersFolder },
): RunFolder {
  let claim = first
  const restore = () => {
    if (claim.isThere() && isFolder(workersFolderOf(path))) return false
    if (remakeOwnFolder(path, credentials, isOurName).made) made.folder = true
    if (!claim.isThere()) claim = claimFolder(path)
    // The sockets in it belong to living workers, so nothing is cleared.
    if (openWorkersFolder(workersFolderOf(path), credentials, () => {}).made) made.workers = true
    return true
  }
  const release = () => releaseFolder(path, credentials, made, { releaseClaim: () => claim.release(), end })
  return { path, controlPath: controlPathOf(path), restore, release }
}

/** Never rejects. */
export type EndWorkersFolder = (request: WorkersEnd) => Promise<void>

async function endHere({ folder, credentials, isMade }: WorkersEnd): Promise<void> {
  try {
    clearWorkerNames(folder, credentials)
  } catch {
    // ENOENT: it is removed already. EACCES: its owner closed it. The next start clears the names.
  }
  await removals.settled(RELEASE_MS)
  if (isMade) removeEmptyFolder(folder)
}

/** Which folders were not there before. */
interface FoldersMade {
  folder: boolean
  workers: boolean
}

function isFolder(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  } catch {
    // EACCES, ENOTDIR: the function that makes the folder reports the obstacle.
    return false
  }
}

async function releaseFolder(
  path: string,
  credentials: Credentials | null,
  made: FoldersMade,
  { releaseClaim, end }: { releaseClaim: () => void; end: EndWorkersFolder },
): Promise<void> {
  const workers = workersFolderOf(path)
  // If a removal has not ended, its child waits for a file in that folder, and a process that lists the folder would
  // wait for that child.
  if (await removals.settled(RELEASE_MS)) await end({ folder: workers, credentials, isMade: made.workers })
  removeSockets(path)
  releaseClaim()
  if (made.folder) removeEmptyFolder(path)
}

/** Names that a master of this or an earlier version may leave behind. Other files in the folder are not ours. */
function isOurName(name: string): boolean {
  return isSocketName(name) || isClaimName(name) || name === basename(workersFolderOf('/'))
}

function isSocketName(name: string): boolean {
  return name === 'control.sock' || isWorkerName(name)
}

function removeSockets(folder: string): void {
  for (const name of firstNamesIn(folder)) {
    const path = join(folder, name)
    if (!isSocketName(name) || !lstatSync(path, { throwIfNoEntry: false })?.isSocket()) continue
    try {
      unlinkSync(path)
    } catch (error) {
      // ENOENT: the process of this socket removed it meanwhile.
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }
}

function firstNamesIn(folder: string): string[] {
  try {
    return namesIn(folder).names
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}
