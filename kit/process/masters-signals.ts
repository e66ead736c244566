/**
 * The signals that mean something to the master (`supervisor/master/signals.ts`). Whoever sends one to all processes of
 * a unit (`systemctl kill`) means the master: in every other process of ours it does nothing. `child-prelude.cts`,
 * which cannot import this file, has the same list; a test compares.
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
 * A process that this signal ended before it could ignore it was hit by accident: that says nothing about what it was
 * about to run.
 */
export function isMastersSignal(signal: string | null): boolean {
  return MASTERS_SIGNALS.some(name => name === signal)
}
