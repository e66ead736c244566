/**
 * Removes names at which the service's user may have put anything. The file system may need minutes to free the blocks
 * of a file in thousands of pieces, and unlink(2) waits for the lock of a file that is being written to. So a child
 * process removes them: `rm` of the system. A thread of the master must not: while it is in the kernel, a change of the
 * identity (`service-user.ts`) waits for it.
 *
 * What must stay true: one child runs at a time, in the given folder and as the given user, so nothing outside of that
 * folder is removed. No folder is removed. At most `MOST_NAMES` names wait. A child that does not end in time is
 * killed, and nothing waits for it; no child starts while `MOST_LEFT` of such children still exist. Callers ask again
 * for names that were not removed.
 */

import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Credentials } from '../../kit/channel/messages.js'
import { systemProgram } from '../../kit/ground/system-path.js'
import { spawnAs } from './become-user.js'
import { type KilledChild, killForGood } from './killed-child.js'

/** In all folders together. */
export const MOST_NAMES = 4096
/** The names on one command line: at most 256 kB. */
const MOST_NAMES_OF_CHILD = 1000
const CHILD_MS = 3000
/** Children that were killed and have not ended yet. */
const MOST_LEFT = 4

/** For systems without `rm`, such as containers with nothing but Node. */
const WITHOUT_RM = 'for (const name of process.argv.slice(1)) try { require("node:fs").unlinkSync(name) } catch {}'

export interface RemovalOptions {
  /** The command line, to which the names are appended. */
  command: () => string[]
  childMs: number
  /** Logs killed tracers, and children that are given up. */
  tell: KilledChild['tell']
}

interface Batch {
  folder: string
  names: string[]
  credentials: Credentials | null
}

/** A queue of names to remove. */
export class FileRemovals {
  readonly #options: RemovalOptions
  readonly #waiting: Batch[] = []
  /** Paths that wait, or that a child is removing. A second request for one of them changes nothing. */
  readonly #paths = new Set<string>()
  #running: Batch | null = null
  #left = 0
  #isScheduled = false
  #onIdle: (() => void)[] = []

  constructor({ command = () => removalCommand(), childMs = CHILD_MS, tell }: Partial<RemovalOptions> = {}) {
    this.#options = { command, childMs, tell }
  }

  /** Sets `tell`. */
  telling(tell: KilledChild['tell']): void {
    this.#options.tell = tell
  }

  /**
   * Queues `names` of `folder` for removal as this user (null: our own). False: the queue is full, so not all were
   * taken.
   */
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
   * Resolves when the queue is empty and nothing waits for a child, or after `withinMs`. True: all names were tried.
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

  /**
   * Starts the child in a later turn of the loop: now the process may have the identity of the service's user, who must
   * not start anything for root.
   */
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

  /** Null: the child could not be started. */
  #start({ folder, names, credentials }: Batch): ChildProcess | null {
    const [program = '', ...args] = this.#options.command()
    try {
      const what = { program, args: [...args, ...names], env: {}, cwd: folder }
      return spawnAs(credentials, what, { stdio: 'ignore', detached: true })
    } catch {
      // The folder is gone or closed, setpriv is missing, or no process is left (EAGAIN).
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
      // Callers may ask again for the names that the child did not reach.
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
    // A failed `kill` is an `error` event too, but not the end of the child.
    child.on('error', () => child.pid === undefined && end()).on('exit', end)
  }

  #ended(batch: Batch): void {
    for (const name of batch.names) this.#paths.delete(join(batch.folder, name))
    if (this.#running === batch) this.#running = null
    this.#schedule()
  }
}

/** The queue of this process. */
export const removals = new FileRemovals()

/** The command line without the names. */
export function removalCommand(find: (name: string) => string | null = systemProgram): string[] {
  const rm = find('rm')
  return rm === null ? [process.execPath, '-e', WITHOUT_RM, '--'] : [rm, '-f', '--']
}
