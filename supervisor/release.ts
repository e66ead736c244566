/**
 * The release that a generation runs: application and working directory with their links resolved, once. A deploy that turns
 * `current` to a new folder changes nothing for workers of the running generation that are respawned meanwhile. Called by
 * `master.ts` at the start and by `reload.ts`.
 */

import { realpathSync, statSync } from 'node:fs'
import { isAbsolute, relative, resolve } from 'node:path'
import { codeOf, EXIT, Failure, reasonOf } from '../kit/failure.js'
import type { Settings } from './config/settings.js'

/** Real, absolute paths. `app` null: static files only. */
export interface Release {
  app: string | null
  chdir: string
}

/** Resolves the paths of `settings`. Failures: `release` (69), naming the option and the path. */
export function resolveRelease(settings: Pick<Settings, 'app' | 'chdir'>): Release {
  const written = settings.chdir ?? process.cwd()
  const chdir = realPath('chdir', written)
  if (!statSync(chdir).isDirectory()) throw cannotUse('chdir', written, 'not a folder')
  if (settings.app === null) return { app: null, chdir }
  const app = realPath('app', withinRelease(settings.app, written, chdir))
  if (!statSync(app).isFile()) throw cannotUse('app', settings.app, 'not a file')
  return { app, chdir }
}

/** An application below `chdir` is looked up in the folder that `chdir` was resolved to: a link may turn between the two. */
function withinRelease(app: string, written: string, real: string): string {
  const below = relative(written, resolve(written, app))
  return below.startsWith('..') || isAbsolute(below) ? app : resolve(real, below)
}

function realPath(option: string, path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    throw cannotUse(option, path, codeOf(error) === 'ENOENT' ? 'no such file or folder' : reasonOf(error))
  }
}

function cannotUse(option: string, path: string, why: string): Failure {
  return new Failure('release', `cannot use the release: ${option}=${path}: ${why}`, EXIT.unavailable)
}
