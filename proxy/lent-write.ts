/**
 * Writes a part of a buffer that will be overwritten soon. Used by `connection.ts` for the long pieces of an application's answer.
 *
 * What the kernel takes at once, as a rule all of it, needs no memory of its own: it is copied into a scratch buffer that the next write uses again. A new
 * buffer for each piece would live outside of V8's heap, and to collect those took a quarter of a proxy's time at answers of 100 KB.
 */

import type { Socket } from 'node:net'

/** As much as a frame of the link carries. */
const SCRATCH_BYTES = 64 * 1024

let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

/** Writes what `bytes` have from `start` to `end`; they may change afterwards. False: wait for `drain`. */
export function writeLent(socket: Socket, bytes: Buffer, start: number, end: number): boolean {
  const length = end - start
  // What waits behind something else will not be taken at once.
  if (length > SCRATCH_BYTES || socket.writableLength > 0) return socket.write(Buffer.from(bytes.subarray(start, end)))
  bytes.copy(scratch, 0, start, end)
  const isFlowing = socket.write(scratch.subarray(0, length))
  // The kernel did not take all: the socket holds on to this one.
  if (socket.writableLength > 0) scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  return isFlowing
}
