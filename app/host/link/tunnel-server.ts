/**
 * Where proxies connect tunnels: one more unix socket per worker. Each connection begins with a line that names the
 * client (`kit/link/tunnel-preamble.ts`). Then the application's own HTTP server gets it, as Node documents for the
 * event `connection`.
 *
 * What must stay true: the application cannot tell such a connection from one that it accepted from the client itself.
 * A client of the application's own socket cannot make anybody believe an address.
 */

import type { Server } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { clearInterval, setInterval } from 'node:timers'
import { readPreamble, type TunnelPeer } from '../../../kit/link/tunnel-preamble.js'
import { localAddressOf } from '../request/virtual-socket.js'

export interface TunnelServer {
  /** Open tunnels, with those whose handshake has no response yet. */
  readonly open: number
  /** New tunnels go to this server. */
  serve(application: Server): void
  /** Takes no new tunnel, and ends the tunnels whose client has left. Resolves when all have ended. */
  close(): Promise<void>
}

/**
 * More than the default of `listen`: after a reload thousands of clients come back within seconds. The kernel bounds
 * it.
 */
const BACKLOG = 4096
/** The proxy writes its line as soon as it is connected. */
const PREAMBLE_MS = 10_000
/** An application that has read none of the rest for this long will not read it. */
const UNREAD_MS = 1000

/** Listens on `path` and resolves when it does. */
export async function openTunnelServer(path: string, application: Server): Promise<TunnelServer> {
  const open = new Set<Socket>()
  let served = application
  // Half open, as the sockets of an HTTP server are.
  const server = createServer({ allowHalfOpen: true }, socket => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    greet(socket, served)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ path, backlog: BACKLOG }, resolve)
  })
  return {
    get open() {
      return open.size
    },
    serve(application) {
      served = application
    },
    close() {
      for (const socket of open) endWithClient(socket)
      const stopLooking = cutUnread(open)
      return new Promise(resolve =>
        server.close(() => {
          stopLooking()
          resolve()
        }),
      )
    },
  }
}

/**
 * Node leaves it to the application to end a socket whose client has ended; an application that forgets to do so keeps
 * the server open for ever. By now no proxy would pass its last bytes on.
 */
function endWithClient(socket: Socket): void {
  if (socket.readableEnded) return socket.destroySoon()
  socket.once('end', () => socket.destroySoon())
  // Nothing has ever read from the socket, so nothing would see the end.
  if (socket.readableFlowing === null) socket.resume()
}

/**
 * The end of a client stands behind all its bytes, so an application that has paused a socket, or reads on demand, does
 * not see it. An application that reads on, however slowly, is left alone.
 */
function cutUnread(open: ReadonlySet<Socket>): () => void {
  const before = new Map<Socket, number>()
  const look = () => {
    for (const socket of open) {
      const readBytes = socket.bytesRead - socket.readableLength
      if (socket.isPaused() && before.get(socket) === readBytes) socket.destroy()
      before.set(socket, readBytes)
    }
  }
  look()
  const timer = setInterval(look, UNREAD_MS).unref()
  return () => clearInterval(timer)
}

/** Reads the line and gives the socket away, with nothing of ours left on it. */
function greet(socket: Socket, application: Server): void {
  let received: Buffer = Buffer.alloc(0)
  const drop = () => void socket.destroy()
  const read = (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    const preamble = readPreamble(received)
    if (preamble === 'more') return
    if (preamble === 'bad') return drop()
    socket.removeListener('data', read).removeListener('error', drop).removeListener('end', drop)
    socket.setTimeout(0, drop)
    delete (socket as { timeout?: number }).timeout
    socket.pause()
    if (received.length > preamble.length) socket.unshift(received.subarray(preamble.length))
    showEnds(socket, preamble.peer, application)
    application.emit('connection', socket)
    socket.resume()
  }
  socket.setTimeout(PREAMBLE_MS, drop)
  socket.on('error', drop).on('end', drop).on('data', read)
}

/**
 * Shows both ends of the client's connection in place of the unix socket's, which has none. What can be assigned on a
 * socket of Node, `encrypted` and the functions, can be assigned here.
 */
function showEnds(socket: Socket, { address, port, encrypted }: TunnelPeer, application: Server): void {
  const shown = {
    remoteAddress: address,
    remotePort: port,
    remoteFamily: address.includes(':') ? 'IPv6' : 'IPv4',
  }
  for (const [name, value] of Object.entries(shown)) Object.defineProperty(socket, name, { value, configurable: true })
  const local = {
    localAddress: () => localAddressOf(application).address,
    localPort: () => localAddressOf(application).port,
    localFamily: () => localAddressOf(application).family,
  }
  for (const [name, get] of Object.entries(local)) Object.defineProperty(socket, name, { get, configurable: true })
  const assignable = {
    ...(encrypted ? { encrypted } : {}),
    address: () => localAddressOf(application),
    // Only a TCP connection can be reset, and the proxy has the client's.
    resetAndDestroy: () => socket.destroy(),
  }
  for (const [name, value] of Object.entries(assignable))
    Object.defineProperty(socket, name, { value, writable: true, configurable: true })
}
