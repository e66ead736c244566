/**
 * Checks whether a folder may be our run folder, and makes it one.
 *
 * What must stay true: root changes owner and mode only of a folder that it made, of a folder of its own, or of one
 * that belongs to the service's user, lies below folders of root, and holds nothing but leftovers of a dead daimyo. All
 * looks and changes go through one descriptor, and the name must lead to it at the end: a folder that is swapped for
 * another one, or for a link, meanwhile is refused. A file that the service's user could have planted is removed only
 * after that user has lost the right to change the folder.
 */

import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { workersFolderOf } from '../config/values/run-folder-path.js'
import { CROWDED, namesIn } from '../user/folder-names.js'
import { findNoRoom } from '../user/room-left.js'

/**
 * The service's group may pass through the folder but not list it: a process that lists a folder holds its lock, for
 * seconds if it wants (getdents(2)).
 */
const RUN_MODE = 0o710
const WORKERS_MODE = 0o750

/**
 * `isOurs`: whether daimyo makes files of this name. `askBefore` rejects if the folder of another user must not be
 * taken over.
 */
export interface FolderCare {
  isOurs: (name: string) => boolean
  askBefore: () => Promise<void>
}

/** Opens or makes `path`. `made`: it did not exist before. Throws a `run-folder` Failure (77 or 71). */
export async function openOwnFolder(
  path: string,
  credentials: Credentials | null,
  care: FolderCare,
): Promise<{ made: boolean }> {
  try {
    const { folder, made } = findOrMake(path)
    if (!made && isForeign(folder, credentials)) await care.askBefore()
    adopt(folder, made, credentials, care.isOurs)
    return { made }
  } catch (error) {
    throw unusable(path, error)
  }
}

/** `openOwnFolder` for a running master whose folder was removed. Refuses a folder that another user made meanwhile. */
export function remakeOwnFolder(
  path: string,
  credentials: Credentials | null,
  isOurs: FolderCare['isOurs'],
): { made: boolean } {
  try {
    const { folder, made } = findOrMake(path)
    if (!made && isForeign(folder, credentials)) throw refused(path, 'another user has made it')
    adopt(folder, made, credentials, isOurs)
    return { made }
  } catch (error) {
    throw unusable(path, error)
  }
}

function findOrMake(path: string): { folder: string; made: boolean } {
  checkAncestors(nearestFolder(dirname(path)), path)
  const parent = makeParents(dirname(path))
  checkAncestors(parent, path)
  const folder = join(parent, basename(path))
  return { folder, made: makeFolder(folder, RUN_MODE) }
}

/**
 * Opens or makes the folder for the workers' sockets. It lies in our run folder, where nobody else can make it. `clear`
 * runs when owner and mode are right. The service's user may close the folder at any time: that is a `run-folder`
 * Failure with a remedy.
 */
export function openWorkersFolder(
  path: string,
  credentials: Credentials | null,
  clear: (path: string, credentials: Credentials | null) => void,
): { path: string; made: boolean } {
  try {
    const made = makeFolder(path, WORKERS_MODE)
    const wanted = { uid: credentials?.uid ?? ourId(), gid: credentials?.gid ?? process.getegid?.() ?? 0 }
    onFolder(path, descriptor => {
      const stats = fstatSync(descriptor)
      if (!made && isReady(stats, wanted)) return
      if (ourId() === 0) fchownSync(descriptor, wanted.uid, wanted.gid)
      else if (stats.uid !== wanted.uid) throw refused(path, `it belongs to uid ${stats.uid}`)
      fchmodSync(descriptor, WORKERS_MODE)
    })
    clear(path, credentials)
    return { path, made }
  } catch (error) {
    throw unusableWorkersFolder(path, error)
  }
}

function unusable(path: string, error: unknown): Failure {
  if (error instanceof Failure) return error
  const exitCode = ['EACCES', 'EPERM', 'EROFS', 'ELOOP', 'ENOTDIR'].includes(codeOf(error)) ? EXIT.permission : EXIT.os
  const why = reasonOf(error)
  const noRoom = findNoRoom(dirname(path), why)
  const told = noRoom === null ? why : `${noRoom.why}: ${noRoom.remedy}: ${why}`
  return new Failure('run-folder', `cannot use the run folder: run-dir=${path}: ${told}`, exitCode, error)
}

function unusableWorkersFolder(path: string, error: unknown): Failure {
  const { code, message, exitCode } = unusable(path, error)
  const stats = lstatSync(path, { throwIfNoEntry: false })
  const found = stats === undefined ? 'it is gone' : describe(stats)
  const remedy = 'move this folder away or give it mode 0750 and the owner of the service, then start again'
  return new Failure(code, `${message}: ${found}: ${remedy}`, exitCode, error)
}

/**
 * Whether root would take over a folder of the service's user. An earlier version made it, or a master that ran as that
 * user.
 */
function isForeign(path: string, credentials: Credentials | null): boolean {
  const { uid } = lstatSync(path)
  return ourId() === 0 && uid !== 0 && uid === credentials?.uid
}

/** The nearest existing parent folder, with links resolved. */
function nearestFolder(path: string): string {
  return realPathOf(path) ?? nearestFolder(dirname(path))
}

/** Makes the missing parents, readable by all so that the service's user reaches its folder. Returns the real path. */
function makeParents(path: string): string {
  const real = realPathOf(path)
  if (real !== null) return real
  const parent = makeParents(dirname(path))
  const made = join(parent, basename(path))
  if (makeFolder(made, 0o755)) onFolder(made, descriptor => fchmodSync(descriptor, 0o755))
  return made
}

/**
 * Each parent must belong to root or to us. Others must not write to it, unless it is sticky as /tmp is: otherwise they
 * could replace our folder.
 */
function checkAncestors(folder: string, runDir: string): void {
  for (let path = folder; ; path = dirname(path)) {
    const stats = lstatSync(path)
    if (![0, ourId()].includes(stats.uid)) throw refused(runDir, `${path} belongs to uid ${stats.uid}`)
    if (othersMayWrite(stats)) throw refused(runDir, `others may write to ${path}`)
    if (path === dirname(path)) return
  }
}

/** Our own group may write: many systems give each user a private group, and umask 002. */
function othersMayWrite(stats: Stats): boolean {
  if ((stats.mode & 0o1000) !== 0) return false
  return (stats.mode & 0o002) !== 0 || ((stats.mode & 0o020) !== 0 && ![0, process.getegid?.()].includes(stats.gid))
}

function adopt(path: string, made: boolean, credentials: Credentials | null, isOurs: (name: string) => boolean): void {
  const wanted = { uid: ourId(), gid: credentials?.gid ?? process.getegid?.() ?? 0 }
  onFolder(path, descriptor => {
    const stats = fstatSync(descriptor)
    const isForeign = stats.uid !== wanted.uid
    if (isForeign && (ourId() !== 0 || stats.uid !== credentials?.uid))
      throw refused(path, `it belongs to uid ${stats.uid}`)
    // The workers' user reaches `workers/` as a member of the folder's group.
    const isPassable = credentials === null || (stats.gid === wanted.gid && (stats.mode & 0o010) !== 0)
    const held = heldPath(descriptor, path)
    if (!made && isReady(stats, wanted) && isPassable) {
      tighten(held, descriptor, stats, isOurs)
      return demandSame(path, stats)
    }
    const names = () => allNamesIn(held, path)
    const refuseStrangers = () => {
      const stranger = made ? undefined : names().find(name => !isOurs(name) && !mayStay(join(held, name)))
      if (stranger === undefined) return
      throw refused(path, `${describe(stats)} and it holds other files (${JSON.stringify(stranger)})`)
    }
    refuseStrangers()
    if (ourId() === 0) fchownSync(descriptor, wanted.uid, wanted.gid)
    fchmodSync(descriptor, RUN_MODE)
    demandSame(path, stats)
    if (!isForeign) return
    // The former owner can change nothing here any more, so files that it planted before are visible now. Ours are
    // removed, other names are refused.
    refuseStrangers()
    for (const name of names().filter(isOurs)) remove(join(held, name))
  })
}

/** Leads to the open folder, whatever its path leads to meanwhile. macOS has no such path. */
function heldPath(descriptor: number, path: string): string {
  return process.platform === 'linux' ? `/proc/self/fd/${descriptor}` : path
}

/** In a sticky folder such as /tmp the former owner may have moved it away until now. */
function demandSame(path: string, { dev, ino }: Stats): void {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found?.dev !== dev || found.ino !== ino) throw refused(path, 'it was moved away while daimyo looked at it')
}

/**
 * A folder of an earlier version, or of a unit with RuntimeDirectoryMode=0750, loses the group's right to list it. A
 * folder with other files keeps its mode: others may need to see those files.
 */
function tighten(path: string, descriptor: number, { mode }: Stats, isOurs: FolderCare['isOurs']): void {
  if ((mode & 0o060) === 0) return
  const { names, isWhole } = namesIn(path)
  if (isWhole && names.every(name => isOurs(name) || mayStay(join(path, name)))) fchmodSync(descriptor, mode & 0o7710)
}

/** All names of the folder. A folder that is taken over is checked to its last name. */
function allNamesIn(held: string, path: string): string[] {
  const { names, isWhole } = namesIn(held)
  if (!isWhole) throw refused(path, CROWDED)
  return names
}

/** An INI may put public sockets and pidfiles into the run folder. */
function mayStay(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  return stats === undefined || stats.isSocket() || (stats.isFile() && path.endsWith('.pid'))
}

/**
 * A folder inside still belongs to the former owner. It is never emptied: `workers/` stays, and any other must be
 * empty.
 */
function remove(path: string): void {
  if (!lstatSync(path).isDirectory()) unlinkSync(path)
  else if (path !== workersFolderOf(dirname(path))) rmdirSync(path)
}

/** The folder has the wanted owner, and nobody else may write. */
function isReady(stats: Stats, wanted: { uid: number }): boolean {
  return stats.uid === wanted.uid && (stats.mode & 0o700) === 0o700 && (stats.mode & 0o027) === 0
}

function describe(stats: Stats): string {
  return `it has owner ${stats.uid} and mode 0${(stats.mode & 0o7777).toString(8)}`
}

function onFolder(path: string, work: (descriptor: number) => void): void {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  try {
    work(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function makeFolder(path: string, mode: number): boolean {
  try {
    mkdirSync(path, mode)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

function realPathOf(path: string): string | null {
  try {
    return realpathSync(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
}

function ourId(): number {
  return process.geteuid?.() ?? 0
}

function refused(path: string, why: string): Failure {
  const accepted = 'accepted: a folder that nobody but the service may write to, or a path that does not exist yet'
  return new Failure('run-folder', `cannot use the run folder: run-dir=${path}: ${why}: ${accepted}`, EXIT.permission)
}
