/**
 * Writes to a socket, and joins the pieces that wait there for a slow peer: the writer of tunnels and of both ends of
 * the link. The client's side of an exchange has its own, `proxy/client/client-writer.ts`.
 *
 * Must stay true: waiting data takes little more memory than its bytes. Each write that a socket holds costs about 400
 * bytes, and a peer may send single bytes to a peer that does not read. So short pieces behind such a write are copied
 * into one.
 */

import type { Socket } from 'node:net'
import { GatheredBytes } from './gathered-bytes.js'

/** Shorter pieces are joined, up to this many bytes: that cuts the cost of such writes to a tenth. */
export const JOINED_BYTES = 4096

export class JoiningWriter {
  readonly #socket: Socket
  readonly #freed: (() => void) | null
  /** Writes that the socket holds and will tell the end of. Short pieces are joined behind them. */
  #held = 0
  readonly #behind = new GatheredBytes()

  /** `freed` is called when the socket holds no write any more. Bytes that it writes come after all earlier ones. */
  constructor(socket: Socket, freed: (() => void) | null = null) {
    this.#socket = socket
    this.#freed = freed
  }

  /** Short pieces will wait, and `freed` be called. */
  get isHeld(): boolean {
    return this.#held > 0
  }

  /** Bytes that the kernel has not taken. */
  get waitingBytes(): number {
    return this.#socket.writableLength + this.#behind.length
  }

  /** A string is latin1, a buffer must not change any more. False: the socket emits `drain` once it can take more. */
  write(bytes: string | Buffer): boolean {
    if (this.#held > 0) return this.#join(bytes)
    // The kernel has taken all, as a rule: nobody needs to be told.
    if (this.#socket.writableLength > 0) return this.#hand(bytes)
    return this.#socket.write(bytes as string, 'latin1')
  }

  /** Both pieces in one write, where nothing waits. */
  writeBoth(text: string, bytes: Buffer): boolean {
    const socket = this.#socket
    if (this.#held > 0 || socket.writableLength > 0) {
      this.write(text)
      return this.write(bytes)
    }
    socket.cork()
    socket.write(text, 'latin1')
    const isFlowing = socket.write(bytes)
    socket.uncork()
    return isFlowing
  }

  /** Calls `taken` once the kernel has taken all that was written so far, or will take nothing any more. */
  mark(taken: () => void): void {
    this.flush()
    this.#held += 1
    // A write of nothing: the socket tells its end in its turn.
    this.#socket.write('', 'latin1', () => {
      this.#taken()
      taken()
    })
  }

  /** Hands on the joined pieces: another writer uses the socket next, or ends it. */
  flush(): void {
    if (this.#behind.length > 0) this.#hand(this.#behind.take())
  }

  end(): void {
    this.flush()
    this.#socket.end()
  }

  #join(bytes: string | Buffer): boolean {
    // Text is copied, however long: it may be a rope of short pieces.
    if (typeof bytes === 'string') this.#behind.addText(bytes)
    else if (bytes.length < JOINED_BYTES) this.#behind.add(bytes)
    else {
      this.flush()
      return this.#hand(bytes)
    }
    if (this.#behind.length >= JOINED_BYTES) this.flush()
    return !this.#socket.writableNeedDrain
  }

  #hand(bytes: string | Buffer): boolean {
    this.#held += 1
    return this.#socket.write(bytes as string, 'latin1', this.#taken)
  }

  /** One of the held writes is done, or will never be. */
  readonly #taken = (): void => {
    this.#held -= 1
    if (this.#held > 0) return
    if (!this.#socket.writable) return this.#behind.clear()
    if (this.#behind.length > 0) this.write(this.#behind.take())
    this.#freed?.()
  }
}
