/**
 * The thread that acts for a master whose event loop stands still because of the service's user. Entry file of the
 * thread that `loop-guard.ts` starts.
 *
 * - A program may make its processes children of the master (clone(2) with CLONE_PARENT). Whenever one of them stops,
 *   continues or ends, the master gets a SIGCHLD, and libuv does not leave its handler while more signals come. So a
 *   few processes that stop and continue without end block the loop. This thread sends them SIGKILL.
 * - A linger time belongs to a socket, not to its descriptors. The user can take a socket that the master shares with a
 *   child (pidfd_getfd(2)), leave unsent bytes in it, and set SO_LINGER to years: if the master's close(2) is the last
 *   one, it waits for as long. A signal ends such a wait (sk_stream_wait_close of net/core/stream.c), so this thread
 *   sends one to its own process.
 *
 * What must stay true: SIGKILL goes to no process that the master has started (`own-children.ts`), and no signal to
 * anybody while the loop runs. A strange child is never reaped, so its pid is not reused.
 */

import { setTimeout } from 'node:timers'
import { parentPort, workerData } from 'node:worker_threads'
import { codeOf } from '../../kit/ground/failure.js'
import { isDead, readProcessStat } from '../../kit/process/process-stat.js'
import { findStrange } from '../user/own-children.js'
import { LoopBeats, WAKING_SIGNAL } from './loop-beats.js'

/** The start data of the thread. `beats`: a word that the loop changes. `kills`: strange children are killed. */
export interface LoopGuardStart {
  beats: SharedArrayBuffer
  kills: boolean
  children: SharedArrayBuffer
  lookMs: number
}

/**
 * The kills of one look, which the loop learns when it runs again. `name`: the name of the first process. `stillMs`:
 * how long the loop had stood still.
 */
export interface StrangeChildrenKilled {
  count: number
  name: string
  stillMs: number
}

const ACT_MS = 50

const { beats, children, kills, lookMs } = workerData as LoopGuardStart
const words = new Int32Array(beats)
const loop = new LoopBeats(Atomics.load(words, 0), performance.now())
/** Strange children that were killed, or were dead already. */
const done = new Set<number>()

setTimeout(look, lookMs)

/** While the loop stands still, the thread acts more often than it judges the loop. */
function look(): void {
  const nowMs = performance.now()
  if (loop.stillSinceMs === null || nowMs >= loop.lookedMs + lookMs) loop.look(Atomics.load(words, 0), nowMs)
  const sinceMs = loop.stillSinceMs
  if (sinceMs !== null) {
    process.kill(process.pid, WAKING_SIGNAL)
    if (kills) killStrange(Math.round(nowMs - sinceMs))
  }
  setTimeout(look, sinceMs === null ? lookMs : ACT_MS)
}

function killStrange(stillMs: number): void {
  const strange = findStrange(children)
  if (strange === null) return
  const listed = new Set(strange)
  for (const pid of done) if (!listed.has(pid)) done.delete(pid)
  const names = strange.filter(pid => !done.has(pid)).flatMap(pid => killOne(pid) ?? [])
  const [name] = names
  if (name === undefined) return
  parentPort?.postMessage({ count: names.length, name, stillMs } satisfies StrangeChildrenKilled)
}

/** Returns the name of the process. Null: it was not killed. */
function killOne(pid: number): string | null {
  const stat = readProcessStat(pid)
  if (stat === null) return null
  done.add(pid)
  if (isDead(stat)) return null
  try {
    process.kill(pid, 'SIGKILL')
    return stat.name.trim()
  } catch (error) {
    // EPERM: the master has no privileges, and the program has become another user.
    if (!['EPERM', 'ESRCH'].includes(codeOf(error))) throw error
    return null
  }
}
