/**
 * The life of an attached daemon as a total table: event × phase → next phase and effect. Pure. `daemon.ts` executes
 * the effects. A daemon has one process at a time: the next one starts only after the last one was reaped. A new daemon
 * starts in `waiting`, with a deadline that has passed.
 */

import { afterDeath, type BackOff, NO_BACK_OFF } from '../child/back-off.js'

export type DaemonPhase = 'waiting' | 'running' | 'stopping' | 'killed' | 'gone'
export type DaemonEvent = 'tick' | 'exit' | 'stop' | 'kill'
export type DaemonEffect = 'start' | 'send-stop' | 'kill'

/** `deadlineMs`: when a tick has an effect. Null: never. */
export interface DaemonLife {
  phase: DaemonPhase
  sinceMs: number
  deadlineMs: number | null
  backOff: BackOff
}

/** `pauseMs`: the shortest time from an end to the next start. `mercyMs`: from the stop signal to SIGKILL. */
export interface DaemonMoment {
  nowMs: number
  pauseMs: number
  mercyMs: number
}

export interface DaemonStep {
  next: DaemonLife
  effect: DaemonEffect | null
}

type Cell = (life: DaemonLife, moment: DaemonMoment) => DaemonStep

/** A life that has not begun. */
export function newDaemonLife(nowMs: number): DaemonLife {
  return { phase: 'waiting', sinceMs: nowMs, deadlineMs: nowMs, backOff: NO_BACK_OFF }
}

const stay: Cell = life => ({ next: life, effect: null })
const move = (life: DaemonLife, phase: DaemonPhase, nowMs: number, deadlineMs: number | null = null): DaemonLife => ({
  ...life,
  phase,
  sinceMs: nowMs,
  deadlineMs,
})
const start: Cell = (life, { nowMs }) => ({ next: move(life, 'running', nowMs), effect: 'start' })
const stop: Cell = (life, { nowMs, mercyMs }) => ({
  next: move(life, 'stopping', nowMs, nowMs + mercyMs),
  effect: 'send-stop',
})
const kill: Cell = (life, { nowMs }) => ({ next: move(life, 'killed', nowMs), effect: 'kill' })
const end: Cell = (life, { nowMs }) => ({ next: move(life, 'gone', nowMs), effect: null })
/**
 * The daemon ended by itself. It is unknown what it did before, so all of its time counts as serving. Quick ends slow
 * down its starts like those of a worker that cannot start.
 */
const wait: Cell = (life, { nowMs, pauseMs }) => {
  const livedMs = nowMs - life.sinceMs
  const backOff = afterDeath(livedMs < SHORT_MS ? life.backOff : NO_BACK_OFF, null, nowMs)
  return {
    next: move({ ...life, backOff }, 'waiting', nowMs, Math.max(backOff.notBeforeMs, nowMs + pauseMs)),
    effect: null,
  }
}
const whenDue =
  (cell: Cell): Cell =>
  (life, moment) =>
    life.deadlineMs !== null && moment.nowMs >= life.deadlineMs ? cell(life, moment) : stay(life, moment)

/** A daemon that lived for this long has not crashed in a loop. */
const SHORT_MS = 10_000

const TABLE: Record<DaemonEvent, Record<DaemonPhase, Cell>> = {
  tick: { waiting: whenDue(start), running: stay, stopping: whenDue(kill), killed: stay, gone: stay },
  exit: { waiting: stay, running: wait, stopping: end, killed: end, gone: stay },
  stop: { waiting: end, running: stop, stopping: stay, killed: stay, gone: stay },
  kill: { waiting: end, running: kill, stopping: kill, killed: stay, gone: stay },
}

/** Applies one event to a life. */
export function stepDaemon(life: DaemonLife, event: DaemonEvent, moment: DaemonMoment): DaemonStep {
  return TABLE[event][life.phase](life, moment)
}
