/**
 * The names in a folder that others may fill. Must stay true: one look reads so many entries at most, so a user who makes a million files there costs the master
 * milliseconds. What the caller does when there are more is its own affair, but it may not go on as if it had seen all.
 */

import { opendirSync } from 'node:fs'

/** Far more than any folder of ours has; to read so many takes some 10 ms. */
export const MOST_ENTRIES = 10_000

/** In no order. `isWhole` false: there are more, which are not known. */
export interface FolderNames {
  names: string[]
  isWhole: boolean
}

/** Throws what opendir(3) says. */
export function namesIn(folder: string, most = MOST_ENTRIES): FolderNames {
  const opened = opendirSync(folder, { bufferSize: 256 })
  try {
    const names: string[] = []
    for (;;) {
      const entry = opened.readSync()
      if (entry === null) return { names, isWhole: true }
      if (names.length === most) return { names, isWhole: false }
      names.push(entry.name)
    }
  } finally {
    opened.closeSync()
  }
}

/** What to tell the operator, behind the name of the folder. */
export const CROWDED = 'it holds more than daimyo looks at: remove what does not belong there'
