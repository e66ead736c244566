/**
 * The names in a folder that another user may fill. What must stay true: one look reads a bounded number of entries, so
 * a user who makes a million files there costs the master milliseconds. If there are more entries, the caller decides
 * what to do, but must not act as if it had seen all of them.
 */

import { opendirSync } from 'node:fs'

/** Far more than any folder of daimyo has. Reading this many entries takes about 10 ms. */
export const MOST_ENTRIES = 10_000

/** A look at a normal log folder takes less. */
const SLOW_MS = 20

/** The names are in no order. `isWhole` false: the folder holds more names. */
export interface FolderNames {
  names: string[]
  isWhole: boolean
}

/** Throws the error of opendir(3). */
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

/** On average, looks take at most a hundredth of the time. */
const PAUSE = 100

/**
 * Paces repeated looks at another user's folder. A folder that once held a million names keeps its blocks (ext4), and
 * each look reads all of them. So a slow look is followed by a pause.
 */
export class PacedLooks {
  readonly #nowMs: () => number
  #nextMs = Number.NEGATIVE_INFINITY

  constructor(nowMs = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /** Whether the next look may start now. */
  get isDue(): boolean {
    return this.#nowMs() >= this.#nextMs
  }

  /** Reports how long the last look took. */
  took(lookMs: number): void {
    if (lookMs >= SLOW_MS) this.#nextMs = this.#nowMs() + PAUSE * lookMs
  }
}

/** The reason for the operator, after the name of the folder. */
export const CROWDED = 'it holds more files than daimyo checks: remove the foreign ones'
