/**
 * The command's side of the control socket (`control-protocol.ts`): sends one request and reads answers until `done`.
 * Called by the commands and, to find a master that already runs, by `run-folder.ts`.
 * Must stay true: every wait has a deadline, an answer has a bound, and "nobody there" is told apart from "does not answer".
 */

import { createConnection, type Socket } from 'node:net'
import { codeOf, EXIT, Failure, reasonOf } from '../kit/failure.js'
import type { ControlAnswer, ControlRequest, StatusReport } from './control-protocol.js'

export type ControlDone = Extract<ControlAnswer, { type: 'done' }>

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
    const socket = createConnection({ path })
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

function readAnswers(socket: Socket, path: string, onAnswer: (answer: ControlAnswer | Failure) => void): void {
  let pending = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    const lines = (pending + chunk).split('\n')
    pending = lines.pop() ?? ''
    for (const line of lines) onAnswer(parseAnswer(line) ?? noAnswer(path, 'this is not a daimyo'))
    if (pending.length > longestAnswerBytes) onAnswer(noAnswer(path, 'an endless answer'))
  })
}

function parseAnswer(line: string): ControlAnswer | null {
  try {
    const answer: unknown = JSON.parse(line)
    if (typeof answer !== 'object' || answer === null || !('type' in answer)) return null
    return answer.type === 'done' || answer.type === 'progress' ? (answer as ControlAnswer) : null
  } catch {
    // SyntaxError: something else listens on this socket.
    return null
  }
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
