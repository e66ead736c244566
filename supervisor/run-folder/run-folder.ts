/**
 * The run folder: the control socket and `master.pid`, the claim of the master that uses it, and below it `workers/`
 * with the sockets of the workers. It is claimed before anything is opened. Must stay true: at most one master uses a
 * folder; a folder that somebody else planted, or may write to, is refused; under a root master with `uid` the folder
 * is root's and only `workers/` the service's user's, so that nobody else decides who is asked and who is believed to
 * run; nothing is removed from the folder but sockets and claims under our own names, and those only when their master
 * is gone. In `workers/` everything under our names is ours (`workers-folder.ts`).
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
   * Makes anew what somebody has removed while we run: the folder, our claim, the folder of the workers; true:
   * something was. Failures as those of `prepareRunFolder`.
   */
  restore(): boolean
  /**
   * Takes back what we made: our claim, dead sockets, the folders if they were not there before. Takes `RELEASE_MS`
   * twice at most.
   */
  release(): Promise<void>
}

/**
 * How long the removal of workers' sockets is waited for, of which there are none in the normal case. At the start
 * longer than one child may take: the new workers have the names of earlier ones.
 */
const STALE_MS = 4000
const RELEASE_MS = 2000

/** Where a running master of this run folder is asked. */
export function controlPathOf(runDir: string): string {
  return join(runDir, 'control.sock')
}

/**
 * Makes `path` (mode 0710, root's and the service's group's, else our own) ready for a new master. Failures:
 * `already-running` (69, with the pid that runs), `run-folder` (77 when it is not ours to use, 71 when the system
 * refuses). `end`: what clears the workers' folder at the end, where it is another user's.
 */
export async function prepareRunFolder(
  path: string,
  credentials: Credentials | null,
  end: EndWorkersFolder = endHere,
): Promise<RunFolder> {
  const { made } = await openOwnFolder(path, credentials, {
    isOurs: isOurName,
    // Of another user's folder, before it is taken over: that user may run a master of its own there.
    askBefore: async () => {
      const running = await findMaster(controlPathOf(path), credentials === null ? [] : [credentials.uid])
      if (running !== null) throw alreadyRunning(path, running)
    },
  })
  const claim = claimFolder(path)
  try {
    // The claim is exact within one pid namespace; a master in another container is found by its socket only.
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
    // What is in it is of workers that live.
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
    // ENOENT: removed already; EACCES: its owner closed it. The next start clears the names.
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
    // EACCES, ENOTDIR: what stands in the way is told by who makes the folder.
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
  // Else a child of ours waits for a file there, and whoever reads the folder waits for the child.
  if (await removals.settled(RELEASE_MS)) await end({ folder: workers, credentials, isMade: made.workers })
  removeSockets(path)
  releaseClaim()
  if (made.folder) removeEmptyFolder(path)
}

/** What a master may leave behind, also one of an earlier version; everything else in the folder is somebody else's. */
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
      // ENOENT: its own process removed it in the meantime.
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
