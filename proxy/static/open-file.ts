/**
 * A regular file that is open for reading. Its descriptor is closed exactly once and never during a read. Descriptors
 * and not `fs.promises.FileHandle`: opening, reading and closing a small file costs 70 µs of CPU through promises, 25
 * if the calls that cannot wait for a disk are made directly, and 5 if all are.
 */

import fs from 'node:fs'

/** Called once per read; `bytesRead` 0 is the end of the file. */
export type ReadDone = (error: NodeJS.ErrnoException | null, bytesRead: number) => void

/**
 * Who reads. `direct`: the loop itself, because the file is small and, as far as one can know, in the page cache.
 * `pool`: the thread pool. `watched`: the pool at first, and then the loop, until one of its reads has waited for the
 * disk. Handing a chunk to the pool and back costs a third of the CPU of a large file.
 */
export type ReadMode = 'direct' | 'pool' | 'watched'

/** The page cache gives a chunk of 256 KB in 0.1 ms; a hard disk takes longer than this. */
const WAITED_MS = 4
/** As long as this it was the disk, also where its file system does not count its reads. */
const SURELY_WAITED_MS = 200
/** So long after a read that has waited, the loop reads no `watched` file. */
const CAUTIOUS_MS = 1000
/** After so many reads in one turn of the loop, others have a turn. */
const MOST_IN_A_ROW = 16

/** What all `watched` files of a process know of its disk. */
export class Disk {
  #lastWaitMs = Number.NEGATIVE_INFINITY

  get isQuick(): boolean {
    return this.nowMs() - this.#lastWaitMs > CAUTIOUS_MS
  }

  /** A read of the loop has waited for it. */
  waited(): void {
    this.#lastWaitMs = this.nowMs()
  }

  nowMs(): number {
    return performance.now()
  }

  /** The reads from disks that this process has caused. */
  reads(): number {
    return process.resourceUsage().fsRead
  }
}

const OURS = new Disk()

export class OpenFile {
  readonly #fd: number
  readonly #mode: ReadMode
  readonly #disk: Disk
  /** Of the disk, before the first read. */
  readonly #readsBefore: number
  #hasBegun = false
  #hasWaited = false
  #inARow = 0
  #isReading = false
  #isClosed = false

  constructor(fd: number, mode: ReadMode, disk = OURS) {
    this.#fd = fd
    this.#mode = mode
    this.#disk = disk
    this.#readsBefore = mode === 'watched' ? disk.reads() : 0
  }

  /**
   * Reads up to `bytes` bytes from `position` of the file into `buffer` at `offset`; one read at a time. May call
   * `done` at once.
   */
  read(buffer: Buffer, offset: number, bytes: number, position: number, done: ReadDone): void {
    if (this.#isClosed || this.#isReading) throw new Error('open file: read while closed or reading')
    if (this.#mode === 'watched') this.#readWatched(buffer, offset, bytes, position, done)
    else if (this.#mode === 'direct') this.#readDirectly(buffer, offset, bytes, position, done)
    else this.#readInPool(buffer, offset, bytes, position, done)
  }

  /**
   * Idempotent. During a read the descriptor is closed after the read: otherwise another file would get its number, and
   * that file would be read.
   */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (!this.#isReading) this.#closeDescriptor()
  }

  #readWatched(buffer: Buffer, offset: number, bytes: number, position: number, done: ReadDone): void {
    const isDirect = this.#hasBegun && !this.#hasWaited && this.#disk.isQuick
    this.#hasBegun = true
    if (!isDirect) return this.#readInPool(buffer, offset, bytes, position, done)
    if (this.#inARow < MOST_IN_A_ROW) return this.#readNow(buffer, offset, bytes, position, done)
    this.#inARow = 0
    this.#isReading = true
    setImmediate(() => {
      this.#isReading = false
      if (!this.#isClosed) return this.#readNow(buffer, offset, bytes, position, done)
      this.#closeDescriptor()
      done(null, 0)
    })
  }

  #readNow(buffer: Buffer, offset: number, bytes: number, position: number, done: ReadDone): void {
    const sinceMs = this.#disk.nowMs()
    this.#readDirectly(buffer, offset, bytes, position, (error, bytesRead) => {
      this.#inARow += 1
      this.#hasWaited = this.#isWait(this.#disk.nowMs() - sinceMs)
      if (this.#hasWaited) this.#disk.waited()
      done(error, bytesRead)
    })
  }

  /** On a busy machine the loop may have waited for its core instead. */
  #isWait(tookMs: number): boolean {
    if (tookMs < WAITED_MS) return false
    return tookMs >= SURELY_WAITED_MS || this.#disk.reads() !== this.#readsBefore
  }

  #readInPool(buffer: Buffer, offset: number, bytes: number, position: number, done: ReadDone): void {
    this.#isReading = true
    fs.read(this.#fd, buffer, offset, bytes, position, (error, bytesRead) => {
      this.#isReading = false
      if (this.#isClosed) this.#closeDescriptor()
      done(error, bytesRead)
    })
  }

  /** `done` is called outside the try: an error that it throws is not a failed read. */
  #readDirectly(buffer: Buffer, offset: number, bytes: number, position: number, done: ReadDone): void {
    let error: NodeJS.ErrnoException | null = null
    let bytesRead = 0
    try {
      bytesRead = fs.readSync(this.#fd, buffer, offset, bytes, position)
    } catch (thrown) {
      error = thrown as NodeJS.ErrnoException
    }
    done(error, bytesRead)
  }

  /** The last close of a deleted file frees its blocks, which takes long for a large file. */
  #closeDescriptor(): void {
    if (this.#mode === 'direct') fs.closeSync(this.#fd)
    else fs.close(this.#fd, assertWasOpen)
  }
}

/**
 * If closing fails for a file that was only read (EIO of a network file system), nothing is lost. But a descriptor
 * closed twice is a bug.
 */
function assertWasOpen(error: NodeJS.ErrnoException | null): void {
  if (error?.code === 'EBADF') throw error
}
