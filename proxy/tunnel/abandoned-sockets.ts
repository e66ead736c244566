/**
 * Connections to workers that are gone. What the worker has said comes first, and its end behind that; but another
 * process may hold the connection too, such as a detached child that was given it, and then there is no end: here it is
 * made. Owned by `tunnels.ts`. Must stay true: nothing that the worker itself has said is lost, however slowly the
 * client takes it, for `STUCK_MS` at most.
 */

import type { Socket } from 'node:net'

/** As links have. */
const LAST_WORDS_MS = 1000
/** For a client that does not take what is left; as in `tunnel-flow.ts`. */
const STUCK_MS = 60_000

interface Abandoned {
  sinceMs: number
  /** What had been read at the last look; -1: the client held it up. */
  readBytes: number
}

export class AbandonedSockets {
  readonly #sockets = new Map<Socket, Abandoned>()

  add(socket: Socket, nowMs: number): void {
    this.#sockets.set(socket, { sinceMs: nowMs, readBytes: -1 })
  }

  /** Ends those that have said nothing since the look before. */
  sweep(nowMs: number): void {
    for (const [socket, abandoned] of this.#sockets) {
      const ageMs = nowMs - abandoned.sinceMs
      if (!socket.destroyed && ageMs < LAST_WORDS_MS) continue
      const readBytes = socket.isPaused() ? -1 : socket.bytesRead
      const isRead = readBytes >= 0 && readBytes === abandoned.readBytes
      abandoned.readBytes = readBytes
      if (!socket.destroyed && !isRead && ageMs < STUCK_MS) continue
      this.#sockets.delete(socket)
      socket.destroy()
    }
  }
}
