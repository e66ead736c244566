/**
 * When a path that is watched has changed: two looks at it are compared. Pure; `path-watch.ts` looks, once a second.
 *
 * Looking at a path by its name, as uWSGI does, survives what a watch on the file itself does not: editors that rename
 * a new file over it, links that are turned, folders that vanish and come back, file systems of other machines.
 */

/** The options that watch paths. */
export type WatchOption = 'touch-reload' | 'touch-workers-reload' | 'touch-chain-reload' | 'fs-reload' | 'ini-reload'

/** What one look found: a text that differs when the thing does, null when there is nothing. */
export type Look = string | null

/**
 * What is remembered of a path: what it was when it counted last, and the last look. Undefined: it was never looked at.
 */
export interface Seen {
  known: Look | undefined
  last: Look
}

/**
 * How an option takes what it sees. `settles`: not before it stood still for a look; `ignoresAbsence`: what is not
 * there is awaited.
 */
const RULES: Record<WatchOption, { settles: boolean; ignoresAbsence: boolean }> = {
  'touch-reload': { settles: false, ignoresAbsence: false },
  'touch-workers-reload': { settles: false, ignoresAbsence: false },
  'touch-chain-reload': { settles: false, ignoresAbsence: false },
  'fs-reload': { settles: true, ignoresAbsence: false },
  // A file that is being written, or renamed away for a moment, is no configuration.
  'ini-reload': { settles: true, ignoresAbsence: true },
}

/** What a look makes of what was seen, and whether the path has changed. */
export function takeLook(option: WatchOption, seen: Seen | null, look: Look): { seen: Seen; hasChanged: boolean } {
  const { settles, ignoresAbsence } = RULES[option]
  if (seen === null)
    return { seen: { known: ignoresAbsence && look === null ? undefined : look, last: look }, hasChanged: false }
  const isSettled = !settles || seen.last === look
  if (look === seen.known || !isSettled || (ignoresAbsence && look === null)) {
    return { seen: { known: seen.known, last: look }, hasChanged: false }
  }
  return { seen: { known: look, last: look }, hasChanged: true }
}
