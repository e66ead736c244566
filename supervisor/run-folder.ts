/**
 * The run folder: worker sockets, link sockets, the control socket and `master.pid`, the claim of the master that uses it.
 * Called by `run-command.ts` before anything is opened.
 * Must stay true: at most one master uses a folder; a folder that somebody else planted, or may write to, is refused; nothing in
 * it is removed but sockets and claims under our own names, and those only when their master is gone.
 */

import { lstatSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf } from '../kit/failure.js'
import type { Credentials } from '../kit/messages.js'
import { findMaster } from './control-client.js'
import { alreadyRunning, claimFolder, claimName } from './run-folder-claim.js'
import { openOwnFolder } from './run-folder-owner.js'

/** A prepared folder. `release` takes back what we made: our claim, dead sockets, the folder if it was not there before. */
export interface RunFolder {
  path: string
  controlPath: string
  release(): void
}

/** Where a running master of this run folder is asked. */
export function controlPathOf(runDir: string): string {
  return join(runDir, 'control.sock')
}

/**
 * Makes `path` (mode 0750, owned by the service's user) ready for a new master. Failures: `already-running` (69, with the pid
 * that runs), `run-folder` (77 when it is not ours to use, 71 when the system refuses).
 */
export async function prepareRunFolder(path: string, credentials: Credentials | null): Promise<RunFolder> {
  const { made } = openOwnFolder(path, credentials, isOurName)
  const claim = claimFolder(path)
  try {
    // The claim is exact within one pid namespace; a master in another container is found by its socket only.
    const running = await findMaster(controlPathOf(path))
    if (running !== null) throw alreadyRunning(path, running)
    removeSockets(path)
  } catch (error) {
    claim.release()
    throw error
  }
  return { path, controlPath: controlPathOf(path), release: () => releaseFolder(path, made, claim.release) }
}

function releaseFolder(path: string, made: boolean, releaseClaim: () => void): void {
  removeSockets(path)
  releaseClaim()
  if (!made) return
  try {
    rmdirSync(path)
  } catch (error) {
    // ENOTEMPTY: somebody else's file, or a next master that claimed it already; ENOENT: systemd was faster.
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'EACCES', 'EBUSY'].includes(codeOf(error))) throw error
  }
}

/** What a master and its children may leave behind; everything else in the folder is somebody else's. */
function isOurName(name: string): boolean {
  return isSocketName(name) || name.startsWith(claimName)
}

function isSocketName(name: string): boolean {
  return name === 'control.sock' || /^worker-[\w.-]+\.(sock|link|tunnel|watch)$/.test(name)
}

function removeSockets(folder: string): void {
  for (const name of namesIn(folder)) {
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

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}
