/**
 * Keeps the log within `log-maxsize` and `log-backups`: moves a file that has grown past the bound away and lets everybody begin a new one. Made by
 * `run-command.ts`, which tells it of what the master writes; the proxies write access lines to the same file by themselves, so it also looks by itself.
 *
 * What must stay true: all there ever is on the disk is `backups + 1` files of the bound, and what is written between two looks: an eighth of the bound
 * from the master, a second's access lines from the proxies. A folder that cannot be written to stops nothing, nor one that others have filled.
 */

import { reasonOf } from '../kit/failure.js'
import type { Log } from '../kit/log.js'
import type { Credentials } from '../kit/messages.js'
import { CROWDED, type PacedLooks } from './folder-names.js'
import { backUpMasterLog } from './master-log.js'

const LOOK_MS = 1000
/** What the master may write before it looks again. */
const PARTS = 8

export interface RotationOptions {
  path: string
  /** Whose the log is. */
  owner: Credentials | null
  maxBytes: number
  backups: number
  /** Everybody begins a new file. */
  reopen(): void
  looks: PacedLooks
  log: Log
}

export class LogRotation {
  readonly #options: RotationOptions
  readonly #timer: NodeJS.Timeout
  #unseenBytes = 0
  #isBroken = false
  #isCrowded = false

  constructor(options: RotationOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref()
  }

  /** The master has written so many bytes to the log. */
  wrote(bytes: number): void {
    this.#unseenBytes += bytes
    if (this.#unseenBytes >= this.#options.maxBytes / PARTS) this.look()
  }

  look(): void {
    this.#unseenBytes = 0
    const { path, owner, maxBytes, backups, reopen, log } = this.#options
    try {
      const folder = { namesIn: this.#options.looks.namesIn, crowded: this.#tellCrowded }
      if (backUpMasterLog(path, owner, { leastBytes: maxBytes, kept: backups, folder }) === null) return
      this.#isBroken = false
    } catch (error) {
      if (!this.#isBroken) log('log-not-rotated', { why: reasonOf(error) })
      this.#isBroken = true
      return
    }
    reopen()
  }

  /** Once: what is left there is removed bit by bit, with each log. */
  readonly #tellCrowded = (folder: string): void => {
    if (!this.#isCrowded) this.#options.log('log-folder-crowded', { folder, why: CROWDED })
    this.#isCrowded = true
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
