/**
 * How many workers can serve, and how many load their application at the first request (`lazy`): one wording for
 * `status-table.ts`, `service-reports.ts` and `doctor-checks.ts`. Pure.
 */

import type { WorkerReport } from './control-protocol.js'

/** `waiting`: their application is not loaded (`lazy`). */
export interface Readiness {
  ready: number
  waiting: number
}

export function readiness(workers: readonly Pick<WorkerReport, 'phase'>[]): Readiness {
  const count = (phase: string) => workers.filter(worker => worker.phase === phase).length
  return { ready: count('ready'), waiting: count('waiting') }
}

/** `1 of 4 workers ready`, followed by `, 3 waiting for requests` if there are any. */
export function describeReadiness({ ready, waiting }: Readiness, wanted: number): string {
  return `${ready} of ${wanted} workers ready${waiting > 0 ? `, ${waiting} waiting for requests` : ''}`
}
