/**
 * Standard output as a log that blocks no thread, whatever it leads to. A write in libuv's thread pool that waits for a
 * reader cannot be called off: the end of the process would wait for it without end.
 *
 * Must stay true: descriptor 1 itself is never closed, and the flags of a pipe or terminal that others share do not
 * change. The log opens a pipe and a terminal once more, through /proc, for itself. A socket cannot be opened again:
 * there the flag is set for all that share it, as Node does it for `process.stdout`.
 */

import { EventEmitter } from 'node:events'
import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Socket } from 'node:net'

/** The part of sonic-boom that a log sink uses. Events: `drain`, `drop`, `error`, `finish`, `close`. */
export type LogStream = EventEmitter & {
  write(bytes: Buffer): boolean
  end(): void
  destroy(): void
  /** Bytes that were taken and are not written. */
  readonly waitingBytes: number
  /** The file that is written to; null: a pipe. */
  readonly fd: number | null
  /** A write may hold a thread of the pool for as long as the device likes. */
  readonly mayHoldThread: boolean
}

const STDOUT = 1
/** If more than this waits, the writer of the log pauses. */
const MANY_BYTES = 16_387

/** Never throws: an `error` event says what is wrong. */
export function openStandardOutput(longestBytes: number): LogStream {
  const kind = kindOf()
  const own = kind === 'pipe' || kind === 'terminal' ? openAgain() : null
  if (own !== null && kind === 'pipe') return new PipeLog(own, longestBytes)
  if (own === null && kind !== 'file') unblock()
  return fileLog(own ?? STDOUT, longestBytes)
}

/** The writing is sonic-boom's: regular files, and devices that say EAGAIN. */
export function fileLog(fd: number, longestBytes: number): LogStream {
  // Here, because commands have no log and would pay for it.
  const { SonicBoom } = createRequire(import.meta.url)('sonic-boom') as typeof import('sonic-boom')
  const stream = new SonicBoom({ fd, contentMode: 'buffer', maxLength: longestBytes })
  // `_len` is declared nowhere, so that a change of it costs a figure and nothing else.
  const waitingBytes = () => Number(Reflect.get(stream, '_len')) || 0
  // What `log-sink.ts` opens is not waited for (O_NONBLOCK), which means nothing to a file.
  const mayHoldThread = fd === STDOUT || fstatSync(fd).isFile()
  return Object.defineProperties(stream, {
    waitingBytes: { get: waitingBytes },
    mayHoldThread: { value: mayHoldThread },
  }) as unknown as LogStream
}

function kindOf(): 'pipe' | 'terminal' | 'socket' | 'file' {
  const stats = fstatSync(STDOUT)
  if (stats.isFIFO()) return 'pipe'
  if (stats.isCharacterDevice()) return 'terminal'
  return stats.isSocket() ? 'socket' : 'file'
}

/** null: the descriptor belongs to another user, its reader is gone, or there is no /proc. */
function openAgain(): number | null {
  try {
    return openSync(`/proc/self/fd/${STDOUT}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch {
    return null
  }
}

/** If it were collected, it would close descriptor 1. */
let holder: Socket | null = null

/** A handle of libuv sets O_NONBLOCK; nothing is ever written through this one. */
function unblock(): void {
  try {
    holder ??= new Socket({ fd: STDOUT, readable: false, writable: true })
    holder.unref()
  } catch {
    // ERR_INVALID_FD_TYPE: a device that libuv does not poll.
  }
}

/** A pipe that this process has opened: written when it has room, at the pace of its reader. */
class PipeLog extends EventEmitter implements LogStream {
  readonly #socket: Socket
  readonly #longestBytes: number
  readonly mayHoldThread = false
  readonly fd = null
  #isEnding = false

  constructor(fd: number, longestBytes: number) {
    super()
    this.#longestBytes = longestBytes
    this.#socket = makeSocket(fd)
    this.#socket.on('error', error => this.emit('error', error))
    this.#socket.on('close', () => this.emit('close'))
  }

  get waitingBytes(): number {
    return this.#socket.writableLength
  }

  write(bytes: Buffer): boolean {
    if (this.waitingBytes + bytes.length > this.#longestBytes) this.emit('drop', bytes)
    else this.#socket.write(bytes, error => error || this.#wrote())
    return this.waitingBytes < MANY_BYTES
  }

  /** Writes what waits, and closes. */
  end(): void {
    this.#isEnding = true
    this.#wrote()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #wrote(): void {
    if (this.waitingBytes > 0) return
    if (!this.#isEnding) return void this.emit('drain')
    this.emit('finish')
    this.#socket.destroy()
  }
}

function makeSocket(fd: number): Socket {
  try {
    return new Socket({ fd, readable: false, writable: true })
  } catch (error) {
    closeSync(fd)
    throw error
  }
}
