/**
 * The command's side of the control socket (`control-protocol.ts`): sends one request and reads answers until `done`.
 * `run-folder.ts` finds a running master with it. Must stay true: every wait has a deadline that bytes alone do not
 * move, and the answers have a bound. `held-socket.ts` decides whether a socket is asked at all.
 */

import type { Socket } from 'node:net'
import { EXIT, Failure } from '../../kit/ground/failure.js'
import { readAnswer } from './control-answer.js'
import { connectFailure, noAnswer } from './control-failures.js'
import type { ControlAnswer, ControlDone, ControlRequest, StatusReport } from './control-protocol.js'
import { type HeldSocket, withHeldSocket } from './held-socket.js'

/**
 * `silenceMs`: longest time without a whole answer. `withinMs`: longest time for all answers. `onProgress` gets each
 * progress line. `leaves`: the first progress line ends the wait.
 */
export interface AskOptions {
  silenceMs?: number
  withinMs?: number
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
 * Asks the master that listens on the socket. Failures: `not-running` (69), `not-allowed` (77), `no-answer` (69: it
 * closed, was silent for too long, or sent something else).
 */
export function askMaster(held: HeldSocket, request: ControlRequest, options: AskOptions = {}): Promise<ControlDone> {
  const { path } = held
  const { silenceMs = defaultSilenceMs, withinMs } = options
  return new Promise((resolve, reject) => {
    const socket = connectTo(held)
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
export async function askStatus(held: HeldSocket, options: AskOptions = {}): Promise<StatusReport> {
  const { path } = held
  const done = await askMaster(held, { command: 'status' }, { withinMs: ANSWER_MS, ...options })
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
    return (await withHeldSocket(path, trusted, held => askStatus(held))).pid
  } catch (error) {
    if (error instanceof Failure && error.code === 'not-running') return null
    throw error
  }
}

function connectTo(held: HeldSocket): Socket | Failure {
  try {
    return held.connect()
  } catch (error) {
    return connectFailure(held.path, error as Error)
  }
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
