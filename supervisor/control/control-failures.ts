/** The failures of a command that asks a master: "nobody there" is told apart from "does not answer". */

import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'

/** The answer to every command for a server that is not there. `besides`: further facts. */
export function notRunning(path: string, besides = ''): Failure {
  return new Failure('not-running', `not running: no daimyo answers on ${path}${besides}`, EXIT.unavailable)
}

/** It closed, was silent for too long, or sent something that no master sends. */
export function noAnswer(path: string, why: string): Failure {
  return new Failure('no-answer', `no answer from daimyo: ${path}: ${why}`, EXIT.unavailable)
}

/** Root would have to ask a process that another user may have put there. */
export function notTrusted(path: string, why: string): Failure {
  const accepted =
    'accepted from its own user, and from root for a folder that root, the `uid` of the INI or its owner has made'
  const message = `cannot ask daimyo: ${path}: ${why}: ${accepted}`
  return new Failure('not-trusted', message, EXIT.permission)
}

/** The failure for an error of open(2), connect(2) or the connection; a Failure stays as it is. */
export function connectFailure(path: string, error: Error): Failure {
  if (error instanceof Failure) return error
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
