/**
 * Reads a socket into one buffer that all sockets of this process share, instead of a new buffer for each read. A
 * request costs one read, and allocating and collecting its buffer costs more than parsing it: a tenth of all CPU per
 * request at 64 connections.
 *
 * Must stay true for a reader: the first `count` bytes of the buffer are the new ones, and they are valid until the
 * reader returns. It copies what it keeps. It gets no `subarray`, because making one for each read costs more than it
 * is worth.
 */

import type { Socket } from 'node:net'

/** For a link: more than one message's window, so that large frames need no joining. */
export const LINK_READ_BYTES = 256 * 1024
/** For a client: how far one read may go beyond the window. */
export const CLIENT_READ_BYTES = 64 * 1024

const shared = Buffer.allocUnsafeSlow(LINK_READ_BYTES)

export type OnBytes = (buffer: Buffer, count: number) => void

interface ReadOption {
  buffer: Buffer
  callback(count: number): boolean
}

/** The `onread` option of `net.connect`, for sockets that we open. */
export function readOption(onBytes: OnBytes, bytes: number): ReadOption {
  return {
    buffer: shared.subarray(0, bytes),
    callback: count => {
      onBytes(shared, count)
      return true
    },
  }
}

interface Handle {
  useUserBuffer?(buffer: Buffer): void
}

/**
 * The same for a socket that a server has accepted and that has read nothing yet. Node has the option only for sockets
 * that it connects, so this function sets the same fields (lib/net.js, `kBuffer`, `kBufferCb`). If a version of Node
 * has other fields, the socket emits `data` as usual.
 */
export function readAccepted(socket: Socket, onBytes: OnBytes, bytes: number): void {
  const fields = socket as unknown as Record<symbol, unknown> & { _handle: Handle | null }
  const symbols = Object.getOwnPropertySymbols(socket)
  const buffer = symbols.find(symbol => symbol.description === 'kBuffer')
  const callback = symbols.find(symbol => symbol.description === 'kBufferCb')
  const handle = fields._handle
  if (buffer === undefined || callback === undefined || typeof handle?.useUserBuffer !== 'function') {
    socket.on('data', (chunk: Buffer) => onBytes(chunk, chunk.length))
    return
  }
  const option = readOption(onBytes, bytes)
  fields[buffer] = option.buffer
  fields[callback] = option.callback
  handle.useUserBuffer(option.buffer)
}
