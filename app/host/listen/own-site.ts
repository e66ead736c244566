/**
 * Lets an application send requests to itself, as on bare Node: a connection to the port that its site listens on, by
 * its own code, goes to the socket that it really listens on. Server-side rendering does so
 * (`fetch('http://localhost:3000/api')`).
 *
 * What must stay true: only addresses that would be the application's own server on bare Node are redirected: the
 * loopback addresses and an address that it asked for by name. Connections of threads and child processes go to the
 * kernel, and so does TLS, to which nothing here would respond.
 */

import type { Server } from 'node:http'
import { type AddressInfo, Socket } from 'node:net'
import type { Address } from './asked-address.js'

type Connect = (...args: unknown[]) => Socket

/** The options of `net.connect` that name the destination. */
interface Destination {
  port?: unknown
  host?: unknown
  path?: unknown
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+|0\.0\.0\.0|::)$/i
const ANY = new Set(['::', '0.0.0.0'])

/** `siteAddress` says where the site listens; null: nowhere yet. It listens on the unix socket `socketPath`. */
export function connectToOwnSite(siteAddress: () => Address | null, socketPath: string): void {
  const connect = Socket.prototype.connect as Connect
  Socket.prototype.connect = function connectOrAskOneself(this: Socket, ...args: unknown[]): Socket {
    const [options, callback] = normalized(args)
    const asked = siteAddress()
    if (
      options === null ||
      asked === null ||
      typeof asked === 'string' ||
      'encrypted' in this ||
      !leadsTo(options, asked)
    )
      return connect.apply(this, args)
    const { port: _port, host: _host, ...others } = options
    const ours = { ...others, path: socketPath }
    return connect.apply(this, typeof callback === 'function' ? [ours, callback] : [ours])
  } as Socket['connect']
}

/**
 * A client on our own unix socket shows an address, as a TCP client does. Only clients on this host can connect there.
 */
export function showLoopback(server: Server): void {
  server.prependListener('connection', showLoopbackAddress)
}

/** A listener of ours, which the application does not know. */
export function showLoopbackAddress(socket: Socket): void {
  if (socket.remoteAddress !== undefined) return
  const shown = { remoteAddress: '127.0.0.1', remoteFamily: 'IPv4', remotePort: 0 }
  for (const [name, value] of Object.entries(shown)) Object.defineProperty(socket, name, { value, configurable: true })
}

/**
 * `connect(options, callback)`, `connect(port, host, callback)`, and the array that net.connect passes on; null: a
 * path, or arguments that Node refuses.
 */
function normalized(args: unknown[]): [options: Destination | null, callback: unknown] {
  const [first, second] = args
  if (Array.isArray(first)) return normalized(first)
  if (typeof first === 'object' && first !== null) return [first, second]
  if (typeof first !== 'number' && !(typeof first === 'string' && /^\d+$/.test(first))) return [null, undefined]
  return [{ port: first, ...(typeof second === 'string' ? { host: second } : {}) }, args.at(-1)]
}

function leadsTo({ port, host, path }: Destination, site: AddressInfo): boolean {
  if (Number(port) !== site.port || path) return false
  if (host === undefined || host === null || host === '') return true
  if (typeof host !== 'string') return false
  // Any other address of this host may belong to another server.
  return host === site.address || (LOOPBACK.test(host) && (ANY.has(site.address) || LOOPBACK.test(site.address)))
}
