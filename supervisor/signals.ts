/**
 * Which signal means what. The handlers only put an event into the master's queue; the loop acts on it. Called by `master.ts`.
 */

/** What a signal asks for. */
export type SignalEvent =
  | { type: 'stop'; why: string }
  | { type: 'reload' }
  | { type: 'reopen-logs' }
  | { type: 'resize'; by: 1 | -1 }

/** The master's signals. SIGUSR1 would open Node's inspector if nobody listened. */
export const SIGNALS: Record<string, SignalEvent> = {
  SIGTERM: { type: 'stop', why: 'SIGTERM' },
  SIGINT: { type: 'stop', why: 'SIGINT' },
  SIGQUIT: { type: 'stop', why: 'SIGQUIT' },
  SIGHUP: { type: 'reload' },
  SIGUSR1: { type: 'reopen-logs' },
  SIGTTIN: { type: 'resize', by: 1 },
  SIGTTOU: { type: 'resize', by: -1 },
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
