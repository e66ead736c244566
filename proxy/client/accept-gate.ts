/**
 * When a proxy stops accepting, and what it closes to go on. Told by `proxy-server.ts` of every connection.
 *
 * At `http-connections`, or when few descriptors are left, the gate closes those connections that have been idle
 * longest and pauses accepting: who comes next waits in the kernel's backlog, for us or for another proxy, and is
 * refused by nobody. It goes on as soon as a connection has closed.
 *
 * Why descriptors must never run out: at EMFILE libuv gives up a spare one, accepts all that wait in the backlog and
 * closes them at once (`uv__emfile_trick`), without a word to Node. The backlog is shared by all proxies, so one that
 * is full would throw away what the others could serve. The kernel hands out the lowest free number, so the descriptor
 * of a connection itself tells how many are in use, whoever uses them. What is left above `#mostDescriptor` is for
 * files, for the links to workers and for tunnels.
 */

import type { Server, Socket } from 'node:net'
import type { ProxyEventName, ToldFields } from '../../kit/channel/child-events.js'
import type { LimitName } from '../observe/limit-names.js'
import { isOutOfDescriptors, lowestFreeDescriptor } from '../process/descriptors.js'

/** A connection as the gate sees it. */
export interface Evictable {
  /** Since when it has waited for the first byte of a request; infinite: it does not. */
  readonly idleSinceMs: number
  evict(): void
}

export interface GateWorld {
  connections: ReadonlySet<Evictable>
  now(): number
  /** The soft limit on descriptors; throws EMFILE when there is none left to read it with. */
  descriptorLimit(): number
  limited(name: LimitName): void
  event(name: ProxyEventName, fields: ToldFields): void
}

/** Whoever has been idle for less may have a request under way. */
const EVICTABLE_MS = 500
/** One pass over all connections makes room for so many: one of so many parts. */
const EVICTED_PART = 64
/** When it has not been paused for so long, the trouble is over and told. */
const CALM_MS = 10_000

export class AcceptGate {
  readonly #world: GateWorld
  readonly #servers: Server[] = []
  #mostConnections: number
  #mostDescriptor = Number.POSITIVE_INFINITY
  #pausedBy: 'http-connections' | 'descriptors' | null = null
  #lastPausedMs = 0
  /** The log has been told that it pauses. */
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

  /** A connection has come and is counted. */
  accepted(socket: Socket): void {
    if (this.#world.connections.size >= this.#mostConnections) this.#pause('http-connections')
    else if (descriptorOf(socket) >= this.#mostDescriptor) this.#pause('descriptors')
  }

  /** A connection is gone. */
  closed(): void {
    if (this.paused) this.#tryToGoOn()
  }

  /** Called now and then. */
  sweep(): void {
    const hasDescriptors = this.#look()
    if (!hasDescriptors) this.#pause('descriptors')
    else if (this.paused) this.#sweepPaused()
    else if (this.#told && this.#world.now() - this.#lastPausedMs > CALM_MS) this.#calm()
  }

  /** Connections become idle while it is paused, and descriptors of other kinds become free. */
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

  /** The limit may be changed from outside (prlimit). False: not even this could be read. */
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
 * Node has no way to pause a server but closing it, and a closed descriptor does not come back. To libuv a server that
 * was opened from a descriptor is a stream, and reading and accepting wait for the same event: to start reading and to
 * stop it stops accepting, and to start reading starts it again. Seen on Node 20, 22, 24 and 26 (libuv 1.46 to 1.52);
 * it takes one connection for each turn, so the pause holds from the next. Where that ever changes, the server goes on
 * accepting.
 */
function pauseAccepting(server: Server): void {
  const handle = handleOf(server)
  handle?.readStart?.()
  handle?.readStop?.()
}

function resumeAccepting(server: Server): void {
  handleOf(server)?.readStart?.()
}
