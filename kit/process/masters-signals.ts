/**
 * The signals that mean something to the master (`supervisor/master/signals.ts`). A sender that signals all processes
 * of a unit (`systemctl kill`) means the master: in every other process of ours the signal does nothing.
 * `child-prelude.cts`, which cannot import this file, has the same list; a test compares them.
 */

export const MASTERS_SIGNALS = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGUSR1',
  'SIGUSR2',
] as const

/**
 * Whether a process was ended by this signal before it could ignore it. Such an end is an accident, and says nothing
 * about the program.
 */
export function isMastersSignal(signal: string | null): boolean {
  return MASTERS_SIGNALS.some(name => name === signal)
}
