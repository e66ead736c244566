/**
 * Finds and ends the processes that a worker has started in its session. The master does this for a worker that has
 * ended; a worker whose master is gone does it for itself.
 *
 * A worker leads a session (setsid(2)). Each process that it starts belongs to that session, unless the process leads a
 * session of its own (`detached: true` of Node, setsid(1)). Must stay true: a process gets a signal only if it is in
 * that session at this moment; a new process that has got the pid of an earlier one gets none. The kernel does not
 * reuse the number of a session as a pid while a process of the session lives. So a new process with that pid means
 * that the session is gone.
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

/** Processes that are checked in one turn of the loop; each check takes about 10 µs. */
const LOOKS_A_TURN = 100
/** Only the parent is notified of an exit, so other processes have to poll. */
const LOOK_MS = 20
/** Rounds of SIGKILL, because a process may start another one in between, and the wait after each round. */
const MOST_KILLS = 10
const KILL_MS = 200

/**
 * The processes in the session of `leader`, without the leader. The leader has ended, or is this process. `startTicks`
 * is its start time: a living process with the same pid and start time is still the leader, which cannot end, is
 * stopped by its tracer, or has a thread that waits to be reaped.
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

/** `left`: processes that cannot be ended, because they belong to another user or wait in the kernel. */
export interface SessionEnd {
  killed: SessionProcess[]
  left: SessionProcess[]
}

/**
 * Sends SIGTERM to each process of `found`, and SIGKILL to those left after `mercyMs`, or as soon as `isHurried`. The
 * leader gets no signal: it has ended, or ends with them.
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
    // Checked in the same turn as the signal: in the next turn the pid may belong to another process.
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
  // Processes that are gone are not checked again. One living process is enough to wait for.
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
