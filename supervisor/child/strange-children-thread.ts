/**
 * The thread that kills strange children of a master whose event loop stands still. Entry file of the thread that
 * `strange-children.ts` starts.
 *
 * A program may make its processes children of the master (clone(2) with CLONE_PARENT). Whenever one of them stops,
 * continues or ends, the master gets a SIGCHLD, and libuv does not leave its handler while more signals come. So a few
 * processes that stop and continue without end block the loop. This thread sends them SIGKILL.
 *
 * What must stay true: no signal goes to a process that the master has started (`own-children.ts`), and none at all
 * while the loop runs. A strange child is never reaped, so its pid is not reused.
 */

import { setTimeout } from 'node:timers'
import { parentPort, workerData } from 'node:worker_threads'
import { codeOf } from '../../kit/ground/failure.js'
import { isDead, readProcessStat } from '../../kit/process/process-stat.js'
import { findStrange } from '../user/own-children.js'
import { LoopBeats } from './loop-beats.js'

/** The start data of the thread. `beats`: a word that the loop changes. */
export interface StrangeChildrenStart {
  beats: SharedArrayBuffer
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

const KILL_MS = 50

const { beats, children, lookMs } = workerData as StrangeChildrenStart
const words = new Int32Array(beats)
const loop = new LoopBeats(Atomics.load(words, 0), performance.now())
/** Strange children that were killed, or were dead already. */
const done = new Set<number>()

setTimeout(look, lookMs)

/** While the loop stands still, the thread kills more often than it judges the loop. */
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
