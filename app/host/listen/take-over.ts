/**
 * Gives the application's HTTP server a unix socket of ours instead of the address that it asks for, so that an
 * application written for a port of its own runs unmodified. Installed before the application is loaded.
 *
 * What stays true for the application: its callback and `listening` fire, `address()` returns the address that it asked
 * for, a path that it asked for is there, listening twice fails as in Node, listening again after `close()` works.
 *
 * One server is the site; all others get the address that they ask for. Which one is the site:
 *
 * - With `app-port`, the server that listens there, no other.
 * - Else the server that listens on the port that PORT names. daimyo sets PORT if nobody else has. A server that
 *   listens before it has our socket until the application has loaded and has nothing more to do, or a while has
 *   passed: then this server is the site, as the first server is without a PORT. If the server on PORT comes later, it
 *   takes over all the same, and the first one gets the address that it asked for.
 * - A server that was told to keep no process alive (`unref`), before `listen` or right after it, is not the purpose of
 *   the process: the exporter of OpenTelemetry, for example.
 * - A closed server leaves its place to the next one: applications respond "starting" themselves until they have
 *   started.
 *
 * A later server with the request listener of the open site is the same application on one more address (Fastify opens
 * one for each address of `localhost`; an exported application often listens too). In several workers these would fight
 * for one port and be a way around the proxy, so they listen where nobody finds them. So does the site's HTTPS server,
 * for which a plain one takes the requests (`server-kind.ts`).
 */

import { EventEmitter, errorMonitor } from 'node:events'
import { unlinkSync } from 'node:fs'
import { Server as HttpServer, type RequestListener } from 'node:http'
import { Server } from 'node:net'
import { setTimeout } from 'node:timers'
import {
  type Address,
  askedAddress,
  explainInUse,
  isAskedFor,
  isSamePlace,
  printAddress,
  refuseInUse,
} from './asked-address.js'
import { namePath, unnamePath } from './named-path.js'
import { KIND_NAMES, kindOf, plainServerOf } from './server-kind.js'

export interface TakeOverOptions {
  /** Called before the first server is bound to our socket. */
  makeRoom?: () => void
  /** `app-port`. */
  appPort?: string | null
  /**
   * How long to wait for the server on PORT when another one has listened and the loaded application still has
   * something to do. 0, the default: no wait.
   */
  portMs?: number
  /** For the log. */
  remark?: (remark: SiteRemark) => void
}

/** Two servers could be the site. `isLate`: this one came when the other one already served. */
export interface SiteRemark {
  isLate: boolean
  site: string
  other: string
}

/** What an application did with `listen`. */
export interface Taken {
  /** Fulfilled when the site listens on our socket, and rejected if that socket cannot be opened. */
  readonly server: Promise<HttpServer>
  /** The site. If it was replaced, this is not the server of `server`. null: it was closed. */
  readonly openServer: HttpServer | null
  /** A server has our socket, whether or not it stays the site. */
  readonly isAsked: boolean
  /** A server listened on PORT, and the site is another server. */
  readonly ignoresPort: boolean
  /** The other servers that have listened, for a person: `HTTPS on :::3443`. */
  readonly others: readonly string[]
  /** Where the site listens, as far as the application knows. */
  readonly siteAddress: Address | null
  /** The application's file has run to its end. */
  loaded(): void
  /** No other server is expected: the one that has our socket is the site. False: there is none. */
  settle(): boolean
  /** Makes an exported server, or one of an exported listener, the site. */
  listen(server: HttpServer): void
  /** Called when another server is the site, or the same one listens again, after `server` was fulfilled. */
  onReplaced: (server: HttpServer) => void
}

type Listen = (...args: unknown[]) => Server

/** Undocumented parts of a server that has begun to listen; lib/net.js. */
interface Listening {
  _handle: { ref(): void; unref(): void; close(): void } | null
  _pipeName: string | null
  /** The application has called `unref`. */
  _unref: boolean
}

/** The server that has our socket. `server` is `asker` itself, except for HTTPS. */
interface Site {
  asker: Server
  server: HttpServer
  args: unknown[]
  asked: Address
  isChosen: boolean
  isUp: boolean
}

const MOST_OTHERS = 20
/**
 * An application that is loading is waited for this long, or for `portMs` if that is longer: its file may never end.
 */
const MOST_LOADING_MS = 10_000

/**
 * Binds one HTTP server of this process to the unix socket `socketPath`, which must not exist when `makeRoom` has been
 * called.
 */
export function takeOverListen(socketPath: string, options: TakeOverOptions = {}): Taken {
  const takeOver = new TakeOver(socketPath, options)
  Server.prototype.listen = function listenTakenOver(this: Server, ...args: unknown[]): Server {
    return takeOver.decide(this, args)
  } as Server['listen']
  return takeOver
}

class TakeOver implements Taken {
  readonly server: Promise<HttpServer>
  readonly others: string[] = []
  onReplaced: (server: HttpServer) => void = () => {}
  readonly #socketPath: string
  readonly #options: TakeOverOptions
  /** The method before it is replaced. */
  readonly #listen = Server.prototype.listen as Listen
  #resolve: (server: HttpServer) => void = () => {}
  #reject: (reason: unknown) => void = () => {}
  #site: Site | null = null
  #isSettled = false
  #isLoaded = false
  #hasRoom = false
  /** HTTP servers that could have been the site. */
  readonly #rivals: string[] = []

  constructor(socketPath: string, options: TakeOverOptions) {
    this.#socketPath = socketPath
    this.#options = options
    this.server = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  get openServer(): HttpServer | null {
    return this.#isSettled && this.#open?.isUp ? this.#open.server : null
  }

  get isAsked(): boolean {
    return this.#site !== null
  }

  get ignoresPort(): boolean {
    return this.#site?.isChosen === false && this.#wanted !== null
  }

  get siteAddress(): Address | null {
    return this.#site?.asked ?? null
  }

  /** PORT is read when it matters: applications also set it from files of theirs. */
  get #wanted(): string | null {
    return this.#options.appPort ?? (process.env.PORT?.trim() || null)
  }

  decide(asker: Server, args: unknown[]): Server {
    // Node's own error for a second `listen`, and for arguments that it refuses.
    const asked = asker.listening ? null : askedAddress(args)
    if (asked === null) return this.#listen.apply(asker, args)
    const site = this.#open
    if (this.#site?.asker === asker) return this.#listenAgain(this.#site, args, asked)
    const isChosen = this.#wanted !== null && isAskedFor(asked, this.#wanted)
    if (site !== null && sameListener(asker, site.asker)) {
      if (isChosen) this.#choose(site)
      return this.#hide(asker, args, asked)
    }
    if (site !== null && isSamePlace(asked, site.asked)) return refuseInUse(asker, asked)
    const kind = kindOf(asker)
    if (kind !== 'http' && kind !== 'https') {
      if (!isChosen) return this.#pass(asker, args, asked)
      // PORT may be the port of `http`, which is not the application's own. A program that only checks whether it is
      // free finds it free.
      this.#noteOther(asker, asked)
      return this.#hide(asker, args, asked)
    }
    if (!this.#mayBeSite(asker, isChosen)) return this.#pass(asker, args, asked, isRival(asker))
    if (site !== null) this.#giveUp(site)
    return this.#take(asker, args, asked, isChosen)
  }

  /** A client that found the site closed waits for it, and the site's socket is a new one. */
  #listenAgain(site: Site, args: unknown[], asked: Address): Server {
    if (!site.server.listening) site.server.prependOnceListener('listening', () => this.#isUp(site))
    return this.#bindSite(Object.assign(site, { args, asked }))
  }

  loaded(): void {
    this.#isLoaded = true
  }

  settle(): boolean {
    const site = this.#site
    if (site === null || this.#isSettled) return site !== null
    if (this.#isLeft(site)) {
      this.#site = null
      this.#moveAway(site)
      return false
    }
    this.#isSettled = true
    handleOf(site.server)?.ref()
    if (this.#wanted === null || !site.isChosen) for (const other of this.#rivals) this.#remark(other)
    if (site.isUp) this.#resolve(site.server)
    return true
  }

  listen(server: HttpServer): void {
    // By its own code, and it is not the site.
    if (!server.listening) this.#take(server, [], askedAddress([])!, true)
  }

  /** Null also after a close. */
  get #open(): Site | null {
    return this.#site?.server.listening ? this.#site : null
  }

  #mayBeSite(asker: Server, isChosen: boolean): boolean {
    const site = this.#open
    if (isChosen) return site?.isChosen !== true
    return this.#options.appPort == null && isRival(asker) && (site === null || this.#isLeft(site))
  }

  /** No requests go to it yet, and it was told to keep no process alive after `listen`. */
  #isLeft(site: Site): boolean {
    return !this.#isSettled && !site.isChosen && !isRival(site.asker)
  }

  #take(asker: Server, args: unknown[], asked: Address, isChosen: boolean): Server {
    const server = asker instanceof HttpServer ? asker : plainServerOf(asker)
    const site = { asker, server, args, asked, isChosen, isUp: false }
    this.#site = site
    server.prependOnceListener('listening', () => this.#isUp(site))
    const failed = (reason: unknown) => {
      if (this.#site?.server === server) this.#reject(reason)
    }
    // Only watched: an `error` that the application does not handle still ends the process.
    EventEmitter.prototype.once.call(server, errorMonitor, failed)
    if (!this.#hasRoom) this.#options.makeRoom?.()
    this.#hasRoom = true
    this.#bindSite(site)
    const { portMs = 0 } = this.#options
    if (isChosen) this.settle()
    // Calls right after `listen` count.
    else if (this.#wanted === null || portMs === 0) process.nextTick(() => this.settle())
    else if (!this.#isSettled) this.#awaitPort(portMs)
    return asker
  }

  /**
   * `load-application.ts` looks at what else goes on in the process to see whether anything more can come: none of this
   * must count.
   */
  #awaitPort(portMs: number): void {
    handleOf(this.#site!.server)?.unref()
    let left = Math.max(1, Math.round(MOST_LOADING_MS / portMs))
    const look = () => {
      left -= 1
      if (this.#isLoaded || left === 0 || this.#isSettled) this.settle()
      else setTimeout(look, portMs).unref()
    }
    setTimeout(look, portMs).unref()
  }

  #bindSite(site: Site): Server {
    const { asker, server, args, asked } = site
    if (server !== asker) {
      if (!server.listening) this.#bind(server, this.#socketPath, [], asked)
      this.#hide(asker, args, asked)
      // The plain server keeps the process alive.
      handleOf(asker)?.unref()
      return asker
    }
    return this.#bind(server, this.#socketPath, args, asked)
  }

  #isUp(site: Site): void {
    site.isUp = true
    if (this.#site?.server !== site.server || !this.#isSettled) return
    this.#resolve(site.server)
    this.onReplaced(site.server)
  }

  #choose(site: Site): void {
    site.isChosen = true
    this.settle()
  }

  /** The server on PORT has come. */
  #giveUp(site: Site): void {
    this.#site = null
    this.#moveAway(site)
    if (this.#isSettled) this.#remark(printAddress(site.asked), this.#wanted ?? '')
  }

  /**
   * The server listens on the address that it asked for. The application is not told of the second `listening`: it has
   * had one, or will have one.
   */
  #moveAway({ asker, server, args, asked, isUp }: Site): void {
    if (!asker.listening) return
    if (server !== asker) server.close()
    const listening = asker as unknown as Listening
    listening._handle?.close()
    listening._handle = null
    // Otherwise `address()` would return it while a host is looked up.
    listening._pipeName = null
    Reflect.deleteProperty(asker, 'address')
    if (typeof asked === 'string') unnamePath(asked, this.#socketPath)
    this.#pass(asker, typeof args.at(-1) === 'function' ? args.slice(0, -1) : args, asked, isRival(asker))
    // In all other cases only the second `listening` is emitted: a host is looked up first.
    if (isUp || listening._handle !== null) swallowOne(asker, 'listening')
  }

  #pass(asker: Server, args: unknown[], asked: Address, isRival = false): Server {
    this.#noteOther(asker, asked)
    explainInUse(asker)
    const result = this.#listen.apply(asker, args)
    if (isRival) this.#noteRival(printAddress(asked))
    return result
  }

  #noteOther(asker: Server, asked: Address): void {
    if (this.others.length < MOST_OTHERS) this.others.push(`${KIND_NAMES[kindOf(asker)]} on ${printAddress(asked)}`)
  }

  #noteRival(other: string): void {
    if (this.#rivals.length >= MOST_OTHERS) return
    this.#rivals.push(other)
    if (this.#isSettled && this.#site?.isChosen === false) this.#remark(other)
  }

  #remark(other: string, late?: string): void {
    const site = late ?? (this.#site === null ? '' : printAddress(this.#site.asked))
    this.#options.remark?.({ isLate: late !== undefined, site, other })
  }

  /** The backlog that was asked for is dropped: it was meant for clients, and the peers here are a few proxies. */
  #bind(server: Server, path: string, args: unknown[], asked: Address): Server {
    answerAddress(server, asked)
    const callback = args.at(-1)
    const ours = { path, signal: signalOf(args[0]) }
    this.#listen.apply(server, typeof callback === 'function' ? [ours, callback] : [ours])
    if (typeof asked === 'string' && server.listening) namePath(asked, this.#socketPath, server)
    return server
  }

  #hide(server: Server, args: unknown[], asked: Address): Server {
    const path = `${this.#socketPath}+`
    this.#bind(server, path, args, asked)
    // The server was bound before `listen` returned; without a name nobody connects to it.
    if (server.listening) unlinkSync(path)
    return server
  }
}

/** The server keeps the process alive, so it may be the purpose of the process. */
function isRival(server: Server): boolean {
  return !(server as unknown as Listening)._unref
}

function handleOf(server: Server): Listening['_handle'] {
  return (server as unknown as Listening)._handle
}

function answerAddress(server: Server, asked: Address): void {
  const value = () => (server.listening ? asked : null)
  Object.defineProperty(server, 'address', { value, writable: true, configurable: true })
}

function signalOf(options: unknown): AbortSignal | undefined {
  return typeof options === 'object' && options !== null && 'signal' in options
    ? (options.signal as AbortSignal | undefined)
    : undefined
}

function sameListener(one: Server, other: Server): boolean {
  const listeners = other.listeners('request') as RequestListener[]
  return (one.listeners('request') as RequestListener[]).some(listener => listeners.includes(listener))
}

/** The next event of this name reaches no listener, unless an `error` comes before. */
function swallowOne(emitter: EventEmitter, event: string): void {
  const { emit } = emitter
  const isOwn = Object.hasOwn(emitter, 'emit')
  emitter.emit = function emitAllButOne(this: EventEmitter, name: string | symbol, ...args: unknown[]): boolean {
    if (name !== event && name !== 'error') return emit.call(this, name, ...args)
    if (isOwn) emitter.emit = emit
    else Reflect.deleteProperty(emitter, 'emit')
    return name === 'error' ? emit.call(this, name, ...args) : false
  }
}
