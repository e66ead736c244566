/**
 * Makes the path of a unix socket free to be bound. What must stay true: only a socket is removed, and only if nobody
 * answers on it. Root looks, connects and removes only as `guarded-path.ts` allows.
 */

import { lstatSync, statSync, unlinkSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { asOpening, explain, type Opener, onGuardedPath, openingOf } from '../user/guarded-path.js'

/** `sockaddr_un.sun_path` has 108 bytes, the last one a zero. Some programs cut longer paths silently. */
const LONGEST_PATH_BYTES = 107

/**
 * Removes a stale socket. Failures: `address-in-use` (69), `not-a-socket` (69), `path-too-long` (78), `socket-path`
 * (69, 77).
 */
export async function freeSocketPath(path: string, opener: Opener): Promise<void> {
  const bytes = Buffer.byteLength(path)
  if (bytes > LONGEST_PATH_BYTES) {
    throw refuse(
      'path-too-long',
      path,
      `${bytes} bytes, at most ${LONGEST_PATH_BYTES} fit a socket address`,
      EXIT.config,
    )
  }
  const kind = onGuardedPath(path, 'name', opener, () => kindOf(path))
  if (kind === 'nothing') return
  if (kind === 'other') throw refuse('not-a-socket', path, 'exists and is not a socket; not removed', EXIT.unavailable)
  const code = await connectCode(path, opener)
  if (code === 'ECONNREFUSED') removeSocket(path, opener)
  else if (code === 'EACCES' || code === 'EPERM') throw refuse('socket-path', path, code, EXIT.permission)
  else if (code !== 'ENOENT') throw refuse('address-in-use', path, 'another program listens there', EXIT.unavailable)
}

/** Removes a socket on which nobody will answer any more. Any other file stays. */
export function removeSocket(path: string, opener: Opener): void {
  try {
    onGuardedPath(path, 'name', opener, () => {
      if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) unlinkSync(path)
    })
  } catch (error) {
    // ENOENT: it is gone already. EACCES, EPERM, EROFS: we may no longer change the folder, so the file stays.
    if (!['ENOENT', 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR'].includes(codeOf(error))) throw error
  }
}

/** `removeSocket` in another process (`child/task-children.ts`). */
export const socketTask = {
  name: 'remove-socket',
  work: ({ path, opener }: { path: string; opener: Opener }) => removeSocket(path, opener),
}

/** Connects to a unix socket. connect(2) happens within the call, with an identity that may follow the path. */
export function connectUnix(path: string, opener: Opener): Socket {
  const opening = openingOf(path, 'content', opener)
  const socket = asOpening(opening, opener, () => createConnection({ path }))
  socket.prependOnceListener('error', error => explain(error, opening))
  return socket
}

/**
 * Runs `bind`, which must be synchronous. The file never has more rights than `mode`: a chmod after bind(2) would be
 * too late.
 */
export function withMode<T>(mode: number, bind: () => T): T {
  const before = process.umask(0o777 & ~mode)
  try {
    return bind()
  } finally {
    process.umask(before)
  }
}

/** Looks for the folder first: libuv's bind reports a missing folder as EACCES. */
function kindOf(path: string): 'nothing' | 'socket' | 'other' {
  try {
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found !== undefined) return found.isSocket() ? 'socket' : 'other'
    if (statSync(dirname(path)).isDirectory()) return 'nothing'
    throw refuse('socket-path', path, 'its folder is not a folder', EXIT.unavailable)
  } catch (error) {
    if (error instanceof Failure) throw error
    const isMissing = codeOf(error) === 'ENOENT'
    const exitCode = codeOf(error) === 'EACCES' ? EXIT.permission : EXIT.unavailable
    throw refuse('socket-path', path, isMissing ? 'its folder does not exist' : reasonOf(error), exitCode, error)
  }
}

/** The error code of a connect. Empty: somebody accepted. EAGAIN (a full backlog) means that somebody listens. */
function connectCode(path: string, opener: Opener): Promise<string> {
  return new Promise(resolve => {
    const socket = connectUnix(path, opener)
    socket.on('connect', () => {
      socket.destroy()
      resolve('')
    })
    socket.on('error', error => resolve(codeOf(error)))
  })
}

function refuse(code: string, path: string, why: string, exitCode: number, cause?: unknown): Failure {
  return new Failure(code, `cannot listen: ${path}: ${why}`, exitCode, cause)
}
