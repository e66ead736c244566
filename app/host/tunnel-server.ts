/**
 * Where proxies connect tunnels: one more unix socket per worker. Each connection begins with a line that says who the client is
 * (`kit/tunnel-preamble.ts`) and is then handed to the application's own HTTP server, as Node documents for the event `connection`.
 * Opened by `main.ts`.
 *
 * What must stay true: the application cannot tell such a connection from one that it accepted from the client itself, and whoever connects to the
 * application's own socket cannot make anybody believe an address.
 */

import type { Server } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { readPreamble, type TunnelPeer } from '../../kit/tunnel-preamble.js'

export interface TunnelServer {
  /** Tunnels that are open, with those whose handshake is not answered yet. */
  readonly open: number
  /** Takes no new tunnel; resolves when those that there are have ended. */
  close(): Promise<void>
}

/** More than `listen` has by default: after a reload thousands of clients come back within seconds. The kernel bounds it. */
const BACKLOG = 4096
/** The proxy writes its line at once when it is connected. */
const PREAMBLE_MS = 10_000

/** Listens on `path` and resolves once it does. */
export async function openTunnelServer(path: string, application: Server): Promise<TunnelServer> {
  let open = 0
  // Half open as the sockets of an HTTP server are.
  const server = createServer({ allowHalfOpen: true }, socket => {
    open += 1
    socket.once('close', () => {
      open -= 1
    })
    greet(socket, application)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ path, backlog: BACKLOG }, resolve)
  })
  return {
    get open() {
      return open
    },
    close: () => new Promise(resolve => server.close(() => resolve())),
  }
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
    socket.pause()
    if (received.length > preamble.length) socket.unshift(received.subarray(preamble.length))
    showPeer(socket, preamble.peer)
    application.emit('connection', socket)
    socket.resume()
  }
  socket.setTimeout(PREAMBLE_MS, drop)
  socket.on('error', drop).on('end', drop).on('data', read)
}

function showPeer(socket: Socket, { address, port, encrypted }: TunnelPeer): void {
  const shown = {
    remoteAddress: address,
    remotePort: port,
    remoteFamily: address.includes(':') ? 'IPv6' : 'IPv4',
    ...(encrypted ? { encrypted } : {}),
  }
  for (const [name, value] of Object.entries(shown)) Object.defineProperty(socket, name, { value, configurable: true })
}
