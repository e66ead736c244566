/**
 * The soak of a reload: the first worker of the new generation serves beside the old workers for a while, and the
 * proxies' figures of both are compared. Pure. `reload.ts` asks after every event.
 */

import type { ResponseFigures } from '../workers/worker-loads.js'

/** A running soak. `overMs`: when the last figures are due. `before`: the figures of the old workers when it began. */
export interface Soak {
  canary: number
  overMs: number
  before: ReadonlyMap<number, ResponseFigures>
}

export type SoakVerdict = { type: 'passed'; text: string } | { type: 'failed'; reason: string }

/** Figures of fewer answers mean nothing. */
export const FEWEST_ANSWERS = 20
/** This many failures never count against the canary. */
const FREE_FAILURES = 2
/**
 * A new worker has cold caches and code that is not compiled yet. So its figures may be this many times worse, plus a
 * margin.
 */
const TIMES_WORSE = 2
const MORE_FAILED = 0.01
const MORE_WAIT_MS = 50

/** When the figures of a soak that begins now are complete. Proxies report theirs once a second. */
export function soakEnd(nowMs: number, soakMs: number): number {
  return nowMs + soakMs + 1100
}

/**
 * Compares the canary with the old workers. Null: it is too early. Failures count at once, slowness only at the end.
 */
export function judgeSoak(canary: ResponseFigures, old: ResponseFigures, isOver: boolean): SoakVerdict | null {
  const isMany = canary.answered >= FEWEST_ANSWERS
  const allowed = TIMES_WORSE * shareFailed(old) + MORE_FAILED
  if (isMany && canary.failed > FREE_FAILURES && shareFailed(canary) > allowed) {
    const reason = `${canary.failed} of its ${canary.answered} answers were 5xx, ${old.failed} of ${old.answered} of the old workers were`
    return { type: 'failed', reason }
  }
  if (!isOver) return null
  if (!isMany) return { type: 'passed', text: `too few answers to compare: ${canary.answered}` }
  if (old.answered >= FEWEST_ANSWERS && meanMs(canary) > TIMES_WORSE * meanMs(old) + MORE_WAIT_MS) {
    const reason = `its answers took ${Math.round(meanMs(canary))} ms on average, those of the old workers ${Math.round(meanMs(old))} ms`
    return { type: 'failed', reason }
  }
  return { type: 'passed', text: `${canary.answered} answers, ${canary.failed} of them 5xx` }
}

/** The answers since the soak began, summed over the old workers that still serve. */
export function figuresSince(
  before: Soak['before'],
  workers: readonly number[],
  now: (workerId: number) => ResponseFigures,
): ResponseFigures {
  const sum = { answered: 0, failed: 0, waitedMs: 0 }
  for (const workerId of workers) {
    const then = before.get(workerId)
    const figures = now(workerId)
    // The sum may have become smaller: it loses the counts of a proxy that died.
    sum.answered += Math.max(0, figures.answered - (then?.answered ?? 0))
    sum.failed += Math.max(0, figures.failed - (then?.failed ?? 0))
    sum.waitedMs += Math.max(0, figures.waitedMs - (then?.waitedMs ?? 0))
  }
  return sum
}

function shareFailed({ answered, failed }: ResponseFigures): number {
  return answered === 0 ? 0 : failed / answered
}

function meanMs({ answered, waitedMs }: ResponseFigures): number {
  return answered === 0 ? 0 : waitedMs / answered
}
