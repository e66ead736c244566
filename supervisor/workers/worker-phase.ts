/**
 * The lifecycle of a worker as a total table: phase × event → next phase and effects. `worker-handle.ts` executes the
 * effects. Nothing else decides what happens to a worker.
 *
 *     booting → ready → retiring → lingering → stopping → gone
 *      ↓   ↑      └────────┴───────────┴──────────┴→ killed → gone
 *     waiting
 *
 * What must stay true: every cell is filled (a missing one does not compile), a cell is a pure function, only `exit`
 * leads to `gone`, and nothing is sent or signalled after it. If SIGKILL does not end a worker, it is given up; that is
 * an `exit` too.
 */

import { type StreamLimits, TUNNEL_CLOSE_MS } from '../../kit/channel/messages.js'
import type { EventFields } from '../../kit/log/log.js'
import { GIVE_UP_MS, REAP_LOOK_MS, REAP_MS } from '../../kit/process/tracers.js'
import {
  CHANNEL_CLOSED,
  endOf,
  type Farewell,
  NOT_STARTED,
  OUT_OF_MEMORY,
  type WorkerEffect,
  type WorkerEvent,
  type WorkerLife,
  type WorkerMoment,
  type WorkerPhase,
  type WorkerStep,
} from './worker-life.js'

/** Between the end of a worker's mercy and SIGKILL. The worker knows its mercy and needs a moment to exit. */
export const STOP_GRACE_MS = 1000

/**
 * The least time for the application's own clean-up, from the end of its last request, however little of the mercy is
 * left. The same at a reload and at a stop.
 */
export const CLEAN_UP_MS = 1000

/**
 * Between the end of a worker's rotation and the message to its application. If all requests end before, there is no
 * message.
 */
const FAREWELL_AFTER_MS = 1000

/** The time for the tunnels of a worker when another worker of its slot lingers. */
export const HURRY_MS = 10_000

/**
 * Between the last goodbye to the tunnels of a worker and its stop, if some tunnels stay open: the deadline of the
 * goodbye, and a moment.
 */
const LINGER_GRACE_MS = TUNNEL_CLOSE_MS + 1000

/** The longest mercy of a worker that closed its channel. */
const LOST_MERCY_MS = 2000

/** The next life and the effects of one event. */
export function stepWorker(life: WorkerLife, event: WorkerEvent, moment: WorkerMoment): WorkerStep {
  const cell = TABLE[life.phase][event.type] as Cell<WorkerEvent>
  const { next, effects } = cell(life, event, moment)
  // A worker without requests in flight gets no message about its end.
  const isToBeTold = next.farewell !== null && next.phase !== 'ready' && next.phase !== 'retiring'
  return { next: isToBeTold ? { ...next, farewell: null } : next, effects }
}

type Cell<E extends WorkerEvent> = (life: WorkerLife, event: E, moment: WorkerMoment) => WorkerStep
type Row = { [T in WorkerEvent['type']]: Cell<Extract<WorkerEvent, { type: T }>> }

/** Nothing to do: the event is late, or nothing new. */
const ignore = (life: WorkerLife): WorkerStep => ({ next: life, effects: [] })

const wait: Row['waiting'] = (life, event, { nowMs }) => ({
  next: { ...life, phase: 'waiting', sinceMs: nowMs, deadlineMs: null },
  effects: [report('worker-waiting', { bootMs: event.bootMs, why: life.why })],
})

/** From here on the worker is like one that has just started. */
const load: Row['load'] = (life, { why }, { nowMs, startMs }) => ({
  next: { ...life, phase: 'booting', why, sinceMs: nowMs, deadlineMs: nowMs + startMs, startedMs: nowMs },
  effects: [{ type: 'send-load' }, report('worker-loading', { why })],
})

const becomeReady: Row['ready'] = (life, event, { nowMs }) => ({
  next: { ...life, phase: 'ready', sinceMs: nowMs, deadlineMs: null, readyMs: nowMs },
  effects: [{ type: 'announce' }, report('worker-ready', { bootMs: event.bootMs, why: life.why })],
})

/** The worker cannot serve and says so. Its exit follows, or the deadline. */
const failToLoad: Row['load-failed'] = (life, event, { nowMs }) => ({
  next: { ...life, phase: 'stopping', why: 'load-failed', sinceMs: nowMs, deadlineMs: nowMs + STOP_GRACE_MS },
  effects: [
    { type: 'send-stop', mercyMs: 0 },
    report('worker-load-failed', { why: 'load-failed', reason: event.reason }),
  ],
})

const retire: Row['retire'] = (life, event, { nowMs, mercyMs }) => ({
  next: {
    ...life,
    phase: 'retiring',
    why: event.why,
    sinceMs: nowMs,
    deadlineMs: nowMs + mercyMs,
    asked: true,
    farewell: planFarewell(nowMs, { why: event.why, mercyMs, stream: null }),
  },
  effects: [{ type: 'take-out' }, report('worker-retiring', { why: event.why })],
})

/** Short responses have ended by that time, so the application gets no message because of them. */
const planFarewell = (
  nowMs: number,
  { why, mercyMs, stream }: { why: string; mercyMs: number; stream: StreamLimits | null },
): Farewell => ({ why, atMs: nowMs + Math.min(FAREWELL_AFTER_MS, mercyMs / 2), untilMs: nowMs + mercyMs, stream })

const bidFarewell: Row['farewell'] = (life, event, { nowMs }) => ({
  next: { ...life, farewell: planFarewell(nowMs, event) },
  effects: [],
})

const sayFarewell: Row['tick'] = (life, _event, { nowMs, hasTunnels }) => {
  const { farewell } = life
  if (farewell === null || nowMs < farewell.atMs) return ignore(life)
  // Tunnels may stay longer than responses, and an application that gets the message ends both.
  if (hasTunnels) return { next: { ...life, farewell: { ...farewell, atMs: nowMs + FAREWELL_AFTER_MS } }, effects: [] }
  const { why, untilMs, stream } = farewell
  const mercyMs = Math.max(0, Math.round(untilMs - nowMs))
  // From here on the worker may end at any time.
  return { next: { ...life, why, asked: true, farewell: null }, effects: [{ type: 'send-farewell', mercyMs, stream }] }
}

/** A worker that was never ready has nothing in flight, so it need not drain. */
const retireUnready: Row['retire'] = (life, event, moment) => tellToStop(life, event.why, 0, moment)

/** After draining, the rest of the mercy is for the application's clean-up. */
const stopDrained: Row['drained'] = (life, _event, moment) =>
  tellToStop(life, life.why, Math.max(CLEAN_UP_MS, (life.deadlineMs ?? 0) - moment.nowMs), moment)

/**
 * Only in `retiring`, where `sinceMs` is the time of the retirement. The proxies close the tunnels themselves. The
 * deadline is for tunnels that they cannot close.
 */
const linger: Row['answered'] = (life, _event, { nowMs, tunnelMercyMs }) => {
  // A worker that was blocked does not linger for its tunnels beyond its deadline.
  if (life.why === 'harakiri') return ignore(life)
  return {
    next: { ...life, phase: 'lingering', sinceMs: nowMs, deadlineMs: life.sinceMs + tunnelMercyMs + LINGER_GRACE_MS },
    effects: [report('worker-lingering', { why: life.why })],
  }
}

const hurry: Row['hurry'] = (life, _event, { nowMs }) => {
  const deadlineMs = nowMs + HURRY_MS + LINGER_GRACE_MS
  if (life.deadlineMs !== null && life.deadlineMs <= deadlineMs) return ignore(life)
  return { next: { ...life, deadlineMs }, effects: [{ type: 'close-tunnels' }] }
}

/** The application's clean-up gets a mercy of its own: the tunnels may have stayed far longer. */
const stopLingered: Row['drained'] = (life, _event, moment) =>
  tellToStop(life, life.why, Math.max(CLEAN_UP_MS, moment.mercyMs), moment)

const stop: Row['stop'] = (life, event, moment) => {
  const { next, effects } = tellToStop(life, event.why, event.mercyMs, moment)
  return { next, effects: life.phase === 'ready' ? [{ type: 'take-out' }, ...effects] : effects }
}

/** The worker gets no new requests, and its slot gets a successor at once. The loop of the worker may recover. */
const leaveBlocked: Row['blocked'] = (life, event, moment) => {
  const { nowMs, gracefulMs } = moment
  if (gracefulMs === 0 || event.isCrowded) return killBlocked(life, event, moment)
  const { others, ...loop } = event.loop
  const fields = { why: 'harakiri', ...loop, gracefulMs, othersIfKilled: others || undefined }
  return {
    next: { ...life, phase: 'retiring', why: 'harakiri', sinceMs: nowMs, deadlineMs: nowMs + gracefulMs },
    effects: [{ type: 'take-out' }, report('worker-harakiri', fields)],
  }
}

/** Another proxy reports the same blocked loop. The deadline of this harakiri runs already. */
const killRetired: Row['blocked'] = (life, event, moment) =>
  life.why === 'harakiri' ? ignore(life) : killBlocked(life, event, moment)

const killBlocked: Row['blocked'] = (life, event, { nowMs }) => ({
  next: { ...life, phase: 'killed', why: 'harakiri', sinceMs: nowMs, deadlineMs: nowMs + REAP_MS },
  effects: [
    { type: 'kill' },
    report('worker-harakiri', { why: 'harakiri', ...event.loop, others: event.loop.others || undefined }),
  ],
})

const killAtOnce: Row['kill'] = (life, event, moment) =>
  killNow({ ...life, asked: life.asked || event.isUnasked !== true }, event.why, moment)

/**
 * A child whose channel is closed takes the master for dead and ends by itself. Usually the closed channel is only the
 * first sign of an exit, so only the exit is reported. The mercy is short, because the slot is empty meanwhile. A
 * worker that was told to end does that anyway.
 */
const lose: Row['ipc-closed'] = (life, _event, { nowMs, mercyMs }) => ({
  next: {
    ...life,
    phase: 'stopping',
    why: life.asked ? life.why : CHANNEL_CLOSED,
    sinceMs: nowMs,
    deadlineMs: nowMs + Math.min(mercyMs, LOST_MERCY_MS) + STOP_GRACE_MS,
  },
  effects: life.phase === 'ready' ? [{ type: 'take-out' }] : [],
})

const pastDeadline = (life: WorkerLife, then: () => WorkerStep, nowMs: number): WorkerStep =>
  life.deadlineMs !== null && nowMs >= life.deadlineMs ? then() : ignore(life)

const failToStart: Row['tick'] = (life, _event, moment) =>
  pastDeadline(life, () => killNow(life, 'start-deadline', moment), moment.nowMs)

/** If the worker lingers for its tunnels, requests in flight may go on too. */
const stopUndrained: Row['tick'] = (life, event, moment) => {
  if (life.deadlineMs !== null && moment.nowMs < life.deadlineMs) return sayFarewell(life, event, moment)
  const then = () =>
    life.why === 'harakiri'
      ? killNow(life, life.why, moment)
      : moment.hasTunnels
        ? linger(life, { type: 'answered' }, moment)
        : tellToStop(life, life.why, CLEAN_UP_MS, moment)
  return pastDeadline(life, then, moment.nowMs)
}

const stopLingering: Row['tick'] = (life, _event, moment) =>
  moment.hasTunnels
    ? pastDeadline(life, () => tellToStop(life, life.why, CLEAN_UP_MS, moment), moment.nowMs)
    : tellToStop(life, life.why, CLEAN_UP_MS, moment)

/** `why` stays the reason of the stop. The event and the signal of the exit show that it had to be killed. */
const killUnstopped: Row['tick'] = (life, _event, moment) =>
  pastDeadline(life, () => killNow(life, life.why, moment), moment.nowMs)

/** If SIGKILL does not end a process, the wait for it is bounded. */
const endTracers: Row['tick'] = (life, _event, { nowMs }) =>
  pastDeadline(
    life,
    () =>
      nowMs - life.sinceMs < GIVE_UP_MS
        ? { next: { ...life, deadlineMs: nowMs + REAP_LOOK_MS }, effects: [{ type: 'end-tracers' }] }
        : { next: { ...life, deadlineMs: null }, effects: [{ type: 'end-tracers' }, { type: 'give-up' }] },
    nowMs,
  )

const reap: Row['exit'] = (life, event, { nowMs }) => {
  const { code, signal, stays } = event
  const hasEndedItself = life.why === CHANNEL_CLOSED && life.phase !== 'killed'
  const isUnasked = (UNASKED_PHASES.has(life.phase) && !life.asked) || hasEndedItself
  // If we killed the worker, the kernel's OOM killer did not.
  const isOutOfMemory = event.isOutOfMemory && life.phase !== 'killed'
  const why = isUnasked ? (event.isNotStarted ? NOT_STARTED : isOutOfMemory ? OUT_OF_MEMORY : 'died') : life.why
  const fields = {
    code: code ?? undefined,
    signal: signal ?? undefined,
    why,
    aliveMs: Math.round(nowMs - life.startedMs),
  }
  const end = stays ? report('worker-unkillable', { why, stays }) : report('worker-exit', fields)
  return {
    next: { ...life, phase: 'gone', why, sinceMs: nowMs, deadlineMs: null },
    effects: [
      ...(life.readyMs === null ? [] : [{ type: 'withdraw', end: endOf({ ...life, why }, signal) } as const]),
      { type: 'accumulate' },
      end,
    ],
  }
}

/** An exit in one of these phases has no known reason. */
const UNASKED_PHASES: ReadonlySet<WorkerPhase> = new Set(['booting', 'waiting', 'ready'])

const TABLE: { [P in WorkerPhase]: Row } = {
  booting: {
    waiting: wait,
    load: ignore,
    ready: becomeReady,
    'load-failed': failToLoad,
    retire: retireUnready,
    farewell: ignore,
    answered: ignore,
    drained: ignore,
    hurry: ignore,
    stop,
    blocked: ignore,
    kill: killAtOnce,
    'ipc-closed': lose,
    tick: failToStart,
    exit: reap,
  },
  waiting: {
    waiting: ignore,
    load,
    ready: ignore,
    'load-failed': ignore,
    retire: retireUnready,
    farewell: ignore,
    answered: ignore,
    drained: ignore,
    hurry: ignore,
    stop,
    blocked: ignore,
    kill: killAtOnce,
    'ipc-closed': lose,
    tick: ignore,
    exit: reap,
  },
  ready: {
    waiting: ignore,
    load: ignore,
    ready: ignore,
    'load-failed': ignore,
    retire,
    farewell: bidFarewell,
    answered: ignore,
    drained: ignore,
    hurry: ignore,
    stop,
    blocked: leaveBlocked,
    kill: killAtOnce,
    'ipc-closed': lose,
    tick: sayFarewell,
    exit: reap,
  },
  retiring: {
    waiting: ignore,
    load: ignore,
    ready: ignore,
    'load-failed': ignore,
    retire: ignore,
    farewell: bidFarewell,
    answered: linger,
    drained: stopDrained,
    hurry: ignore,
    stop,
    blocked: killRetired,
    kill: killAtOnce,
    'ipc-closed': lose,
    tick: stopUndrained,
    exit: reap,
  },
  lingering: {
    waiting: ignore,
    load: ignore,
    ready: ignore,
    'load-failed': ignore,
    retire: ignore,
    farewell: ignore,
    answered: ignore,
    drained: stopLingered,
    hurry,
    stop,
    blocked: killRetired,
    kill: killAtOnce,
    'ipc-closed': lose,
    tick: stopLingering,
    exit: reap,
  },
  stopping: {
    waiting: ignore,
    load: ignore,
    ready: ignore,
    'load-failed': ignore,
    retire: ignore,
    farewell: ignore,
    answered: ignore,
    drained: ignore,
    hurry: ignore,
    stop: ignore,
    blocked: killRetired,
    kill: killAtOnce,
    'ipc-closed': ignore,
    tick: killUnstopped,
    exit: reap,
  },
  killed: {
    waiting: ignore,
    load: ignore,
    ready: ignore,
    'load-failed': ignore,
    retire: ignore,
    farewell: ignore,
    answered: ignore,
    drained: ignore,
    hurry: ignore,
    stop: ignore,
    blocked: ignore,
    kill: ignore,
    'ipc-closed': ignore,
    tick: endTracers,
    exit: reap,
  },
  gone: {
    waiting: ignore,
    load: ignore,
    ready: ignore,
    'load-failed': ignore,
    retire: ignore,
    farewell: ignore,
    answered: ignore,
    drained: ignore,
    hurry: ignore,
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
    next: { ...life, phase: 'killed', why, sinceMs: nowMs, deadlineMs: nowMs + REAP_MS },
    effects: [{ type: 'kill' }, report('worker-killed', { why, phase: life.phase })],
  }
}

function report(event: string, fields: EventFields): WorkerEffect {
  return { type: 'report', event, fields }
}
