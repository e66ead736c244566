/**
 * The lifecycle of a proxy as a total table, the smaller sister of `worker-phase.ts`. `proxy-handle.ts` executes the
 * effects. A proxy is never replaced by a reload: it takes new settings while it runs.
 *
 *     starting → listening → draining → gone
 *         └──────────┴───────────┴→ killed → gone
 */

import type { EventFields } from '../../kit/log/log.js'
import { GIVE_UP_MS, REAP_LOOK_MS, REAP_MS } from '../../kit/process/tracers.js'

/** In the order of a life. */
export const PROXY_PHASES = ['starting', 'listening', 'draining', 'killed', 'gone'] as const

/**
 * draining: accepts nothing new, finishes what is in flight. killed: SIGKILL sent, not reaped yet. gone: reaped, or
 * given up.
 */
export type ProxyPhase = (typeof PROXY_PHASES)[number]

/** Like `WorkerLife`, on the master's monotonic clock. */
export interface ProxyLife {
  phase: ProxyPhase
  why: string
  sinceMs: number
  deadlineMs: number | null
  /** When it began to accept. Null: not yet. */
  listeningMs: number | null
  asked: boolean
  /** How long it may be silent while it accepts. */
  silentMs: number
  /** When to check whether it is stopped, unless it sends something before. Null: never. */
  lookMs: number | null
}

/** The events of a proxy. */
export type ProxyEvent =
  | { type: 'listening' }
  /** It has sent something. */
  | { type: 'heard' }
  | { type: 'failed'; reason: string }
  | { type: 'drain'; why: string; mercyMs: number }
  | { type: 'kill'; why: string }
  | { type: 'ipc-closed' }
  | { type: 'tick' }
  /** `stays`: the proxy was given up, for this reason. */
  | { type: 'exit'; code: number | null; signal: string | null; stays?: string | null }

/** Effects for `proxy-handle.ts`, in this order. */
export type ProxyEffect =
  | { type: 'send-drain'; mercyMs: number }
  /** Wake it if it is stopped. */
  | { type: 'look' }
  | { type: 'kill' }
  /** Kill the process that traces it: a tracer keeps it from being reaped. */
  | { type: 'end-tracers' }
  /** Stop waiting for its end. */
  | { type: 'give-up' }
  | { type: 'report'; event: string; fields: EventFields }

/** The outcome of one event. */
export interface ProxyStep {
  next: ProxyLife
  effects: ProxyEffect[]
}

/** How long a proxy may take until it accepts. It loads only our own code. */
export const PROXY_START_MS = 20_000

/**
 * How long an accepting proxy may be silent. A healthy one sends its figures every second. The loop of a silent one is
 * blocked, so nobody serves the clients in its backlog. They wait this long before a kill ends their connections.
 */
export const PROXY_SILENT_MS = 30_000

/**
 * After this silence the master checks whether the proxy was stopped (SIGSTOP), and wakes it. The check costs the proxy
 * nothing.
 */
export const PROXY_LOOK_MS = 2000

/** Between the end of a proxy's mercy, or the loss of its channel, and SIGKILL. */
export const DRAIN_GRACE_MS = 1000

/** A proxy that was just spawned. */
export function newProxyLife(nowMs: number, why: string, silentMs = PROXY_SILENT_MS): ProxyLife {
  const deadlineMs = nowMs + PROXY_START_MS
  const lookMs = nowMs + PROXY_LOOK_MS
  return { phase: 'starting', why, sinceMs: nowMs, deadlineMs, listeningMs: null, asked: false, silentMs, lookMs }
}

/** When to apply a `tick` if nothing happens; null: never. */
export function nextProxyLookMs({ deadlineMs, lookMs }: ProxyLife): number | null {
  return deadlineMs === null || (lookMs !== null && lookMs < deadlineMs) ? lookMs : deadlineMs
}

/** The next life and the effects of one event. */
export function stepProxy(life: ProxyLife, event: ProxyEvent, nowMs: number): ProxyStep {
  const cell = TABLE[life.phase][event.type] as Cell<ProxyEvent>
  return cell(life, event, nowMs)
}

type Cell<E extends ProxyEvent> = (life: ProxyLife, event: E, nowMs: number) => ProxyStep
type Row = { [T in ProxyEvent['type']]: Cell<Extract<ProxyEvent, { type: T }>> }

const ignore = (life: ProxyLife): ProxyStep => ({ next: life, effects: [] })

const listen: Row['listening'] = (life, _event, nowMs) => ({
  next: { ...life, phase: 'listening', sinceMs: nowMs, deadlineMs: nowMs + life.silentMs, listeningMs: nowMs },
  effects: [report('proxy-listening', { why: life.why })],
})

const hear: Row['heard'] = (life, _event, nowMs) => ({
  next: { ...life, deadlineMs: nowMs + life.silentMs, lookMs: nowMs + PROXY_LOOK_MS },
  effects: [],
})

/** Its deadline stays. */
const note: Row['heard'] = (life, _event, nowMs) => ({
  next: { ...life, lookMs: nowMs + PROXY_LOOK_MS },
  effects: [],
})

const fail: Row['failed'] = (life, event, nowMs) => {
  const { next, effects } = killNow(life, 'failed', nowMs)
  return { next, effects: [report('proxy-failed', { why: 'failed', reason: event.reason }), ...effects] }
}

const drain: Row['drain'] = (life, event, nowMs) => ({
  next: {
    ...life,
    phase: 'draining',
    why: event.why,
    sinceMs: nowMs,
    deadlineMs: nowMs + event.mercyMs + DRAIN_GRACE_MS,
    asked: true,
  },
  effects: [{ type: 'send-drain', mercyMs: Math.round(event.mercyMs) }, report('proxy-draining', { why: event.why })],
})

const kill: Row['kill'] = (life, event, nowMs) => killNow({ ...life, asked: true }, event.why, nowMs)

/**
 * The master cannot tell this proxy about workers any more. The proxy drains by itself, as it would without a master,
 * but another one must take over soon.
 */
const lose: Row['ipc-closed'] = (life, _event, nowMs) => ({
  next: { ...life, phase: 'draining', why: 'ipc-closed', sinceMs: nowMs, deadlineMs: nowMs + DRAIN_GRACE_MS },
  effects: [],
})

const lookOrKill: Row['tick'] = (life, _event, nowMs) => {
  if (life.deadlineMs !== null && nowMs >= life.deadlineMs)
    return killNow(life, LATE_WHY[life.phase] ?? life.why, nowMs)
  if (life.lookMs === null || nowMs < life.lookMs) return ignore(life)
  return { next: { ...life, lookMs: nowMs + PROXY_LOOK_MS }, effects: [{ type: 'look' }] }
}

const endTracers: Row['tick'] = (life, _event, nowMs) => {
  if (life.deadlineMs === null || nowMs < life.deadlineMs) return ignore(life)
  if (nowMs - life.sinceMs < GIVE_UP_MS)
    return { next: { ...life, deadlineMs: nowMs + REAP_LOOK_MS }, effects: [{ type: 'end-tracers' }] }
  return { next: { ...life, deadlineMs: null }, effects: [{ type: 'end-tracers' }, { type: 'give-up' }] }
}

/** Why a proxy is killed without an order to end. */
const LATE_WHY: Partial<Record<ProxyPhase, string>> = { starting: 'start-deadline', listening: 'silent' }

const reap: Row['exit'] = (life, { code, signal, stays }, nowMs) => {
  const why = life.asked || life.phase === 'killed' ? life.why : 'died'
  return {
    next: { ...life, phase: 'gone', why, sinceMs: nowMs, deadlineMs: null, lookMs: null },
    effects: [
      stays
        ? report('proxy-unkillable', { why, stays })
        : report('proxy-exit', { code: code ?? undefined, signal: signal ?? undefined, why }),
    ],
  }
}

const TABLE: { [P in ProxyPhase]: Row } = {
  starting: {
    listening: listen,
    heard: note,
    failed: fail,
    drain,
    kill,
    'ipc-closed': lose,
    tick: lookOrKill,
    exit: reap,
  },
  listening: {
    listening: ignore,
    heard: hear,
    failed: fail,
    drain,
    kill,
    'ipc-closed': lose,
    tick: lookOrKill,
    exit: reap,
  },
  draining: {
    listening: ignore,
    heard: note,
    failed: fail,
    drain: ignore,
    kill,
    'ipc-closed': ignore,
    tick: lookOrKill,
    exit: reap,
  },
  killed: {
    listening: ignore,
    heard: ignore,
    failed: ignore,
    drain: ignore,
    kill: ignore,
    'ipc-closed': ignore,
    tick: endTracers,
    exit: reap,
  },
  gone: {
    listening: ignore,
    heard: ignore,
    failed: ignore,
    drain: ignore,
    kill: ignore,
    'ipc-closed': ignore,
    tick: ignore,
    exit: ignore,
  },
}

function killNow(life: ProxyLife, why: string, nowMs: number): ProxyStep {
  return {
    next: { ...life, phase: 'killed', why, sinceMs: nowMs, deadlineMs: nowMs + REAP_MS, lookMs: null },
    effects: [{ type: 'kill' }, report('proxy-killed', { why, phase: life.phase })],
  }
}

function report(event: string, fields: EventFields): ProxyEffect {
  return { type: 'report', event, fields }
}
