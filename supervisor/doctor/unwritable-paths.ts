/**
 * Finds files of the INI that the user of a master cannot write, by asking the kernel as that user. Must stay true:
 * nothing is made or changed; if the kernel cannot be asked as that user, nothing is reported.
 */

import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { systemProgram } from '../../kit/ground/system-path.js'
import type { Settings } from '../config/values/settings.js'
import { findCredentials } from '../user/accounts.js'
import { BRIEFLY, spawnAs } from '../user/become-user.js'

/** A unit of systemd; times in milliseconds, `infinity` is Infinity. */
export interface UnitFound {
  name: string
  type: string
  notifyAccess: string
  killMode: string
  stopMs: number
  watchdogMs: number
  descriptors: number
  deniesExecutableMemory: boolean
  needsDaemonReload: boolean
  /** `User=` and `Group=` of the unit; empty: root, and the user's own group. */
  user: string
  group: string
  /** Socket units belong to it. */
  hasSockets: boolean
}

/** `path`: the path that has to be writable, either the file itself or the folder in which it will be made. */
export interface Unwritable {
  option: string
  path: string
}

/** `user`: the user whose rights were checked. */
export interface UnwritablePaths {
  user: string
  paths: Unwritable[]
}

type Written = Pick<Settings, 'logto' | 'pidfile' | 'http' | 'metrics' | 'runDir'>

/** null: the master is root, which may write everywhere, or it runs as a user as which only root can ask. */
export async function unwritablePaths(settings: Written, unit: UnitFound | null): Promise<UnwritablePaths | null> {
  const asker = askerFor(unit)
  if (asker === null) return null
  const { user, mayWrite } = asker
  const paths: Unwritable[] = []
  for (const wanted of writtenBy(settings, unit)) if (!(await mayWrite(wanted.path))) paths.push(wanted)
  return { user, paths }
}

/** The paths that a master writes, without those that systemd makes or opens for it. */
export function writtenBy(settings: Written, unit: UnitFound | null): Unwritable[] {
  const { logto, pidfile, http: listeners, metrics, runDir } = settings
  const found: Unwritable[] = []
  const add = (option: string, path: string) => found.push({ option, path })
  if (logto !== null) add('logto', isThere(logto) ? logto : dirname(logto))
  // It is made again each time.
  if (pidfile !== null && dirname(pidfile) !== runDir) add('pidfile', dirname(pidfile))
  for (const [option, address] of [
    ...listeners.map(address => ['http', address] as const),
    ['metrics', metrics] as const,
  ])
    if (address?.kind === 'unix' && !unit?.hasSockets && dirname(address.path) !== runDir)
      add(option, dirname(address.path))
  if (unit === null || !runDir.startsWith('/run/')) add('run-dir', nearest(runDir))
  return found
}

interface Asker {
  user: string
  mayWrite(path: string): boolean | Promise<boolean>
}

function askerFor(unit: UnitFound | null): Asker | null {
  const isRoot = process.geteuid?.() === 0
  const { user, group } = unit ?? { user: '', group: '' }
  const found = user === '' ? null : findCredentials(user, group || null, accounts())
  if (unit === null || (found?.ok && found.value.uid === process.geteuid?.()))
    return isRoot ? null : { user: user || 'this user', mayWrite: isWritable }
  const program = systemProgram('test')
  if (!isRoot || !found?.ok || found.value.uid === 0 || program === null) return null
  return { user, mayWrite: path => asksAs(found.value, program, path) }
}

function accounts() {
  const textOf = (path: string) => (isThere(path) ? readFileSync(path, 'utf8') : '')
  return { passwd: textOf('/etc/passwd'), group: textOf('/etc/group'), uid: 0, gid: 0 }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    // EACCES, EROFS and similar errors mean that the path is not writable.
    return false
  }
}

/** Runs `test -w` as that user: it judges by the ids of its own process. */
function asksAs(credentials: Credentials, program: string, path: string): Promise<boolean> {
  return new Promise(resolve => {
    const child = spawnAs(
      credentials,
      { program, args: ['-w', path], env: {}, cwd: '/' },
      { stdio: 'ignore', ...BRIEFLY },
    )
    child.on('error', () => resolve(false))
    child.on('exit', code => resolve(code === 0))
  })
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}

function nearest(path: string): string {
  return isThere(path) || dirname(path) === path ? path : nearest(dirname(path))
}
