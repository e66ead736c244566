/**
 * The command's side of the control socket (`control-protocol.ts`): sends one request and reads answers until `done`.
 * `run-folder.ts` finds a running master with it. Must stay true: root neither looks into a folder nor asks a socket
 * that another user could have put there. Every wait has a deadline that bytes alone do not move, and the answers have
 * a bound. "Nobody there" is told apart from "does not answer".
 */

import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { userName } from '../user/account-names.js'
import { whyPlanted } from '../user/guarded-path.js'
import { asServiceUser, O_PATH } from '../user/service-user.js'
import { readAnswer } from './control-answer.js'
import type { ControlAnswer, ControlDone, ControlRequest, StatusReport } from './control-protocol.js'

/**
 * `silenceMs`: longest time without a whole answer. `withinMs`: longest time for all answers. `onProgress` gets each
 * progress line. `leaves`: the first progress line ends the wait. `trusted`: users whose run folder root uses even in a
 * place where everybody may make one, such as /tmp.
 */
export interface AskOptions {
  silenceMs?: number
  withinMs?: number
  trusted?: readonly number[]
  onProgress?: (text: string) => void
  leaves?: boolean
}

const longestAnswerBytes = 1 << 20
/** The bound of all answers to one request; hours of progress lines stay below it. */
const mostBytes = 4 << 20
const defaultSilenceMs = 5000
/** How long a command waits for the whole of an answer that a master gives at once. */
export const ANSWER_MS = 5000

/**
 * Asks the master behind `path`. Failures: `not-running` (69), `not-allowed` (77), `not-trusted` (77), `no-answer` (69:
 * it closed, was silent for too long, or sent something else).
 */
export function askMaster(path: string, request: ControlRequest, options: AskOptions = {}): Promise<ControlDone> {
  const { silenceMs = defaultSilenceMs, withinMs } = options
  return new Promise((resolve, reject) => {
    const socket = connectTo(path, options.trusted ?? [])
    if (socket instanceof Failure) return reject(socket)
    let answers = 0
    // After a standstill timers run before the socket is polled, where an answer may lie. `setImmediate` runs after
    // that.
    const listen = () => {
      const before = answers
      setImmediate(() => answers === before && finish(noAnswer(path, `silent for ${silenceMs} ms`)))
    }
    const silence = setTimeout(listen, silenceMs)
    const late = () => setImmediate(() => finish(noAnswer(path, `not done within ${withinMs} ms`)))
    const deadline = withinMs === undefined ? undefined : setTimeout(late, withinMs)
    const finish = (outcome: ControlDone | Failure) => {
      clearTimeout(silence)
      clearTimeout(deadline)
      if (outcome instanceof Failure) reject(outcome)
      else resolve(outcome)
      socket.destroy()
    }
    socket.on('error', error => finish(connectFailure(path, error)))
    socket.on('close', () => finish(noAnswer(path, 'it closed the connection before it answered')))
    readAnswers(socket, path, answer => {
      answers += 1
      if (answer instanceof Failure || answer.type === 'done') return finish(answer)
      silence.refresh()
      options.onProgress?.(answer.text)
      if (options.leaves) finish({ type: 'done', ok: true })
    })
    socket.write(`${JSON.stringify(request)}\n`)
  })
}

/** The report of a running master, within `ANSWER_MS`; Failures as `askMaster`. */
export async function askStatus(path: string, options: AskOptions = {}): Promise<StatusReport> {
  const done = await askMaster(path, { command: 'status' }, { withinMs: ANSWER_MS, ...options })
  if (!done.ok) throw new Failure('no-answer', `cannot read the status: ${path}: ${done.reason}`, EXIT.unavailable)
  if (done.status === undefined) throw noAnswer(path, 'the answer holds no status')
  return done.status
}

/**
 * The pid of the master that answers on `path`, null when nobody listens there. A live one that stays silent is a
 * Failure.
 */
export async function findMaster(path: string, trusted: readonly number[] = []): Promise<number | null> {
  try {
    return (await askStatus(path, { trusted })).pid
  } catch (error) {
    if (error instanceof Failure && error.code === 'not-running') return null
    throw error
  }
}

/** The answer to every command for a server that is not there. `besides`: further facts. */
export function notRunning(path: string, besides = ''): Failure {
  return new Failure('not-running', `not running: no daimyo answers on ${path}${besides}`, EXIT.unavailable)
}

/**
 * The user of the process that listens on `path`, if that is neither root nor our own. Only root may ask such a
 * process.
 */
export function foreignOwnerOf(path: string): number | null {
  const owner = lstatSync(path, { throwIfNoEntry: false })?.uid ?? 0
  return [0, process.geteuid?.()].includes(owner) ? null : owner
}

/**
 * Connects to the control socket through a descriptor of it, so that a link in its place is not followed. The owner of
 * the folder is checked first, because even a lookup in another user's folder may take any time. Only root connects to
 * a socket of another user; it does so as that user, and only in a folder of that user, so that the path cannot lead to
 * a socket of root.
 */
function connectTo(path: string, trusted: readonly number[]): Socket | Failure {
  try {
    if (process.platform !== 'linux') return createConnection({ path })
    const planted = process.geteuid?.() === 0 ? whyPlanted(dirname(path), trusted) : null
    if (planted !== null) return notTrusted(path, planted)
    const descriptor = openSync(path, O_PATH | constants.O_NOFOLLOW)
    try {
      const { uid } = fstatSync(descriptor)
      if (!fstatSync(descriptor).isSocket()) return notRunning(path, ': it is not a socket')
      if ([0, process.geteuid?.()].includes(uid)) return createConnection({ path: `/proc/self/fd/${descriptor}` })
      if (process.geteuid?.() !== 0 || lstatSync(dirname(path)).uid !== uid)
        return notTrusted(path, `it belongs to ${userName(uid)}`)
      // connect(2) happens within the call.
      return asServiceUser({ user: null, uid, gid: uid }, () => createConnection({ path }))
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    return connectFailure(path, error as Error)
  }
}

function notTrusted(path: string, why: string): Failure {
  const accepted =
    'accepted from its own user, and from root for a folder that root, the `uid` of the INI or its owner has made'
  const message = `cannot ask daimyo: ${path}: ${why}: ${accepted}`
  return new Failure('not-trusted', message, EXIT.permission)
}

function readAnswers(socket: Socket, path: string, onAnswer: (answer: ControlAnswer | Failure) => void): void {
  let pending = ''
  let received = 0
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    const lines = (pending + chunk).split('\n')
    pending = lines.pop() ?? ''
    received += chunk.length
    for (const line of lines) onAnswer(readAnswer(line) ?? noAnswer(path, 'this is not a daimyo'))
    if (pending.length > longestAnswerBytes || received > mostBytes) onAnswer(noAnswer(path, 'an endless answer'))
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
