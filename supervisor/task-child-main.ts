/**
 * The process that works in folders of the service's user for a root master (`child/task-children.ts`). Must stay true:
 * it does the one task that its standard input names, and keeps open what the task has left open until its standard
 * input ends.
 */

import { closeSync, readSync, writeSync } from 'node:fs'
import { deserialize, serialize } from 'node:v8'
import { codeOf, Failure, reasonOf } from '../kit/ground/failure.js'
import { builtFile } from '../kit/ground/places.js'
import { LENGTH_BYTES, type Task, type TaskAnswer, type TaskQuestion } from './child/task-children.js'
import { BUILD_FILE, digestOf } from './host/installation.js'

const STDIN = 0
const STDOUT = 1

/** Each task loads only what it needs. */
const TASKS: Record<string, () => Promise<Task<never, unknown>>> = {
  reading: async () => (await import('./config/read-settings.js')).readingTask,
  release: async () => (await import('./child/release.js')).releaseTask,
  'see-release': async () => (await import('./child/start-obstacle.js')).obstacleTask,
  'follow-release': async () => (await import('./child/start-obstacle.js')).movedTask,
  'open-log': async () => (await import('./rotation/master-log.js')).logTask,
  'remove-socket': async () => (await import('./listen/socket-file.js')).socketTask,
  'remove-fifo': async () => (await import('./master/master-fifo.js')).fifoTask,
  'end-workers-folder': async () => (await import('./run-folder/workers-folder.js')).workersTask,
  'see-autopsies': async () => (await import('./workers/autopsy-folder.js')).autopsyTask,
  'check-pidfile': async () => (await import('./host/pidfile.js')).pidfileTasks.check,
  'write-pidfile': async () => (await import('./host/pidfile.js')).pidfileTasks.write,
  'remove-pidfile': async () => (await import('./host/pidfile.js')).pidfileTasks.remove,
}

const bytes = serialize(await answerTo(deserialize(read(read(LENGTH_BYTES).readUInt32LE())) as TaskQuestion))
for (let at = 0; at < bytes.length; ) at += writeSync(STDOUT, bytes, at)
closeSync(STDOUT)
readSync(STDIN, Buffer.alloc(1))

/** Reads `length` bytes of standard input. */
function read(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; ) {
    const more = readSync(STDIN, bytes, at, length - at, null)
    if (more === 0) throw new Error('the question is not whole')
    at += more
  }
  return bytes
}

async function answerTo({ name, digest, request }: TaskQuestion): Promise<TaskAnswer> {
  const load = TASKS[name]
  const own = digestOf(builtFile(`supervisor/${BUILD_FILE}`))
  if (load === undefined || digest !== own) return { type: 'other-build' }
  try {
    const { work } = await load()
    return { type: 'done', result: work(request as never) }
  } catch (error) {
    const exitCode = error instanceof Failure ? error.exitCode : null
    return { type: 'failed', message: reasonOf(error), code: codeOf(error), exitCode }
  }
}
