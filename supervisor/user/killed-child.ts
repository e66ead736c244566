/**
 * Watches a child that got SIGKILL but has not ended for its parent. While a process traces the child (ptrace(2)), the
 * kernel reports the end only after the tracer has looked or ended. If the child had made the master its tracer, the
 * kernel never reports it. Here the tracers that belong to the service's user are killed and logged. A dead child whose
 * end will never be reported is given up. A child that still lives after `GIVE_UP_MS` is given up too: it waits in the
 * kernel or for another user's tracer, and the master can do nothing about that. Workers and proxies are checked by
 * their tables (`lookAtKilled`), all other children by `killForGood`.
 */

import type { ChildProcess } from 'node:child_process'
import type { Credentials } from '../../kit/channel/messages.js'
import { describeStay, endTracers, GIVE_UP_MS, isDeadTracee, REAP_LOOK_MS, REAP_MS } from '../../kit/process/tracers.js'

export interface KilledChild {
  /** The identity of the child. Null: the master's own. */
  credentials: Credentials | null
  /** Logs that a tracer was killed, or that the child is given up. */
  tell?: KilledTell | undefined
  /** The child is given up: nothing waits for its end any more. */
  letGo(): void
}

type KilledTell = (
  ...told:
    | [event: 'tracer-killed', fields: { tracer: number; name: string }]
    | [event: 'child-unkillable', fields: { pid: number; stays: string }]
) => void

/** The number of checks before the child is given up. */
const MOST_LOOKS = 1 + (GIVE_UP_MS - REAP_MS) / REAP_LOOK_MS

/** Checks once a child that was killed some time ago and has not ended. */
export function lookAtKilled(pid: number, { credentials, tell, letGo }: KilledChild): void {
  for (const { pid: tracer, name } of endTracers(pid, credentials)) tell?.('tracer-killed', { tracer, name })
  if (isDeadTracee(pid)) letGo()
}

/** Sends SIGKILL unless the child has ended, and checks until it has. `signal` replaces a kill of the child alone. */
export function killForGood(
  child: ChildProcess,
  killed: KilledChild,
  signal: () => unknown = () => child.kill('SIGKILL'),
): void {
  const { pid } = child
  // If the child has ended, its pid may belong to another process by now.
  if (pid === undefined || hasEnded(child)) return
  signal()
  if (watched.has(child)) return
  watched.add(child)
  let timer = setTimeout(look, REAP_MS).unref()
  let looks = 0
  const letGo = () => {
    clearTimeout(timer)
    killed.letGo()
  }
  function look(): void {
    if (hasEnded(child)) return
    looks += 1
    timer = setTimeout(look, REAP_LOOK_MS).unref()
    lookAtKilled(pid as number, { ...killed, letGo })
    if (looks < MOST_LOOKS || hasEnded(child)) return
    killed.tell?.('child-unkillable', { pid: pid as number, stays: describeStay(pid as number) })
    letGo()
  }
  child.once('exit', () => clearTimeout(timer))
}

/** Each child is watched once, however often it is killed. */
const watched = new WeakSet<ChildProcess>()

/** Whether the parent has seen the end. */
export function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}
