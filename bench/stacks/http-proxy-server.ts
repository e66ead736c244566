/**
 * The program of the http-proxy stack: `node http-proxy-server.js PORT SOCKET…`. Started by `http-proxy.ts`, ended
 * by SIGTERM.
 */

import { Agent, createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'

/** The part of http-proxy that is used here: the package brings no types. */
interface HttpProxy {
  createProxyServer(options: { agent: Agent; xfwd: boolean }): {
    web(request: IncomingMessage, response: ServerResponse, options: { target: { socketPath: string } }): void
    on(event: 'error', listener: (error: Error, request: IncomingMessage, response: ServerResponse) => void): void
  }
}

const { createProxyServer }: HttpProxy = createRequire(import.meta.url)('http-proxy')
const [port, ...socketPaths] = process.argv.slice(2)
const targets = socketPaths.map(socketPath => ({ target: { socketPath } }))
const proxy = createProxyServer({ agent: new Agent({ keepAlive: true }), xfwd: true })

proxy.on('error', (error, _request, response) => {
  console.error(error)
  if (response.headersSent) response.destroy()
  else response.writeHead(502).end()
})

let turn = 0
const forward: RequestListener = (request, response) => {
  turn = (turn + 1) % targets.length
  const next = targets[turn]
  if (next === undefined) throw new Error('started without a worker socket')
  proxy.web(request, response, next)
}
createServer(forward).listen(Number(port), '127.0.0.1')
