/**
 * What the writers of both sides of a link have in common: `frame-writer.ts` of the proxy,
 * `app/host/link/outbox-writer.ts` of a worker.
 *
 * A failed write is not an error here: the peer is dead, but what it wrote before is still to be read, and it decides
 * whether a request was seen and whether it was answered. So a write never destroys the socket; its end comes from
 * reading.
 */

import type { Socket } from 'node:net'

/** Longer byte payloads go to the socket as they are, shorter ones are cheaper to copy into the turn's string. */
export const COPY_BYTES = 4096

/** What both sides' writers do. */
export interface FrameSender {
  /** Queues a whole frame (`frame()` made it) until the end of this turn. */
  send(frame: string): void
  /** Queues a frame whose payload are `bytes`, which must not change until they are written. */
  sendBytes(type: number, id: number, bytes: Buffer): void
  /** Writes what is queued now, without waiting for the end of the turn. */
  flush(): void
  /** Bytes that the kernel has not taken yet. */
  readonly backlogBytes: number
}

type WriteCallback = (error?: Error | null) => void

/**
 * Makes the socket swallow write errors (EPIPE, ECONNRESET); `_write` and `_writev` are where `node:stream` meets the
 * handle.
 */
export function keepReadingAfterWriteErrors(socket: Socket): void {
  const write = socket._write.bind(socket)
  const writev = socket._writev?.bind(socket)
  socket._write = (chunk: unknown, encoding: BufferEncoding, callback: WriteCallback) =>
    write(chunk, encoding, () => callback())
  if (writev) socket._writev = (chunks, callback) => writev(chunks, () => callback())
}
