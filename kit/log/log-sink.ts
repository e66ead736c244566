/**
 * The destination of the master's lines and of its children's output: standard output or the `logto` file. Proxies
 * write their access lines through one, too. Must stay true: `write` never throws and never blocks; the waiting bytes
 * are bounded; a disk that is full or gone stops no child. Bytes that cannot be written are counted and dropped, and
 * the sink says so once when that begins and once when it is over.
 *
 * sonic-boom does the writing as long as it works. After an error one of its streams is given up: it would keep its
 * buffer, never try again by itself, and its `flushSync` never returns from ENOSPC. The sink then opens the file anew,
 * at most once a second.
 *
 * Whoever may lock the file (its owner, by a write of gigabytes) holds up a thread of the pool, and a master that is
 * root holds up itself by opening a file as another user then. So such a master changes over to a new file only while
 * no thread is held up, and another process makes that file (`Reopening`).
 */

import { close, fstatSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Credentials } from '../channel/messages.js'
import { reasonOf } from '../ground/failure.js'
import { createLog } from './log.js'
import { openLogFile } from './log-file.js'
import { fileLog, type LogStream, openStandardOutput } from './standard-output.js'

/** How a log is opened again when nothing may wait for the file system. */
export interface Reopening {
  /** The file is there, with its owner, when this resolves. */
  make: () => Promise<void>
  /** Opens the file that `make` made, in the same turn of the loop as `isQuiet`. */
  open: () => number
  /** Whether the file may be opened now: no thread of the process is held up. */
  isQuiet: () => boolean
}

/**
 * `path` null: standard output. `writeError` gets the one line about a broken log, for the original standard error.
 * `open` replaces `openLogFile` in a process that must not open the path itself.
 */
export interface LogSinkOptions {
  path: string | null
  owner: Credentials | null
  open?: (path: string, owner: Credentials | null) => number
  writeError: (line: string) => void
  /** For `changeOver`, and after an outage. */
  reopening?: Reopening
  now?: () => number
  /** The most bytes that may wait to be written. */
  longestBytes?: number
}

const retryMs = 1000
const closeMs = 2000
/** Time between two checks of whether a log may be opened. */
const quietMs = 20

/**
 * Whether a log was given up at its end with a write under way. That write may hold a thread of the pool for ever, and
 * `process.exit` waits for all threads: a process that must end then needs SIGKILL.
 */
export function hasStuckLog(): boolean {
  return isLogStuck
}

let isLogStuck = false

/** One open log. Beside the stream it only keeps the lost bytes and whether they were reported. */
export class LogSink {
  readonly #options: LogSinkOptions
  readonly #now: () => number
  readonly #drainListeners = new Set<() => void>()
  #stream: LogStream | null
  /** Writes the rest after `close`. */
  #closing: LogStream | null = null
  /** Former streams that still write, fsync(2) or close(2) in the thread pool. */
  readonly #ending = new Set<LogStream>()
  /** Lines that wait for the new file; null: no change of the file is under way. */
  #held: Buffer[] | null = null
  #heldBytes = 0
  #changing: Promise<unknown> = Promise.resolve()
  /** Bytes lost since the start. */
  allLostBytes = 0
  /** Lost bytes that the log does not report yet. */
  #lostBytes = 0
  #isBroken = false
  #isClosed = false
  #triedAt = 0

  /** Throws a `log` Failure when the file cannot be opened: a start with a wrong `logto` is refused. */
  constructor(options: LogSinkOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#stream = this.#open()
  }

  /** False: the log is behind; stop reading its sources until `onDrain`. The chunk is taken in any case. */
  write(chunk: string | Uint8Array): boolean {
    const bytes =
      typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    if (bytes.length === 0) return true
    if (this.#held !== null) return this.#hold(this.#held, bytes)
    if (this.#stream === null) this.#tryAgain()
    if (this.#stream === null) {
      this.#lose(bytes.length)
      return true
    }
    // Nothing waits for a log that is not known to work again.
    return this.#stream.write(bytes) || this.#isBroken
  }

  /**
   * Calls `listener` whenever everything was written (or given up) after a `write` that returned false; returns its
   * removal.
   */
  onDrain(listener: () => void): () => void {
    this.#drainListeners.add(listener)
    return () => this.#drainListeners.delete(listener)
  }

  /**
   * Goes on in a new file of the same name, after a rotation. The file exists, with its owner, when this returns:
   * proxies open it next. If the file cannot be opened the old one stays in use, and the reason is printed and
   * returned; else null. Standard output has nothing to reopen.
   */
  reopen(): string | null {
    if (this.#options.path === null || this.#isClosed) return null
    try {
      const next = this.#open()
      if (this.#stream !== null) this.#end(this.#stream)
      this.#stream = next
      return null
    } catch (error) {
      this.#options.writeError(`daimyo: ${reasonOf(error)}: the log is not reopened\n`)
      return reasonOf(error)
    }
  }

  /** The size of the file in use, whatever its name is by now; null: no file, or none open. */
  sizeBytes(): number | null {
    const fd = this.#stream?.fd ?? null
    if (fd === null) return null
    const stats = fstatSync(fd)
    return stats.isFile() ? stats.size : null
  }

  /**
   * Whether a thread of the pool may be in the kernel for this log. The file system, or the process that has locked the
   * file, decides how long.
   */
  get holdsThread(): boolean {
    return this.#ending.size > 0 || (this.#stream?.mayHoldThread === true && this.#stream.waitingBytes > 0)
  }

  /**
   * As `reopen`, but nothing waits: `make` (that of the options) makes the new file, and meanwhile lines wait here. One
   * change at a time. Resolves with the reason why the old file stays in use, or null. Never rejects.
   */
  changeOver(make = this.#options.reopening?.make): Promise<string | null> {
    const changed = this.#changing.then(() => this.#change(make))
    this.#changing = changed
    return changed
  }

  /**
   * The result of `work`, called in the same turn of the loop as a true `isQuiet`. Meanwhile lines wait, so this log
   * holds no thread. Rejects if that does not happen within `withinMs`.
   */
  async quietly<T>(isQuiet: () => boolean, withinMs: number, work: () => T): Promise<T> {
    const untilMs = performance.now() + withinMs
    const wait = async () => {
      if (performance.now() >= untilMs) throw new Error(`the log has not taken a line for ${withinMs} ms`)
      await delay(quietMs)
    }
    while (this.#held !== null) await wait()
    this.#held = []
    try {
      while (!isQuiet()) await wait()
      return work()
    } finally {
      this.#release()
    }
  }

  async #change(make = async () => {}): Promise<string | null> {
    const { path, reopening } = this.#options
    if (path === null || reopening === undefined) return null
    while (this.#held !== null && !this.#isClosed) await delay(quietMs)
    if (this.#isClosed) return null
    this.#held = []
    try {
      await make()
      // Until the disk takes the waiting bytes; without end only if the disk never does.
      while (!this.#isClosed && (this.holdsThread || !reopening.isQuiet())) await delay(quietMs)
      if (this.#isClosed) return null
      const next = this.#adopt(fileLog(reopening.open(), this.#longestBytes))
      if (this.#stream !== null) this.#end(this.#stream)
      this.#stream = next
      return null
    } catch (error) {
      return reasonOf(error)
    } finally {
      this.#release()
    }
  }

  /** False: the caller has to wait for a drain. */
  #hold(held: Buffer[], bytes: Buffer): boolean {
    if (this.#heldBytes + bytes.length > this.#longestBytes) this.#lose(bytes.length)
    else {
      held.push(bytes)
      this.#heldBytes += bytes.length
    }
    return this.#isBroken
  }

  #release(): void {
    const held = this.#held ?? []
    this.#held = null
    this.#heldBytes = 0
    for (const bytes of held) this.write(bytes)
    // Otherwise the stream reports the drain.
    if ((this.#stream?.waitingBytes ?? 0) === 0) this.#tellDrained()
  }

  #end(stream: LogStream): void {
    if (stream.mayHoldThread) {
      this.#ending.add(stream)
      for (const event of ['close', 'error']) stream.once(event, () => this.#ending.delete(stream))
    }
    stream.end()
  }

  /**
   * Writes the waiting bytes, for at most two seconds, and closes. Written bytes are safe with the kernel. fsync(2) is
   * not called: a busy disk takes seconds for it, and the waiting thread would hold up the end of the process.
   */
  async close(): Promise<void> {
    if (this.#held !== null) this.#release()
    const stream = this.#stream
    this.#stream = null
    this.#closing = stream
    this.#isClosed = true
    if (stream === null) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(() => {
        isLogStuck ||= stream.mayHoldThread
        resolve()
      }, closeMs)
      const over = () => {
        clearTimeout(timer)
        resolve()
      }
      for (const event of ['finish', 'close', 'error']) stream.once(event, over)
      // What `end` of sonic-boom does, without its fsync(2).
      const closeFile = () => {
        if (this.#options.path === null || stream.fd === null) over()
        else close(stream.fd, over)
      }
      if (!stream.mayHoldThread) stream.end()
      else if (stream.waitingBytes === 0) closeFile()
      else stream.once('drain', closeFile)
    })
  }

  #open(): LogStream {
    const { path, owner, open = openLogFile } = this.#options
    if (path === null) return this.#adopt(openStandardOutput(this.#longestBytes))
    return this.#adopt(fileLog(open(path, owner), this.#longestBytes))
  }

  get #longestBytes(): number {
    return this.#options.longestBytes ?? 1 << 20
  }

  #adopt(stream: LogStream): LogStream {
    stream.on('error', (error: unknown) => this.#giveUp(stream, error))
    stream.on('drop', (bytes: Uint8Array) => {
      this.#lose(bytes.byteLength)
    })
    stream.on('drain', () => this.#drained(stream))
    return stream
  }

  #giveUp(stream: LogStream, error: unknown): void {
    if (stream !== this.#stream && stream !== this.#closing) return
    this.#stream = null
    this.#triedAt = this.#now()
    this.#lose(stream.waitingBytes)
    this.#ending.add(stream)
    stream.once('close', () => this.#ending.delete(stream))
    stream.destroy()
    if (!this.#isBroken) {
      const name = this.#options.path ?? 'standard output'
      this.#options.writeError(
        `daimyo: cannot write the log: ${name}: ${reasonOf(error)}: serving goes on, lines are lost\n`,
      )
    }
    this.#isBroken = true
    this.#tellDrained()
  }

  #lose(bytes: number): void {
    this.#lostBytes += bytes
    this.allLostBytes += bytes
  }

  #tryAgain(): void {
    if (this.#isClosed || this.#now() - this.#triedAt < retryMs) return
    this.#triedAt = this.#now()
    // A failure was reported already; the next try is in a second.
    if (this.#options.path !== null && this.#options.reopening !== undefined) return void this.#openSoon()
    try {
      this.#stream = this.#open()
    } catch {
      // The folder is gone, or the file is no longer ours.
    }
  }

  /**
   * The file exists if its disk is merely full or broken. A process that must not open it by its name is refused, and
   * has the file made.
   */
  async #openSoon(): Promise<void> {
    const why = await this.changeOver(async () => {})
    if (why !== null) await this.changeOver()
  }

  /** Everything is written: an outage is over, and the log reports its loss at that place. */
  #drained(stream: LogStream): void {
    if (stream !== this.#stream) return
    this.#isBroken = false
    const lostBytes = this.#lostBytes
    this.#lostBytes = 0
    if (lostBytes > 0) createLog(line => stream.write(Buffer.from(line)))('log-lost', { bytes: lostBytes })
    this.#tellDrained()
  }

  #tellDrained(): void {
    for (const listener of this.#drainListeners) listener()
  }
}
