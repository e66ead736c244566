/**
 * Where proxies connect their links: one unix socket per worker, one connection per proxy.
 * Opened by `main.ts` once the application's server listens; the requests' way into the application.
 */

import type { Server } from 'node:http'
import { createServer, type Server as NetServer, type Socket } from 'node:net'
import { NodeInternals } from '../request/node-internals.js'
import type { Watchdog } from '../watchdog/watchdog.js'
import { type Host, LinkConnection } from './link-connection.js'

export interface LinkServer {
  readonly inFlight: number
  /** Requests in flight whose responses have an end; `streamAfterMs` as in `StreamLimits`. */
  owed(streamAfterMs: number): number
  /** Writes what has been answered; false while the kernel has not taken all of it. */
  deliver(): boolean
  /** Cuts the others off. */
  cutStreams(streamAfterMs: number): void
  /** New requests are this server's; it has taken the place of the one that there was. */
  serve(application: Server): void
  /** Takes no new link and ends those there are. */
  close(): void
}

/**
 * Listens on `path` and resolves once it does. `watchdog` null: nobody looks after the links while the loop is blocked.
 */
export async function openLinkServer(
  path: string,
  application: Server,
  host: Host,
  watchdog: Watchdog | null = null,
): Promise<LinkServer> {
  let served = { server: application, internals: new NodeInternals(application) }
  const links = new Set<LinkConnection>()
  const server = createServer(socket => {
    const link = new LinkConnection(socket, served.server, served.internals, host)
    links.add(link)
    const fd = descriptorOf(socket)
    if (fd >= 0) watchdog?.watch(link.writer.outbox, fd)
    socket.on('close', () => links.delete(link))
  })
  await listening(server, path)
  const cutAll = () => {
    for (const link of links) link.cut(() => true)
  }
  closeWithAll(application, cutAll)
  return {
    get inFlight() {
      return [...links].reduce((sum, link) => sum + link.inFlight, 0)
    },
    owed: streamAfterMs => [...links].reduce((sum, link) => sum + link.owed(streamAfterMs), 0),
    deliver: () => [...links].map(link => link.deliver()).every(Boolean),
    cutStreams(streamAfterMs) {
      for (const link of links) link.cut(request => request.isStream(streamAfterMs))
    },
    serve(application) {
      served = { server: application, internals: new NodeInternals(application) }
      for (const link of links) Object.assign(link, served)
      closeWithAll(application, cutAll)
    },
    close() {
      server.close()
      for (const link of links) link.close()
    },
  }
}

/** Requests that came over a link are on connections, too, as far as the application knows. */
function closeWithAll(application: Server, close: () => void): void {
  const { closeAllConnections } = application
  application.closeAllConnections = function (this: Server) {
    closeAllConnections.call(this)
    close()
  }
}

function listening(server: NetServer, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
}

/** The descriptor of a connected socket, which Node tells without declaring it; -1 where it does not. */
function descriptorOf(socket: Socket): number {
  return (socket as unknown as { _handle?: { fd?: number } })._handle?.fd ?? -1
}
