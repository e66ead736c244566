/**
 * The names in a folder that others may fill. Must stay true: one look reads so many entries at most, so a user who
 * makes a million files there costs the master milliseconds. What the caller does when there are more is its own
 * affair, but it may not go on as if it had seen all.
 */

import { opendirSync } from 'node:fs'

/** Far more than any folder of ours has; to read so many takes some 10 ms. */
export const MOST_ENTRIES = 10_000

/** Longer than the folder of any log needs. */
const SLOW_MS = 20

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

/** A look takes a hundredth of the time at most, on the average. */
const PAUSE = 100

/**
 * Looks again and again at a folder of others. One that held a million names and was emptied keeps its blocks (ext4),
 * and each look reads them all: after a slow one there is none for a while.
 */
export class PacedLooks {
  readonly #nowMs: () => number
  #nextMs = Number.NEGATIVE_INFINITY

  constructor(nowMs = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /** False: not now. */
  get isDue(): boolean {
    return this.#nowMs() >= this.#nextMs
  }

  /** So long did the last one take. */
  took(lookMs: number): void {
    if (lookMs >= SLOW_MS) this.#nextMs = this.#nowMs() + PAUSE * lookMs
  }
}

/** What to tell the operator, behind the name of the folder. */
export const CROWDED = 'it holds more than daimyo looks at: remove what does not belong there'
