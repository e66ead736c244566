/**
 * The undocumented parts of `node:http` that are needed for a request that does not come from Node's own parser.
 * Everything that a Node version could change is here, and a test covers it on each version.
 *
 * Source: lib/_http_server.js (parserOnIncoming, resOnFinish, socketOnDrain) and lib/_http_outgoing.js of Node 20 to
 * 26.
 */

import { createServer, IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { WireRequest } from '../../../kit/link/frames.js'
import { showLoopbackAddress } from '../listen/own-site.js'
import type { VirtualSocket } from './virtual-socket.js'

interface RequestDoors {
  _addHeaderLines(rawHeaders: string[], count: number): void
  _consuming: boolean
  _dump(): void
  joinDuplicateHeaders: boolean
}

interface ResponseDoors {
  _closed: boolean
  _expect_continue: boolean
  _header: string | null
  _last: boolean
  destroyed: boolean
}

type RequestClass = new (socket: Socket) => IncomingMessage
type ResponseClass = new (request: IncomingMessage, options: ResponseOptions) => ServerResponse

interface ResponseOptions {
  rejectNonStandardBodyWrites: boolean | undefined
}

/** lib/net.js counts connections here, and tells a closed server when the last one ends. */
interface ServerDoors extends ResponseOptions {
  _connections: number
  _emitCloseIfDrained?: () => void
}

/**
 * Listeners to `connection` that are meant for sockets of the kernel: Node's, which reads requests from them
 * (`connectionListener` in lib/_http_server.js), and ours.
 */
const KERNELS_LISTENERS = new Set<unknown>([...createServer().rawListeners('connection'), showLoopbackAddress])

/**
 * Makes and ends requests as the server of an application would: with its own message classes, if it was given some.
 */
export class NodeInternals {
  readonly #Request: RequestClass
  readonly #Response: ResponseClass
  readonly #joinDuplicateHeaders: boolean
  readonly #needDrain: symbol | undefined
  readonly #responseOptions: ResponseOptions
  readonly #server: Server & ServerDoors
  /** The number of listeners to `connection` while the application has none. */
  readonly #kernelsListeners: number

  constructor(server: Server) {
    this.#Request = classOption(server, 'IncomingMessage') ?? IncomingMessage
    this.#Response = classOption(server, 'ServerResponse') ?? ServerResponse
    this.#joinDuplicateHeaders = (server as unknown as RequestDoors).joinDuplicateHeaders === true
    this.#needDrain = symbolNamed(new ServerResponse(new IncomingMessage(null as unknown as Socket)), 'kNeedDrain')
    this.#server = server as Server & ServerDoors
    this.#kernelsListeners = server.rawListeners('connection').filter(each => KERNELS_LISTENERS.has(each)).length
    this.#responseOptions = { rejectNonStandardBodyWrites: this.#server.rejectNonStandardBodyWrites }
  }

  createRequest(socket: VirtualSocket, wire: WireRequest, http10: boolean): IncomingMessage {
    const request = new this.#Request(socket as unknown as Socket)
    request.httpVersion = http10 ? '1.0' : '1.1'
    request.httpVersionMajor = 1
    request.httpVersionMinor = http10 ? 0 : 1
    request.method = wire.method
    request.url = wire.target
    const doors = request as unknown as RequestDoors
    if (this.#joinDuplicateHeaders) doors.joinDuplicateHeaders = true
    doors._addHeaderLines(wire.rawHeaders, wire.rawHeaders.length)
    return request
  }

  createResponse(request: IncomingMessage): ServerResponse {
    return new this.#Response(request, this.#responseOptions)
  }

  /**
   * A request counts as a connection of the server until its response is complete, so that `close` of the server waits
   * for it.
   */
  countRequest(): void {
    this.#server._connections += 1
  }

  /** A closed server may call back now, and the application may end at once: its response is written before. */
  uncountRequest(flush: () => void): void {
    this.#server._connections -= 1
    if (this.#server.listening) return
    flush()
    this.#server._emitCloseIfDrained?.()
  }

  /**
   * Each request has a socket of its own. Code that follows the connections of the server, such as libraries that end
   * it, gets this socket.
   */
  tellConnection(socket: VirtualSocket): void {
    if (this.#server.listenerCount('connection') === this.#kernelsListeners) return
    for (const listener of this.#server.rawListeners('connection'))
      if (!KERNELS_LISTENERS.has(listener)) listener.call(this.#server, socket)
  }

  /** Tells a response whose write returned false that it may go on. */
  drain(response: ServerResponse): void {
    if (!response.writableNeedDrain) return
    if (this.#needDrain) (response as unknown as Record<symbol, boolean>)[this.#needDrain] = false
    response.emit('drain')
  }
}

/**
 * A connection that another server accepted counts as a connection of this server, whose `close` then waits for it.
 * Source: lib/net.js.
 */
export function adoptConnection(socket: Socket, server: Server): void {
  const its = socket as unknown as { _server: ServerDoors | null }
  if (its._server === null) return
  its._server._connections -= 1
  its._server = server as Server & ServerDoors
  its._server._connections += 1
}

/** The request body is complete; `trailers` are names and values in turn. */
export function completeRequest(request: IncomingMessage, trailers: string[]): void {
  request.complete = true
  // Node adds lines to a complete message as trailers.
  if (trailers.length > 0) (request as unknown as RequestDoors)._addHeaderLines(trailers, trailers.length)
  request.push(null)
}

export function assignSocket(response: ServerResponse, socket: VirtualSocket): void {
  response.assignSocket(socket as unknown as Socket)
}

export function detachSocket(response: ServerResponse, socket: VirtualSocket): void {
  response.detachSocket(socket as unknown as Socket)
}

/** Drops the rest of a body if nothing has begun to read it. */
export function dumpUnread(request: IncomingMessage): void {
  const doors = request as unknown as RequestDoors
  if (!doors._consuming) doors._dump()
}

/**
 * Runs the ticks and microtasks that are due. Source: `runNextTicks` in lib/internal/process/task_queues.js of Node 20
 * to 26. Without it they run later.
 */
export function runTicks(): void {
  const { _tickCallback } = process as unknown as { _tickCallback?: () => void }
  _tickCallback?.()
}

/**
 * The application has begun to read the body, or is about to: a stream that was told to flow does so from the next tick
 * on.
 */
export function isConsumed(request: IncomingMessage): boolean {
  const { _consuming } = request as unknown as RequestDoors
  if (request.destroyed) return false
  return _consuming || request.readableFlowing === true || request.listenerCount('readable') > 0
}

/**
 * A response before `writeContinue` will end the connection: it is not known whether the body still comes. Source:
 * `_storeHeader` in lib/_http_outgoing.js.
 */
export function expectContinue(response: ServerResponse): void {
  ;(response as unknown as ResponseDoors)._expect_continue = true
}

export function emitClose(response: ServerResponse): void {
  const doors = response as unknown as ResponseDoors
  if (doors._closed) return
  doors.destroyed = true
  doors._closed = true
  response.emit('close')
}

/** The response ends the client's connection: the application said so, or nothing else marks its end. */
export function closesConnection(response: ServerResponse): boolean {
  return (response as unknown as ResponseDoors)._last || !response.shouldKeepAlive
}

/** The head as Node printed it. Only after it was made. */
export function printedHead(response: ServerResponse): string {
  return String((response as unknown as ResponseDoors)._header)
}

/**
 * A class given to `http.createServer({ IncomingMessage, ServerResponse })`, which Node keeps under a private symbol.
 */
function classOption<Class>(server: Server, name: string): Class | undefined {
  const symbol = symbolNamed(server, name)
  return symbol && (server as unknown as Record<symbol, Class>)[symbol]
}

function symbolNamed(object: object, name: string): symbol | undefined {
  for (let from: object | null = object; from !== null; from = Object.getPrototypeOf(from)) {
    const found = Object.getOwnPropertySymbols(from).find(symbol => symbol.description === name)
    if (found) return found
  }
  return undefined
}

/** The error that destroys a request whose client is gone. */
export function resetError(): NodeJS.ErrnoException {
  return Object.assign(new Error('aborted'), { code: 'ECONNRESET' })
}
