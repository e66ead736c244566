/**
 * Keeps the log within `log-maxsize` and `log-backups`: when a file has grown past the bound, has it moved away, and
 * lets all processes begin a new one. The master reports each of its writes here. The proxies write access lines to the
 * same file directly, so the size of the file is also looked at.
 *
 * Must stay true: the disk holds at most `backups + 1` files of the bound, and the lines written between two looks: an
 * eighth of the bound from the master, the access lines of a second from the proxies. While a log is moved, the master
 * writes nothing. No process stops because the folder cannot be written to, is filled by other users, or is locked by
 * them: the log grows meanwhile, and an event reports it.
 */

import type { Log } from '../../kit/log/log.js'
import { CROWDED, type PacedLooks } from '../user/folder-names.js'
import type { LogChild } from './log-child.js'

const LOOK_MS = 1000
/** The wait after a failed rotation, because each attempt costs a process. */
const RETRY_MS = 5000
/** The master looks again after this part of the bound. */
const PARTS = 8

export interface RotationOptions {
  /** The folder of the log, for messages to the operator. */
  folder: string
  maxBytes: number
  backups: number
  /** The size of the file that the master writes to; null: no file. */
  sizeBytes(): number | null
  child: Pick<LogChild, 'move' | 'stop'>
  /** All processes begin a new file once `move` has resolved. Resolves with the reason if they do not, else null. */
  reopen(move: () => Promise<void>): Promise<string | null>
  looks: PacedLooks
  log: Log
  nowMs?: () => number
}

export class LogRotation {
  readonly #options: RotationOptions
  readonly #timer: NodeJS.Timeout
  readonly #nowMs: () => number
  #unseenBytes = 0
  #isBroken = false
  #isCrowded = false
  #isStopped = false
  #againMs = Number.NEGATIVE_INFINITY
  #running: Promise<void> | null = null

  constructor(options: RotationOptions) {
    this.#options = options
    this.#nowMs = options.nowMs ?? (() => performance.now())
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref()
  }

  /** The master has written `bytes` to the log. */
  wrote(bytes: number): void {
    this.#unseenBytes += bytes
    if (this.#unseenBytes >= this.#options.maxBytes / PARTS) void this.look()
  }

  /** Resolves when the rotation under way is over. */
  look(): Promise<void> {
    this.#unseenBytes = 0
    if (this.#running === null && this.#isDue()) {
      this.#running = this.#rotate().finally(() => {
        this.#running = null
      })
    }
    return this.#running ?? Promise.resolve()
  }

  stop(): void {
    this.#isStopped = true
    clearInterval(this.#timer)
    this.#options.child.stop()
  }

  #isDue(): boolean {
    if (this.#isStopped || this.#nowMs() < this.#againMs) return false
    return (this.#options.sizeBytes() ?? 0) >= this.#options.maxBytes
  }

  async #rotate(): Promise<void> {
    const why = await this.#options.reopen(() => this.#move())
    if (this.#isStopped) return
    if (why !== null) {
      this.#againMs = this.#nowMs() + RETRY_MS
      if (!this.#isBroken) this.#options.log('log-not-rotated', { why })
    }
    this.#isBroken = why !== null
  }

  async #move(): Promise<void> {
    const { folder, child, looks, maxBytes, backups, log } = this.#options
    const wanted = { leastBytes: maxBytes, kept: backups, looks: looks.isDue }
    const sinceMs = this.#nowMs()
    const { isCrowded, lookMs } = await child.move(wanted).catch((error: unknown) => {
      // The look itself may have taken the time.
      looks.took(this.#nowMs() - sinceMs)
      throw error
    })
    looks.took(lookMs)
    // Told once. The rest in that folder is removed bit by bit, with each log.
    if (isCrowded && !this.#isCrowded) log('log-folder-crowded', { folder, why: CROWDED })
    this.#isCrowded ||= isCrowded
  }
}
