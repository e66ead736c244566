/**
 * Buffers for the chunks of files on their way to clients. A buffer of this size lies outside of V8's heap, and a new
 * one for each chunk sets off a collection every few megabytes: 40 % of a proxy's time at files of 10 MB. So a buffer
 * that nobody refers to any more is used again.
 */

/** Larger chunks cost less CPU for each byte. */
export const LARGE_BYTES = 256 * 1024
/** Smaller ones come from the slabs of `Buffer.allocUnsafe`. */
const SLAB_BYTES = 4096
/** So many wait at most for another use: 4 MB. */
const MOST_FREE = 16

const free: Buffer[] = []

/** A buffer of at least `bytes`, whose content is anything. */
export function takeBuffer(bytes: number): Buffer {
  if (bytes <= SLAB_BYTES || bytes > LARGE_BYTES) return Buffer.allocUnsafe(bytes)
  return free.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES)
}

/** Nobody refers to it any more. */
export function giveBack(buffer: Buffer): void {
  if (buffer.length === LARGE_BYTES && free.length < MOST_FREE) free.push(buffer)
}
