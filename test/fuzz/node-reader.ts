/**
 * How `node:http` reads a client's bytes: a real, strict `http.Server` over connections in memory. Used by the test that
 * compares our parser with it, and by the fuzzing program.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'
import type { BodyReading } from './request-reading.js'

export interface NodeRequest extends BodyReading {
  method: string
  target: string
  httpMinor: number
  rawHeaders: string[]
  keepAlive: boolean
}

/** `refusal`: the parser's code for the first thing that it did not take. */
export interface NodeReading {
  requests: NodeRequest[]
  refusal: string | null
}

export class NodeReader {
  readonly #server: Server
  readonly #readings = new WeakMap<Duplex, NodeReading>()

  constructor() {
    const take = (request: IncomingMessage, response: ServerResponse): void => this.#take(request, response)
    this.#server = createServer({ insecureHTTPParser: false, maxHeaderSize: 1024 * 1024 }, take)
    this.#server.maxHeadersCount = 0
    this.#server.on('checkContinue', take)
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const reading = this.#readings.get(socket)
      // The connection stays until all was read: what came before the refusal is still on its way.
      if (reading) reading.refusal ??= error.code ?? error.message
    })
  }

  /** What Node makes of `input` (latin1). A connection in memory has no end of its own: it is over when all was taken. */
  async read(input: string): Promise<NodeReading> {
    const reading: NodeReading = { requests: [], refusal: null }
    const connection = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() })
    this.#readings.set(connection, reading)
    this.#server.emit('connection', connection)
    connection.push(Buffer.from(input, 'latin1'))
    // Streams in memory go on by process.nextTick alone, all of which run before the next turn.
    await new Promise(resolve => setImmediate(resolve))
    for (const request of reading.requests) request.refused = !request.complete && reading.refusal !== null
    connection.destroy()
    return reading
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const taken: NodeRequest = {
      method: request.method ?? '',
      target: request.url ?? '',
      httpMinor: request.httpVersionMinor,
      rawHeaders: request.rawHeaders,
      keepAlive: response.shouldKeepAlive,
      body: '',
      trailers: [],
      complete: false,
      refused: false,
    }
    this.#readings.get(request.socket)?.requests.push(taken)
    request.on('data', (data: Buffer) => {
      taken.body += data.toString('latin1')
    })
    request.on('error', () => {
      // ECONNRESET, when the connection goes while a body is under way.
    })
    request.on('end', () => {
      taken.complete = true
      taken.trailers = request.rawTrailers
      response.end()
    })
  }
}
