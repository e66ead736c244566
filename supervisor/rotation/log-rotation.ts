/**
 * Keeps the log within `log-maxsize` and `log-backups`: when a file has grown past the bound, has it moved away, and
 * lets all processes begin a new one. The master reports each of its writes here. The proxies write access lines to the
 * same file directly, so the size of the file is also looked at.
 *
 * Must stay true: the disk holds at most `backups + 1` files of the bound, and the lines written between two looks: an
 * eighth of the bound from the master, the access lines of a second from the proxies. Where reading the folder is slow,
 * older backups stay until a few seconds after the last rotation. While a log is moved, the master writes nothing. No
 * process stops because the folder cannot be written to, is filled by other users, or is locked by them: the log grows
 * meanwhile, and an event reports it.
 */

import type { Log } from '../../kit/log/log.js'
import { CROWDED, type PacedLooks } from '../user/folder-names.js'
import type { LogChild } from './log-child.js'

const LOOK_MS = 1000
/** The wait after a failed rotation, because each attempt costs a process. */
const RETRY_MS = 5000
/** After a rotation the folder is read once more: a rotation may have read nothing, and a removal may have failed. */
const PRUNE_MS = 5000
/** The wait after a reading that failed. */
const PRUNE_RETRY_MS = 60_000
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
  /** Another child: the log can be reopened while it works. */
  pruner: Pick<LogChild, 'prune' | 'stop'>
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
  /** When the backups are counted again; infinite: no more than allowed are left. */
  #pruneMs = Number.POSITIVE_INFINITY
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
    if (this.#running === null) {
      const work = this.#isDue() ? this.#rotate() : this.#isPruneDue() ? this.#prune() : null
      this.#running =
        work?.finally(() => {
          this.#running = null
        }) ?? null
    }
    return this.#running ?? Promise.resolve()
  }

  stop(): void {
    this.#isStopped = true
    clearInterval(this.#timer)
    this.#options.child.stop()
    this.#options.pruner.stop()
  }

  #isDue(): boolean {
    if (this.#isStopped || this.#nowMs() < this.#againMs) return false
    return (this.#options.sizeBytes() ?? 0) >= this.#options.maxBytes
  }

  #isPruneDue(): boolean {
    return !this.#isStopped && this.#nowMs() >= this.#pruneMs && this.#options.looks.isDue
  }

  /** Until nothing is left to remove. */
  async #prune(): Promise<void> {
    const { pruner, backups, looks } = this.#options
    const sinceMs = this.#nowMs()
    try {
      const { excess, lookMs } = await pruner.prune(backups)
      looks.took(lookMs)
      this.#pruneMs = excess.length === 0 ? Number.POSITIVE_INFINITY : this.#nowMs() + PRUNE_MS
    } catch {
      // Whatever keeps this child from its work keeps the next rotation from its own, and that one is reported.
      looks.took(this.#nowMs() - sinceMs)
      this.#pruneMs = this.#nowMs() + PRUNE_RETRY_MS
    }
  }

  async #rotate(): Promise<void> {
    const why = await this.#options.reopen(() => this.#move())
    this.#pruneMs = this.#nowMs() + PRUNE_MS
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
    // Told once. The rest in that folder is removed bit by bit.
    if (isCrowded && !this.#isCrowded) log('log-folder-crowded', { folder, why: CROWDED })
    this.#isCrowded ||= isCrowded
  }
}
