/**
 * Storms of clients that come and go, reset their connections or keep them half open in every state of a request: the others do not notice, and nothing is left of
 * them: no connection, no descriptor, no request in a worker, no memory, and each request was counted and logged once.
 */

import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { request } from '../proxy/fixtures/raw-client.js'
import { ask } from './fixtures/asking.js'
import { scrape, sumOf } from './fixtures/metrics-page.js'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

const clients = 100
/** The first one fills what is kept once: caches, pools, code. */
const rounds = 3
/** An application is told at once that a client has gone. */
const learnsMs = 1000 * timeFactor
/** Between the first round and the last: a connection that is not let go takes some kilobytes. */
const mostGrownBytes = 60_000_000

/** `/held` and handshakes are never answered, `/large` is, with more than the kernel takes; `/left`: how many clients `/held` has had, and how many have gone. */
const app = `
const large = Buffer.alloc(20000000, 'rice ')
let [held, left] = [0, 0]
require('node:http').createServer((request, response) => {
  if (request.url === '/held') held++, response.on('close', () => left++)
  if (request.url === '/large') response.end(large)
  else if (request.url === '/left') response.end(held + ' ' + left)
  else if (request.url !== '/held') request.on('end', () => response.end('done')).resume()
}).on('upgrade', (request, socket) => socket.on('error', () => {}).on('end', () => socket.end()).resume()).listen(3000)
`

const half = 'GET / HTTP/1.1\r\nHo'
const halfBody = `${request('POST', '/', ['Content-Length: 100000'])}${'x'.repeat(1000)}`
const halfChunks = `${request('POST', '/', ['Transfer-Encoding: chunked'])}3e8\r\n${'x'.repeat(900)}`
const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AA==']

const reset = (socket: Socket) => void socket.resetAndDestroy()
const close = (socket: Socket) => void socket.destroy()
/** Says that it will send no more, and waits for the end of the other side. */
const endHalf = (socket: Socket) => void socket.end()
const resetInAnswer = (socket: Socket) => void socket.once('data', () => socket.resetAndDestroy())

const storms: [title: string, bytes: string, end: (socket: Socket) => void][] = [
  ['close at once', '', close],
  ['reset at once', '', reset],
  ['close in a head', half, close],
  ['reset in a head', half, reset],
  ['reset behind a request', request('GET', '/'), reset],
  ['reset behind many requests', request('GET', '/').repeat(20), reset],
  ['reset while it is answered', request('GET', '/held'), reset],
  ['reset in an answer', request('GET', '/large'), resetInAnswer],
  ['reset in a body', halfBody, reset],
  ['close in a body', halfBody, close],
  ['reset in chunks', halfChunks, reset],
  ['reset in a handshake', request('GET', '/ws', upgrade), reset],
  ['end one half at once', '', endHalf],
  ['end one half in a head', half, endHalf],
  ['end one half behind a request', request('GET', '/'), endHalf],
  ['end one half while it is answered', request('GET', '/held'), endHalf],
  ['end one half in a body', halfBody, endHalf],
  ['end one half in chunks', halfChunks, endHalf],
  ['end one half in a handshake', request('GET', '/ws', upgrade), endHalf],
]

/** Resolves when the connection is over for both sides. */
async function blow(port: number, bytes: string, end: (socket: Socket) => void): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  const closed = new Promise(resolve => socket.on('error', () => {}).on('close', resolve))
  await once(socket, 'connect')
  if (end !== resetInAnswer) socket.resume()
  socket.on('end', () => socket.end())
  if (bytes === '') end(socket)
  else socket.write(bytes, 'latin1', () => end(socket))
  await closed
}

function residentBytes(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0)
}

function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

t.test(`${storms.length} storms of ${clients} clients, ${rounds} times`, async t => {
  const site = new WatchedSite(t, ['metrics = 127.0.0.1:0', 'http-header-timeout = 60'], { app })
  const running = await site.serve()
  const port = Number(new URL(running.url).port)
  const pid = (await site.status()).proxies[0]?.pid ?? 0
  const [fewest, grown] = [descriptors(pid), [] as number[]]
  const steady = new SteadyClient(t, running.url, 20, () => ({ path: '/' }))
  const inFlight = async () => (await site.status()).workers.reduce((sum, worker) => sum + worker.inFlight, 0)
  for (let round = 0; round < rounds; round++) {
    for (const [title, bytes, end] of storms) {
      await Promise.all(Array.from({ length: clients }, () => blow(port, bytes, end)))
      await until(`${title}: it is over`, () => descriptors(pid) - steady.connections < fewest + clients / 10)
    }
    grown.push(residentBytes(pid))
  }
  t.same(failuresAmong(await steady.stop()), [], 'nobody else has noticed')
  await until('nothing is in flight', async () => (await inFlight()) === 0)
  const connections = async () => sumOf(await scrape(running.metricsUrl), 'daimyo_client_connections', '')
  await until('no connection is counted', async () => (await connections()) === 0)
  const [first = 0, last = 0] = [grown[0], grown.at(-1)]
  t.ok(last - first < mostGrownBytes, `${grown.map(bytes => Math.round(bytes / 1e6)).join(', ')} MB`)
  const lines = () => running.out().match(/ HTTP\/1\.[01]" \d{3} /g)?.length ?? 0
  const counted = async () => sumOf(await scrape(running.metricsUrl), 'daimyo_requests_total')
  await until('as many requests are counted as logged', async () => (await counted()) === lines())
  t.ok(lines() > rounds * clients * 5, `${lines()} requests`)
  t.match(await site.end(running), { code: 0 })
})

t.test('an application learns of a client that has gone', async t => {
  const site = new WatchedSite(t, ['processes = 1'], { app })
  const running = await site.serve()
  const port = Number(new URL(running.url).port)
  const ends: [title: string, end: (socket: Socket) => void][] = [
    ['reset', reset],
    ['closed', close],
    ['ended', endHalf],
  ]
  let left = 0
  for (const [title, end] of ends) {
    let fastestMs = Number.POSITIVE_INFINITY
    for (let attempt = 0; attempt < 3; attempt++) {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      socket
        .on('error', () => {})
        .on('end', () => socket.end())
        .resume()
      socket.write(request('GET', '/held'))
      await until(`${title}: it is there`, async () => (await ask(running.url, '/left')).body === `${left + 1} ${left}`)
      const startMs = performance.now()
      end(socket)
      left += 1
      await until(`${title}: it is told`, async () => (await ask(running.url, '/left')).body === `${left} ${left}`)
      fastestMs = Math.min(fastestMs, performance.now() - startMs)
    }
    t.ok(fastestMs < learnsMs, `${title}: told within ${fastestMs.toFixed(0)} ms`)
  }
  t.match(await site.end(running), { code: 0 })
})
