/**
 * The data of a worker's life: phases, events and effects, its begin and its end. `worker-phase.ts` decides from it and
 * `worker-handle.ts` executes. `workers.ts`, `reload.ts` and `metrics-state.ts` read it. Pure.
 */

import type { BlockedLoop, StreamLimits, WorkerEnd } from '../../kit/channel/messages.js'
import type { EventFields } from '../../kit/log/log.js'

/** In the order of a life. */
export const WORKER_PHASES = [
  'booting',
  'waiting',
  'ready',
  'retiring',
  'lingering',
  'stopping',
  'killed',
  'gone',
] as const

/**
 * booting: loads its application. waiting: loads it on demand (`lazy`). ready: listens, offered to the proxies.
 * retiring: out of rotation, finishes its requests. lingering: kept for its open tunnels only. stopping: told to exit.
 * killed: SIGKILL sent, not reaped yet. gone: reaped, or given up.
 */
export type WorkerPhase = (typeof WORKER_PHASES)[number]

/** The phase of a worker, its reason, its begin and its deadline. Times are those of the master's monotonic clock. */
export interface WorkerLife {
  phase: WorkerPhase
  why: string
  sinceMs: number
  /** null: no deadline. */
  deadlineMs: number | null
  /** When it was started, or began to load on demand. */
  startedMs: number
  /** When it became ready; null: it has not. A ready worker was announced to the proxies. */
  readyMs: number | null
  /** Its end was ordered, so its exit does not count as a death. */
  asked: boolean
  /**
   * The message to its application if responses are still in flight at that time. Null: there is none, or it was sent.
   */
  farewell: Farewell | null
}

/**
 * The message that tells the application of its end, and its time. Most responses complete before that time; then the
 * worker is stopped without the message.
 */
export interface Farewell {
  why: string
  atMs: number
  /** How long the application may go on. */
  untilMs: number
  stream: StreamLimits | null
}

/** The time of the next check if nothing happens. Null: never. */
export function nextLookMs({ deadlineMs, farewell }: WorkerLife): number | null {
  return farewell === null || (deadlineMs !== null && deadlineMs < farewell.atMs) ? deadlineMs : farewell.atMs
}

/** The events of a worker. */
export type WorkerEvent =
  /** The worker runs, and loads its application when it is told to. */
  | { type: 'waiting'; bootMs: number }
  | { type: 'load'; why: string }
  | { type: 'ready'; bootMs: number }
  | { type: 'load-failed'; reason: string }
  | { type: 'retire'; why: string }
  /** The whole tree stops, and the proxies finish their requests. */
  | { type: 'farewell'; why: string; mercyMs: number; stream: StreamLimits }
  /** Only tunnels are in flight. */
  | { type: 'answered' }
  | { type: 'drained' }
  /** Another worker of its slot lingers now. */
  | { type: 'hurry' }
  | { type: 'stop'; why: string; mercyMs: number }
  /** `isCrowded`: the slot has its maximum of leaving workers already. */
  | { type: 'blocked'; loop: BlockedLoop; isCrowded?: boolean }
  /** `isUnasked`: the kill is for the worker's own fault, so its end counts as a death. */
  | { type: 'kill'; why: string; isUnasked?: boolean }
  | { type: 'ipc-closed' }
  | { type: 'tick' }
  /**
   * `isOutOfMemory`: its SIGKILL is taken for one of the kernel's OOM killer. `isNotStarted`: there never was a
   * process. `stays`: the worker was given up, for this reason.
   */
  | {
      type: 'exit'
      code: number | null
      signal: string | null
      isOutOfMemory?: boolean
      isNotStarted?: boolean
      stays?: string | null
    }

/** Effects for `worker-handle.ts`, in this order. */
export type WorkerEffect =
  /** Offer it to the proxies. */
  | { type: 'announce' }
  /** The proxies give it nothing new and report when it is drained. */
  | { type: 'take-out' }
  /** The proxies close its tunnels within `HURRY_MS` (`worker-phase.ts`). */
  | { type: 'close-tunnels' }
  /** The proxies forget it. */
  | { type: 'withdraw'; end: WorkerEnd }
  | { type: 'send-load' }
  | { type: 'send-farewell'; mercyMs: number; stream: StreamLimits | null }
  | { type: 'send-stop'; mercyMs: number }
  | { type: 'kill' }
  /** Kill the process that traces it: a tracer keeps it from being reaped. */
  | { type: 'end-tracers' }
  /** Stop waiting for its end: its place becomes free, and the processes that it left are reported. */
  | { type: 'give-up' }
  /** Add its counters to the sums of ended workers. */
  | { type: 'accumulate' }
  | { type: 'report'; event: string; fields: EventFields }

/** The clock and the deadlines in force when an event arrives. */
export interface WorkerMoment {
  nowMs: number
  /** The start deadline: how long its application may take to load. */
  startMs: number
  /** How long a retired worker may take, from `retire` to its exit. */
  mercyMs: number
  /** How long its tunnels may stay, from `retire` to the last goodbye. */
  tunnelMercyMs: number
  /** The worker retires, and a proxy has tunnels to it. */
  hasTunnels: boolean
  /** Time for a worker with a blocked loop before it is killed, 0 = none. */
  gracefulMs: number
}

/** The outcome of one event. */
export interface WorkerStep {
  next: WorkerLife
  effects: WorkerEffect[]
}

/** The `why` of a worker that the kernel's OOM killer ended. */
export const OUT_OF_MEMORY = 'out-of-memory'

/** The `why` of a worker whose process could not be started. */
export const NOT_STARTED = 'not-started'

/** The `why` of a worker that broke the protocol of its link. */
export const LINK_BROKEN = 'link-broken'

/** The `why` of a worker that closed its channel and did not end, so that the master killed it. */
export const CHANNEL_CLOSED = 'ipc-closed'

/** The `why` of a worker that is replaced because its sockets are gone. */
export const SOCKET_GONE = 'socket-gone'

/** The `why` of a worker that an operator wants to be replaced. */
export const RESTART_WORKER = 'restart-worker'

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
    farewell: null,
  }
}

/** Whether it died without an order. The back-off of its slot counts that. */
export function diedUnasked(life: WorkerLife): boolean {
  return life.phase === 'gone' && !life.asked
}

/** The kind of its end, from its `why` and the signal of its exit. */
export function endOf({ asked, why }: Pick<WorkerLife, 'asked' | 'why'>, signal: string | null): WorkerEnd {
  if (why === LINK_BROKEN || why === CHANNEL_CLOSED || why === NOT_STARTED) return 'crashed'
  if (asked || (why !== 'died' && why !== OUT_OF_MEMORY)) return 'asked'
  return why === 'died' && signal === 'SIGKILL' ? 'killed' : 'crashed'
}
