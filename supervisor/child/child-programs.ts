/**
 * The files that children run: their paths, the arguments before them, and whether the service's user can reach them.
 */

import { closeSync, constants, lstatSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { builtFile } from '../../kit/ground/places.js'
import { inspectorArguments } from '../../kit/process/uninvited-inspector.js'
import type { Settings } from '../config/values/settings.js'
import { asServiceUser, O_PATH } from '../user/service-user.js'

/** Also the remedy in messages of `start`. */
export const REACH_REMEDY = 'install it where every user may read it, such as /opt or /usr/local'

export const WORKER_ENTRY = builtFile('app/host/main.js')
export const PROXY_ENTRY = builtFile('proxy/main.js')
/** The entry file for `task-children.ts`. */
export const TASK_ENTRY = builtFile('supervisor/task-child-main.js')
const PRELUDE = builtFile('kit/child-prelude.cjs')

/**
 * Node's first arguments. `--disable-sigusr1` (Node 22.14) is not among them: it leaves the signal blocked, so an
 * application that listens for SIGUSR1 would get nothing.
 */
export const FIRST_ARGUMENTS: readonly string[] = ['--require', PRELUDE]

/** The command line that runs an entry file of ours as a child. */
export function entryCommand(entry: string): string[] {
  return [process.execPath, ...inspectorArguments([], {}), ...FIRST_ARGUMENTS, entry]
}

/**
 * Throws Failure 77 if the service's user cannot reach Node or daimyo: children run as this user from their first
 * instruction on.
 */
export function checkReach(credentials: Credentials | null): void {
  const why = whyOutOfReach(credentials)
  if (why !== null) throw new Failure('out-of-reach', `cannot start: ${why}: ${REACH_REMEDY}`, EXIT.permission)
}

/** The file that the user cannot reach, and the obstacle. Null: it can reach all, or there is no other user. */
export function whyOutOfReach(
  credentials: Credentials | null,
  files: readonly string[] = [process.execPath, PRELUDE, WORKER_ENTRY, PROXY_ENTRY],
): string | null {
  if (credentials === null) return null
  const { user, uid } = credentials
  for (const file of files) {
    // A program is executed, not read.
    const flags = file === process.execPath ? O_PATH : constants.O_RDONLY
    const error = asServiceUser(credentials, () => openError(file, flags))
    if (error === null) continue
    const obstacle = asServiceUser(credentials, () => firstClosedFolder(dirname(file))) ?? file
    return `uid=${user ?? uid} cannot reach ${file}: ${describe(obstacle, error)}`
  }
  return null
}

/**
 * Throws Failure 77 if the service's user cannot reach the access log, which the proxies write as this user. `isOurs`:
 * daimyo chose the path, in the folder of the start.
 */
export function checkLogReach(
  { logto, disableLogging, credentials }: Pick<Settings, 'logto' | 'disableLogging' | 'credentials'>,
  isOurs = false,
): void {
  if (logto === null || disableLogging || credentials === null) return
  const closed = asServiceUser(credentials, () => firstClosedFolder(dirname(logto)))
  // A missing folder is reported when the log is opened.
  if (closed === null || lstatSync(closed, { throwIfNoEntry: false }) === undefined) return
  const why = `uid=${credentials.user ?? credentials.uid} cannot reach it: ${describe(closed, null)}`
  const elsewhere = isOurs ? ', or a start in another folder' : ''
  const remedy = `accepted \`logto\` where that user may go, as logto = /var/log/daimyo/site.log${elsewhere}`
  throw new Failure('log', `cannot start: logto=${logto}: ${why}: ${remedy}`, EXIT.permission)
}

/** Whether a program of that user can use the folder as its working folder. */
export function mayEnter(folder: string, credentials: Credentials | null): boolean {
  return asServiceUser(credentials, () => firstClosedFolder(folder)) === null
}

function describe(path: string, error: unknown): string {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return reasonOf(error)
  return `${path} is closed to it (mode ${(stats.mode & 0o7777).toString(8).padStart(4, '0')}, owner ${stats.uid})`
}

/** The first folder of the path, from the root on, that may not be passed. */
function firstClosedFolder(folder: string): string | null {
  const above = dirname(folder) === folder ? null : firstClosedFolder(dirname(folder))
  // The dot makes the kernel check the right to pass the folder itself.
  return above ?? (openError(`${folder}/.`, O_PATH) === null ? null : folder)
}

function openError(path: string, flags: number): unknown {
  try {
    closeSync(openSync(path, flags))
    return null
  } catch (error) {
    return error
  }
}
