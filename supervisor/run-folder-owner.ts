/**
 * Whether a folder may be our run folder, and making it one. Called by `run-folder.ts` alone.
 * Must stay true: root never changes owner or mode of a folder that it did not make, unless the folder is root's own and holds
 * nothing but what a dead daimyo left (systemd's RuntimeDirectory); everything is done on a descriptor, so that a folder swapped for
 * a link in between is not followed.
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
  readdirSync,
  realpathSync,
  type Stats,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { codeOf, EXIT, Failure, reasonOf } from '../kit/failure.js'
import type { Credentials } from '../kit/messages.js'

const folderMode = 0o750

/** Opens or makes `path`; `made` tells whether it was not there before. Throws a `run-folder` Failure (77 or 71). */
export function openOwnFolder(
  path: string,
  credentials: Credentials | null,
  isOurName: (name: string) => boolean,
): { made: boolean } {
  try {
    const parent = makeParents(dirname(path))
    checkAncestors(parent, path, credentials)
    const folder = join(parent, basename(path))
    const made = makeFolder(folder)
    adopt(folder, made, credentials, isOurName)
    return { made }
  } catch (error) {
    if (error instanceof Failure) throw error
    const exitCode = ['EACCES', 'EPERM', 'EROFS', 'ELOOP', 'ENOTDIR'].includes(codeOf(error))
      ? EXIT.permission
      : EXIT.os
    throw new Failure('run-folder', `cannot use the run folder: run-dir=${path}: ${reasonOf(error)}`, exitCode, error)
  }
}

/** Makes the missing folders above, readable by all so that the service's user reaches its own; returns the real path. */
function makeParents(path: string): string {
  const real = realPathOf(path)
  if (real !== null) return real
  const parent = makeParents(dirname(path))
  const made = join(parent, basename(path))
  if (makeFolder(made)) onFolder(made, descriptor => fchmodSync(descriptor, 0o755))
  return made
}

/** Every folder above must belong to root, us or the service, and be closed to others (or sticky as /tmp): else they could swap ours. */
function checkAncestors(folder: string, runDir: string, credentials: Credentials | null): void {
  for (let path = folder; ; path = dirname(path)) {
    const stats = lstatSync(path)
    if (![0, ourId(), credentials?.uid].includes(stats.uid))
      throw refused(runDir, `${path} belongs to uid ${stats.uid}`)
    if (othersMayWrite(stats)) throw refused(runDir, `others may write to ${path}`)
    if (path === dirname(path)) return
  }
}

/** Our own group may: many systems give each user a private one, and umask 002. */
function othersMayWrite(stats: Stats): boolean {
  if ((stats.mode & 0o1000) !== 0) return false
  return (stats.mode & 0o002) !== 0 || ((stats.mode & 0o020) !== 0 && ![0, process.getegid?.()].includes(stats.gid))
}

function adopt(
  path: string,
  made: boolean,
  credentials: Credentials | null,
  isOurName: (name: string) => boolean,
): void {
  const wanted = { uid: credentials?.uid ?? ourId(), gid: credentials?.gid ?? process.getegid?.() ?? 0 }
  onFolder(path, descriptor => {
    const stats = fstatSync(descriptor)
    if (![ourId(), wanted.uid].includes(stats.uid)) throw refused(path, `it belongs to uid ${stats.uid}`)
    if (!made && isReady(stats, wanted)) return
    const stranger = made ? undefined : readdirSync(path).find(name => !isOurName(name))
    if (stranger !== undefined)
      throw refused(path, `${describe(stats)} and it holds other files (${JSON.stringify(stranger)})`)
    if (ourId() === 0) fchownSync(descriptor, wanted.uid, wanted.gid)
    else if (stats.uid !== wanted.uid) throw refused(path, `only root can give it to uid ${wanted.uid}`)
    fchmodSync(descriptor, folderMode)
  })
}

/** Fit as it is: the owner we want, and nobody else may write. */
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

function makeFolder(path: string): boolean {
  try {
    mkdirSync(path, folderMode)
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
