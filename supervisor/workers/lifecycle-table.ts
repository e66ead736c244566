/** Prints the lifecycle table of `worker-phase.ts` for docs/worker-lifecycle.md. `test/tidy.ts` compares. Pure. */

import {
  WORKER_PHASES,
  type WorkerEvent,
  type WorkerLife,
  type WorkerMoment,
  type WorkerPhase,
  type WorkerStep,
} from './worker-life.js'
import { stepWorker } from './worker-phase.js'

/** The table as Markdown. It runs every cell once, `tick` after the deadline. */
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

const HOUR_MS = 3_600_000

const SAMPLE_MOMENT: WorkerMoment = {
  nowMs: 10,
  startMs: 5,
  mercyMs: 5,
  tunnelMercyMs: 5,
  hasTunnels: false,
  gracefulMs: 0,
}

const SAMPLE_EVENTS: WorkerEvent[] = [
  { type: 'waiting', bootMs: 1 },
  { type: 'load', why: 'first-request' },
  { type: 'ready', bootMs: 1 },
  { type: 'load-failed', reason: '' },
  { type: 'retire', why: 'reload' },
  { type: 'farewell', why: 'stop', mercyMs: 5, stream: { afterMs: 1, mercyMs: 1 } },
  { type: 'answered' },
  { type: 'drained' },
  { type: 'hurry' },
  { type: 'stop', why: 'stop', mercyMs: 5 },
  { type: 'blocked', loop: { request: '', elapsedMs: 1, at: '', stack: '', inFlight: 1, others: '' } },
  { type: 'kill', why: 'stop' },
  { type: 'ipc-closed' },
  { type: 'tick' },
  { type: 'exit', code: 0, signal: null },
]

function sampleLife(phase: WorkerPhase): WorkerLife {
  const readyMs = phase === 'booting' || phase === 'waiting' ? null : 0
  // A lingering worker has much time left, so that `hurry` shows its effect.
  const hasDeadline = !['waiting', 'ready', 'gone'].includes(phase)
  const deadlineMs = hasDeadline ? (phase === 'lingering' ? HOUR_MS : 9) : null
  return { phase, why: 'start', sinceMs: 0, deadlineMs, startedMs: 0, readyMs, asked: false, farewell: null }
}

function printStep(from: WorkerPhase, { next, effects }: WorkerStep): string {
  if (next.phase === from && effects.length === 0) return '·'
  const names = effects.filter(effect => effect.type !== 'report').map(effect => effect.type)
  return [`**${next.phase}**`, ...names].join(', ')
}
