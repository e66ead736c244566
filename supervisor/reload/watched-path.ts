/**
 * Decides whether a watched path has changed, by comparing two looks at it. Pure. `path-watch.ts` looks once a second.
 *
 * A look at a path by its name, as in uWSGI, notices changes that a watch on the file itself misses: editors that
 * rename a new file over it, links that are switched, folders that vanish and come back, file systems of other
 * machines.
 */

/** The options that watch paths. */
export type WatchOption = 'touch-reload' | 'touch-workers-reload' | 'touch-chain-reload' | 'fs-reload' | 'ini-reload'

/** The result of one look: a text that differs when the file or folder has changed. Null: there is nothing. */
export type Look = string | null

/** The memory of one path. `known`: the look that counted last. Undefined: there was none. `last`: the last look. */
export interface Seen {
  known: Look | undefined
  last: Look
}

/**
 * How an option treats looks. `settles`: a change counts only when two looks in a row are equal. `ignoresAbsence`: a
 * missing path is no change.
 */
const RULES: Record<WatchOption, { settles: boolean; ignoresAbsence: boolean }> = {
  'touch-reload': { settles: false, ignoresAbsence: false },
  'touch-workers-reload': { settles: false, ignoresAbsence: false },
  'touch-chain-reload': { settles: false, ignoresAbsence: false },
  'fs-reload': { settles: true, ignoresAbsence: false },
  // A file that is being written, or is renamed away for a moment, is not a configuration yet.
  'ini-reload': { settles: true, ignoresAbsence: true },
}

/** Adds a look to the memory of the path, and says whether the path has changed. */
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
