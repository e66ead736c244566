/**
 * Reads a socket into one buffer that all sockets of this process share, instead of a new one for each read: a request
 * costs one read, and allocating and collecting its buffer costs more than parsing it (a tenth of all CPU per request
 * at 64 connections).
 *
 * What must stay true for a reader: the first `count` bytes of the buffer are what came, and valid until it returns;
 * what it keeps, it copies. It gets no `subarray` of them: to make one for each read would cost more than it is worth.
 */

import type { Socket } from 'node:net'

/** For a link: more than it carries of one message at once, so that large frames are not pieced together. */
export const LINK_READ_BYTES = 256 * 1024
/** For a client: what one read may go beyond the window by. */
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
 * The same for a socket that a server has accepted and that has read nothing yet. Node has the option for sockets that
 * one opens only, so this sets what the option sets (lib/net.js, `kBuffer`, `kBufferCb`), and where a Node has that
 * differently, the socket emits `data` as ever.
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
