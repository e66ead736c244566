/**
 * Lets an application that listens on a unix path find its socket there: many set its mode or its owner once they
 * listen. The path becomes a link to the socket that the application got instead. Called by `take-over.ts`.
 *
 * Workers share the path: the last that began to listen has it, and who ends takes away only its own. What others have
 * put there stays. Where there can be no link, there could have been no socket either, and nothing is said: the
 * application does not need it to be served.
 */

import { readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import type { Server } from 'node:net'
import { dirname, resolve } from 'node:path'
import { codeOf } from '../../../kit/ground/failure.js'

/** As Node has it, a path that begins with a NUL is the name of an abstract socket, which is no file. */
const ABSTRACT = '\0'

/** `socketPath` is absolute, and in one folder with the sockets of the other workers. The link ends with the server. */
export function namePath(asked: string, socketPath: string, server: Server): void {
  if (asked.startsWith(ABSTRACT)) return
  const path = resolve(asked)
  if (!link(path, socketPath)) return
  server.prependOnceListener('close', () => unnamePath(path, socketPath))
}

/** Takes the link away before the end of the server: it listens elsewhere from now on. */
export function unnamePath(asked: string, socketPath: string): void {
  const path = resolve(asked)
  if (targetOf(path) === socketPath) attempt(() => rmSync(path))
}

/** False: there is something of others. */
function link(path: string, socketPath: string): boolean {
  if (attempt(() => symlinkSync(socketPath, path))) return true
  const target = targetOf(path)
  if (target === null || dirname(target) !== dirname(socketPath)) return false
  // Another worker's, or one that was killed: changed in one step, for whoever uses it now.
  const aside = `${path}.${process.pid}`
  return attempt(() => symlinkSync(socketPath, aside)) && attempt(() => renameSync(aside, path))
}

/** null: it is no link. */
function targetOf(path: string): string | null {
  let target: string | null = null
  attempt(() => {
    target = readlinkSync(path)
  })
  return target
}

/** False: the system did not do it. */
function attempt(work: () => void): boolean {
  try {
    work()
    return true
  } catch (error) {
    if (codeOf(error) === '') throw error
    return false
  }
}
