/**
 * When a proxy stops accepting connections, and which ones it closes to make room.
 *
 * At `http-connections`, or when few descriptors are left, the gate closes the connections that have been idle longest
 * and pauses accepting. New clients wait in the kernel's backlog, for this proxy or another one; nobody refuses them.
 * Accepting goes on as soon as a connection has closed.
 *
 * Descriptors must never run out: at EMFILE libuv gives up a spare descriptor, accepts all connections of the backlog
 * and closes them at once (`uv__emfile_trick`), without a word to Node. All proxies share the backlog, so one full
 * proxy would throw away connections that the others could serve. The kernel hands out the lowest free number, so the
 * descriptor of a new connection tells how many are in use by the whole process. The numbers above `#mostDescriptor`
 * are for files, links to workers and tunnels.
 */

import type { Server, Socket } from 'node:net'
import type { ProxyEventName, ToldFields } from '../../kit/channel/child-events.js'
import type { LimitName } from '../observe/limit-names.js'
import { isOutOfDescriptors, lowestFreeDescriptor } from '../process/descriptors.js'

/** A connection as the gate sees it. */
export interface Evictable {
  /** Since when it has waited for the first byte of a request; infinite: it does not wait. */
  readonly idleSinceMs: number
  evict(): void
}

export interface GateWorld {
  connections: ReadonlySet<Evictable>
  now(): number
  /** The soft limit on descriptors. Throws EMFILE when no descriptor is left to read it with. */
  descriptorLimit(): number
  limited(name: LimitName): void
  event(name: ProxyEventName, fields: ToldFields): void
}

/** A connection that has been idle for less may have a request under way. */
const EVICTABLE_MS = 500
/** One pass over all connections closes one of this many. */
const EVICTED_PART = 64
/** Without a pause for this long, the shortage is over, and the log is told so. */
const CALM_MS = 10_000

export class AcceptGate {
  readonly #world: GateWorld
  readonly #servers: Server[] = []
  #mostConnections: number
  #mostDescriptor = Number.POSITIVE_INFINITY
  #pausedBy: 'http-connections' | 'descriptors' | null = null
  #lastPausedMs = 0
  /** The log has been told of the pause. */
  #told = false

  constructor(mostConnections: number, world: GateWorld) {
    this.#mostConnections = mostConnections
    this.#world = world
    this.#look()
  }

  get paused(): boolean {
    return this.#pausedBy !== null
  }

  set mostConnections(count: number) {
    this.#mostConnections = count
    if (this.paused) this.#tryToGoOn()
  }

  /** `server` listens. */
  add(server: Server): void {
    this.#servers.push(server)
  }

  /** A connection was accepted and is counted. */
  accepted(socket: Socket): void {
    if (this.#world.connections.size >= this.#mostConnections) this.#pause('http-connections')
    else if (descriptorOf(socket) >= this.#mostDescriptor) this.#pause('descriptors')
  }

  /** A connection is gone. */
  closed(): void {
    if (this.paused) this.#tryToGoOn()
  }

  /** Runs periodically. */
  sweep(): void {
    const hasDescriptors = this.#look()
    if (!hasDescriptors) this.#pause('descriptors')
    else if (this.paused) this.#sweepPaused()
    else if (this.#told && this.#world.now() - this.#lastPausedMs > CALM_MS) this.#calm()
  }

  /** During a pause connections become idle, and descriptors of other kinds become free. */
  #sweepPaused(): void {
    if (this.#pausedBy === 'descriptors' && lowestFreeDescriptor() < this.#mostDescriptor) this.#tryToGoOn()
    if (this.paused) this.#evict()
  }

  #pause(limit: 'http-connections' | 'descriptors'): void {
    this.#lastPausedMs = this.#world.now()
    if (!this.paused) {
      this.#world.limited(limit)
      for (const server of this.#servers) pauseAccepting(server)
    }
    this.#pausedBy = limit
    this.#evict()
    if (this.#told) return
    this.#told = true
    this.#world.event('accept-paused', { limit, connections: this.#world.connections.size })
  }

  #tryToGoOn(): void {
    if (this.#world.connections.size >= this.#mostConnections) return
    this.#pausedBy = null
    this.#lastPausedMs = this.#world.now()
    for (const server of this.#servers) resumeAccepting(server)
  }

  #calm(): void {
    this.#told = false
    this.#world.event('accept-resumed', { connections: this.#world.connections.size })
  }

  #evict(): void {
    const latestMs = this.#world.now() - EVICTABLE_MS
    const idle = [...this.#world.connections].filter(({ idleSinceMs }) => idleSinceMs <= latestMs)
    idle.sort((a, b) => a.idleSinceMs - b.idleSinceMs)
    const count = Math.ceil(this.#world.connections.size / EVICTED_PART)
    for (const connection of idle.slice(0, count)) {
      this.#world.limited('idle-evicted')
      connection.evict()
    }
  }

  /** prlimit can change the limit from outside. False: there was no descriptor to read it with. */
  #look(): boolean {
    try {
      const limit = this.#world.descriptorLimit()
      this.#mostDescriptor = limit - spareDescriptors(limit)
      return true
    } catch (error) {
      if (!isOutOfDescriptors(error)) throw error
      return false
    }
  }
}

function spareDescriptors(limit: number): number {
  return Math.min(512, Math.max(16, Math.floor(limit / 8)))
}

interface Handle {
  fd?: number
  readStart?(): number
  readStop?(): number
}

function handleOf(owner: Server | Socket): Handle | null {
  return (owner as unknown as { _handle?: Handle | null })._handle ?? null
}

function descriptorOf(socket: Socket): number {
  return handleOf(socket)?.fd ?? -1
}

/**
 * Node can pause a server only by closing it, and a closed descriptor does not come back. To libuv, a server that was
 * opened from a descriptor is a stream, and reading and accepting wait for the same event. So starting and stopping to
 * read stops accepting, and starting to read starts it again. Seen on Node 20, 22, 24 and 26 (libuv 1.46 to 1.52).
 * libuv accepts one connection per turn, so the pause takes effect with the next one. If a later libuv changes that,
 * the server goes on accepting.
 */
function pauseAccepting(server: Server): void {
  const handle = handleOf(server)
  handle?.readStart?.()
  handle?.readStop?.()
}

function resumeAccepting(server: Server): void {
  handleOf(server)?.readStart?.()
}
