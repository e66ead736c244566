/**
 * The connections of the metrics listener: no more than so many, and nobody can keep a scraper out by holding them. A
 * newcomer always gets in: for it an idle connection is closed, one without a request under way. Requests under way are
 * fewer than the connections, because those that wait for a password's check, for a slot or for their response are
 * bounded (`BasicAuth`, `ResponseSlots`) and all others are answered at once.
 *
 * Which one is closed: one that was never answered with metrics before one that was; then one of the client address
 * that has most of them; then the one that has been idle longest.
 */

import type { Socket } from 'node:net'
import { clientKey } from '../../kit/ground/client-key.js'

interface Held {
  client: string
  requests: number
  hasServed: boolean
  /** Grows with the moment since when it is idle. */
  idleSince: number
}

export class EndpointConnections {
  readonly #most: number
  readonly #held = new Map<Socket, Held>()
  #moment = 0

  constructor(most: number) {
    this.#most = most
  }

  /** A new connection; the one that it has no room for is closed. */
  admit(socket: Socket): void {
    const client = clientKey(socket.remoteAddress ?? '')
    if (this.#held.size >= this.#most) (this.#victim() ?? socket).destroy()
    if (socket.destroyed) return
    this.#held.set(socket, { client, requests: 0, hasServed: false, idleSince: ++this.#moment })
    socket.once('close', () => this.#held.delete(socket))
  }

  /** A request begins. False: another one of this connection is not answered yet. */
  begin(socket: Socket): boolean {
    const held = this.#held.get(socket)
    if (held === undefined) return true
    held.requests += 1
    return held.requests === 1
  }

  /** Its response is complete, or given up. */
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
