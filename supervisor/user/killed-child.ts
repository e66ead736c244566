/**
 * A child that got SIGKILL, and has not ended for its parent: the kernel shows it only when whoever traces it
 * (ptrace(2)) has looked or ended, and not at all once it had made the master its tracer. Such tracers are ended where
 * they are the service's user's, and told; a dead child that will never be shown is given up. So is, after
 * `GIVE_UP_MS`, one that has not ended at all: it waits in the kernel, or for somebody's tracer, and nothing but that
 * ends it. Workers and proxies look when their tables say so (`lookAtKilled`); whatever else the master starts looks by
 * itself (`killForGood`).
 */

import type { ChildProcess } from 'node:child_process'
import type { Credentials } from '../../kit/channel/messages.js'
import { describeStay, endTracers, GIVE_UP_MS, isDeadTracee, REAP_LOOK_MS, REAP_MS } from '../../kit/process/tracers.js'

export interface KilledChild {
  /** Of the service's user; null: of the master's own. */
  credentials: Credentials | null
  /** A process that kept it from its end was killed; or it is given up. */
  tell?: KilledTell | undefined
  /** It is dead, and will never be said to have ended; or nobody waits for it any more. */
  letGo(): void
}

type KilledTell = (
  ...told:
    | [event: 'tracer-killed', fields: { tracer: number; name: string }]
    | [event: 'child-unkillable', fields: { pid: number; stays: string }]
) => void

/** Looks after which it is given up. */
const MOST_LOOKS = 1 + (GIVE_UP_MS - REAP_MS) / REAP_LOOK_MS

/** One look at a child that was killed some time ago, and has not ended. */
export function lookAtKilled(pid: number, { credentials, tell, letGo }: KilledChild): void {
  for (const { pid: tracer, name } of endTracers(pid, credentials)) tell?.('tracer-killed', { tracer, name })
  if (isDeadTracee(pid)) letGo()
}

/** SIGKILL, unless it has ended, and looks until it has. `signal`: instead of a kill of it alone. */
export function killForGood(
  child: ChildProcess,
  killed: KilledChild,
  signal: () => unknown = () => child.kill('SIGKILL'),
): void {
  const { pid } = child
  // The number of one that has ended may be another process's by now.
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

/** Each once, however often it is killed. */
const watched = new WeakSet<ChildProcess>()

/** As far as its parent has seen. */
export function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}
