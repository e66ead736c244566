/**
 * Closes the inspector that a SIGUSR1 has opened in the moment before a process could ignore that signal: any local user could run code there.
 */

/** To be called once the signal is held. An inspector that was asked for, by an argument or NODE_OPTIONS, stays. */
export async function closeUninvitedInspector(): Promise<void> {
  if (!process.features.inspector) return
  const { close, url } = await import('node:inspector')
  if (url() === undefined) return
  const given = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/\s+/)]
  if (!given.some(word => word.startsWith('--inspect'))) close()
}
