/**
 * Removes unix sockets of the configuration through another process: the user who may change the folder may have put a
 * large file there, and unlink(2) waits until its blocks are free.
 */

import type { Credentials } from '../../kit/channel/messages.js'
import { reasonOf } from '../../kit/ground/failure.js'
import type { Log } from '../../kit/log/log.js'
import type { Tasks } from '../child/task-children.js'
import { socketTask } from '../listen/socket-file.js'

const REMOVAL_MS = 3000

/** A socket that is not removed in time stays. The next start removes it. Never rejects. */
export async function removeSocketBy(
  tasks: Tasks,
  path: string,
  credentials: Credentials | null,
  log: Log,
): Promise<void> {
  const options = { credentials, what: `cannot remove ${path}`, withinMs: REMOVAL_MS }
  try {
    await tasks.run(socketTask, { path, opener: credentials }, options)
  } catch (error) {
    log('socket-not-removed', { path, why: reasonOf(error) })
  }
}
