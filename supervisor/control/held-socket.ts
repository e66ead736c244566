/**
 * A control socket that a command has found, held by a descriptor. The folders on its path may belong to another user,
 * who can make the path lead elsewhere at any time. Must stay true: one lookup decides which socket all requests of a
 * command go to, and the owner that the command prints is the owner of that socket. The kernel keeps the inode of a
 * socket for the one listener that was bound to it, so the process that said which INI it runs also gets the order.
 *
 * Root neither looks into a folder nor asks a socket that another user could have put there. Only root connects to a
 * socket of another user; it does so as that user, and only in a folder of that user.
 */

import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { userName } from '../user/account-names.js'
import { whyPlanted } from '../user/guarded-path.js'
import { asServiceUser, O_PATH } from '../user/service-user.js'
import { connectFailure, notRunning, notTrusted } from './control-failures.js'

/** Held until `release`, or until the process of the command ends. */
export interface HeldSocket {
  readonly path: string
  /** The user who owns the socket, if that is neither root nor our own user. */
  readonly foreignOwner: number | null
  /** Every call connects to the same listener. Throws the error of connect(2), or the socket emits it. */
  connect(): Socket
  release(): void
}

/**
 * Looks `path` up, once. `trusted`: users whose run folder root uses even in a place where everybody may make one, such
 * as /tmp. Failures: `not-running` (69), `not-allowed` and `not-trusted` (77), `no-answer` (69).
 */
export function holdSocket(path: string, trusted: readonly number[] = []): HeldSocket {
  // Other systems have no O_PATH, and no descriptor leads to a socket there.
  if (process.platform !== 'linux')
    return { path, foreignOwner: null, connect: () => createConnection({ path }), release: () => {} }
  try {
    const descriptor = open(path, trusted)
    try {
      return held(path, descriptor)
    } catch (error) {
      closeSync(descriptor)
      throw error
    }
  } catch (error) {
    throw connectFailure(path, error as Error)
  }
}

/** Holds the socket for the time of `work`. Failures as `holdSocket`. */
export async function withHeldSocket<T>(
  path: string,
  trusted: readonly number[],
  work: (held: HeldSocket) => Promise<T>,
): Promise<T> {
  const held = holdSocket(path, trusted)
  try {
    return await work(held)
  } finally {
    held.release()
  }
}

/** The folder is judged first, because even a lookup in another user's folder may take any time. */
function open(path: string, trusted: readonly number[]): number {
  const planted = isRoot() ? whyPlanted(dirname(path), trusted) : null
  if (planted !== null) throw notTrusted(path, planted)
  return openSync(path, O_PATH | constants.O_NOFOLLOW)
}

function held(path: string, descriptor: number): HeldSocket {
  const stats = fstatSync(descriptor)
  if (!stats.isSocket()) throw notRunning(path, ': it is not a socket')
  const { uid } = stats
  const foreignOwner = [0, process.geteuid?.()].includes(uid) ? null : uid
  if (foreignOwner !== null && !(isRoot() && ownerOfFolder(path) === uid))
    throw notTrusted(path, `it belongs to ${userName(uid)}`)
  const as = foreignOwner === null ? null : { user: null, uid, gid: uid }
  return {
    path,
    foreignOwner,
    // connect(2) happens within the call.
    connect: () => asServiceUser(as, () => createConnection({ path: `/proc/self/fd/${descriptor}` })),
    release: () => closeSync(descriptor),
  }
}

function ownerOfFolder(path: string): number | undefined {
  return lstatSync(dirname(path), { throwIfNoEntry: false })?.uid
}

function isRoot(): boolean {
  return process.geteuid?.() === 0
}
