/**
 * One end of the line between the master and a child: a plain pipe that carries messages as frames, a 32-bit little-endian length and so
 * many bytes of JSON (UTF-8). Both ends use this class; `messages.ts` says what they talk about.
 *
 * It takes the place of Node's own IPC channel, which an application shares with its worker: there a stray line, a message of another
 * kind or an open descriptor sent along reaches the master's own code. Must stay true: nothing that the other side writes throws here,
 * holds more memory than one message of `mostBytes`, or is read faster than `pace` says; a descriptor that is sent along is closed by
 * the kernel, because a plain pipe is read without asking for any.
 */

import type { Socket } from 'node:net'

/** How fast the other side is listened to, on average and at most at once. Past that the pipe is not read: the sender waits. */
export interface Pace {
  messagesPerSecond: number
  messages: number
  bytesPerSecond: number
  bytes: number
}

export interface ChannelOptions {
  /** The longest message that is taken, in bytes of JSON. */
  mostBytes: number
  /** Absent: as fast as it comes. */
  pace?: Pace
  /** False: it is no message of this line, which ends. */
  message(value: unknown): boolean
  /** The line has ended. `broken`: why this end gave it up; null where the other end closed it. Called once. */
  closed(broken: string | null): void
  /** The other side has sent more than `pace` allows, for the first time. */
  slowed?(): void
}

/** The descriptor that a child has it as. */
export const CHANNEL_DESCRIPTOR = 3

const LENGTH_BYTES = 4
/** What one end lets wait for a reader that does not read: it breaks the line then. */
const MOST_WAITING_BYTES = 64 * 1024 * 1024
const FIRST_ROOM_BYTES = 4096

export class Channel {
  readonly #socket: Socket
  readonly #options: ChannelOptions
  readonly #budget: Budget | null
  /** The frame that is not complete yet. Grows by doubling, so a message in many small pieces is copied a bounded number of times. */
  #held = Buffer.alloc(0)
  #heldBytes = 0
  #isClosed = false
  #resume: NodeJS.Timeout | null = null

  constructor(socket: Socket, options: ChannelOptions) {
    this.#socket = socket
    this.#options = options
    this.#budget = options.pace === undefined ? null : new Budget(options.pace)
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('end', () => this.#close(null))
    socket.on('close', () => this.#close(null))
    // ECONNRESET, EPIPE: the other side is gone, `close` follows.
    socket.on('error', () => {})
  }

  /** Bytes that the other side has not read yet. */
  get waitingBytes(): number {
    return this.#socket.writableLength
  }

  /**
   * Sends a message; nothing happens once the line has ended. `sent` is called when the kernel has it, or the line has ended. False: it is longer than
   * `mostBytes` and was not sent.
   */
  send(message: object, mostBytes = Number.POSITIVE_INFINITY, sent?: () => void): boolean {
    const text = JSON.stringify(message)
    const bytes = Buffer.byteLength(text)
    if (bytes > mostBytes) return false
    if (this.#isClosed || !this.#socket.writable) {
      if (sent !== undefined) process.nextTick(sent)
      return true
    }
    const frame = Buffer.allocUnsafe(LENGTH_BYTES + bytes)
    frame.writeUInt32LE(bytes)
    frame.write(text, LENGTH_BYTES)
    this.#socket.write(frame, () => sent?.())
    if (this.#socket.writableLength > MOST_WAITING_BYTES) this.#break('it does not read')
    return true
  }

  /** Whether this end keeps its process alive. */
  ref(): void {
    this.#socket.ref()
  }

  unref(): void {
    this.#socket.unref()
  }

  /** Ends the line; the other side sees it. */
  destroy(): void {
    this.#close(null)
  }

  #take(chunk: Buffer): void {
    if (this.#isClosed) return
    this.#budget?.spendBytes(chunk.length)
    if (this.#heldBytes === 0) {
      this.#keep(chunk, this.#read(chunk, chunk.length))
    } else {
      this.#append(chunk)
      this.#readHeld()
    }
    this.#waitForBudget()
  }

  #readHeld(): void {
    const end = this.#read(this.#held, this.#heldBytes)
    if (end === 0) return
    this.#held.copyWithin(0, end, this.#heldBytes)
    this.#heldBytes -= end
    if (this.#heldBytes === 0) this.#held = Buffer.alloc(0)
  }

  /** Takes whole frames from the front; where the rest begins. */
  #read(bytes: Buffer, count: number): number {
    let offset = 0
    while (count - offset >= LENGTH_BYTES && !this.#isClosed && this.#budget?.isSpent !== true) {
      const length = bytes.readUInt32LE(offset)
      if (length > this.#options.mostBytes) {
        this.#break(`a message of ${length} bytes: at most ${this.#options.mostBytes} are accepted`)
        break
      }
      const end = offset + LENGTH_BYTES + length
      if (end > count) break
      this.#budget?.spendMessage()
      this.#message(bytes.toString('utf8', offset + LENGTH_BYTES, end))
      offset = end
    }
    return offset
  }

  #message(text: string): void {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      // SyntaxError: somebody else writes here.
      return this.#break('something that is not JSON')
    }
    if (!this.#options.message(value)) this.#break('a message of another kind')
  }

  #keep(chunk: Buffer, from: number): void {
    if (from < chunk.length && !this.#isClosed) this.#append(chunk.subarray(from))
  }

  #append(bytes: Buffer): void {
    const needed = this.#heldBytes + bytes.length
    if (needed > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(FIRST_ROOM_BYTES, needed, this.#held.length * 2))
      this.#held.copy(larger, 0, 0, this.#heldBytes)
      this.#held = larger
    }
    bytes.copy(this.#held, this.#heldBytes)
    this.#heldBytes = needed
  }

  /** Past the pace the pipe is left unread, and what is here already waits too. */
  #waitForBudget(): void {
    if (this.#isClosed || this.#budget === null || !this.#budget.isSpent || this.#resume !== null) return
    this.#options.slowed?.()
    this.#options.slowed = undefined
    this.#socket.pause()
    this.#resume = setTimeout(() => {
      this.#resume = null
      if (this.#isClosed) return
      this.#budget?.refill()
      this.#readHeld()
      this.#waitForBudget()
      if (this.#resume === null) this.#socket.resume()
    }, this.#budget.waitMs).unref()
  }

  #break(why: string): void {
    this.#close(why)
  }

  #close(broken: string | null): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#resume !== null) clearTimeout(this.#resume)
    this.#held = Buffer.alloc(0)
    this.#heldBytes = 0
    this.#socket.destroy()
    this.#options.closed(broken)
  }
}

/** Two token buckets, of messages and of bytes. */
class Budget {
  readonly #pace: Pace
  #messages: number
  #bytes: number
  #filledMs = performance.now()

  constructor(pace: Pace) {
    this.#pace = pace
    this.#messages = pace.messages
    this.#bytes = pace.bytes
  }

  get isSpent(): boolean {
    return this.#messages < 1 || this.#bytes < 0
  }

  /** Until there is something to spend again, in milliseconds. */
  get waitMs(): number {
    const { messagesPerSecond, bytesPerSecond } = this.#pace
    const seconds = Math.max((1 - this.#messages) / messagesPerSecond, -this.#bytes / bytesPerSecond, 0)
    return Math.ceil(seconds * 1000) + 10
  }

  spendMessage(): void {
    this.#messages -= 1
    if (this.isSpent) this.refill()
  }

  spendBytes(bytes: number): void {
    this.#bytes -= bytes
    if (this.isSpent) this.refill()
  }

  refill(): void {
    const { messagesPerSecond, messages, bytesPerSecond, bytes } = this.#pace
    const nowMs = performance.now()
    const seconds = (nowMs - this.#filledMs) / 1000
    this.#filledMs = nowMs
    this.#messages = Math.min(messages, this.#messages + seconds * messagesPerSecond)
    this.#bytes = Math.min(bytes, this.#bytes + seconds * bytesPerSecond)
  }
}
