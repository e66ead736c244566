/**
 * What a running reload waits for. `daimyo reload` prints it every few seconds. `reload.ts` provides the facts,
 * `master.ts` asks. Pure.
 */

import type { WorkerPhase } from '../workers/worker-life.js'

/** A leaving worker. `inFlight`: its requests and WebSockets, from the last reports of the proxies. */
export interface LeavingWorker {
  slot: number
  phase: WorkerPhase
  inFlight: number
  /** The deadline by the wall clock. Null: none. */
  untilMs: number | null
}

/** A running reload. Times are those of the wall clock. */
export interface ReloadWait {
  phase: 'reading' | 'canary' | 'soaking' | 'rolling'
  /** The end of the soak, or the deadline for the first new worker to be ready. */
  untilMs: number | null
  leaving: LeavingWorker[]
  /** `inPlace` slots have a new worker that serves or waits for its first request, of `wanted` slots. */
  inPlace: number
  wanted: number
}

/** The most leaving workers that are named one by one. */
const MOST_NAMED = 3

/**
 * `still reloading: waiting for 3 requests of slot 2, until 09:14:03 (worker-reload-mercy)`. Null: nothing is known.
 */
export function describeReloadWait(wait: ReloadWait | null): string {
  return wait === null ? 'still reloading' : `still reloading: ${reasonOf(wait)}`
}

function reasonOf({ phase, untilMs, leaving, inPlace, wanted }: ReloadWait): string {
  if (phase === 'reading') return 'waiting for the configuration and its hooks'
  if (phase === 'canary') return `waiting for the first new worker${until(untilMs, 'worker-start-timeout')}`
  if (phase === 'soaking') return `the first new worker soaks${until(untilMs, 'soak')}`
  if (leaving.length > 0) return describeLeaving(leaving)
  if (inPlace < wanted) return `${inPlace} of ${wanted} workers are ready`
  return 'waiting for the proxies to take over the new configuration'
}

/**
 * Names the first ones, and the time at which the last one must be gone. `worker-reload-mercy` is their limit while
 * they have work in flight.
 */
function describeLeaving(leaving: readonly LeavingWorker[]): string {
  const named = leaving.slice(0, MOST_NAMED).map(describeWorker)
  const more = leaving.length - named.length
  const all = more > 0 ? [...named, `${more} more old workers`] : named
  const times = leaving.map(({ untilMs }) => untilMs ?? Number.POSITIVE_INFINITY)
  const latestMs = Math.max(...times)
  const isDraining = leaving.some(({ phase }) => phase === 'retiring')
  return `waiting for ${all.join(', ')}${until(Number.isFinite(latestMs) ? latestMs : null, isDraining ? 'worker-reload-mercy' : '')}`
}

function describeWorker({ slot, phase, inFlight }: LeavingWorker): string {
  // A worker that was told to stop has nothing in flight: its application cleans up.
  if (phase !== 'retiring' || inFlight === 0) return `the end of the old worker of slot ${slot}`
  return `${inFlight} ${inFlight === 1 ? 'request' : 'requests'} of slot ${slot}`
}

function until(wallMs: number | null, option: string): string {
  if (wallMs === null) return ''
  return `, until ${clockTime(wallMs)}${option === '' ? '' : ` (${option})`}`
}

/** `HH:MM:SS` in the master's time zone. */
function clockTime(wallMs: number): string {
  return new Date(wallMs).toTimeString().slice(0, 8)
}
