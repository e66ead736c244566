/**
 * One end of the channel between the master and a child: two pipes, one for each direction. They carry messages as
 * frames: a 32-bit little-endian length and so many bytes of JSON (UTF-8). Both ends use this class; `messages.ts` has
 * the messages.
 *
 * It replaces Node's own IPC channel, which an application shares with its worker. On that channel a stray line, an
 * unknown message or a passed descriptor would reach the code of the master. Must stay true: nothing that the other
 * side writes throws here, holds more memory than one message of `mostBytes`, is read faster than its `budget` says, or
 * is parsed with more structure than its `bounds` say or in another turn of the loop than `turns` say. No descriptor
 * can be sent along (`supervisor/user/pipes.ts`).
 */

import { Socket } from 'node:net'
import { clearTimeout, setTimeout } from 'node:timers'
import { type Rate, TokenBucket } from '../ground/token-bucket.js'
import type { ChannelTurns } from './channel-turns.js'
import { isWithin, type JsonBounds } from './json-bounds.js'

/** How fast this end reads: on average, and at once. Above that it leaves the pipe unread, and the sender waits. */
export interface Pace {
  messagesPerSecond: number
  messages: number
  bytesPerSecond: number
  bytes: number
  /** The work that a message causes here, in units of the caller of `spendWork`. Absent: not counted. */
  work?: Rate
}

/** The limits of this end for the other one. */
export interface ChannelLimits {
  /** Absent: the other side is read as fast as it writes. */
  budget?: ChannelBudget
  /** A message with more structure is refused before it is parsed, and ends the channel. */
  bounds?: JsonBounds
  /** Shared with other channels. Absent: it waits for none. */
  turns?: ChannelTurns
}

export interface ChannelOptions extends ChannelLimits {
  /** The longest message that is accepted, in bytes of JSON. */
  mostBytes: number
  /** False: the value is no message of this channel, and the channel ends. */
  message(value: unknown): boolean
  /** The channel has ended. `broken`: why this end gave it up; null if the other end closed it. Called once. */
  closed(broken: string | null): void
  /** The other side has sent more than its budget allows, for the first time. */
  slowed?(): void
  /**
   * Both directions are TCP sockets. Once the other side has closed its own, nobody reads this one any more: it is
   * reset, so that the kernel keeps no port for a minute (TIME_WAIT).
   */
  resets?: boolean
}

/** The numbers of a child's descriptors: the one it reads, and the one it writes. */
export const CHANNEL_DESCRIPTORS = { reads: 3, writes: 4 } as const

/**
 * Raise it when a message of `messages.ts` changes so that the other end, of another build of daimyo, would misread or
 * refuse it.
 */
export const CHANNEL_VERSION = 'daimyo-channel/3'

const LENGTH_BYTES = 4
/**
 * A text that is a number counts as this many messages: V8 may search all earlier such texts with the same hash. An
 * honest sender has few of them (`json-bounds.ts`).
 */
const NUMERAL_COST = 10
/** Bytes that one end keeps for a reader that does not read. Beyond that the end breaks the channel. */
const MOST_WAITING_BYTES = 64 * 1024 * 1024
const FIRST_ROOM_BYTES = 4096

/** The two pipes of one end: `from` is read, `to` is written. */
export interface ChannelEnds {
  from: Socket
  to: Socket
}

/** The watch for a dead master that `child-prelude.cts` started. */
const ORPHAN_WATCH = Symbol.for('daimyo.orphan-watch')

/**
 * Opens the ends of a child. From now on the child learns from the end of the channel that the master has ended. Throws
 * if these descriptors are not open pipes.
 */
export function openChannelEnds(): ChannelEnds {
  const { reads, writes } = CHANNEL_DESCRIPTORS
  const to = new Socket({ fd: writes, readable: false, writable: true })
  const from = new Socket({ fd: reads, readable: true, writable: false })
  Reflect.get(process, ORPHAN_WATCH)?.()
  Reflect.deleteProperty(process, ORPHAN_WATCH)
  return { from, to }
}

export class Channel {
  readonly #from: Socket
  readonly #to: Socket
  readonly #options: ChannelOptions
  readonly #budget: ChannelBudget | undefined
  /**
   * The frame that is not complete yet. Grows by doubling, so a message in many small pieces is copied a bounded number
   * of times.
   */
  #held = Buffer.alloc(0)
  #heldBytes = 0
  #isClosed = false
  #resume: NodeJS.Timeout | null = null
  /**
   * Reading stopped at a message because the budget was spent. The clock is not read again, because the budget might
   * have grown by then.
   */
  #isSpent = false
  /** Whether it waits for its turn, or has it. */
  #turn: 'none' | 'waits' | 'has' = 'none'
  readonly #onTurn = () => this.#takeTurn()
  readonly #onNumerals = (count: number) => this.#budget?.spendMessages(count * NUMERAL_COST)

  constructor({ from, to }: ChannelEnds, options: ChannelOptions) {
    this.#from = from
    this.#to = to
    this.#options = options
    this.#budget = options.budget
    from.on('data', (chunk: Buffer) => this.#take(chunk))
    from.on('end', () => this.#close(null, options.resets))
    for (const end of [from, to]) {
      end.on('close', () => this.#close(null))
      // EPIPE, ECONNRESET: the other side is gone, `close` follows.
      end.on('error', () => {})
    }
  }

  /** Bytes that the other side has not read yet. */
  get waitingBytes(): number {
    return this.#to.writableLength
  }

  /**
   * Sends a message; does nothing once the channel has ended. `sent` is called when the kernel has the message, or the
   * channel has ended. False: the message is longer than `mostBytes`, or has more structure than `bounds`, and was not
   * sent.
   */
  send(message: object, mostBytes = Number.POSITIVE_INFINITY, sent?: () => void, bounds?: JsonBounds): boolean {
    // Checked first: it costs a lot to encode a long message that nobody will read.
    if (this.#isClosed || !this.#to.writable) {
      if (sent !== undefined) process.nextTick(sent)
      return true
    }
    const text = JSON.stringify(message)
    const bytes = Buffer.byteLength(text)
    if (bytes > mostBytes) return false
    const frame = Buffer.allocUnsafe(LENGTH_BYTES + bytes)
    frame.writeUInt32LE(bytes)
    frame.write(text, LENGTH_BYTES)
    if (bounds !== undefined && !isWithin(frame, LENGTH_BYTES, frame.length, bounds)) return false
    this.#to.write(frame, () => sent?.())
    if (this.#to.writableLength > MOST_WAITING_BYTES) this.#break('it does not read')
    return true
  }

  /** Whether this end keeps its process alive. */
  ref(): void {
    this.#from.ref()
    this.#to.ref()
  }

  unref(): void {
    this.#from.unref()
    this.#to.unref()
  }

  /** Ends the channel; the other side sees it. */
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

  /** Takes whole frames from the front; returns where the rest begins. */
  #read(bytes: Buffer, count: number): number {
    let offset = 0
    while (count - offset >= LENGTH_BYTES && !this.#isClosed) {
      this.#isSpent = this.#budget?.isSpent === true
      if (this.#isSpent) break
      const length = bytes.readUInt32LE(offset)
      if (length > this.#options.mostBytes) {
        this.#break(`a message of ${length} bytes: at most ${this.#options.mostBytes} are accepted`)
        break
      }
      const end = offset + LENGTH_BYTES + length
      if (end > count || !this.#mayParse()) break
      this.#budget?.spendMessages(1)
      this.#options.turns?.spend(length)
      this.#message(bytes, offset + LENGTH_BYTES, end)
      offset = end
    }
    return offset
  }

  /** False: this turn of the loop has parsed enough, and the pipe is left unread until the next turn. */
  #mayParse(): boolean {
    if (this.#turn === 'waits') return false
    const isAsked = this.#turn === 'has'
    this.#turn = 'none'
    if (isAsked || this.#options.turns === undefined || this.#options.turns.isOpen(this.#onTurn)) return true
    this.#turn = 'waits'
    this.#from.pause()
    return false
  }

  #takeTurn(): void {
    if (this.#isClosed) return
    this.#turn = 'has'
    this.#readOn()
    if (this.#turn === 'has') this.#turn = 'none'
  }

  #message(bytes: Buffer, start: number, end: number): void {
    const { bounds } = this.#options
    if (bounds !== undefined && !isWithin(bytes, start, end, bounds, this.#onNumerals))
      return this.#break('a message of more values than any of ours')
    const text = bytes.toString('utf8', start, end)
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      // SyntaxError: another program writes on this pipe.
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
      const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_ROOM_BYTES, needed, this.#held.length * 2))
      this.#held.copy(larger, 0, 0, this.#heldBytes)
      this.#held = larger
    }
    bytes.copy(this.#held, this.#heldBytes)
    this.#heldBytes = needed
  }

  /** If the budget is spent, the pipe is left unread, and messages that were received already wait too. */
  #waitForBudget(): void {
    if (this.#isClosed || this.#resume !== null || this.#budget === undefined) return
    if (!this.#isSpent && !this.#budget.isSpent) return
    this.#options.slowed?.()
    this.#options.slowed = undefined
    this.#from.pause()
    this.#resume = setTimeout(() => {
      this.#resume = null
      this.#readOn()
    }, this.#budget.waitMs).unref()
  }

  /** Messages that were received already come first. */
  #readOn(): void {
    if (this.#isClosed) return
    this.#readHeld()
    this.#waitForBudget()
    if (!this.#isClosed && this.#resume === null && this.#turn !== 'waits') this.#from.resume()
  }

  #break(why: string): void {
    this.#close(why)
  }

  #close(broken: string | null, resets = false): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#resume !== null) clearTimeout(this.#resume)
    this.#held = Buffer.alloc(0)
    this.#heldBytes = 0
    this.#from.destroy()
    if (resets) this.#to.resetAndDestroy()
    else this.#to.destroy()
    this.#options.closed(broken)
  }
}

/** How much of one sender may be read: token buckets of messages, of bytes, and of the work that they make. */
export class ChannelBudget {
  readonly #messages: TokenBucket
  readonly #bytes: TokenBucket
  readonly #work: TokenBucket | null

  /** `before`: begins with the rest of that budget, because the same sender goes on under another name. */
  constructor(pace: Pace, before?: ChannelBudget) {
    const nowMs = performance.now()
    const messages = { atOnce: pace.messages, perSecond: pace.messagesPerSecond }
    const bytes = { atOnce: pace.bytes, perSecond: pace.bytesPerSecond }
    this.#messages = new TokenBucket(messages, nowMs, before?.left(nowMs).messages)
    this.#bytes = new TokenBucket(bytes, nowMs, before?.left(nowMs).bytes)
    this.#work = pace.work === undefined ? null : new TokenBucket(pace.work, nowMs, before?.left(nowMs).work)
  }

  left(nowMs: number): { messages: number; bytes: number; work: number } {
    const work = this.#work?.leftAt(nowMs) ?? Number.POSITIVE_INFINITY
    return { messages: this.#messages.leftAt(nowMs), bytes: this.#bytes.leftAt(nowMs), work }
  }

  get isSpent(): boolean {
    const { messages, bytes, work } = this.left(performance.now())
    return messages < 1 || bytes < 0 || work < 0
  }

  /** Milliseconds until the budget has grown. */
  get waitMs(): number {
    const nowMs = performance.now()
    const workMs = this.#work?.waitMs(0, nowMs) ?? 0
    return Math.ceil(Math.max(this.#messages.waitMs(1, nowMs), this.#bytes.waitMs(0, nowMs), workMs)) + 10
  }

  spendMessages(count: number): void {
    this.#messages.spend(count, performance.now())
  }

  spendBytes(bytes: number): void {
    this.#bytes.spend(bytes, performance.now())
  }

  /** The work of the message that was just read: the next message waits for it. */
  spendWork(work: number): void {
    this.#work?.spend(work, performance.now())
  }
}
