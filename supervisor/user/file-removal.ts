/**
 * Removes names behind which the service's user may have put anything: a file in thousands of pieces, whose blocks the
 * file system frees for minutes, or one that is being written to, for whose lock unlink(2) waits. Another process does
 * it, `rm` of the system. No thread of the master may: while one of them is in the kernel, a change of the identity
 * (`service-user.ts`) waits for it.
 * Must stay true: one child at a time, in the folder and as the user that were asked for, so nothing outside of that
 * folder is meant; no folder is removed; so many names wait at most. A child that does not end in time is killed and
 * not waited for; while too many of those are left, none is started. What is left out is removed the next time, by
 * those who ask.
 */

import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Credentials } from '../../kit/channel/messages.js'
import { systemProgram } from '../../kit/ground/system-path.js'
import { spawnAs } from './become-user.js'
import { type KilledChild, killForGood } from './killed-child.js'

/** Of all folders together. */
export const MOST_NAMES = 4096
/** On one command line: 256 kB of names at most. */
const MOST_NAMES_OF_CHILD = 1000
const CHILD_MS = 3000
/** Children that were killed and have not ended yet. */
const MOST_LEFT = 4

/** Where no `rm` is installed, as in containers that hold Node and nothing else. */
const WITHOUT_RM = 'for (const name of process.argv.slice(1)) try { require("node:fs").unlinkSync(name) } catch {}'

export interface RemovalOptions {
  /** The words of a command line, behind which the names come. */
  command: () => string[]
  childMs: number
  /** Hears of tracers. */
  tell: KilledChild['tell']
}

interface Batch {
  folder: string
  names: string[]
  credentials: Credentials | null
}

/** A queue of names that are to be removed. */
export class FileRemovals {
  readonly #options: RemovalOptions
  readonly #waiting: Batch[] = []
  /** Paths that wait or that a child has in hand: to ask for one again changes nothing. */
  readonly #paths = new Set<string>()
  #running: Batch | null = null
  #left = 0
  #isScheduled = false
  #onIdle: (() => void)[] = []

  constructor({ command = () => removalCommand(), childMs = CHILD_MS, tell }: Partial<RemovalOptions> = {}) {
    this.#options = { command, childMs, tell }
  }

  /** From now on `tell` hears of tracers. */
  telling(tell: KilledChild['tell']): void {
    this.#options.tell = tell
  }

  /** Removes `names` of `folder`, soon, as this user (null: as we are). False: not all of them could be taken. */
  add(folder: string, names: readonly string[], credentials: Credentials | null): boolean {
    this.#schedule()
    for (const name of names) {
      const path = join(folder, name)
      if (this.#paths.has(path)) continue
      if (this.#paths.size >= MOST_NAMES) return false
      this.#paths.add(path)
      this.#batchFor(folder, credentials).names.push(name)
    }
    return true
  }

  /**
   * Resolves when nothing waits and no child is waited for, or after so many milliseconds; true: all has been done that
   * could be.
   */
  async settled(withinMs: number): Promise<boolean> {
    if (this.#isIdle) return true
    const idle = new Promise<void>(resolve => this.#onIdle.push(resolve))
    const deadline = new AbortController()
    const late = delay(withinMs, undefined, { signal: deadline.signal }).catch(() => {})
    await Promise.race([idle, late])
    deadline.abort()
    return this.#isIdle
  }

  get #isIdle(): boolean {
    return this.#running === null && this.#waiting.length === 0
  }

  #batchFor(folder: string, credentials: Credentials | null): Batch {
    const fits = (batch: Batch) =>
      batch.folder === folder && batch.credentials?.uid === credentials?.uid && batch.names.length < MOST_NAMES_OF_CHILD
    const found = this.#waiting.find(fits)
    if (found !== undefined) return found
    const batch = { folder, names: [], credentials }
    this.#waiting.push(batch)
    return batch
  }

  /** Later: the caller may be the service's user at the moment, who may start nothing for root. */
  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#next()
    })
  }

  #next(): void {
    if (this.#isIdle) for (const tell of this.#onIdle.splice(0)) tell()
    if (this.#running !== null || this.#left >= MOST_LEFT) return
    const batch = this.#waiting.shift()
    if (batch === undefined) return
    const child = this.#start(batch)
    if (child === null) return this.#ended(batch)
    this.#running = batch
    this.#watch(child, batch)
  }

  /** Null: it could not be started. */
  #start({ folder, names, credentials }: Batch): ChildProcess | null {
    const [program = '', ...args] = this.#options.command()
    try {
      const what = { program, args: [...args, ...names], env: {}, cwd: folder }
      return spawnAs(credentials, what, { stdio: 'ignore', detached: true })
    } catch {
      // The folder is gone or closed, no setpriv, no process left (EAGAIN).
      return null
    }
  }

  #watch(child: ChildProcess, batch: Batch): void {
    child.unref()
    let isLeft = false
    let isOver = false
    const deadline = setTimeout(() => {
      isLeft = true
      this.#left += 1
      killForGood(child, { credentials: batch.credentials, tell: this.#options.tell, letGo: end })
      // What it has not come to may be asked for again.
      this.#ended(batch)
    }, this.#options.childMs).unref()
    const end = () => {
      if (isOver) return
      isOver = true
      clearTimeout(deadline)
      if (!isLeft) return this.#ended(batch)
      this.#left -= 1
      this.#schedule()
    }
    // What `kill` may not do is an error too, and no end.
    child.on('error', () => child.pid === undefined && end()).on('exit', end)
  }

  #ended(batch: Batch): void {
    for (const name of batch.names) this.#paths.delete(join(batch.folder, name))
    if (this.#running === batch) this.#running = null
    this.#schedule()
  }
}

/** Of this process. */
export const removals = new FileRemovals()

/** The words of the command line, without the names. */
export function removalCommand(find: (name: string) => string | null = systemProgram): string[] {
  const rm = find('rm')
  return rm === null ? [process.execPath, '-e', WITHOUT_RM, '--'] : [rm, '-f', '--']
}
