/**
 * The processes that a worker has started, in its session, and the end of them. The master ends those of a worker that
 * has ended; a worker whose master is gone ends its own.
 *
 * A worker leads a session (setsid(2)). Each process that it starts belongs to that session, unless the process leads a
 * session of its own (`detached: true` of Node, setsid(1)). What must stay true: nobody is signalled who is not in that
 * session at this moment; a number that belongs to a new process is left alone. The kernel gives the number of a
 * session to no new process while one of the session lives, so a process of that number is none of the worker's.
 */

import { readdirSync } from 'node:fs'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { codeOf } from '../ground/failure.js'
import { isDead, readProcessStat } from './process-stat.js'

/** One life: `startTicks` since boot. */
export interface SessionProcess {
  pid: number
  name: string
  startTicks: string
}

/** Between SIGTERM and SIGKILL. */
export const CHILDREN_MERCY_MS = 1000

/** Looked at in one turn of the loop, about 10 µs each. */
const LOOKS_A_TURN = 100
/** Only a parent is told of an exit: strangers have to look again. */
const LOOK_MS = 20
/** SIGKILL is sent so often, as a process may start another one in between; so long is waited for each to be gone. */
const MOST_KILLS = 10
const KILL_MS = 200

/**
 * Those in the session that `leader`, a process that has ended or this one, led or leads; without itself. `startTicks`:
 * of the leader. A leader of this start is not another's, though it may not look dead: it does not end, it stopped for
 * its tracer, or one of its threads waits to be reaped.
 */
export async function processesOfSession(leader: number, startTicks: string | null = null): Promise<SessionProcess[]> {
  const found: SessionProcess[] = []
  if (isAnothers(leader, startTicks)) return found
  for (const [count, pid] of pids().entries()) {
    if (count % LOOKS_A_TURN === LOOKS_A_TURN - 1) await nextTurn()
    if (pid === leader) continue
    const stat = readProcessStat(pid)
    if (stat === null || stat.session !== leader || isDead(stat)) continue
    found.push({ pid, name: stat.name, startTicks: stat.startTicks })
  }
  return found
}

/** How the end of a session's processes went on; `left`: what cannot be ended (another user's, or in the kernel). */
export interface SessionEnd {
  killed: SessionProcess[]
  left: SessionProcess[]
}

/**
 * SIGTERM to each of `found`, SIGKILL to what is left after `mercyMs`, or as soon as `isHurried`. The leader has ended,
 * or ends with them: it is not signalled.
 */
export async function endSession(
  leader: number,
  found: readonly SessionProcess[],
  mercyMs: number,
  isHurried = () => false,
  startTicks: string | null = null,
): Promise<SessionEnd> {
  await signalEach(leader, found, 'SIGTERM')
  await untilGone(leader, found, mercyMs, isHurried)
  let left = await processesOfSession(leader, startTicks)
  const killed = left
  for (let kills = 0; kills < MOST_KILLS && left.length > 0; kills++) {
    await signalEach(leader, left, 'SIGKILL')
    await untilGone(leader, left, KILL_MS, () => false)
    left = await processesOfSession(leader, startTicks)
  }
  return { killed, left }
}

async function signalEach(leader: number, processes: readonly SessionProcess[], signal: NodeJS.Signals): Promise<void> {
  for (const [count, life] of processes.entries()) {
    if (count % LOOKS_A_TURN === LOOKS_A_TURN - 1) await nextTurn()
    // In the turn of the signal: its number may be another's in the next one.
    if (isThere(leader, life)) signalOne(life.pid, signal)
  }
}

function signalOne(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    // EPERM: it became another user.
    if (!['ESRCH', 'EPERM'].includes(codeOf(error))) throw error
  }
}

async function untilGone(
  leader: number,
  processes: readonly SessionProcess[],
  mercyMs: number,
  isHurried: () => boolean,
): Promise<void> {
  const endMs = performance.now() + mercyMs
  let gone = 0
  // // Processes that are gone are not looked at again. One living process is enough to wait for.
  while (performance.now() < endMs && !isHurried() && gone < processes.length) {
    let looks = 0
    while (gone < processes.length && looks < LOOKS_A_TURN && !isThere(leader, processes[gone]!)) {
      gone += 1
      looks += 1
    }
    if (looks === LOOKS_A_TURN) await nextTurn()
    else if (gone < processes.length) await delay(LOOK_MS)
  }
}

/** After a process was reaped, its number may belong to a new one. */
function isAnothers(leader: number, startTicks: string | null): boolean {
  const stat = leader === process.pid ? null : readProcessStat(leader)
  return stat !== null && !isDead(stat) && stat.startTicks !== startTicks
}

function isThere(leader: number, { pid, startTicks }: SessionProcess): boolean {
  const now = readProcessStat(pid)
  return now !== null && now.startTicks === startTicks && now.session === leader && !isDead(now)
}

function pids(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger)
  } catch {
    // ENOENT: a system without /proc.
    return []
  }
}
