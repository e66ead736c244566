/**
 * While reloads loop, some 500 requests a second on kept connections, slow readers and 200 WebSockets see no failure; the same with one worker,
 * and with workers that are replaced after 50 requests under 100 connections. `RELOADS_FOR_MS` makes each last longer than the 4 seconds of the suite.
 */

import { once, setMaxListeners } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { failuresAmong, type NextRequest, SteadyClient } from './fixtures/steady-client.js'
import { timeFactor, WatchedSite } from './fixtures/watched-site.js'

const lastsMs = Number(process.env.RELOADS_FOR_MS ?? 4000)
/** Beyond that time if need be. */
const leastReloads = 3
const leastRequests = lastsMs / 10
const webSockets = 200
const slowReaders = 4
const bigBytes = 4 * 1024 ** 2
/** What a slow reader takes at a time, and how often: an answer lasts some seconds, over one reload or several. */
const gulpBytes = 64 * 1024
const gulpMs = 50

/** Answers, echoes, sends a big body, and accepts WebSockets that only listen. */
const application = `
const { createServer } = require('node:http')
const { createHash } = require('node:crypto')
const big = Buffer.alloc(${bigBytes}, 'grain ')
const server = createServer((request, response) => {
  if (request.url === '/big') return response.end(big)
  let body = ''
  request.on('data', chunk => { body += chunk })
  request.on('end', () => setTimeout(() => response.end(request.url + body), request.url.endsWith('0') ? 30 : 0))
})
server.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
  const accept = createHash('sha1').update(key).digest('base64')
  socket.on('error', () => {})
  socket.on('data', () => socket.end())
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n')
})
server.listen(3000)
`

t.setTimeout((3 * lastsMs + 120_000) * timeFactor)

const next: NextRequest = number =>
  number % 5 === 0 ? { method: 'POST', path: `/${number}`, body: `rice ${number}` } : { path: `/${number}` }

for (const processes of [2, 1]) {
  t.test(`${processes} worker(s), reloads in a loop`, async t => {
    const site = new WatchedSite(t, [`processes = ${processes}`, 'disable-logging = true', 'ws-mercy = 3'], {
      app: application,
    })
    const running = await site.serve()
    const startMs = performance.now()
    const end = new AbortController()
    setMaxListeners(webSockets, end.signal)
    const clients = [1, 2, 3].map(() => new SteadyClient(t, running.url, 4, next))
    const slow = Array.from({ length: slowReaders }, () => readSlowly(running.url, end.signal))
    const sockets = Array.from({ length: webSockets }, () => stayOpen(running.url, end.signal))
    let reloads = 0
    const answered = () => clients.reduce((count, { replies }) => count + replies.length, 0)
    while (performance.now() < startMs + lastsMs || reloads < leastReloads || answered() <= leastRequests) {
      const { code, err } = await site.run('reload', site.ini)
      if (code !== 0) t.fail(`reload: ${err}`)
      reloads++
    }
    const seconds = (performance.now() - startMs) / 1000
    end.abort()
    const replies = (await Promise.all(clients.map(client => client.stop()))).flat()
    const read = await Promise.all(slow)
    const tunnels = await Promise.all(sockets)
    t.comment(
      `${reloads} reloads, ${Math.round(replies.length / seconds)} requests/s, ${read.flat().length} slow reads, ${sum(tunnels)} WebSockets`,
    )
    t.same(failuresAmong(replies), [], `no request failed of ${replies.length}`)
    t.ok(
      replies.every(({ number, body }) => body === `/${number}${next(number).body ?? ''}`),
      'all answers are whole',
    )
    t.ok(replies.length > leastRequests, 'there were requests')
    t.same(
      read.flat().filter(outcome => outcome !== 'whole'),
      [],
      'no slow reader was cut off',
    )
    t.ok(read.every(outcomes => outcomes.length > 0))
    t.same(
      tunnels.flatMap(({ failures }) => failures),
      [],
      'every WebSocket was opened, and ended with 1012 where it ended',
    )
    await site.untilReady()
    t.match(await site.end(running), { code: 0 })
  })
}

t.test('max-requests = 50 at 100 connections', async t => {
  const site = new WatchedSite(t, ['processes = 2', 'disable-logging = true', 'max-requests = 50'], {
    app: application,
  })
  const running = await site.serve()
  const endMs = performance.now() + lastsMs
  const outcomes = (await Promise.all(Array.from({ length: 100 }, () => askInTurn(running.url, endMs)))).flat()
  t.comment(`${outcomes.length} requests, ${running.out().match(/ why=max-requests /g)?.length} lines of replacements`)
  t.same(
    outcomes.filter(outcome => outcome !== 'ok'),
    [],
    'no request failed',
  )
  t.ok(outcomes.length > 1000)
  t.match(running.out(), / worker-exit .*why=max-requests/)
  await site.untilReady()
  t.match(await site.end(running), { code: 0 })
})

function sum(tunnels: { opened: number }[]): number {
  return tunnels.reduce((all, { opened }) => all + opened, 0)
}

/** Reads big answers one after the other, slowly, each on a connection of its own. */
async function readSlowly(url: string, end: AbortSignal): Promise<string[]> {
  const outcomes: string[] = []
  while (!end.aborted) outcomes.push(await readOneSlowly(url))
  return outcomes
}

async function readOneSlowly(url: string): Promise<string> {
  const socket = open(url)
  socket.write('GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  let bytes = 0
  let head = ''
  const timer = setInterval(() => {
    for (let taken = 0; taken < gulpBytes; ) {
      const chunk = socket.read() as Buffer | null
      if (chunk === null) return
      if (head === '') head = chunk.toString('latin1', 0, chunk.indexOf('\r\n\r\n') + 4)
      taken += chunk.length
      bytes += chunk.length
    }
  }, gulpMs)
  try {
    await once(socket, 'end', { signal: AbortSignal.timeout(60_000 * timeFactor) })
  } catch (error) {
    return `${error} after ${bytes} bytes`
  } finally {
    clearInterval(timer)
    socket.destroy()
  }
  return head.startsWith('HTTP/1.1 200 ') && bytes === head.length + bigBytes ? 'whole' : `${bytes} bytes: ${head}`
}

/** Keeps one WebSocket open; one that is told to come back does so at once, as browsers' libraries do. */
async function stayOpen(url: string, end: AbortSignal): Promise<{ opened: number; failures: string[] }> {
  const outcome = { opened: 0, failures: [] as string[] }
  while (!end.aborted) {
    const why = await openOnce(url, end, () => outcome.opened++)
    if (why !== null) outcome.failures.push(why)
  }
  return outcome
}

const handshake = [
  'GET /ws HTTP/1.1',
  'Host: a',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
].join('\r\n')

/** Resolves when it ends, or all shall, with what was wrong about it. */
function openOnce(url: string, end: AbortSignal, opened: () => void): Promise<string | null> {
  const socket = open(url)
  socket.write(`${handshake}\r\n\r\n`)
  return new Promise(resolve => {
    let isOpen = false
    let isTold = false
    const over = (why: string | null) => {
      clearTimeout(timer)
      end.removeEventListener('abort', leave)
      socket.destroy()
      resolve(why)
    }
    const leave = () => isOpen && over(null)
    const timer = setTimeout(() => isOpen || over('no handshake'), 5000 * timeFactor)
    end.addEventListener('abort', leave)
    socket.on('data', (bytes: Buffer) => {
      if (isOpen) {
        isTold ||= bytes[0] === 0x88 && bytes.readUInt16BE(2) === 1012
        // Masked with zeros.
        socket.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf4]))
        return
      }
      isOpen = bytes.toString('latin1').startsWith('HTTP/1.1 101 ')
      if (!isOpen) return over(`no tunnel: ${bytes.toString('latin1', 0, 60)}`)
      opened()
      if (end.aborted) over(null)
    })
    socket.on('error', error => over(isTold ? null : String(error)))
    socket.on('close', () => over(isTold ? null : 'it ended without a goodbye'))
  })
}

/** One kept connection that asks again as soon as it has its answer, and a new one where an answer ends it. */
async function askInTurn(url: string, endMs: number): Promise<string[]> {
  const outcomes: string[] = []
  while (performance.now() < endMs) {
    const ofConnection = await askOnOneConnection(url, endMs)
    outcomes.push(...ofConnection)
    if (ofConnection.some(outcome => outcome !== 'ok')) break
  }
  return outcomes
}

/** Ends where an answer says so, as behind `http-keepalive-requests`. */
async function askOnOneConnection(url: string, endMs: number): Promise<string[]> {
  const socket = open(url)
  const outcomes: string[] = []
  let received = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text
    socket.emit('more')
  })
  while (performance.now() < endMs) {
    socket.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n')
    try {
      while (!received.endsWith('\r\n\r\n/1')) await once(socket, 'more', { signal: AbortSignal.timeout(30_000) })
    } catch (error) {
      socket.destroy()
      return [...outcomes, `${error}: ${received}`]
    }
    outcomes.push(received.startsWith('HTTP/1.1 200 ') ? 'ok' : received)
    if (/^connection: close\r$/im.test(received)) break
    received = ''
  }
  socket.destroy()
  return outcomes
}

function open(url: string): Socket {
  const { hostname, port } = new URL(url)
  return connect({ host: hostname, port: Number(port) })
}
