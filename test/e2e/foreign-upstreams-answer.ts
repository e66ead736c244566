/** Paths of `http-to` are answered by servers that daimyo did not start; their deaths and restarts fail no GET. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { scratchFolder } from '../supervisor/fixtures/scratch-folder.js'
import { ask } from './fixtures/asking.js'
import { scrape, sumOf } from './fixtures/metrics-page.js'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

/** A node:http server with a WebSocket by hand; its first argument is where it listens, its second what it is called. */
const program = `
const { createServer } = require('node:http')
const [, , where, name] = process.argv
const server = createServer((request, response) => {
  let length = 0
  request.on('data', chunk => { length += chunk.length })
  request.on('end', () => response.end(JSON.stringify({ name, url: request.url, length, fields: request.headers })))
})
server.on('upgrade', (request, socket) => {
  const key = require('node:crypto').createHash('sha1')
  const accept = key.update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\nSec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n')
  socket.end(Buffer.from([0x81, 5, ...Buffer.from('hello')]))
})
server.listen(Number(where) || where, () => process.stdout.write('listening'))
`

/** A server in a process of its own, at a port or a path. */
class Foreign {
  readonly #file: string
  readonly name: string
  readonly where: string
  #child: ChildProcess | null = null

  constructor(t: Test, folder: string, name: string, where: string) {
    this.#file = join(folder, `${name}.cjs`)
    this.name = name
    this.where = where
    writeFileSync(this.#file, `require('node:fs').rmSync(process.argv[2], { force: true })\n${program}`)
    t.teardown(() => this.kill())
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, [this.#file, this.where, this.name], {
      env: {},
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#child = child
    await once(child.stdout, 'data')
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null || !child.kill('SIGKILL')) return
    await once(child, 'exit')
  }
}

async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? String(address.port) : ''
}

t.test('by TCP and unix socket, through kills and restarts', async t => {
  const folder = scratchFolder(t)
  const tcp = new Foreign(t, folder, 'tcp', await freePort())
  const unix = new Foreign(t, folder, 'unix', join(folder, 'up.sock'))
  await Promise.all([tcp.start(), unix.start()])
  const lines = [
    `http-to = /legacy=http://127.0.0.1:${tcp.where},http://unix:${unix.where}:`,
    'http-gracetime = 500ms',
    'metrics = 127.0.0.1:0',
    'mount = /app',
  ]
  const app = "require('node:http').createServer((_, response) => response.end('application')).listen(3000)\n"
  const site = new WatchedSite(t, lines, { app, expected: [/ upstream-out /] })
  const running = await site.serve()
  const get = async (path: string) => (await ask(running.url, path)).body

  t.equal(await get('/app'), 'application')
  t.equal((await ask(running.url, '/elsewhere')).status, 404)
  const bodies = [JSON.parse(await get('/legacy/a?b=c')), JSON.parse(await get('/legacy'))]
  t.same(bodies.map(({ name }) => name).sort(), ['tcp', 'unix'])
  t.match(bodies[0], { url: '/legacy/a?b=c', fields: { via: '1.1 daimyo', 'x-forwarded-for': '127.0.0.1' } })
  const body = 'x'.repeat(1_000_000)
  t.match(JSON.parse((await ask(running.url, '/legacy', { method: 'POST', body })).body), { length: body.length })

  const socket = new WebSocket(`${running.url.replace('http', 'ws')}/legacy/ws`)
  t.equal(String((await once(socket, 'message'))[0]), 'hello')
  socket.terminate()

  const gets = new SteadyClient(t, running.url, 10, () => ({ method: 'GET', path: '/legacy/steady' }))
  for (const foreign of [tcp, unix, tcp, unix]) {
    await foreign.kill()
    const before = gets.replies.length
    await until('requests go on without it', () => gets.replies.length > before + 30)
    await foreign.start()
    const startedMs = performance.now()
    const isBack = () =>
      gets.replies.some(({ sentMs, body }) => sentMs > startedMs && body.includes(`"name":"${foreign.name}"`))
    await until('it is back', isBack)
  }
  const replies = await gets.stop()
  t.same(failuresAmong(replies), [], 'no GET failed')
  t.ok(replies.length > 120, `there were ${replies.length}`)
  const page = () => scrape(running.metricsUrl)
  const sum = async (name: string) => sumOf(await page(), name, 'mount="/legacy"')
  await until('failures are counted', async () => Number(await sum('daimyo_upstream_failures_total')) > 0)
  await until('both are up', async () => (await sum('daimyo_upstream_up')) === 2)
  t.match(await site.end(running), { code: 0 })
})
