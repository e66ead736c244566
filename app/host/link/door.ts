/**
 * Keeps a worker's own socket as long as its application is not loaded (`lazy`). Opened by `main.ts`. Whoever connects
 * has the application loaded and waits for it; then the application's own server listens there and gets those who came
 * before, as Node documents for the event `connection`.
 *
 * What must stay true: it keeps no process alive, or `load-application.ts` could not see that an application has
 * nothing more to do. It goes on listening without a name: the kernel may hold connections that were made during the
 * load.
 */

import { chmodSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { adoptConnection } from '../request/node-internals.js'

export interface Door {
  /** Gives up the name, for the application's own server to take. */
  readonly leave: () => void
  /** Whoever has come, and who still comes, is the application's. */
  open(application: Server): void
}

/** Those who may connect are few: the service's own user and group. */
const MOST_HELD = 512

/** Listens on `path` and resolves once it does; `onKnock` is called when the first one has connected. */
export async function keepDoor(path: string, mode: number, onKnock: () => void): Promise<Door> {
  const held: Socket[] = []
  let application: Server | null = null
  // As the sockets of an HTTP server are.
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, socket => {
    if (application !== null) return admit(socket, application)
    // Paused, it does not count as something that keeps the process alive.
    socket.on('error', drop)
    if (held.push(socket) === 1) onKnock()
  })
  server.maxConnections = MOST_HELD
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  server.unref()
  chmodSync(path, mode)
  return {
    leave: () => rmSync(path, { force: true }),
    open(loaded) {
      application = loaded
      for (const socket of held.splice(0)) admit(socket, loaded)
    },
  }
}

/** Errors of a socket that nobody reads yet. */
function drop(this: Socket): void {
  this.destroy()
}

function admit(socket: Socket, application: Server): void {
  if (socket.destroyed) return
  socket.removeListener('error', drop)
  adoptConnection(socket, application)
  application.emit('connection', socket)
  socket.resume()
}
