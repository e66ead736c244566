/**
 * The thread that ends strange children of a master whose event loop stands still. Entry file of the thread that
 * `strange-children.ts` starts.
 *
 * A program may make its processes children of the master (clone(2) with CLONE_PARENT). Each time that one of them
 * stops, goes on or ends, the master gets a SIGCHLD, and libuv does not leave its handler while more of them come: some
 * that stop and go on without end keep the loop from everything. Here they get SIGKILL. Must stay true: no signal goes
 * to a process that the master has started (`own-children.ts`), nor to any while the loop goes round. A strange child
 * is never reaped, so its number is no other's.
 */

import { setTimeout } from 'node:timers'
import { parentPort, workerData } from 'node:worker_threads'
import { codeOf } from '../../kit/ground/failure.js'
import { isDead, readProcessStat } from '../../kit/process/process-stat.js'
import { findStrange } from '../user/own-children.js'
import { LoopBeats } from './loop-beats.js'

/** What the thread starts with. `beats`: a word that the loop changes. */
export interface StrangeChildrenStart {
  beats: SharedArrayBuffer
  children: SharedArrayBuffer
  lookMs: number
}

/**
 * Of one look; the loop hears it once it goes on. `name`: of the first one. `stillMs`: so long it had stood still by
 * then.
 */
export interface StrangeChildrenKilled {
  count: number
  name: string
  stillMs: number
}

const KILL_MS = 50

const { beats, children, lookMs } = workerData as StrangeChildrenStart
const words = new Int32Array(beats)
const loop = new LoopBeats(Atomics.load(words, 0), performance.now())
/** Strange ones that were killed, or were dead. */
const done = new Set<number>()

setTimeout(look, lookMs)

/** While the loop stands still, more often than it is judged. */
function look(): void {
  const nowMs = performance.now()
  if (loop.stillSinceMs === null || nowMs >= loop.lookedMs + lookMs) loop.look(Atomics.load(words, 0), nowMs)
  const sinceMs = loop.stillSinceMs
  if (sinceMs !== null) killStrange(Math.round(nowMs - sinceMs))
  setTimeout(look, sinceMs === null ? lookMs : KILL_MS)
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

/** Its name; null: it was not killed. */
function killOne(pid: number): string | null {
  const stat = readProcessStat(pid)
  if (stat === null) return null
  done.add(pid)
  if (isDead(stat)) return null
  try {
    process.kill(pid, 'SIGKILL')
    return stat.name.trim()
  } catch (error) {
    // EPERM: a master without privileges, and a program that became another user.
    if (!['EPERM', 'ESRCH'].includes(codeOf(error))) throw error
    return null
  }
}
