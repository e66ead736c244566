/**
 * HAProxy in front, which passes TCP on and names its clients by the PROXY protocol: the application, the access log and the limit of connections know
 * them. Who comes without HAProxy, from an address that is not trusted, names nobody; who is trusted and sends no header is cut off.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type NetConnectOpts } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { request } from '../proxy/fixtures/raw-client.js'
import { scratchFolder } from '../supervisor/fixtures/scratch-folder.js'
import { skipWithout } from './fixtures/asking.js'
import { scrape, sumOf } from './fixtures/metrics-page.js'
import { type Serving, until, WatchedSite } from './fixtures/watched-site.js'

const WHO_ASKS = `
require('node:http').createServer(({ socket, headers }, response) => {
  response.end(JSON.stringify([socket.remoteAddress, socket.remotePort, headers['x-forwarded-for']]))
}).listen(3000)
`
const LINES = ['http-enable-proxy-protocol = true', 'trusted-proxies = 127.0.0.1', 'metrics = 127.0.0.1:0']
const CLIENT = '127.0.0.7'
const ASKED = request('GET', '/', ['Connection: close'])

/** What comes until the server closes, and the port of the client. */
async function exchange(to: NetConnectOpts, bytes: string): Promise<{ text: string; port: number }> {
  const socket = connect(to)
  await once(socket, 'connect')
  const port = socket.localPort ?? 0
  socket.on('error', () => {})
  socket.write(bytes, 'latin1')
  let text = ''
  socket.setEncoding('latin1').on('data', piece => {
    text += piece
  })
  await once(socket, 'close')
  return { text, port }
}

function portOf(running: Serving): number {
  return Number(new URL(running.url).port)
}

function linesOf(running: Serving, address: string, status: number): number {
  const lines = running.out().split('\n')
  return lines.filter(line => line.startsWith(`${address} - - [`) && line.includes(`" ${status} `)).length
}

/** A listening socket, which HAProxy inherits. */
async function listening() {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle
  return { server, fd, port: (server.address() as AddressInfo).port }
}

t.test('through HAProxy', await skipWithout('haproxy', 'haproxy'), async t => {
  const site = new WatchedSite(t, LINES, { app: WHO_ASKS })
  const running = await site.serve()
  const folder = scratchFolder(t)
  const [one, two, http] = [await listening(), await listening(), await listening()]
  const to = `server site 127.0.0.1:${portOf(running)}`
  writeFileSync(
    join(folder, 'haproxy.cfg'),
    `defaults
  mode tcp
  timeout connect 30s
  timeout client 60s
  timeout server 60s
listen one
  bind fd@3
  ${to} send-proxy
listen two
  bind fd@4
  option httpchk GET /health
  ${to} send-proxy-v2 check inter 100ms
listen http
  mode http
  bind fd@5
  option forwardfor
  ${to} send-proxy-v2
listen unix
  bind unix@${join(folder, 'front.sock')}
  ${to} send-proxy
`,
  )
  const haproxy = spawn('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], {
    stdio: ['ignore', 'pipe', 'pipe', one.fd, two.fd, http.fd],
  })
  let said = ''
  for (const stream of [haproxy.stdout, haproxy.stderr]) {
    stream?.on('data', piece => {
      said += String(piece)
    })
  }
  t.teardown(async () => {
    haproxy.kill('SIGKILL')
    if (haproxy.exitCode === null && haproxy.signalCode === null) await once(haproxy, 'exit')
  })
  for (const { server } of [one, two, http]) server.close()

  for (const [title, { port }] of Object.entries({ one, two, http })) {
    const asked = await exchange({ port, host: '127.0.0.1', localAddress: CLIENT }, ASKED)
    t.match(asked.text, JSON.stringify([CLIENT, asked.port, CLIENT]), `${title}: ${said}`)
  }
  const forged = request('GET', '/', ['X-Forwarded-For: 6.6.6.6', 'Connection: close'])
  const unix = await exchange({ path: join(folder, 'front.sock') }, forged)
  t.match(unix.text, /\["127\.0\.0\.1",\d+,"127\.0\.0\.1"\]$/, 'a client that HAProxy cannot name is not believed')
  await until('the lines are written', () => linesOf(running, CLIENT, 200) === 3)
  await until('HAProxy has looked after us', () => running.out().includes('"GET /health HTTP/1.0" 200'))
  t.equal(await sumOf(await scrape(running.metricsUrl), 'daimyo_refused_requests_total'), null, said)
})

t.test('by hand', async t => {
  const lines = [...LINES, 'http-connections-per-address = 1']
  const site = new WatchedSite(t, lines, { app: WHO_ASKS })
  const running = await site.serve()
  const port = portOf(running)
  const trusted = { port, host: '127.0.0.1', localAddress: '127.0.0.1' }
  const named = (address: string) => `PROXY TCP4 ${address} 127.0.0.1 7 80\r\n`

  await t.test('trust is what decides', async t => {
    t.match((await exchange(trusted, named('192.0.2.7') + ASKED)).text, /\["192\.0\.2\.7",7,"192\.0\.2\.7"\]$/)
    t.equal((await exchange(trusted, ASKED)).text, '', 'without a header nothing is said')
    const stranger = { ...trusted, localAddress: CLIENT }
    t.match((await exchange(stranger, named('192.0.2.7') + ASKED)).text, /^HTTP\/1\.1 400 /)
    // The connection of the 400 may still linger, and an address has one.
    await until('the place is free', async () => (await exchange(stranger, ASKED)).text.includes(`["${CLIENT}",`))
    await until('the lines are written', () => linesOf(running, CLIENT, 200) === 1)
    t.equal(linesOf(running, '192.0.2.7', 200), 1)
    t.equal(linesOf(running, CLIENT, 400), 1)
    t.equal(linesOf(running, '127.0.0.1', 400), 1)
    await until('the refusal is counted', async () => {
      const page = await scrape(running.metricsUrl)
      return sumOf(page, 'daimyo_refused_requests_total', 'reason="bad-proxy-header"') === 1
    })
  })

  await t.test('a client has a limit of connections, and its proxy has none', async t => {
    const held = []
    for (const address of ['192.0.2.1', '192.0.2.2']) {
      const socket = connect(trusted)
      socket.write(named(address) + request('GET', '/'))
      const [first] = await once(socket, 'data')
      t.match(String(first), /^HTTP\/1\.1 200 /, address)
      held.push(socket)
    }
    t.match((await exchange(trusted, named('192.0.2.1') + ASKED)).text, /^HTTP\/1\.1 503 /)
    for (const socket of held) socket.destroy()
    await until('the place is free', async () => {
      const { text } = await exchange(trusted, named('192.0.2.1') + ASKED)
      return text.startsWith('HTTP/1.1 200 ')
    })
  })

  await t.test('a reload takes the header from new connections, and not from old ones', async t => {
    const old = connect(trusted)
    old.write(named('192.0.2.9') + request('GET', '/'))
    await once(old, 'data')
    site.writeIni(lines.filter(line => !line.startsWith('http-enable-proxy')))
    t.match(await site.run('reload', site.ini), { code: 0 })
    t.match((await exchange(trusted, ASKED)).text, /\["127\.0\.0\.1",/)
    t.match((await exchange(trusted, named('192.0.2.7') + ASKED)).text, /^HTTP\/1\.1 400 /)
    old.write(request('GET', '/'))
    const [again] = await once(old, 'data')
    t.match(String(again), /\["192\.0\.2\.9",7,/)
    old.destroy()
  })
  t.match(await site.end(running), { code: 0 })
})
