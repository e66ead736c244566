/**
 * Removes unix sockets of the configuration by another process: the user who decides about the folder may have put a
 * file in the place of one, whose blocks take long to free.
 */

import type { Credentials } from '../../kit/channel/messages.js'
import { reasonOf } from '../../kit/ground/failure.js'
import type { Log } from '../../kit/log/log.js'
import type { Tasks } from '../child/task-children.js'
import { socketTask } from '../listen/socket-file.js'

const REMOVAL_MS = 3000

/** A socket stays where that is not done in time: the next start takes it. Never rejects. */
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
