/**
 * The release that a generation runs: application, working folder and static folders, with their links resolved once.
 * When a deploy points `current` to a new folder, respawned workers of the running generation keep the old one as long
 * as it exists. When it is gone, `process-tree.ts` follows the link.
 *
 * What must stay true: all paths are looked up as the service's user, so a link into a folder that this user may not
 * enter is refused. Each lookup is one open(2), in which the kernel follows at most forty links. A walk of our own
 * would never end if that user kept exchanging links, and would take seconds if a few links led through deep folders.
 */

import { closeSync, fstatSync, openSync, readlinkSync, realpathSync, type Stats, statSync } from 'node:fs'
import { isAbsolute, relative, resolve } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import type { Settings } from '../config/values/settings.js'
import { asServiceUser, O_PATH } from '../user/service-user.js'
import type { Task } from './task-children.js'

/** Real, absolute paths. `app` null: the release has only static files. */
export interface Release {
  app: string | null
  chdir: string
  /** For each folder of the settings from which files are sent: its real path. */
  folders: ReadonlyMap<string, string>
}

/** The settings to look up, and the user who looks. */
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
  // Without the option it is the master's own folder, which nobody has to reach by its name.
  const place = settings.chdir === null ? null : look('chdir', written)
  if (place?.stats.isDirectory() === false) throw cannotUse('chdir', written, 'not a folder')
  const chdir = place?.path ?? written
  const folders = resolveFolders(settings, (option, path) => look(option, withinRelease(path, written, chdir)).path)
  if (settings.app === null) return { app: null, chdir, folders }
  const app = look('app', withinRelease(settings.app, written, chdir))
  if (!app.stats.isFile()) throw cannotUse('app', settings.app, 'not a file')
  return { app: app.path, chdir, folders }
}

/** `resolveRelease` in another process (`task-children.ts`). */
export const releaseTask: Task<Located, Release> = { name: 'release', work: resolveRelease }

/** The real path, and the file or folder there. */
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

/**
 * A path below `chdir` is looked up below the resolved `chdir`: otherwise a link that changes between the two lookups
 * would mix two releases.
 */
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
      // Read as root: /proc/self belongs to root.
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
