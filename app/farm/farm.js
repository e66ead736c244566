/**
 * The bundled sample application: something to serve, to measure and to break. It knows nothing of the server that runs it;
 * `node app/farm/farm.js` runs it alone (PORT, default 3000; HOST, default 127.0.0.1: it has endpoints that block and crash it).
 *
 *     GET       /api/v1/_about          name and version, written once: the endpoint that benchmarks ask
 *     GET       /api/v1/_config         the settings of conf/farm.cfg, secrets masked
 *     GET       /api/v1/whoami          process, address and headers as they arrived here
 *     POST PUT  /api/v1/echo            the body back; ?discard=1 only counts it
 *     GET       /api/v1/sleep?ms=       answers later
 *     GET       /api/v1/burn?ms=        blocks the event loop
 *     GET       /api/v1/stream?bytes=   a body of any size
 *     GET       /api/v1/events?ms=      server-sent events
 *     GET       /api/v1/ws              WebSocket echo
 *     GET POST  /api/v1/crash           an error that nobody catches
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { BadParameter, preparedJson, sendJson } from './answers.js'
import { burn, crash, echo, sleep, stream, whoami } from './endpoints.js'
import { events, webSocketEcho, webSocketOnly } from './live.js'
import { EndpointUse, publishInfo } from './metrics.js'
import { maskSecrets, readSettings } from './settings.js'
import { siteFiles } from './site.js'

const name = 'farm'
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
const settings = readSettings(process.env.FARM_CONFIG || fileURLToPath(new URL('../../conf/farm.cfg', import.meta.url)))
const { limits } = settings
publishInfo(name, version)

const GET = ['GET', 'HEAD']
const WS_PATH = '/api/v1/ws'

/** `open`: the answer has no end of its own, so its duration says nothing. */
const routes = routeTable([
  { path: '/api/v1/_about', methods: GET, answer: preparedJson({ name, version }) },
  { path: '/api/v1/_config', methods: GET, answer: preparedJson(maskSecrets(settings)) },
  { path: '/api/v1/whoami', methods: GET, answer: whoami },
  { path: '/api/v1/echo', methods: ['POST', 'PUT'], answer: echo },
  { path: '/api/v1/sleep', methods: GET, answer: sleep(limits) },
  { path: '/api/v1/burn', methods: GET, answer: burn(limits) },
  { path: '/api/v1/stream', methods: GET, answer: stream(limits) },
  { path: '/api/v1/events', methods: ['GET'], answer: events(limits), open: true },
  { path: WS_PATH, methods: ['GET'], answer: webSocketOnly, open: true },
  { path: '/api/v1/crash', methods: ['GET', 'POST'], answer: crash, open: true },
])
const nowhere = new EndpointUse('unknown')

const server = createServer(answer)
const openWebSocket = webSocketEcho(limits)
server.on('upgrade', (request, socket, head) => {
  if (request.url.split('?', 1)[0] !== WS_PATH) return refuseUpgrade(socket)
  routes.get(WS_PATH).use.count()
  openWebSocket(request, socket, head)
})
server.listen(process.env.PORT ?? 3000, process.env.HOST ?? '127.0.0.1', () => {
  // A worker of daimyo prints no address: clients use the address of `http`.
  if (process.env.DAIMYO_SLOT !== undefined) return
  console.log(`farm ${version} listens on ${printAddress(server.address())}`)
})

/** A unix socket's address is its path. */
function printAddress(at) {
  if (typeof at === 'string') return at
  return `http://${at.family === 'IPv6' ? `[${at.address}]` : at.address}:${at.port}/`
}

function answer(request, response) {
  const startMs = performance.now()
  const mark = request.url.indexOf('?')
  const route = routes.get(mark === -1 ? request.url : request.url.slice(0, mark))
  if (route === undefined) return refuse(response, nowhere, 404, `no such endpoint: ${request.url}`)
  if (!route.methods.includes(request.method)) {
    const allow = route.methods.join(', ')
    return refuse(response, route.use, 405, `method ${request.method}: accepted is ${allow}`, { allow })
  }
  route.use.count()
  try {
    route.answer(request, response, mark === -1 ? '' : request.url.slice(mark + 1))
  } catch (error) {
    if (!(error instanceof BadParameter)) throw error
    sendJson(response, 400, { error: error.message })
  }
  if (route.open) return
  if (response.writableEnded) route.use.took(startMs)
  else response.once('close', () => route.use.took(startMs))
}

function refuse(response, use, status, error, headers) {
  use.count()
  sendJson(response, status, { error }, headers)
}

function refuseUpgrade(socket) {
  const text = `${JSON.stringify({ error: `an upgrade is accepted at ${WS_PATH} only` })}\n`
  socket.on('error', () => {}) // ECONNRESET: whoever asked is gone
  socket.end(
    `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\nconnection: close\r\n\r\n${text}`,
  )
}

/** Path → route. The files of the site count as one endpoint. */
function routeTable(endpoints) {
  const site = new EndpointUse('site')
  const table = new Map(siteFiles().map(([path, answer]) => [path, { methods: GET, answer, open: false, use: site }]))
  for (const { path, methods, answer, open = false } of endpoints) {
    table.set(path, { methods, answer, open, use: new EndpointUse(path.slice('/api/v1/'.length)) })
  }
  return table
}
