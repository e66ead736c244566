/**
 * The lifecycle of a worker as a total table, phase × event → next phase and effects. Used by `worker.ts`, which executes
 * the effects; nothing else decides what happens to a worker.
 *
 *     booting → ready → retiring → stopping → gone
 *                 └────────┴───────────┴→ killed → gone
 *
 * What must stay true: every cell is filled (a missing one does not compile), a cell is a pure function, `gone` is only
 * reached by `exit`, and nothing is sent or signalled after it.
 */

import type { EventFields } from '../kit/log.js'

/** In the order of a life. */
export const WORKER_PHASES = ['booting', 'ready', 'retiring', 'stopping', 'killed', 'gone'] as const

/**
 * booting: started, loads its application. ready: listens, offered to the proxies. retiring: out of rotation, finishes what
 * is in flight. stopping: told to exit. killed: SIGKILL sent, not reaped yet. gone: reaped.
 */
export type WorkerPhase = (typeof WORKER_PHASES)[number]

/** Where a worker is, why, since when, and until when it may stay there. Times are those of the master's monotonic clock. */
export interface WorkerLife {
  phase: WorkerPhase
  why: string
  sinceMs: number
  /** null: as long as it likes. */
  deadlineMs: number | null
  startedMs: number
  /** When it became ready, null: never. Such a worker was announced to the proxies. */
  readyMs: number | null
  /** Somebody wants it to end: its exit is no death. */
  asked: boolean
}

/** What can happen to a worker. */
export type WorkerEvent =
  | { type: 'ready'; bootMs: number }
  | { type: 'load-failed'; reason: string }
  | { type: 'retire'; why: string }
  | { type: 'drained' }
  | { type: 'stop'; why: string; mercyMs: number }
  | { type: 'blocked'; request: string; elapsedMs: number; inFlight: number }
  | { type: 'kill'; why: string }
  | { type: 'ipc-closed' }
  | { type: 'tick' }
  | { type: 'exit'; code: number | null; signal: string | null }

/** What the shell does, in this order. */
export type WorkerEffect =
  /** Offer it to the proxies. */
  | { type: 'announce' }
  /** The proxies give it nothing new and say when it is drained. */
  | { type: 'take-out' }
  /** The proxies forget it. */
  | { type: 'withdraw' }
  | { type: 'send-stop'; mercyMs: number }
  | { type: 'kill' }
  /** Add its counters to those of the dead. */
  | { type: 'fold' }
  | { type: 'report'; event: string; fields: EventFields }

/** The clock and the deadlines in force when an event arrives. */
export interface WorkerMoment {
  nowMs: number
  /** How long a retired worker may take, from `retire` to its exit. */
  mercyMs: number
}

/** The outcome of one event. */
export interface WorkerStep {
  next: WorkerLife
  effects: WorkerEffect[]
}

/** Between the end of a worker's mercy and SIGKILL: it was told how long it has and needs a moment to exit by itself. */
export const STOP_GRACE_MS = 1000

/** The longest mercy of a worker that closed its channel. */
const LOST_MERCY_MS = 2000

/** A worker that was just spawned and has `startMs` to become ready. */
export function newWorkerLife(nowMs: number, startMs: number, why: string): WorkerLife {
  return {
    phase: 'booting',
    why,
    sinceMs: nowMs,
    deadlineMs: nowMs + startMs,
    startedMs: nowMs,
    readyMs: null,
    asked: false,
  }
}

/** The next life and the effects of one event. */
export function stepWorker(life: WorkerLife, event: WorkerEvent, moment: WorkerMoment): WorkerStep {
  const cell = TABLE[life.phase][event.type] as Cell<WorkerEvent>
  return cell(life, event, moment)
}

/** Died although nobody had asked it to: its slot's back-off counts it. */
export function diedUnasked(life: WorkerLife): boolean {
  return life.phase === 'gone' && !life.asked
}

/** The table as Markdown, for ARCHITECTURE.md: printed by running every cell once, `tick` past the deadline. */
export function printLifecycleTable(): string {
  const lines = [
    `| event \\ phase | ${WORKER_PHASES.join(' | ')} |`,
    `|---|${WORKER_PHASES.map(() => '---').join('|')}|`,
  ]
  for (const event of SAMPLE_EVENTS) {
    const cells = WORKER_PHASES.map(phase => printStep(phase, stepWorker(sampleLife(phase), event, SAMPLE_MOMENT)))
    lines.push(`| ${event.type} | ${cells.join(' | ')} |`)
  }
  return `${lines.join('\n')}\n`
}

type Cell<E extends WorkerEvent> = (life: WorkerLife, event: E, moment: WorkerMoment) => WorkerStep
type Row = { [T in WorkerEvent['type']]: Cell<Extract<WorkerEvent, { type: T }>> }

/** Nothing to do: the event is late, or says what is known. */
const ignore = (life: WorkerLife): WorkerStep => ({ next: life, effects: [] })

const becomeReady: Row['ready'] = (life, event, { nowMs }) => ({
  next: { ...life, phase: 'ready', sinceMs: nowMs, deadlineMs: null, readyMs: nowMs },
  effects: [{ type: 'announce' }, report('worker-ready', { bootMs: event.bootMs, why: life.why })],
})

/** It cannot serve and says so; its own exit follows, or the deadline. */
const failToLoad: Row['load-failed'] = (life, event, { nowMs }) => ({
  next: { ...life, phase: 'stopping', why: 'load-failed', sinceMs: nowMs, deadlineMs: nowMs + STOP_GRACE_MS },
  effects: [
    { type: 'send-stop', mercyMs: 0 },
    report('worker-load-failed', { why: 'load-failed', reason: event.reason }),
  ],
})

const retire: Row['retire'] = (life, event, { nowMs, mercyMs }) => ({
  next: { ...life, phase: 'retiring', why: event.why, sinceMs: nowMs, deadlineMs: nowMs + mercyMs, asked: true },
  effects: [{ type: 'take-out' }, report('worker-retiring', { why: event.why })],
})

/** Nothing is in flight at a worker that was never ready: no need to drain it. */
const retireUnready: Row['retire'] = (life, event, moment) => tellToStop(life, event.why, 0, moment)

/** Whatever of its mercy draining has left is for the application's own end. */
const stopDrained: Row['drained'] = (life, _event, moment) =>
  tellToStop(life, life.why, Math.max(0, (life.deadlineMs ?? 0) - moment.nowMs), moment)

const stop: Row['stop'] = (life, event, moment) => {
  const { next, effects } = tellToStop(life, event.why, event.mercyMs, moment)
  return { next, effects: life.phase === 'ready' ? [{ type: 'take-out' }, ...effects] : effects }
}

const killBlocked: Row['blocked'] = (life, event, { nowMs }) => ({
  next: { ...life, phase: 'killed', why: 'harakiri', sinceMs: nowMs, deadlineMs: null },
  effects: [
    { type: 'kill' },
    report('worker-harakiri', {
      why: 'harakiri',
      request: event.request,
      elapsedMs: event.elapsedMs,
      inFlight: event.inFlight,
    }),
  ],
})

const killAsked: Row['kill'] = (life, event, moment) => killNow({ ...life, asked: true }, event.why, moment)

/**
 * A child whose channel is closed believes that the master died, and ends by itself. Mostly this is just the first sign of
 * an exit, so it is not reported; the exit is. Its mercy is short: its slot stays empty so long.
 */
const lose: Row['ipc-closed'] = (life, _event, { nowMs, mercyMs }) => ({
  next: {
    ...life,
    phase: 'stopping',
    why: 'ipc-closed',
    sinceMs: nowMs,
    deadlineMs: nowMs + Math.min(mercyMs, LOST_MERCY_MS) + STOP_GRACE_MS,
  },
  effects: life.phase === 'ready' ? [{ type: 'take-out' }] : [],
})

const pastDeadline = (life: WorkerLife, then: () => WorkerStep, nowMs: number): WorkerStep =>
  life.deadlineMs !== null && nowMs >= life.deadlineMs ? then() : ignore(life)

const failToStart: Row['tick'] = (life, _event, moment) =>
  pastDeadline(life, () => killNow(life, 'start-deadline', moment), moment.nowMs)

const stopUndrained: Row['tick'] = (life, _event, moment) =>
  pastDeadline(life, () => tellToStop(life, life.why, 0, moment), moment.nowMs)

/** Its why stays the one that it was stopped for; that it had to be killed is in the event and in the exit's signal. */
const killUnstopped: Row['tick'] = (life, _event, moment) =>
  pastDeadline(life, () => killNow(life, life.why, moment), moment.nowMs)

const reap: Row['exit'] = (life, event, { nowMs }) => {
  const { code, signal } = event
  const why = life.phase === 'booting' || life.phase === 'ready' || life.why === 'ipc-closed' ? 'died' : life.why
  const fields = {
    code: code ?? undefined,
    signal: signal ?? undefined,
    why,
    aliveMs: Math.round(nowMs - life.startedMs),
  }
  return {
    next: { ...life, phase: 'gone', why, sinceMs: nowMs, deadlineMs: null },
    effects: [
      ...(life.readyMs === null ? [] : [{ type: 'withdraw' } as const]),
      { type: 'fold' },
      report('worker-exit', fields),
    ],
  }
}

const TABLE: { [P in WorkerPhase]: Row } = {
  booting: {
    ready: becomeReady,
    'load-failed': failToLoad,
    retire: retireUnready,
    drained: ignore,
    stop,
    blocked: ignore,
    kill: killAsked,
    'ipc-closed': lose,
    tick: failToStart,
    exit: reap,
  },
  ready: {
    ready: ignore,
    'load-failed': ignore,
    retire,
    drained: ignore,
    stop,
    blocked: killBlocked,
    kill: killAsked,
    'ipc-closed': lose,
    tick: ignore,
    exit: reap,
  },
  retiring: {
    ready: ignore,
    'load-failed': ignore,
    retire: ignore,
    drained: stopDrained,
    stop,
    blocked: killBlocked,
    kill: killAsked,
    'ipc-closed': lose,
    tick: stopUndrained,
    exit: reap,
  },
  stopping: {
    ready: ignore,
    'load-failed': ignore,
    retire: ignore,
    drained: ignore,
    stop: ignore,
    blocked: killBlocked,
    kill: killAsked,
    'ipc-closed': ignore,
    tick: killUnstopped,
    exit: reap,
  },
  killed: {
    ready: ignore,
    'load-failed': ignore,
    retire: ignore,
    drained: ignore,
    stop: ignore,
    blocked: ignore,
    kill: ignore,
    'ipc-closed': ignore,
    tick: ignore,
    exit: reap,
  },
  gone: {
    ready: ignore,
    'load-failed': ignore,
    retire: ignore,
    drained: ignore,
    stop: ignore,
    blocked: ignore,
    kill: ignore,
    'ipc-closed': ignore,
    tick: ignore,
    exit: ignore,
  },
}

function tellToStop(life: WorkerLife, why: string, mercyMs: number, { nowMs }: WorkerMoment): WorkerStep {
  return {
    next: {
      ...life,
      phase: 'stopping',
      why,
      sinceMs: nowMs,
      deadlineMs: nowMs + mercyMs + STOP_GRACE_MS,
      asked: true,
    },
    effects: [{ type: 'send-stop', mercyMs: Math.round(mercyMs) }, report('worker-stopping', { why })],
  }
}

function killNow(life: WorkerLife, why: string, { nowMs }: WorkerMoment): WorkerStep {
  return {
    next: { ...life, phase: 'killed', why, sinceMs: nowMs, deadlineMs: null },
    effects: [{ type: 'kill' }, report('worker-killed', { why, phase: life.phase })],
  }
}

function report(event: string, fields: EventFields): WorkerEffect {
  return { type: 'report', event, fields }
}

const SAMPLE_MOMENT: WorkerMoment = { nowMs: 10, mercyMs: 5 }

const SAMPLE_EVENTS: WorkerEvent[] = [
  { type: 'ready', bootMs: 1 },
  { type: 'load-failed', reason: '' },
  { type: 'retire', why: 'reload' },
  { type: 'drained' },
  { type: 'stop', why: 'stop', mercyMs: 5 },
  { type: 'blocked', request: '', elapsedMs: 1, inFlight: 1 },
  { type: 'kill', why: 'stop' },
  { type: 'ipc-closed' },
  { type: 'tick' },
  { type: 'exit', code: 0, signal: null },
]

function sampleLife(phase: WorkerPhase): WorkerLife {
  const readyMs = phase === 'booting' ? null : 0
  const deadlineMs = phase === 'ready' || phase === 'killed' || phase === 'gone' ? null : 9
  return { phase, why: 'start', sinceMs: 0, deadlineMs, startedMs: 0, readyMs, asked: false }
}

function printStep(from: WorkerPhase, { next, effects }: WorkerStep): string {
  if (next.phase === from && effects.length === 0) return '·'
  const names = effects.filter(effect => effect.type !== 'report').map(effect => effect.type)
  return [`**${next.phase}**`, ...names].join(', ')
}
