/**
 * Holds the worker's socket while its application is not loaded (`lazy`). The first connection makes the application
 * load, and all connections wait for it. Then the application's own server listens there and gets the waiting
 * connections, as Node documents for the event `connection`.
 *
 * What must stay true: the door keeps no process alive, or `load-application.ts` could not see that an application has
 * nothing more to do. The door goes on listening without a name: the kernel may hold connections that were made during
 * the load.
 */

import { chmodSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { adoptConnection } from '../request/node-internals.js'

export interface Door {
  /** Gives up the name, for the application's own server to take. */
  readonly leave: () => void
  /** All connections, present and future, go to the application. */
  open(application: Server): void
}

/** Few may connect: the service's own user and group. */
const MOST_HELD = 512

/** Listens on `path` and resolves when it does; `onKnock` is called when the first client has connected. */
export async function keepDoor(path: string, mode: number, onKnock: () => void): Promise<Door> {
  const held: Socket[] = []
  let application: Server | null = null
  // As the sockets of an HTTP server are.
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, socket => {
    if (application !== null) return admit(socket, application)
    // A paused socket does not keep the process alive.
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
