/**
 * Why a worker cannot be started or cannot load, where the operating system's own word ("spawn node ENOENT") does not
 * tell: a folder or file that is gone, a limit that is reached. And what to do about it. Must stay true: paths are
 * looked at as the service's user, as `release.ts` does.
 */

import { statSync } from 'node:fs'
import { codeOf, Failure } from '../../kit/ground/failure.js'
import { workersFolderOf } from '../config/values/run-folder-path.js'
import { isGone } from '../run-folder/workers-folder.js'
import { findProcessLimits } from '../user/process-limits.js'
import { findNoRoom } from '../user/room-left.js'
import { asServiceUser, mayBecomeUser } from '../user/service-user.js'
import type { Generation } from './master-context.js'
import { type Release, resolveRelease } from './release.js'
import type { Task } from './task-children.js'

/** `remedy` empty: none is known. */
export interface StartObstacle {
  why: string
  remedy: string
}

/** By the error code at the end of what Node says. */
const LIMITS: Record<string, StartObstacle> = {
  EMFILE: { why: 'the master has no descriptors left (EMFILE)', remedy: 'LimitNOFILE in the unit, or max-fd' },
  ENFILE: { why: 'the system has no descriptors left (ENFILE)', remedy: 'sysctl fs.file-max' },
  ENOMEM: { why: 'no memory is left (ENOMEM)', remedy: 'fewer processes, or more memory' },
  E2BIG: {
    why: 'the environment or the arguments are too large (E2BIG)',
    remedy: 'less in env, env-file and node-args',
  },
}

/**
 * What stands behind an error of spawn(2); the error itself where nothing else is found. `lost`: what `releaseObstacle`
 * has found.
 */
export function explainNotStarted(
  error: string,
  generation: Generation,
  lost = releaseObstacle(generation),
  program = process.execPath,
): StartObstacle {
  const gone = runFolderObstacle(generation) ?? lost
  if (gone !== null) return gone
  if (/ EAGAIN\b/.test(error)) return findProcessLimits()
  const [code = ''] = /E[A-Z0-9]+$/.exec(error) ?? []
  const limit = LIMITS[code]
  if (limit !== undefined) return limit
  if (code === 'ENOENT' && !isThere(program, generation))
    return {
      why: `Node is gone: ${program}`,
      remedy: 'put it back, or start daimyo again with the Node that took its place',
    }
  return { why: error, remedy: '' }
}

/**
 * The working folder or the entry file of the release is gone, and where its link leads by now; null: both are there.
 */
export function releaseObstacle(generation: Generation): StartObstacle | null {
  const { release, settings } = generation
  const found: [option: 'chdir' | 'app', written: string | null, real: string | null][] = [
    ['chdir', settings.chdir, release.chdir],
    ['app', settings.app, release.app],
  ]
  for (const [option, written, real] of found) {
    if (real === null || isThere(real, generation)) continue
    const moved = movedRelease(generation)
    const place = moved?.[option] ?? null
    const what = option === 'chdir' && written === null ? 'the folder of the start' : option
    return {
      why: `${what} is gone: ${real}`,
      remedy:
        place === null ? `put it back, or reload with another ${option}` : `${written} now points to ${place}: reload`,
    }
  }
  return null
}

/** What a look at the release needs; without what differs from one start to the next. */
type Started = Pick<Generation, 'number' | 'settings' | 'release'>

/** `releaseObstacle` by another process. */
export const obstacleTask: Task<Started, StartObstacle | null> = { name: 'see-release', work: releaseObstacle }

/** Where the release has gone, by another process; null: it is there, or what took its place is not known. */
export const movedTask: Task<Started, Release | null> = {
  name: 'follow-release',
  work: generation => (releaseObstacle(generation) === null ? null : movedRelease(generation)),
}

/** There is no folder for the worker's sockets, and the master could not make it. */
export function runFolderObstacle({ settings }: Generation): StartObstacle | null {
  if (!isGone(workersFolderOf(settings.runDir))) return null
  return {
    why: `run-dir is gone: ${settings.runDir}`,
    remedy: 'it comes back by itself once daimyo may make it: run-folder-lost in the log says why not',
  }
}

/**
 * Somebody's word is that there is no room, and it is the run folder that has none. A worker may say anything: its word
 * counts only where the file system says the same. `find` is for tests.
 */
export function roomObstacle(
  { said, by }: { said: string; by: 'system' | 'worker' },
  { settings }: Pick<Generation, 'settings'>,
  find: typeof findNoRoom = findNoRoom,
): StartObstacle | null {
  const found = find(settings.runDir, said)
  if (found === null || !said.includes(settings.runDir)) return null
  if (by === 'worker' && !found.isSeen) return null
  return { why: found.why, remedy: `${found.remedy}; it is tried again by itself` }
}

/**
 * What the same settings lead to by now, where that is another release; null: they lead nowhere, to the same, or cannot
 * be looked at now.
 */
export function movedRelease({ release, settings }: Generation): Release | null {
  if (!mayBecomeUser(settings.credentials)) return null
  try {
    const now = resolveRelease(settings)
    return now.chdir === release.chdir && now.app === release.app ? null : now
  } catch (error) {
    if (error instanceof Failure) return null
    throw error
  }
}

/** True too while it cannot be looked at without a wait: the next failure looks again. */
function isThere(path: string, { settings }: Generation): boolean {
  if (!mayBecomeUser(settings.credentials)) return true
  return asServiceUser(settings.credentials, () => {
    try {
      return statSync(path, { throwIfNoEntry: false }) !== undefined
    } catch (error) {
      // EACCES: it is not known; the error that was given says it.
      return codeOf(error) !== 'ENOTDIR'
    }
  })
}
