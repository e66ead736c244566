/**
 * What the writers of both sides of a link share: `frame-writer.ts` of the proxy, `app/host/link/outbox-writer.ts` of a
 * worker.
 *
 * A failed write is no error here. The peer is dead, but the bytes that it wrote before are still unread, and they
 * decide whether a request was seen and has its response. So a write never destroys the socket; reading finds its end.
 */

import type { Socket } from 'node:net'

/**
 * A longer payload of bytes goes to the socket as it is. Copying a shorter one into the string of the turn is cheaper.
 */
export const COPY_BYTES = 4096

/** The interface of the writers of both sides. */
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
