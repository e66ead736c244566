/**
 * The master's own listener for `/metrics`: node:http with small limits, because no client may hurt the master. Slow
 * heads, slow readers and bodies are ended within seconds; idle connections after 75 s, or earlier if a new connection
 * needs the place. It responds only to GET and HEAD of `/metrics`, and of `/` with a pointer to `/metrics`; behind HTTP
 * Basic if `auth` is set. If there is no room for the check of a password, or for a response, the client gets a 503
 * with Retry-After.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import type { Log } from '../../kit/log/log.js'
import { MOST_BACKLOG } from '../../kit/options/kinds/option-kinds.js'
import { printListenAddress } from '../../kit/options/values/listen-address.js'
import type { ListenAddress } from '../../kit/options/values/value-types.js'
import { BasicAuth } from '../../kit/page/basic-auth.js'
import { type Delivery, type ResponseSlot, ResponseSlots } from '../../kit/page/response-slots.js'
import type { InheritedSocket } from '../listen/inherited-sockets.js'
import { freeSocketPath, withMode } from '../listen/socket-file.js'
import { type Opener, onGuardedPath, openingOf } from '../user/guarded-path.js'
import { mayBecomeUserWithin } from '../user/service-user.js'
import { EndpointConnections } from './endpoint-connections.js'
import { EXPOSITION_TYPE } from './exposition.js'

/** How long the removal of a unix socket waits to become the service's user. */
const CLOSE_MS = 1000

export interface MetricsEndpointOptions {
  address: ListenAddress
  /** The socket of systemd that replaces the address. */
  passed?: InheritedSocket | null
  /** The identity that opens a unix socket if others than root decide about its path. */
  opener?: Opener
  /** `user:hash`; null = open. */
  auth: string | null
  /** Makes the page of a response. It is called for each request, so it should share pages between requests. */
  render: () => Page | Promise<Page>
  log: Log
  /** Other limits than ours, for tests. */
  limits?: Partial<EndpointLimits>
  /**
   * Removes a unix socket in a folder of the service's user. That user may have put a large file in its place, and to
   * free its blocks takes long. Never rejects.
   */
  remove?: ((path: string) => Promise<void>) | undefined
}

type Page = string | Buffer

/** `responseMs`: from the request to the last byte that the client took. */
export interface EndpointLimits {
  connections: number
  headBytes: number
  headMs: number
  idleMs: number
  responseMs: number
}

/** `url`: an address that a person can open: `http://127.0.0.1:9117/metrics`, `unix:/run/daimyo/metrics.sock`. */
export interface MetricsEndpoint {
  url: string
  /** Closes the listener and every connection. */
  close(): Promise<void>
}

/**
 * `idleMs` is longer than the usual interval between two scrapes: otherwise the listener would close a connection while
 * the next scrape is on its way. `connections` is larger than the 96 requests that can wait for a password's check,
 * wait for a slot or have one.
 */
const LIMITS: EndpointLimits = { connections: 128, headBytes: 8192, headMs: 5000, idleMs: 75_000, responseMs: 15_000 }
const SOCKET_MODE = 0o660

/**
 * Listens. Fails with exit code 69 if the address is taken, 77 if it is not allowed, 78 if `auth` is not `user:hash` or
 * a socket's path is too long; the message names the option. A stale unix socket is replaced; the mode of the new one
 * is 0660.
 */
export async function startMetricsEndpoint(options: MetricsEndpointOptions): Promise<MetricsEndpoint> {
  const { address, passed = null, opener = null, log, remove } = options
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
      limitTime(request, response, limits.responseMs)
      const { socket } = request
      const isAlone = connections.begin(socket)
      response.once('close', () => connections.end(socket, response.writableFinished && response.statusCode === 200))
      if (!isAlone) return refuse(response, 'one request at a time\n')
      respond(request, response, { auth, slots, render: options.render }).catch(error => {
        log('metrics-failed', { why: reasonOf(error) })
        finish(response, 500, 'metrics are not available, the log says why\n')
      })
    },
  )
  const connections = new EndpointConnections(limits.connections)
  const slots = new ResponseSlots()
  server.on('connection', socket => connections.admit(socket))
  server.on('clientError', (error, socket) => {
    if (codeOf(error) === 'ERR_HTTP_REQUEST_TIMEOUT') endUnlessRead(socket as Socket, connections)
    else socket.destroy()
  })
  if (passed === null && address.kind === 'unix') await freePath(address.path, opener)
  await listen(server, address, passed, opener)
  // Later errors come from accept(2), for example no descriptor is left: the next connection may succeed.
  server.on('error', error => log('metrics-listener-error', { why: reasonOf(error) }))
  return {
    url: urlOf(server, passed === null ? address : passed.address),
    close: () => close(server, address, { opener, remove }),
  }
}

function readAuth(text: string): BasicAuth {
  try {
    return new BasicAuth(text)
  } catch (error) {
    throw new Failure('bad-metrics-auth', `cannot protect /metrics: metrics-auth=***: ${reasonOf(error)}`, EXIT.config)
  }
}

function limitTime(request: IncomingMessage, response: ServerResponse, responseMs: number): void {
  const deadline = setTimeout(() => request.socket.destroy(), responseMs)
  response.on('close', () => clearTimeout(deadline))
}

/**
 * Ends a connection whose head or body has not come in time. After a standstill of the process timers run before the
 * sockets are polled, and the whole head may lie there unread; `setImmediate` runs after the poll. A request that
 * begins by then has its own limit (`responseMs`).
 */
function endUnlessRead(socket: Socket, connections: EndpointConnections): void {
  if (connections.isAsking(socket)) return void socket.destroy()
  setImmediate(() => {
    if (!connections.isAsking(socket)) socket.destroy()
  })
}

interface ResponseParts {
  auth: BasicAuth | null
  slots: ResponseSlots
  render: MetricsEndpointOptions['render']
}

async function respond(request: IncomingMessage, response: ServerResponse, by: ResponseParts): Promise<void> {
  const path = request.url?.split('?', 1)[0]
  const address = request.socket.remoteAddress ?? ''
  const verdict = by.auth === null ? 'right' : await by.auth.check(request.headers.authorization, address)
  if (verdict === 'busy') return refuse(response, 'too many passwords are waiting to be checked\n')
  if (verdict === 'wrong') {
    return finish(response, 401, 'authentication required\n', {
      'www-authenticate': 'Basic realm="daimyo metrics", charset="UTF-8"',
    })
  }
  if (path !== '/metrics' && path !== '/') return finish(response, 404, 'not found: metrics are at /metrics\n')
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return finish(response, 405, 'only GET and HEAD\n', { allow: 'GET, HEAD' })
  }
  if (path === '/') return finish(response, 200, 'daimyo: metrics are at /metrics\n')
  const slot = await by.slots.enter(address)
  if (slot === null) return refuse(response, 'too many responses are under way\n')
  await send(response, slot, by.render)
}

/** Leaves the slot when the response has ended, or was never sent. */
async function send(response: ServerResponse, slot: ResponseSlot, render: ResponseParts['render']): Promise<void> {
  try {
    if (response.destroyed) return slot.leave()
    const page = await render()
    if (response.destroyed) return slot.leave()
    slot.send(deliveryOf(response), page.length)
    finish(response, 200, page, { 'content-type': EXPOSITION_TYPE })
  } catch (error) {
    slot.leave()
    throw error
  }
}

function deliveryOf(response: ServerResponse): Delivery {
  const { socket } = response.req
  return {
    get waitingBytes() {
      return queuedBytes(socket)
    },
    cut: () => socket.destroy(),
    whenOver: callback => void response.once('finish', callback).once('close', callback),
  }
}

/** Unsent bytes that libuv holds for the socket. The stream's own count falls only when a whole write is complete. */
function queuedBytes(socket: Socket): number {
  const { _handle } = socket as unknown as { _handle?: { writeQueueSize?: number } | null }
  return _handle?.writeQueueSize ?? socket.writableLength
}

function refuse(response: ServerResponse, why: string): void {
  finish(response, 503, why, { 'retry-after': '1' })
}

/**
 * Every response other than a 200 to a complete request also closes the connection, so that bytes that follow, such as
 * a body, are never read.
 */
function finish(response: ServerResponse, status: number, body: Page, headers: Record<string, string> = {}): void {
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
    if (passed !== null) return void server.listen({ fd: passed.fd }, MOST_BACKLOG)
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

/** Removes a stale socket; any other file stays. Adds the option's name to the failure of `freeSocketPath`. */
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

type CloseOptions = Pick<MetricsEndpointOptions, 'remove'> & { opener: Opener }

function close(server: Server, address: ListenAddress, options: CloseOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const closed = () => resolve()
    if (address.kind !== 'unix') server.close(closed)
    else closeUnix(server, address.path, options).then(closed, reject)
    server.closeAllConnections()
  })
}

/**
 * Closes the server and removes its file. The file stays if another thread keeps root from becoming that user in time:
 * the next start removes it.
 */
async function closeUnix(server: Server, path: string, { opener, remove }: CloseOptions): Promise<void> {
  if (openingOf(path, 'name', opener).as !== null && remove !== undefined) {
    // The server is not closed, because its close would remove the file: it stays until this process ends.
    server.unref().on('connection', socket => socket.destroy())
    return await remove(path)
  }
  if (!(await mayBecomeUserWithin(openingOf(path, 'name', opener).as, CLOSE_MS))) return
  await new Promise(resolve => onGuardedPath(path, 'name', opener, () => server.close(resolve)))
}
