/**
 * Lets an application that listens on a unix path find its socket there: many applications set its mode or owner after
 * `listen`. The path becomes a link to the socket that the application got instead.
 *
 * Workers share the path: the last worker that began to listen has it, and a worker that ends removes only its own
 * link. Files of others at the path stay. If no link can be made there, no socket could have been made either. That is
 * not reported: the application is served without it.
 */

import { readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import type { Server } from 'node:net'
import { dirname, resolve } from 'node:path'
import { codeOf } from '../../../kit/ground/failure.js'

/** As in Node, a path that begins with a NUL is the name of an abstract socket, which is no file. */
const ABSTRACT = '\0'

/** `socketPath` is absolute, and in one folder with the sockets of the other workers. The link ends with the server. */
export function namePath(asked: string, socketPath: string, server: Server): void {
  if (asked.startsWith(ABSTRACT)) return
  const path = resolve(asked)
  if (!link(path, socketPath)) return
  server.prependOnceListener('close', () => unnamePath(path, socketPath))
}

/** Removes the link before the end of the server: it listens elsewhere from now on. */
export function unnamePath(asked: string, socketPath: string): void {
  const path = resolve(asked)
  if (targetOf(path) === socketPath) attempt(() => rmSync(path))
}

/** False: another file is there. */
function link(path: string, socketPath: string): boolean {
  if (attempt(() => symlinkSync(socketPath, path))) return true
  const target = targetOf(path)
  if (target === null || dirname(target) !== dirname(socketPath)) return false
  // The link of another worker, or of a killed one: it is replaced in one step, because a client may be using it.
  const aside = `${path}.${process.pid}`
  return attempt(() => symlinkSync(socketPath, aside)) && attempt(() => renameSync(aside, path))
}

/** null: no link. */
function targetOf(path: string): string | null {
  let target: string | null = null
  attempt(() => {
    target = readlinkSync(path)
  })
  return target
}

/** False: the system refused it. */
function attempt(work: () => void): boolean {
  try {
    work()
    return true
  } catch (error) {
    if (codeOf(error) === '') throw error
    return false
  }
}
