/**
 * Explains why a worker cannot be started or cannot load, when the system's own error ("spawn node ENOENT") does not: a
 * folder or file is gone, or a limit is reached. It also gives a remedy. What must stay true: paths are looked at as
 * the service's user, as in `release.ts`.
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

/** By the error code at the end of Node's message. */
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
 * The cause of an error of spawn(2), or the error itself if no other cause is found. `lost`: the result of
 * `releaseObstacle`.
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
 * Whether the working folder or the entry file of the release is gone, and where its link leads now. Null: both exist.
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

/** The parts of a generation that a look at the release needs. */
type Started = Pick<Generation, 'number' | 'settings' | 'release'>

/** `releaseObstacle` in another process. */
export const obstacleTask: Task<Started, StartObstacle | null> = { name: 'see-release', work: releaseObstacle }

/**
 * The new release if the old one is gone, found in another process. Null: the old one exists, or its replacement is
 * unknown.
 */
export const movedTask: Task<Started, Release | null> = {
  name: 'follow-release',
  work: generation => (releaseObstacle(generation) === null ? null : movedRelease(generation)),
}

/** The folder for the workers' sockets is missing, and the master could not make it. */
export function runFolderObstacle({ settings }: Generation): StartObstacle | null {
  if (!isGone(workersFolderOf(settings.runDir))) return null
  return {
    why: `run-dir is gone: ${settings.runDir}`,
    remedy: 'daimyo makes it again as soon as it can: see run-folder-lost in the log',
  }
}

/**
 * The obstacle if an error says that there is no space, and the run folder is full. A worker may say anything, so its
 * error counts only if the file system confirms it. `find` is for tests.
 */
export function roomObstacle(
  { said, by }: { said: string; by: 'system' | 'worker' },
  { settings }: Pick<Generation, 'settings'>,
  find: typeof findNoRoom = findNoRoom,
): StartObstacle | null {
  const found = find(settings.runDir, said)
  if (found === null || !said.includes(settings.runDir)) return null
  if (by === 'worker' && !found.isSeen) return null
  return { why: found.why, remedy: `${found.remedy}; daimyo tries again by itself` }
}

/**
 * The release to which the same settings lead now. Null: it is the same one, there is none, or it cannot be looked at
 * now.
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

/** Also true if a look would have to wait now: the next failure looks again. */
function isThere(path: string, { settings }: Generation): boolean {
  if (!mayBecomeUser(settings.credentials)) return true
  return asServiceUser(settings.credentials, () => {
    try {
      return statSync(path, { throwIfNoEntry: false }) !== undefined
    } catch (error) {
      // EACCES: unknown, so the path counts as existing. The original error says more.
      return codeOf(error) !== 'ENOTDIR'
    }
  })
}
