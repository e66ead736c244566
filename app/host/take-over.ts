/**
 * Gives the application's HTTP server a unix socket of ours instead of the address that it asks for, so that an application
 * written for a port of its own runs unmodified. Called by the worker before it loads the application.
 *
 * What stays true for the application: its callback and `listening` fire, `address()` says what it asked for, a path that it asked for is there, listening twice
 * fails as in Node, listening again after `close()` works. Only the first `http.Server` is taken over; servers of other kinds
 * and later HTTP servers get what they ask for, with one exception: a later server with the same request listener is the same
 * application on one more address (Fastify opens one for each address of `localhost`; an application that is exported is often
 * listened on as well). In several workers these would fight for one port and be a door around the proxy, so they listen where
 * nobody finds them.
 */

import { EventEmitter, errorMonitor } from 'node:events'
import { unlinkSync } from 'node:fs'
import { Server as HttpServer, type RequestListener } from 'node:http'
import { type AddressInfo, isIP, Server } from 'node:net'
import { namePath } from './named-path.js'

/** `server` is fulfilled when the application's server listens on our socket, and rejected if that socket cannot be opened. */
export interface Taken {
  server: Promise<HttpServer>
}

/** What `address()` says when the application left the choice of the port to the kernel: the first dynamic port of RFC 6335 §6. */
export const UNCHOSEN_PORT = 49152

type Address = AddressInfo | string
type Listen = (...args: unknown[]) => Server

/** Binds the first HTTP server of this process that listens to the unix socket `socketPath`, which must not exist when `makeRoom` has been called. */
export function takeOverListen(socketPath: string, makeRoom = () => {}): Taken {
  const listen = Server.prototype.listen as Listen
  const { server, resolve, reject } = pendingServer()
  let taken: HttpServer | null = null

  Server.prototype.listen = function listenTakenOver(this: Server, ...args: unknown[]): Server {
    // Node's own error for a second `listen`, and for arguments that it refuses.
    const asked = this.listening ? null : askedAddress(args)
    if (asked === null || !(this instanceof HttpServer)) return listen.apply(this, args)
    if (taken !== null && this !== taken)
      return sameListener(this, taken) ? hide(this, args, asked) : listen.apply(this, args)
    if (taken === null) {
      taken = this
      this.prependOnceListener('listening', () => resolve(this))
      // Only watched: an `error` that the application does not handle still ends the process.
      EventEmitter.prototype.once.call(this, errorMonitor, reject)
      makeRoom()
    }
    return bind(this, socketPath, args, asked)
  } as Server['listen']

  /** The backlog that was asked for is dropped: it was meant for clients, here the peers are a few proxies. */
  function bind(server: HttpServer, path: string, args: unknown[], asked: Address): HttpServer {
    answerAddress(server, asked)
    const callback = args.at(-1)
    const ours = { path, signal: signalOf(args[0]) }
    listen.apply(server, typeof callback === 'function' ? [ours, callback] : [ours])
    if (typeof asked === 'string' && server.listening) namePath(asked, socketPath, server)
    return server
  }

  function hide(server: HttpServer, args: unknown[], asked: Address): HttpServer {
    const path = `${socketPath}+`
    bind(server, path, args, asked)
    // It was bound before `listen` returned; without a name nobody connects to it.
    if (server.listening) unlinkSync(path)
    return server
  }

  return { server }
}

/**
 * What `server.address()` answers to `listen(...args)` in Node, as far as it can be said without binding; null where Node refuses
 * the arguments. The rules are those of `normalizeArgs` and `Server.prototype.listen` in Node's lib/net.js.
 */
export function askedAddress(args: readonly unknown[]): Address | null {
  const [first, second] = args
  if (args.length === 0 || first === null || typeof first === 'function') return tcpAddress(0, undefined)
  if (typeof first === 'object') return addressOfOptions(first as ListenOptions)
  if (typeof first === 'string' && !(Number(first) >= 0)) return first === '' ? null : first
  return addressOfPort(first, typeof second === 'string' ? second : undefined)
}

interface ListenOptions {
  port?: unknown
  host?: unknown
  path?: unknown
  fd?: unknown
  handle?: unknown
  _handle?: unknown
}

function addressOfOptions(options: ListenOptions): Address | null {
  if (options._handle || options.handle) return tcpAddress(0, undefined)
  if (typeof options.fd === 'number' && options.fd >= 0) return tcpAddress(0, undefined)
  if ('port' in options) return addressOfPort(options.port, typeof options.host === 'string' ? options.host : undefined)
  return typeof options.path === 'string' && options.path !== '' ? options.path : null
}

function addressOfPort(port: unknown, host: string | undefined): AddressInfo | null {
  if (port === undefined || port === null) return tcpAddress(0, host)
  if (typeof port !== 'number' && (typeof port !== 'string' || port.trim() === '')) return null
  const number = Number(port)
  return Number.isInteger(number) && number >= 0 && number <= 65535 ? tcpAddress(number, host) : null
}

/** A host name stands for the loopback address: names are looked up later than `address()` must answer. */
function tcpAddress(port: number, host: string | undefined): AddressInfo {
  const address = host === undefined || host === '' ? '::' : isIP(host) ? host : '127.0.0.1'
  return { address, family: isIP(address) === 6 ? 'IPv6' : 'IPv4', port: port === 0 ? UNCHOSEN_PORT : port }
}

function answerAddress(server: HttpServer, asked: Address): void {
  const value = () => (server.listening ? asked : null)
  Object.defineProperty(server, 'address', { value, writable: true, configurable: true })
}

function signalOf(options: unknown): AbortSignal | undefined {
  return typeof options === 'object' && options !== null && 'signal' in options
    ? (options.signal as AbortSignal | undefined)
    : undefined
}

function sameListener(one: HttpServer, other: HttpServer): boolean {
  const listeners = other.listeners('request') as RequestListener[]
  return (one.listeners('request') as RequestListener[]).some(listener => listeners.includes(listener))
}

/** `Promise.withResolvers`, which Node 20 does not have. */
function pendingServer() {
  let resolve: (server: HttpServer) => void = () => {}
  let reject: (reason: unknown) => void = () => {}
  const server = new Promise<HttpServer>((fulfil, refuse) => {
    resolve = fulfil
    reject = refuse
  })
  return { server, resolve, reject }
}
