/**
 * The release that a generation runs: application, working directory and static folders with their links resolved,
 * once. A deploy that turns `current` to a new folder changes nothing for workers of the running generation that are
 * respawned meanwhile, as long as the old folder is there (`process-tree.ts` follows the link when it is gone). Must
 * stay true: all is looked up as the service's user, so that a link into a folder which that user may not enter is
 * refused; and by one open(2) each. A walk over folders and links of our own has no end where that user exchanges them
 * meanwhile, and takes seconds where a few links lead through deep folders; the kernel follows forty at most.
 */

import { closeSync, fstatSync, openSync, readlinkSync, realpathSync, type Stats, statSync } from 'node:fs'
import { isAbsolute, relative, resolve } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import type { Settings } from '../config/values/settings.js'
import { asServiceUser, O_PATH } from '../user/service-user.js'
import type { Task } from './task-children.js'

/** Real, absolute paths. `app` null: static files only. */
export interface Release {
  app: string | null
  chdir: string
  /** Of each folder with files to send as the settings have it: where it really is. */
  folders: ReadonlyMap<string, string>
}

/** Of the settings: what is looked up, and for whom. */
export type Located = Pick<
  Settings,
  | 'credentials'
  | 'app'
  | 'chdir'
  | 'startFolder'
  | 'staticMap'
  | 'checkStatic'
  | 'staticSafe'
  | 'internal'
  | 'xSendfileRoot'
>

/** Resolves the paths of `settings`. Failures: `release` (69), naming the option and the path. */
export function resolveRelease(settings: Located): Release {
  const look: Look = (option, path) => lookAt(option, path, settings.credentials)
  const written = settings.chdir ?? settings.startFolder
  // Without the option it is where we are, which nobody has to be able to reach by name.
  const place = settings.chdir === null ? null : look('chdir', written)
  if (place?.stats.isDirectory() === false) throw cannotUse('chdir', written, 'not a folder')
  const chdir = place?.path ?? written
  const folders = resolveFolders(settings, (option, path) => look(option, withinRelease(path, written, chdir)).path)
  if (settings.app === null) return { app: null, chdir, folders }
  const app = look('app', withinRelease(settings.app, written, chdir))
  if (!app.stats.isFile()) throw cannotUse('app', settings.app, 'not a file')
  return { app: app.path, chdir, folders }
}

/** The same, by another process (`task-children.ts`). */
export const releaseTask: Task<Located, Release> = { name: 'release', work: resolveRelease }

/** Where a path leads, and what is there. */
type Look = (option: string, path: string) => { path: string; stats: Stats }

function resolveFolders(
  { staticMap, checkStatic, staticSafe, internal, xSendfileRoot }: Located,
  realPath: (option: string, path: string) => string,
): Map<string, string> {
  const found = new Map<string, string>()
  for (const map of staticMap) {
    const option = map.keepsMount ? 'static-map2' : 'static-map'
    found.set(map.folder, realPath(option, map.folder))
  }
  for (const folder of checkStatic) found.set(folder, realPath('check-static', folder))
  for (const folder of staticSafe) found.set(folder, realPath('static-safe', folder))
  for (const { folder } of internal) found.set(folder, realPath('internal', folder))
  for (const folder of xSendfileRoot) found.set(folder, realPath('x-sendfile-root', folder))
  return found
}

/** What lies below `chdir` is looked up in the folder that `chdir` was resolved to: a link may turn between the two. */
function withinRelease(path: string, written: string, real: string): string {
  const below = relative(written, resolve(written, path))
  return below.startsWith('..') || isAbsolute(below) ? path : resolve(real, below)
}

function lookAt(option: string, path: string, credentials: Credentials | null): ReturnType<Look> {
  try {
    if (process.platform !== 'linux') {
      return asServiceUser(credentials, () => ({ path: realpathSync(path), stats: statSync(path) }))
    }
    const fd = asServiceUser(credentials, () => openSync(path, O_PATH))
    try {
      const stats = fstatSync(fd)
      if (stats.nlink === 0) throw new Error('it was just removed')
      // As root: /proc/self is root's.
      return { path: readlinkSync(`/proc/self/fd/${fd}`), stats }
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw cannotUse(option, path, whyNot(error))
  }
}

function whyNot(error: unknown): string {
  if (codeOf(error) === 'ENOENT') return 'no such file or folder'
  const remedy = codeOf(error) === 'EACCES' ? ': accepted a path that the user of the service may reach' : ''
  return reasonOf(error) + remedy
}

function cannotUse(option: string, path: string, why: string): Failure {
  return new Failure('release', `cannot use the release: ${option}=${path}: ${why}`, EXIT.unavailable)
}
