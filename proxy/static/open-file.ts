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
 * `pool`: the thread pool. `measured`: the thread pool, until its reads are so quick that the file must be in the page
 * cache; then mostly the loop, until one of its own reads has waited. Handing a chunk to the pool and back costs a
 * third of the CPU of a large file.
 */
export type ReadMode = 'direct' | 'pool' | 'measured'

/** The page cache gives a chunk of 256 KB in a tenth of this; a disk takes longer. */
const QUICK_MS = 1
/** After so many reads of the loop itself the pool reads, so that others have a turn. */
const MOST_IN_A_ROW = 4

export class OpenFile {
  readonly #fd: number
  readonly #mode: ReadMode
  readonly #nowMs: () => number
  #wasQuick = false
  #inARow = 0
  /** A read of the loop itself has waited. */
  #hasWaited = false
  #isReading = false
  #isClosed = false

  constructor(fd: number, mode: ReadMode, nowMs = () => performance.now()) {
    this.#fd = fd
    this.#mode = mode
    this.#nowMs = nowMs
  }

  /**
   * Reads up to `bytes` bytes from `position` of the file into `buffer` at `offset`; one read at a time. May call
   * `done` at once.
   */
  read(buffer: Buffer, offset: number, bytes: number, position: number, done: ReadDone): void {
    if (this.#isClosed || this.#isReading) throw new Error('open file: read while closed or reading')
    if (this.#mode === 'measured') this.#readMeasured(buffer, offset, bytes, position, done)
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

  #readMeasured(buffer: Buffer, offset: number, bytes: number, position: number, done: ReadDone): void {
    const isDirect = this.#wasQuick && !this.#hasWaited && this.#inARow < MOST_IN_A_ROW
    const sinceMs = this.#nowMs()
    const measured: ReadDone = (error, bytesRead) => {
      this.#wasQuick = this.#nowMs() - sinceMs < QUICK_MS
      this.#inARow = isDirect ? this.#inARow + 1 : 0
      this.#hasWaited ||= isDirect && !this.#wasQuick
      done(error, bytesRead)
    }
    if (isDirect) this.#readDirectly(buffer, offset, bytes, position, measured)
    else this.#readInPool(buffer, offset, bytes, position, measured)
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
