/**
 * The address that an application asks for with `listen`, worked out without binding, and the error for an address in
 * use.
 */

import { EventEmitter, errorMonitor } from 'node:events'
import { type AddressInfo, isIPv4, isIPv6, type Server } from 'node:net'
import { constants } from 'node:os'
import { UNCHOSEN_PORT } from '../../../kit/channel/messages.js'

/** Host and port, or the path of a unix socket. */
export type Address = AddressInfo | string

/** Where Node listens without a host. */
const ANY = '::'

/**
 * What `server.address()` returns after `listen(...args)` in Node, as far as it is known without binding; null if Node
 * refuses the arguments. The rules are those of `normalizeArgs` and `Server.prototype.listen` in Node's lib/net.js.
 */
export function askedAddress(args: readonly unknown[]): Address | null {
  const [first, second] = args
  if (args.length === 0 || first === null || typeof first === 'function') return tcpAddress(0, undefined)
  if (typeof first === 'object') return addressOfOptions(first as ListenOptions)
  if (typeof first === 'string' && !(Number(first) >= 0)) return first === '' ? null : first
  return addressOfPort(first, typeof second === 'string' ? second : undefined)
}

/** Whether `asked` is the port or path that `app-port` or PORT names. */
export function isAskedFor(asked: Address, wanted: string): boolean {
  if (typeof asked === 'string') return asked === wanted
  return /^\d{1,5}$/.test(wanted) && asked.port === (Number(wanted) || UNCHOSEN_PORT)
}

/** Whether the kernel would refuse one of them while the other is open. Each port 0 is a different one. */
export function isSamePlace(one: Address, other: Address): boolean {
  if (typeof one === 'string' || typeof other === 'string') return one === other
  if (one.port !== other.port || one.port === UNCHOSEN_PORT) return false
  const hosts = [one.address, other.address]
  return (
    one.address === other.address || hosts.includes(ANY) || (hosts.includes('0.0.0.0') && one.family === other.family)
  )
}

/** `:::3000`, `127.0.0.1:3000`, `/run/app.sock`; port 0 as it was asked for. */
export function printAddress(asked: Address): string {
  if (typeof asked === 'string') return asked
  return `${asked.address}:${asked.port === UNCHOSEN_PORT ? 0 : asked.port}`
}

/** Why a port of the application's own is in use: the workers share only the server of the site. */
const WHY =
  'every worker of daimyo opens it by itself, and another one has it: only the site is shared by all of them, and a worker that is replaced runs beside its ' +
  'successor. Use port 0, or a process of its own such as attach-daemon'

/** Adds the reason to the error before anybody sees the error. */
export function explainInUse(server: Server): void {
  const explain = (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') return
    const { message, stack } = error
    error.message = `${message} (${WHY})`
    // The text of the stack was made with the error.
    error.stack = stack?.replace(message, () => error.message)
  }
  EventEmitter.prototype.once.call(server, errorMonitor, explain)
}

/**
 * What Node says of an address that another server of the same process has. The address of the site, which is not
 * really open, is one of these.
 */
export function refuseInUse(server: Server, asked: Address): Server {
  const isPath = typeof asked === 'string'
  const where = isPath ? { address: asked } : { address: asked.address, port: asked.port }
  const place = isPath ? asked : `${asked.address}:${asked.port}`
  const error = new Error(`listen EADDRINUSE: address already in use ${place}`)
  Object.assign(error, { code: 'EADDRINUSE', errno: -constants.errno.EADDRINUSE, syscall: 'listen', ...where })
  process.nextTick(() => server.emit('error', error))
  return server
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

/** A host name stands for the loopback address: names are looked up later than `address()` has to return. */
function tcpAddress(port: number, host: string | undefined): AddressInfo {
  const shown = port === 0 ? UNCHOSEN_PORT : port
  if (host === undefined || host === '' || host === ANY) return { address: ANY, family: 'IPv6', port: shown }
  // The expression of isIPv6 takes 10 ms to compile, so it is not used for a host without a colon.
  if (host.includes(':') && isIPv6(host)) return { address: host, family: 'IPv6', port: shown }
  return { address: isIPv4(host) ? host : '127.0.0.1', family: 'IPv4', port: shown }
}
