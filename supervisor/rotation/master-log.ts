/**
 * The master's own log file (`logto`), which root may have to make in a folder of other users. Must stay true: in a
 * folder that users other than root may write to, it is opened and moved as the service's user. Elsewhere root opens
 * this very name, and gives the file to that user. While the master runs, another process moves and makes it
 * (`log-child.ts`).
 */

import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import type { Credentials } from '../../kit/channel/messages.js'
import { EXIT, Failure } from '../../kit/ground/failure.js'
import { openLogFile, openMadeLogFile } from '../../kit/log/log-file.js'
import type { Task, Tasks } from '../child/task-children.js'
import { asOpening, onGuardedPath, openingOf } from '../user/guarded-path.js'
import { backUpLog } from './log-backup.js'

/**
 * A descriptor to append to; Failures as `openLogFile`. If users other than root decide about the folder, it is a
 * regular file: each later open(2) of a FIFO (77) could wait.
 */
export function openMasterLog(path: string, owner: Credentials | null): number {
  const opening = openingOf(path, 'name', owner)
  const fd = asOpening(opening, owner, () => openLogFile(path, owner))
  if (opening.as === null || fstatSync(fd).isFile()) return fd
  closeSync(fd)
  const why = `it is not a regular file: accepted another kind only where root alone decides, and it is ${opening.reason}`
  throw new Failure('log', `cannot open the log: logto=${path}: ${why}`, EXIT.permission)
}

interface OpenedLog {
  fd: number
  dev: number
  ino: number
}

/** Runs `openMasterLog` in another process, which keeps the log open. */
export const logTask: Task<{ path: string; owner: Credentials | null }, OpenedLog> = {
  name: 'open-log',
  work({ path, owner }) {
    const fd = openMasterLog(path, owner)
    const { dev, ino } = fstatSync(fd)
    return { fd, dev, ino }
  },
}

/** The same at the start of a master, which waits for no folder of another user. */
export async function openFirstLog(path: string, owner: Credentials | null, tasks: Tasks): Promise<number> {
  if (openingOf(path, 'name', owner).as === null) return openMasterLog(path, owner)
  let taken: number | null = null
  const taking = (pid: number, opened: unknown) => {
    taken = takeLog(path, owner, pid, opened as OpenedLog)
  }
  const options = { credentials: owner, what: `cannot open the log: logto=${path}`, taking }
  const { fd } = await tasks.run(logTask, { path, owner }, options)
  return taken ?? fd
}

/** A root without CAP_SYS_PTRACE may not look into /proc of that process, and opens the log by its name. */
function takeLog(path: string, owner: Credentials | null, pid: number, { fd, dev, ino }: OpenedLog): number {
  const { O_WRONLY, O_APPEND, O_NONBLOCK, O_NOCTTY } = constants
  try {
    return openSync(`/proc/${pid}/fd/${fd}`, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY)
  } catch {
    const own = openMadeMasterLog(path, owner)
    const found = fstatSync(own)
    if (found.dev === dev && found.ino === ino) return own
    closeSync(own)
    throw new Failure('log', `cannot open the log: logto=${path}: it was exchanged`, EXIT.permission)
  }
}

/** The same for a file that exists; never in a folder of another user while the master runs, see `offered-log.ts`. */
export function openMadeMasterLog(path: string, owner: Credentials | null): number {
  return onGuardedPath(path, 'name', owner, () => openMadeLogFile(path))
}

/** Moves the earlier log away at a start (`backUpLog`). */
export function backUpMasterLog(path: string, owner: Credentials | null): string | null {
  const opening = openingOf(path, 'name', owner)
  return asOpening(opening, owner, () => backUpLog(path, new Date(), undefined, undefined, opening.as))
}
