/**
 * Which signal, and which letter of the master FIFO, means what. The handlers only put an event into the master's
 * queue; the loop acts on it. `signal-table.ts` prints the rows into the README.
 */

import type { Resize } from '../workers/scaler.js'

/** What a signal or a letter asks for. */
export type SignalEvent =
  | { type: 'stop'; why: string }
  /** Without mercy. */
  | { type: 'kill' }
  | { type: 'reload' }
  | { type: 'reopen-logs' }
  | Resize
  /** Pauses, or resumes. */
  | { type: 'toggle-pause' }
  /** The state of every worker into the log. */
  | { type: 'tell-status' }

/** Rows with the same words stand in one line of the README. */
interface Row {
  event: SignalEvent
  does: string
}

const stop = (why: string): Row => ({
  event: { type: 'stop', why },
  does: 'stop: drain, at most `reload-mercy` seconds, exit 0; a second SIGINT ends at once',
})
const resize = (by: 1 | -1): Row => ({ event: { type: 'resize', by }, does: 'one worker more, one fewer' })

/** The master's signals. SIGUSR1 would open Node's inspector if nobody listened. */
export const SIGNAL_ROWS: Record<string, Row> = {
  SIGHUP: { event: { type: 'reload' }, does: 'reload' },
  SIGTERM: stop('SIGTERM'),
  SIGINT: stop('SIGINT'),
  SIGQUIT: stop('SIGQUIT'),
  SIGUSR1: { event: { type: 'reopen-logs' }, does: 'reopen the logs' },
  SIGUSR2: { event: { type: 'tell-status' }, does: 'write the state of every worker into the log' },
  SIGTSTP: {
    event: { type: 'toggle-pause' },
    does: 'pause: requests wait in the queue, none is refused; again: go on',
  },
  SIGTTIN: resize(1),
  SIGTTOU: resize(-1),
}

export const SIGNALS: Record<string, SignalEvent> = Object.fromEntries(
  Object.entries(SIGNAL_ROWS).map(([signal, { event }]) => [signal, event]),
)

/**
 * The letters of the master FIFO, as uWSGI has them; every reload is a graceful one. 0 to 9 choose the FIFO that is
 * listened to, and `+` goes up to `processes`.
 */
export const FIFO_LETTERS: Record<string, SignalEvent> = {
  r: { type: 'reload' },
  R: { type: 'reload' },
  c: { type: 'reload' },
  w: { type: 'reload' },
  W: { type: 'reload' },
  q: { type: 'stop', why: 'fifo-q' },
  Q: { type: 'kill' },
  p: { type: 'toggle-pause' },
  s: { type: 'tell-status' },
  l: { type: 'reopen-logs' },
  L: { type: 'reopen-logs' },
  '+': { type: 'resize', by: 1, upTo: 'processes' },
  '-': { type: 'resize', by: -1 },
}

/** `process`, or what stands for it in a test. */
export interface SignalSource {
  on(signal: string, listener: () => void): unknown
  off(signal: string, listener: () => void): unknown
}

/** Starts to queue signals; the result ends it. */
export function listenToSignals(source: SignalSource, put: (signal: string, event: SignalEvent) => void): () => void {
  const listeners = Object.entries(SIGNALS).map(([signal, event]) => [signal, () => put(signal, event)] as const)
  for (const [signal, listener] of listeners) source.on(signal, listener)
  return () => {
    for (const [signal, listener] of listeners) source.off(signal, listener)
  }
}
