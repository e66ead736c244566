/**
 * Which kind of server an application listens with, and the server that is used in the place of an HTTPS one.
 *
 * The properties of a server tell its kind, not its class: loading node:https and node:http2 would cost each start
 * several milliseconds.
 *
 * For an HTTPS server there is a plain HTTP server in this process, whose requests go to the listeners of the HTTPS
 * one. TLS is terminated before the proxy, so no certificate of the application is needed. What must stay true: the
 * application's server has all listeners, limits and counts; the plain one has only the socket.
 */

import { createServer, Server as HttpServer } from 'node:http'
import type { Server } from 'node:net'

/** `https` has the request listeners of an HTTP/1.1 server; this includes an HTTP/2 server that allows HTTP/1.1. */
export type ServerKind = 'http' | 'https' | 'http2' | 'tls' | 'tcp'

/**
 * As in Node 20 to 26: a TLS server can be given other certificates; one of node:http2 takes settings; one of HTTP/1.1
 * has time limits for heads.
 */
export function kindOf(server: Server): ServerKind {
  if (server instanceof HttpServer) return 'http'
  const isTls = 'setSecureContext' in server
  if (isTls && 'headersTimeout' in server) return 'https'
  if ('updateSettings' in server) return 'http2'
  return isTls ? 'tls' : 'tcp'
}

/** For the log. */
export const KIND_NAMES: Record<ServerKind, string> = {
  http: 'HTTP',
  https: 'HTTPS',
  http2: 'HTTP/2 without HTTP/1.1',
  tls: 'TLS',
  tcp: 'TCP',
}

/** The events that node:http emits to the application, and whose listeners it looks for. */
const TOLD = new Set<string | symbol>([
  ...['request', 'checkContinue', 'checkExpectation', 'upgrade', 'connect', 'clientError', 'dropRequest', 'timeout'],
])

/** What node:http reads of a server for each request or connection, and what node:net counts on it. */
const SHARED = [
  ...['timeout', 'keepAliveTimeout', 'headersTimeout', 'requestTimeout', 'maxHeadersCount', 'maxRequestsPerSocket'],
  ...['joinDuplicateHeaders', 'rejectNonStandardBodyWrites', 'requireHostHeader', 'insecureHTTPParser', '_connections'],
]

/** `createServer({ IncomingMessage, ServerResponse })`, which Node keeps under symbols of these names. */
const CLASSES = ['IncomingMessage', 'ServerResponse']

/** Not listening yet. Closing `secure` also closes the connections of the plain server. */
export function plainServerOf(secure: Server): HttpServer {
  const plain = createServer()
  const { emit, listenerCount, listeners } = plain
  const ownerOf = (event: string | symbol) => (TOLD.has(event) ? secure : plain)
  Object.assign(plain, {
    emit: (event: string, ...args: unknown[]) =>
      Reflect.apply(TOLD.has(event) ? secure.emit : emit, ownerOf(event), [event, ...args]),
    listenerCount: (event: string) => listenerCount.call(ownerOf(event), event),
    listeners: (event: string) => listeners.call(ownerOf(event), event),
  })
  for (const name of SHARED) share(plain, secure, name)
  for (const symbol of Object.getOwnPropertySymbols(secure)) {
    if (CLASSES.includes(symbol.description ?? '')) share(plain, secure, symbol)
  }
  closeTogether(plain, secure)
  return plain
}

function share(plain: HttpServer, secure: Server, name: string | symbol): void {
  Object.defineProperty(plain, name, {
    get: () => Reflect.get(secure, name),
    set: value => void Reflect.set(secure, name, value),
    configurable: true,
    enumerable: true,
  })
}

/** A closed HTTPS server takes no requests any more, and calls back when the last one is complete. */
function closeTogether(plain: HttpServer, secure: Server): void {
  const { close } = secure
  put(secure, 'close', (callback?: (error?: Error) => void) => {
    close.call(secure, callback)
    if (plain.listening) plain.close()
    return secure
  })
  for (const name of ['closeAllConnections', 'closeIdleConnections'] as const) {
    const end = Reflect.get(secure, name) as (() => void) | undefined
    put(secure, name, () => {
      end?.call(secure)
      plain[name]()
    })
  }
  // lib/net.js calls it for the server whose last connection ends.
  const { _emitCloseIfDrained: drained } = plain as unknown as Drained
  put(plain, '_emitCloseIfDrained', () => {
    drained.call(plain)
    ;(secure as unknown as Drained)._emitCloseIfDrained()
  })
}

interface Drained {
  _emitCloseIfDrained(): void
}

function put(server: Server, name: string, value: unknown): void {
  Object.defineProperty(server, name, { value, writable: true, configurable: true })
}
