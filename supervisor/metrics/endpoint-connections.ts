/**
 * The connections of the metrics listener. Their number is bounded, and no client can keep a scraper out by holding
 * them: when all places are taken, an idle connection (without a request under way) is closed for the new one. An idle
 * one exists, because fewer requests than connections can be under way: those that wait for a password's check, for a
 * slot or for their response are bounded (`BasicAuth`, `ResponseSlots`), and all others get their response at once.
 *
 * The order of closing: connections that never got metrics come first; among these, the ones of the client address with
 * the most idle connections; among these, the one that has been idle longest.
 */

import type { Socket } from 'node:net'
import { clientKey } from '../../kit/ground/client-key.js'

interface Held {
  client: string
  requests: number
  hasServed: boolean
  /** A count that grows with each event, not a time: the smallest one has been idle longest. */
  idleSince: number
}

export class EndpointConnections {
  readonly #most: number
  readonly #held = new Map<Socket, Held>()
  #moment = 0

  constructor(most: number) {
    this.#most = most
  }

  /** A new connection. If there is no room, an idle one is closed, or else the new one. */
  admit(socket: Socket): void {
    const client = clientKey(socket.remoteAddress ?? '')
    if (this.#held.size >= this.#most) (this.#victim() ?? socket).destroy()
    if (socket.destroyed) return
    this.#held.set(socket, { client, requests: 0, hasServed: false, idleSince: ++this.#moment })
    socket.once('close', () => this.#held.delete(socket))
  }

  /** A request begins. False: another request of this connection still waits for its response. */
  begin(socket: Socket): boolean {
    const held = this.#held.get(socket)
    if (held === undefined) return true
    held.requests += 1
    return held.requests === 1
  }

  /** The response to a request is complete, or was given up. */
  end(socket: Socket, hasServed: boolean): void {
    const held = this.#held.get(socket)
    if (held === undefined) return
    held.requests -= 1
    held.hasServed ||= hasServed
    held.idleSince = ++this.#moment
  }

  /** Whether a request is under way. */
  isAsking(socket: Socket): boolean {
    return (this.#held.get(socket)?.requests ?? 0) > 0
  }

  #victim(): Socket | undefined {
    const idle = [...this.#held].filter(([socket, { requests }]) => requests === 0 && !socket.destroyed)
    const counts = new Map<string, number>()
    for (const [, { client }] of idle) counts.set(client, (counts.get(client) ?? 0) + 1)
    const countOf = ({ client }: Held) => counts.get(client) ?? 0
    const [victim] = idle.sort(
      ([, a], [, b]) =>
        Number(a.hasServed) - Number(b.hasServed) || countOf(b) - countOf(a) || a.idleSince - b.idleSince,
    )
    return victim?.[0]
  }
}
