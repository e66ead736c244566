/**
 * The master's own listener for `/metrics`: node:http with small limits, because whoever reaches it must not be able to
 * hurt the master. Slow heads, slow readers and bodies end within seconds, idle connections within a minute or so; past
 * the limit new ones are closed at once. Answers only GET and HEAD of `/metrics`, and `/` with a pointer to it; behind HTTP Basic
 * where `auth` is set.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { BasicAuth } from '../../kit/basic-auth.js'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/failure.js'
import type { Log } from '../../kit/log.js'
import { printListenAddress } from '../config/listen-address.js'
import type { ListenAddress } from '../config/settings.js'
import { type Opener, onGuardedPath } from '../guarded-path.js'
import type { InheritedSocket } from '../inherited-sockets.js'
import { freeSocketPath, withMode } from '../socket-file.js'
import { EXPOSITION_TYPE } from './exposition.js'

export interface MetricsEndpointOptions {
  address: ListenAddress
  /** The socket of systemd that takes the address's place. */
  passed?: InheritedSocket | null
  /** As whom a unix socket is opened where root alone does not decide about its path. */
  opener?: Opener
  /** `user:hash`; null = open. */
  auth: string | null
  /** The text to answer with; asked once per request. */
  render: () => string | Promise<string>
  log: Log
  /** Other limits than ours, for tests. */
  limits?: Partial<EndpointLimits>
}

/** `answerMs`: from the request to the last byte that the client took. */
export interface EndpointLimits {
  connections: number
  headBytes: number
  headMs: number
  idleMs: number
  answerMs: number
}

/** `url` is what a person can open: `http://127.0.0.1:9117/metrics`, `unix:/run/daimyo/metrics.sock`. */
export interface MetricsEndpoint {
  url: string
  /** Closes the listener and every connection. */
  close(): Promise<void>
}

/** Idle for longer than scrapers wait between two scrapes, or theirs would meet the end of the connection on its way. */
const LIMITS: EndpointLimits = { connections: 64, headBytes: 8192, headMs: 5000, idleMs: 75_000, answerMs: 15_000 }
const SOCKET_MODE = 0o660

/**
 * Listens. Fails with exit code 69 if the address is taken, 77 if it is not allowed, 78 if `auth` is not `user:hash` or
 * a socket's path too long; the message names the option. A unix socket that nobody listens on any more is replaced,
 * its mode is 0660.
 */
export async function startMetricsEndpoint(options: MetricsEndpointOptions): Promise<MetricsEndpoint> {
  const { address, passed = null, opener = null, log } = options
  const limits = { ...LIMITS, ...options.limits }
  const auth = options.auth === null ? null : readAuth(options.auth)
  const server = createServer(
    {
      maxHeaderSize: limits.headBytes,
      headersTimeout: limits.headMs,
      requestTimeout: limits.headMs,
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: Math.min(1000, limits.headMs),
    },
    (request, response) => {
      limitTime(request, response, limits.answerMs)
      answer(request, response, auth, options.render).catch(error => {
        log('metrics-failed', { why: reasonOf(error) })
        finish(response, 500, 'metrics are not available, the log says why\n')
      })
    },
  )
  server.maxConnections = limits.connections
  server.on('clientError', (_error, socket) => socket.destroy())
  if (passed === null && address.kind === 'unix') await freePath(address.path, opener)
  await listen(server, address, passed, opener)
  // Later errors are those of accept(), such as no descriptor left: the next connection may succeed.
  server.on('error', error => log('metrics-listener-error', { why: reasonOf(error) }))
  return { url: urlOf(server, passed === null ? address : passed.address), close: () => close(server, address, opener) }
}

function readAuth(text: string): BasicAuth {
  try {
    return new BasicAuth(text)
  } catch (error) {
    throw new Failure('bad-metrics-auth', `cannot protect /metrics: metrics-auth=***: ${reasonOf(error)}`, EXIT.config)
  }
}

function limitTime(request: IncomingMessage, response: ServerResponse, answerMs: number): void {
  const deadline = setTimeout(() => request.socket.destroy(), answerMs)
  response.on('close', () => clearTimeout(deadline))
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  auth: BasicAuth | null,
  render: () => string | Promise<string>,
): Promise<void> {
  const path = request.url?.split('?', 1)[0]
  if (auth !== null && !(await auth.check(request.headers.authorization))) {
    return finish(response, 401, 'authentication required\n', {
      'www-authenticate': 'Basic realm="daimyo metrics", charset="UTF-8"',
    })
  }
  if (path !== '/metrics' && path !== '/') return finish(response, 404, 'not found: metrics are at /metrics\n')
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return finish(response, 405, 'only GET and HEAD\n', { allow: 'GET, HEAD' })
  }
  if (path === '/') return finish(response, 200, 'daimyo: metrics are at /metrics\n')
  finish(response, 200, await render(), { 'content-type': EXPOSITION_TYPE })
}

/** Anything but a good answer also ends the connection: what may follow on it, such as a body, is never read. */
function finish(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  if (response.headersSent || response.destroyed) return
  const isHead = response.req.method === 'HEAD'
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 200 && response.req.complete ? {} : { connection: 'close' }),
    ...headers,
  })
  response.end(isHead ? undefined : body)
}

function listen(server: Server, address: ListenAddress, passed: InheritedSocket | null, opener: Opener): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', error => reject(listenFailure(error, address)))
    server.once('listening', () => {
      server.removeAllListeners('error')
      resolve()
    })
    if (passed !== null) return void server.listen({ fd: passed.fd })
    if (address.kind === 'tcp') return void server.listen({ host: address.host, port: address.port })
    if (address.kind === 'passed') return void server.emit('error', new Error('systemd passed no such socket'))
    const { path } = address
    // bind(2) happens within the call.
    onGuardedPath(path, 'name', opener, () => withMode(SOCKET_MODE, () => server.listen({ path })))
  })
}

const LISTEN_REASONS: Record<string, string> = {
  EADDRINUSE: 'address already in use: accepted another one, or `metrics = false`',
  EADDRNOTAVAIL: 'no such address on this machine',
  EACCES: 'permission denied',
}

function listenFailure(error: Error, address: ListenAddress): Failure {
  const code = codeOf(error)
  const message = `cannot serve metrics: metrics=${printListenAddress(address)}: ${LISTEN_REASONS[code] ?? reasonOf(error)}`
  return new Failure('metrics-listen', message, code === 'EACCES' ? EXIT.permission : EXIT.unavailable, error)
}

/** A stale socket is removed, anything else stays; the failure of `freeSocketPath` does not know the option's name. */
async function freePath(path: string, opener: Opener): Promise<void> {
  try {
    await freeSocketPath(path, opener)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    throw new Failure(error.code, `cannot serve metrics: metrics=${path}: ${error.message}`, error.exitCode, error)
  }
}

function urlOf(server: Server, address: ListenAddress | null): string {
  if (address?.kind === 'unix') return `unix:${address.path}`
  if (address?.kind !== 'tcp') return 'a socket of systemd'
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port
  return `http://${printHostPort(address.host, port)}/metrics`
}

function printHostPort(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function close(server: Server, address: ListenAddress, opener: Opener): Promise<void> {
  return new Promise(resolve => {
    // The file of a unix socket is removed within the call.
    if (address.kind !== 'unix') server.close(() => resolve())
    else onGuardedPath(address.path, 'name', opener, () => server.close(() => resolve()))
    server.closeAllConnections()
  })
}
