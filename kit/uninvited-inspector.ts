/**
 * The inspector that a SIGUSR1 has opened in the moment before a process could hold that signal: any local user could run code there. `inspector.close()`
 * waits for whoever is connected, so a process that has one ends.
 */

/** What a child of ours ends by then: the master takes it for an accident and starts another (`supervisor/early-signals.ts`). */
export const INSPECTED_SIGNAL = 'SIGALRM'

/** To be asked once the signal is held. An inspector that was asked for, by an argument or NODE_OPTIONS, is none of these. */
export async function hasUninvitedInspector(): Promise<boolean> {
  if (!process.features.inspector) return false
  const { url } = await import('node:inspector')
  if (url() === undefined) return false
  const given = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/\s+/)]
  return !given.some(word => word.startsWith('--inspect'))
}
