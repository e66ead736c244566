/**
 * Connected pairs of TCP sockets on the loopback. This process owns both ends. A listener is open only while the pairs
 * are made.
 *
 * What must stay true: any user of the machine may connect to that listener, but such a connection never becomes an end
 * of a pair. Two ends match only if each has the other's port and both are on the loopback. A user who connects too, or
 * floods the listener, can spoil only one try: each try has a time limit, and the next one uses another port.
 */

import { connect, createServer, type Server, type Socket } from 'node:net'

/** `near` was accepted by the listener, `far` connected to it. */
export interface Pair {
  near: Socket
  far: Socket
}

/** `why`: the reason if pairs are missing. */
export interface Made {
  pairs: Pair[]
  why: NodeJS.ErrnoException | null
}

export interface PairOptions {
  /** `near` is not read before its owner resumes it. */
  isPaused: boolean
  /** The limit of one try. */
  tryMs?: number
  /** Gets the port of each listener. For tests. */
  onListening?: (port: number, host: string) => void
}

const TRY_MS = 1000
const TRIES = 3
/** The second address is for a machine without the first. */
const HOSTS = ['127.0.0.1', '::1']
/** No descriptor is left, so another try would fail too. */
const LACKING = ['EMFILE', 'ENFILE']
/** The most accepted connections that may wait before all of our own ports are known. */
const MOST_STRANGERS = 512

/** Never rejects. If some pairs cannot be made, the result holds the others. */
export async function connectPairs(count: number, options: PairOptions): Promise<Made> {
  const pairs: Pair[] = []
  let why: Made['why'] = null
  for (let tries = 0; tries < TRIES && pairs.length < count; tries++) {
    for (const host of HOSTS) {
      const made = await new Matching(host, count - pairs.length, options).made
      pairs.push(...made.pairs)
      if (host === HOSTS[0]) why = made.why
      if (!made.isRefused) break
    }
    if (LACKING.includes(why?.code ?? '')) break
  }
  return { pairs, why: pairs.length < count ? why : null }
}

/** One try, at one address. */
class Matching {
  readonly made: Promise<Made & { isRefused: boolean }>
  readonly #host: string
  readonly #server: Server
  readonly #pairs: Pair[] = []
  /** Our own sockets: those that are still connecting, and the connected ones by their port. */
  readonly #connecting = new Set<Socket>()
  readonly #own = new Map<number, Socket>()
  /** Accepted connections that are not matched yet, by the port of the other end. */
  readonly #strangers = new Map<number, Socket>()
  readonly #timer: NodeJS.Timeout
  #port = 0
  #why: Made['why'] = null
  /** The listener failed at this address. */
  #isRefused = false
  #end: () => void = () => {}

  constructor(host: string, count: number, { isPaused, tryMs = TRY_MS, onListening }: PairOptions) {
    this.#host = host
    this.made = new Promise(resolve => {
      this.#end = () => resolve({ pairs: this.#pairs, why: this.#why, isRefused: this.#isRefused })
    })
    this.#timer = setTimeout(() => this.#finish(late(tryMs)), tryMs)
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: isPaused, noDelay: true })
    this.#server.on('connection', socket => this.#accepted(socket))
    this.#server.on('error', error => {
      this.#isRefused = true
      this.#finish(error)
    })
    this.#server.listen({ port: 0, host }, () => {
      const address = this.#server.address()
      this.#port = typeof address === 'object' && address !== null ? address.port : 0
      onListening?.(this.#port, host)
      for (let made = 0; made < count; made++) this.#connect()
    })
  }

  #connect(): void {
    const socket = connect({ port: this.#port, host: this.#host, allowHalfOpen: true, noDelay: true })
    this.#connecting.add(socket)
    // Kept here, because a closed socket has no port any more.
    let port: number | null = null
    const lost = (why: NodeJS.ErrnoException) => this.#lost(socket, port, why)
    socket.on('error', lost)
    // `end` alone tells that the other side has closed, because this side may stay open. For a socket that is in a
    // pair, `lost` does nothing.
    for (const event of ['end', 'close']) socket.on(event, () => lost(closed()))
    socket.on('connect', () => {
      this.#connecting.delete(socket)
      port = socket.localPort ?? 0
      this.#own.set(port, socket)
      this.#match(port)
      // All of our own ports are known now, so the other connections are not ours.
      if (this.#connecting.size === 0) destroyAll(this.#strangers)
    })
  }

  #accepted(socket: Socket): void {
    socket.on('error', () => {})
    const { remotePort = 0, remoteAddress, localAddress, localPort } = socket
    const mayBeOurs = remoteAddress === this.#host && localAddress === this.#host && localPort === this.#port
    const isKnown = this.#own.has(remotePort)
    const mayWait = this.#connecting.size > 0 && this.#strangers.size < MOST_STRANGERS
    if (!mayBeOurs || !(isKnown || mayWait)) return void socket.destroy()
    this.#strangers.set(remotePort, socket)
    this.#match(remotePort)
  }

  #match(port: number): void {
    const [near, far] = [this.#strangers.get(port), this.#own.get(port)]
    if (near === undefined || far === undefined) return
    this.#strangers.delete(port)
    this.#own.delete(port)
    this.#pairs.push({ near, far })
    this.#finishIfOver()
  }

  /** `port`: the port of the socket. Null: it has none yet. */
  #lost(socket: Socket, port: number | null, why: NodeJS.ErrnoException): void {
    if (!this.#connecting.delete(socket) && (port === null || this.#own.get(port) !== socket)) return
    if (port !== null) this.#own.delete(port)
    socket.destroy()
    this.#why ??= why
    this.#finishIfOver()
  }

  /** Ends the try when each of our sockets is in a pair or lost. */
  #finishIfOver(): void {
    if (this.#connecting.size + this.#own.size === 0) this.#finish(this.#why)
  }

  #finish(why: Made['why']): void {
    clearTimeout(this.#timer)
    this.#why ??= why
    this.#server.close()
    for (const socket of this.#connecting) socket.destroy()
    this.#connecting.clear()
    destroyAll(this.#own)
    destroyAll(this.#strangers)
    this.#end()
  }
}

function destroyAll(sockets: Map<number, Socket>): void {
  for (const socket of sockets.values()) socket.destroy()
  sockets.clear()
}

function late(withinMs: number): NodeJS.ErrnoException {
  return Object.assign(new Error(`not connected within ${withinMs} ms`), { code: 'ETIMEDOUT' })
}

/** libuv closes an accepted connection at once if the process has no descriptor for it. */
function closed(): NodeJS.ErrnoException {
  return Object.assign(new Error('the connection was closed at once'), { code: 'ECONNRESET' })
}
