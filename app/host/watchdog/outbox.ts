/**
 * Unwritten bytes of one link, in memory that the watchdog thread of the worker sees too. `outbox-writer.ts` fills it
 * on the main thread. When a request blocks the loop, the responses before it are still here: `watchdog-thread.ts`
 * writes them, and tells the proxy which request it is.
 *
 * What must stay true: bytes and descriptor belong to the thread that has claimed the outbox. The watchdog claims it
 * only when it is free, writes only what the kernel takes at once, and never behind bytes that wait in the main
 * thread's socket (`backlog`), nor after `close`.
 *
 *     header, 32-bit each: owner, first byte not written, end of the bytes, backlog, id of the running request,
 *         number of moves
 *     behind it the bytes: whole frames, the first one perhaps begun already
 */

const OWNER = 0
const START = 1
const END = 2
const BACKLOG = 3
const RUNNING = 4
const MOVES = 5
const HEADER_BYTES = 32

const NOBODY = 0
const MAIN = 1
const WATCHDOG = 2
const CLOSED = 3

/** More than a batch of small responses; a larger frame is written by itself. */
const CAPACITY_BYTES = 64 * 1024

/**
 * How long the main thread waits for the watchdog at a time; the watchdog holds an outbox for the length of a write.
 */
const WAIT_MS = 1

export class Outbox {
  readonly memory: SharedArrayBuffer
  readonly #header: Int32Array
  readonly #bytes: Buffer

  /** `memory` of another thread's outbox makes this one its twin. */
  constructor(memory = new SharedArrayBuffer(HEADER_BYTES + CAPACITY_BYTES)) {
    this.memory = memory
    this.#header = new Int32Array(memory, 0, HEADER_BYTES / 4)
    this.#bytes = Buffer.from(memory, HEADER_BYTES)
  }

  // The main thread's side.

  /** Adds a frame (latin1) behind the others. False: no room, empty it first. */
  append(frame: string): boolean {
    this.#claim()
    const end = this.#header[END]!
    const fits = frame.length <= CAPACITY_BYTES - end
    if (fits) this.#header[END] = end + this.#bytes.latin1Write(frame, end)
    this.#release()
    return fits
  }

  /**
   * Lets `write` have a copy of the waiting bytes, null if there are none. `write` returns whether its socket then
   * holds bytes that the kernel has not taken. No other thread writes meanwhile.
   */
  empty(write: (bytes: Buffer | null) => boolean): void {
    this.#claim()
    const start = this.#header[START]!
    const end = this.#header[END]!
    this.#header[START] = 0
    this.#header[END] = 0
    this.#header[MOVES]! += 1
    const backlog = write(start === end ? null : Buffer.from(this.#bytes.subarray(start, end)))
    this.#header[BACKLOG] = backlog ? 1 : 0
    this.#release()
  }

  /** The application is called for this request; 0: it has returned. */
  set running(id: number) {
    this.#header[MOVES]! += 1
    Atomics.store(this.#header, RUNNING, id)
  }

  /**
   * The descriptor is about to be closed: nothing may be written to it any more, because its number may soon belong to
   * another file.
   */
  close(): void {
    this.#claim()
    Atomics.store(this.#header, OWNER, CLOSED)
  }

  #claim(): void {
    while (Atomics.compareExchange(this.#header, OWNER, NOBODY, MAIN) === WATCHDOG) {
      Atomics.wait(this.#header, OWNER, WATCHDOG, WAIT_MS)
    }
  }

  /** A closed outbox stays closed. */
  #release(): void {
    Atomics.compareExchange(this.#header, OWNER, MAIN, NOBODY)
  }

  // The watchdog's side.

  get closed(): boolean {
    return Atomics.load(this.#header, OWNER) === CLOSED
  }

  /**
   * `running`: the request that the application was called for, 0 = none. `moves`: a number that changes with each call
   * and each write of the main thread. `waiting`: whether bytes wait to be written.
   */
  look(): { running: number; moves: number; waiting: boolean } {
    const moves = Atomics.load(this.#header, MOVES)
    const running = Atomics.load(this.#header, RUNNING) >>> 0
    return { running, moves, waiting: this.#header[END]! > this.#header[START]! }
  }

  /**
   * Lets `write` take the waiting bytes and `frame` behind them, in the name of a stuck main thread; it returns how
   * many it took. False: the main thread is writing, has a backlog or has closed the outbox.
   */
  writeInstead(frame: string, write: (bytes: Buffer) => number): boolean {
    if (Atomics.compareExchange(this.#header, OWNER, NOBODY, WATCHDOG) !== NOBODY) return false
    const mayWrite = Atomics.load(this.#header, BACKLOG) === 0
    if (mayWrite) this.#take(frame, write)
    Atomics.store(this.#header, OWNER, NOBODY)
    Atomics.notify(this.#header, OWNER)
    return mayWrite
  }

  #take(frame: string, write: (bytes: Buffer) => number): void {
    let end = this.#header[END]!
    if (frame.length <= CAPACITY_BYTES - end) end += this.#bytes.latin1Write(frame, end)
    const start = this.#header[START]!
    const left = start + write(this.#bytes.subarray(start, end))
    this.#header[START] = left === end ? 0 : left
    this.#header[END] = left === end ? 0 : end
  }
}
