/**
 * The meaning of each signal and of each letter of the master FIFO. The handlers only put an event into the master's
 * queue; the loop acts on it. `signal-table.ts` prints the rows into the README.
 */

import type { Resize } from '../workers/scaler.js'

/** What a signal or a letter asks for. */
export type SignalEvent =
  | { type: 'stop'; why: string }
  /** A stop without mercy. */
  | { type: 'kill' }
  | { type: 'reload' }
  | { type: 'reopen-logs' }
  | Resize
  /** Pauses, or resumes. */
  | { type: 'toggle-pause' }
  /** Writes the state of every worker into the log. */
  | { type: 'tell-status' }

/** Rows with the same text share a line of the README. */
interface Row {
  event: SignalEvent
  does: string
}

const stop = (why: string): Row => ({
  event: { type: 'stop', why },
  does: 'stop: drain, at most `reload-mercy` seconds, exit 0; a second SIGINT ends at once',
})
const resize = (by: 1 | -1): Row => ({ event: { type: 'resize', by }, does: 'one worker more, one fewer' })

/** The master's signals. Without a listener, SIGUSR1 would open Node's inspector. */
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
 * The letters of the master FIFO, as in uWSGI. Every reload is a graceful one. The digits 0 to 9 choose the FIFO that
 * is read. `+` never goes above `processes`.
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

/** `process`, or a replacement in a test. */
export interface SignalSource {
  on(signal: string, listener: () => void): unknown
  off(signal: string, listener: () => void): unknown
}

/** Starts to queue signals. The result stops it. */
export function listenToSignals(source: SignalSource, put: (signal: string, event: SignalEvent) => void): () => void {
  const listeners = Object.entries(SIGNALS).map(([signal, event]) => [signal, () => put(signal, event)] as const)
  for (const [signal, listener] of listeners) source.on(signal, listener)
  return () => {
    for (const [signal, listener] of listeners) source.off(signal, listener)
  }
}
