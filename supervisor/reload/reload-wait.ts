/**
 * What a reload that runs waits for, as `daimyo reload` says it every few seconds. Made from what `reload.ts` knows;
 * asked by `master.ts`. Pure.
 */

import type { WorkerPhase } from '../workers/worker-life.js'

/** A worker that leaves. `inFlight`: its requests and WebSockets, as the proxies said last. */
export interface LeavingWorker {
  slot: number
  phase: WorkerPhase
  inFlight: number
  /** By the wall clock; null: as long as it likes. */
  untilMs: number | null
}

/** A reload that runs. Times are those of the wall clock. */
export interface ReloadWait {
  phase: 'reading' | 'canary' | 'soaking' | 'rolling'
  /** The end of the soak, or of the time in which the first worker must be ready. */
  untilMs: number | null
  leaving: LeavingWorker[]
  /** Slots whose new worker serves, or waits for its first request, of all. */
  inPlace: number
  wanted: number
}

/** Workers that are named one by one. */
const MOST_NAMED = 3

/**
 * `still reloading: waiting for 3 requests of slot 2, until 09:14:03 (worker-reload-mercy)`. null: nothing is known.
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
 * The first of them by name, and when the last of them must be gone. `worker-reload-mercy` bounds them while they have
 * something in flight.
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
  // Of one that was told to stop nothing is in flight: its application cleans up.
  if (phase !== 'retiring' || inFlight === 0) return `the end of the old worker of slot ${slot}`
  return `${inFlight} ${inFlight === 1 ? 'request' : 'requests'} of slot ${slot}`
}

function until(wallMs: number | null, option: string): string {
  if (wallMs === null) return ''
  return `, until ${clockTime(wallMs)}${option === '' ? '' : ` (${option})`}`
}

/** `HH:MM:SS` of the master's time zone. */
function clockTime(wallMs: number): string {
  return new Date(wallMs).toTimeString().slice(0, 8)
}
