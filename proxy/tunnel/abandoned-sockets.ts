/**
 * Tunnel connections of workers that are gone. The worker's last bytes come first, and the end of the connection behind
 * them. But another process may hold the connection too, such as a detached child that inherited it. Then no end comes,
 * and the connection is closed here. Must stay true: no byte of the worker itself is lost, however slowly the client
 * takes it, for `STUCK_MS` at most.
 */

import type { Socket } from 'node:net'

/** As for links. */
const LAST_WORDS_MS = 1000
/** For a client that does not take the remaining bytes; as in `tunnel-flow.ts`. */
const STUCK_MS = 60_000

interface Abandoned {
  sinceMs: number
  /** The bytes read at the last check; -1: the client held them up. */
  readBytes: number
}

export class AbandonedSockets {
  readonly #sockets = new Map<Socket, Abandoned>()

  add(socket: Socket, nowMs: number): void {
    this.#sockets.set(socket, { sinceMs: nowMs, readBytes: -1 })
  }

  /** Closes the connections without a new byte since the last check. */
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
