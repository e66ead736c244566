/**
 * The command's side of the control socket (`control-protocol.ts`): sends one request and reads answers until `done`.
 * Called by the commands and, to find a master that already runs, by `run-folder.ts`.
 * Must stay true: root trusts no socket that others could have put there; every wait has a deadline, an answer has a
 * bound, and "nobody there" is told apart from "does not answer".
 */

import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { userName } from '../user/guarded-path.js'
import { asServiceUser, O_PATH } from '../user/service-user.js'
import { readAnswer } from './control-answer.js'
import type { ControlAnswer, ControlDone, ControlRequest, StatusReport } from './control-protocol.js'

/** `silenceMs`: longest time without a single answer. `onProgress` gets each progress line. `leaves`: with the first one it is done. */
export interface AskOptions {
  silenceMs?: number
  onProgress?: (text: string) => void
  leaves?: boolean
}

const longestAnswerBytes = 1 << 20
const defaultSilenceMs = 5000

/**
 * Asks the master behind `path`. Failures: `not-running` (69), `not-allowed` (77), `no-answer` (69: it closed, was silent for too
 * long, or sent something else).
 */
export function askMaster(path: string, request: ControlRequest, options: AskOptions = {}): Promise<ControlDone> {
  const silenceMs = options.silenceMs ?? defaultSilenceMs
  return new Promise((resolve, reject) => {
    const socket = connectTo(path)
    if (socket instanceof Failure) return reject(socket)
    const finish = (outcome: ControlDone | Failure) => {
      if (outcome instanceof Failure) reject(outcome)
      else resolve(outcome)
      socket.destroy()
    }
    socket.setTimeout(silenceMs, () => finish(noAnswer(path, `silent for ${silenceMs} ms`)))
    socket.on('error', error => finish(connectFailure(path, error)))
    socket.on('close', () => finish(noAnswer(path, 'it closed the connection before it answered')))
    readAnswers(socket, path, answer => {
      if (answer instanceof Failure || answer.type === 'done') return finish(answer)
      options.onProgress?.(answer.text)
      if (options.leaves) finish({ type: 'done', ok: true })
    })
    socket.write(`${JSON.stringify(request)}\n`)
  })
}

/** The report of a running master; Failures as `askMaster`. */
export async function askStatus(path: string): Promise<StatusReport> {
  const done = await askMaster(path, { command: 'status' })
  if (!done.ok) throw new Failure('no-answer', `cannot read the status: ${path}: ${done.reason}`, EXIT.unavailable)
  if (done.status === undefined) throw noAnswer(path, 'the answer holds no status')
  return done.status
}

/** The pid of the master that answers on `path`, null when nobody listens there. A live one that stays silent is a Failure. */
export async function findMaster(path: string): Promise<number | null> {
  try {
    return (await askStatus(path)).pid
  } catch (error) {
    if (error instanceof Failure && error.code === 'not-running') return null
    throw error
  }
}

/** The one answer to a command for a server that is not there; `besides`: what else is known. */
export function notRunning(path: string, besides = ''): Failure {
  return new Failure('not-running', `not running: no daimyo answers on ${path}${besides}`, EXIT.unavailable)
}

/** The user of the process that listens on `path`, where that is neither root nor us. Only root may ask such a one. */
export function foreignOwnerOf(path: string): number | null {
  const owner = lstatSync(path, { throwIfNoEntry: false })?.uid ?? 0
  return [0, process.geteuid?.()].includes(owner) ? null : owner
}

/**
 * A connection to the control socket itself, by a descriptor of it, not to whatever a link in its place leads to.
 * What belongs to somebody else is asked by root only, as that user and in a folder of that user's: then nothing else
 * of root's can be meant.
 */
function connectTo(path: string): Socket | Failure {
  try {
    if (process.platform !== 'linux') return createConnection({ path })
    const descriptor = openSync(path, O_PATH | constants.O_NOFOLLOW)
    try {
      const { uid } = fstatSync(descriptor)
      if (!fstatSync(descriptor).isSocket()) return notRunning(path, ': it is not a socket')
      if ([0, process.geteuid?.()].includes(uid)) return createConnection({ path: `/proc/self/fd/${descriptor}` })
      if (process.geteuid?.() !== 0 || lstatSync(dirname(path)).uid !== uid) return notTrusted(path, uid)
      // connect(2) happens within the call.
      return asServiceUser({ user: null, uid, gid: uid }, () => createConnection({ path }))
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    return connectFailure(path, error as Error)
  }
}

function notTrusted(path: string, uid: number): Failure {
  const message = `cannot ask daimyo: ${path}: it belongs to ${userName(uid)}: accepted from its own user, or root`
  return new Failure('not-trusted', message, EXIT.permission)
}

function readAnswers(socket: Socket, path: string, onAnswer: (answer: ControlAnswer | Failure) => void): void {
  let pending = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    const lines = (pending + chunk).split('\n')
    pending = lines.pop() ?? ''
    for (const line of lines) onAnswer(readAnswer(line) ?? noAnswer(path, 'this is not a daimyo'))
    if (pending.length > longestAnswerBytes) onAnswer(noAnswer(path, 'an endless answer'))
  })
}

function connectFailure(path: string, error: Error): Failure {
  switch (codeOf(error)) {
    case 'ENOENT':
    case 'ECONNREFUSED':
    case 'ENOTDIR':
      return notRunning(path)
    case 'EACCES':
    case 'EPERM':
      return new Failure('not-allowed', `cannot ask daimyo: ${path}: only its own user and root may`, EXIT.permission)
    default:
      return noAnswer(path, reasonOf(error))
  }
}

function noAnswer(path: string, why: string): Failure {
  return new Failure('no-answer', `no answer from daimyo: ${path}: ${why}`, EXIT.unavailable)
}
