/**
 * Where proxies connect their links: one unix socket per worker, one connection per proxy. It opens when the
 * application's server listens. All requests reach the application through it.
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
  /** Writes the response bytes so far; false while the kernel has not taken all of them. */
  deliver(): boolean
  /** Cuts off the other requests: the streams. */
  cutStreams(streamAfterMs: number): void
  /** New requests go to this server, which replaces the one before. */
  serve(application: Server): void
  /** Takes no new link and ends the existing ones. */
  close(): void
}

/** Listens on `path` and resolves when it does. `watchdog` null: nothing serves the links while the loop is blocked. */
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

/** To the application, requests of a link are on connections too. */
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

/** The descriptor of a connected socket, which Node has but does not declare; -1 if it does not have it. */
function descriptorOf(socket: Socket): number {
  return (socket as unknown as { _handle?: { fd?: number } })._handle?.fd ?? -1
}
