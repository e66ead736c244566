/**
 * Whether a folder may be our run folder, and making it one. Must stay true: root never changes owner or mode of a
 * folder that it did not make, unless the folder is root's own, or the service's user's below folders of root's, and
 * holds nothing but the rests of a dead daimyo. Everything is done on a descriptor, so that a folder swapped for a link
 * in between is not followed. A file that the service's user could plant is removed only when that user can change the
 * folder no more.
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
 * The service's group passes through it, and cannot list it: a reader of a folder may hold its lock for seconds
 * (getdents(2)).
 */
const RUN_MODE = 0o710
const WORKERS_MODE = 0o750

/** `isOurs`: names that a daimyo makes. `askBefore` rejects if a folder of another user may not be taken over. */
export interface FolderCare {
  isOurs: (name: string) => boolean
  askBefore: () => Promise<void>
}

/** Opens or makes `path`; `made`: it did not exist before. Throws a `run-folder` Failure (77 or 71). */
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

/**
 * The same for a running master whose folder was removed. A folder that somebody else has made meanwhile is refused.
 */
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
 * The folder of the workers' sockets in a run folder of ours: nobody else can have made it. `clear` gets it when its
 * owner and mode are right. The service's user may close it at any time: that is a `run-folder` Failure with a remedy.
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
 * A folder of the service's user that root is to use: from an earlier version, or from a master that ran as that user.
 */
function isForeign(path: string, credentials: Credentials | null): boolean {
  const { uid } = lstatSync(path)
  return ourId() === 0 && uid !== 0 && uid === credentials?.uid
}

/** The nearest existing folder above, links resolved. */
function nearestFolder(path: string): string {
  return realPathOf(path) ?? nearestFolder(dirname(path))
}

/**
 * Makes the missing folders above, readable by all so that the service's user reaches its own; returns the real path.
 */
function makeParents(path: string): string {
  const real = realPathOf(path)
  if (real !== null) return real
  const parent = makeParents(dirname(path))
  const made = join(parent, basename(path))
  if (makeFolder(made, 0o755)) onFolder(made, descriptor => fchmodSync(descriptor, 0o755))
  return made
}

/**
 * Every folder above must belong to root or us, and be closed to others (or sticky as /tmp): else they could swap
 * ours.
 */
function checkAncestors(folder: string, runDir: string): void {
  for (let path = folder; ; path = dirname(path)) {
    const stats = lstatSync(path)
    if (![0, ourId()].includes(stats.uid)) throw refused(runDir, `${path} belongs to uid ${stats.uid}`)
    if (othersMayWrite(stats)) throw refused(runDir, `others may write to ${path}`)
    if (path === dirname(path)) return
  }
}

/** Our own group may: many systems give each user a private one, and umask 002. */
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
    // The workers' user passes through it as a member of its group.
    const isPassable = credentials === null || (stats.gid === wanted.gid && (stats.mode & 0o010) !== 0)
    if (!made && isReady(stats, wanted) && isPassable) return tighten(path, descriptor, stats, isOurs)
    const refuseStrangers = () => {
      const stranger = made ? undefined : allNamesIn(path).find(name => !isOurs(name) && !mayStay(join(path, name)))
      if (stranger === undefined) return
      throw refused(path, `${describe(stats)} and it holds other files (${JSON.stringify(stranger)})`)
    }
    refuseStrangers()
    if (ourId() === 0) fchownSync(descriptor, wanted.uid, wanted.gid)
    fchmodSync(descriptor, RUN_MODE)
    if (!isForeign) return
    // From here on its former owner changes nothing in it: planted files are seen now: names of ours are removed,
    // others refused.
    refuseStrangers()
    for (const name of allNamesIn(path).filter(isOurs)) remove(join(path, name))
  })
}

/**
 * A folder of an earlier version, or of a unit with RuntimeDirectoryMode=0750. A folder with files of others keeps its
 * mode: they may be meant to be seen.
 */
function tighten(path: string, descriptor: number, { mode }: Stats, isOurs: FolderCare['isOurs']): void {
  if ((mode & 0o060) === 0) return
  const { names, isWhole } = namesIn(path)
  if (isWhole && names.every(name => isOurs(name) || mayStay(join(path, name)))) fchmodSync(descriptor, mode & 0o7710)
}

/** A folder that is taken over is checked to its last name. */
function allNamesIn(path: string): string[] {
  const { names, isWhole } = namesIn(path)
  if (!isWhole) throw refused(path, CROWDED)
  return names
}

/** Public sockets and pidfiles that an INI puts into the run folder. */
function mayStay(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  return stats === undefined || stats.isSocket() || (stats.isFile() && path.endsWith('.pid'))
}

/**
 * A folder below still belongs to the former owner: it is never emptied, and only that of the workers' sockets may have
 * something in it.
 */
function remove(path: string): void {
  if (!lstatSync(path).isDirectory()) unlinkSync(path)
  else if (path !== workersFolderOf(dirname(path))) rmdirSync(path)
}

/** Fit as it is: it has the wanted owner, and nobody else may write. */
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
