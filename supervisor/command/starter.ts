/**
 * Between `daimyo start` and the master that it started in the background: one message over the IPC channel, "started"
 * or "failed". Must stay true: a master without a starter notices nothing; a master whose starter went away before it
 * was ready stops.
 */

import type { ChildProcess } from 'node:child_process'
import type { StatusReport } from '../control/control-protocol.js'

/** The one message; `exitCode` is what the master ends with. */
export type StartOutcome =
  | { type: 'started'; report: StatusReport }
  | { type: 'failed'; message: string; exitCode: number }

/** In the environment of a master that has a starter; taken out before anything else reads the environment. */
export const starterVariable = 'DAIMYO_STARTER'

/** The master's side. `tell` resolves when the message is out, and ends the channel: only the first one counts. */
export interface Starter {
  tell(outcome: StartOutcome): Promise<void>
  onGone(listener: () => void): void
}

/** The starter of this process, null when it was started by hand or by systemd. */
export function takeStarter(environment: NodeJS.ProcessEnv): Starter | null {
  const isStarted = environment[starterVariable] !== undefined
  delete environment[starterVariable]
  if (!isStarted || process.send === undefined) return null
  let isOver = false
  return {
    tell: outcome =>
      new Promise(resolve => {
        if (isOver || !process.connected) return resolve()
        isOver = true
        process.send?.(outcome, undefined, undefined, () => {
          if (process.connected) process.disconnect()
          resolve()
        })
      }),
    onGone: listener => {
      process.once('disconnect', () => {
        if (!isOver) listener()
      })
    },
  }
}

/**
 * The starter's side: the master's message, or null when it ended, with its exit code, or was silent for `deadlineMs`.
 */
export function waitForOutcome(
  child: ChildProcess,
  deadlineMs: number,
): Promise<StartOutcome | { type: 'ended'; how: string } | { type: 'silent' }> {
  return new Promise(resolve => {
    const timer = setTimeout(() => resolve({ type: 'silent' }), deadlineMs)
    const settle: typeof resolve = outcome => {
      clearTimeout(timer)
      resolve(outcome)
    }
    child.once('message', message => settle(message as StartOutcome))
    child.once('exit', (code, signal) => {
      const end = () => settle({ type: 'ended', how: signal ?? `exit code ${code}` })
      // The message may still be in the channel; the end of the channel comes after it.
      if (child.connected) child.once('disconnect', end)
      else setImmediate(end)
    })
    child.once('error', error => settle({ type: 'ended', how: error.message }))
  })
}
