/**
 * Thousands of idle WebSockets cost little memory and nobody else's time, survive a reload, and then end one after the other.
 *
 *     node dist/test/e2e/thousands-of-websockets-stay.js 10000
 *
 * prints the memory of each. Each takes two file descriptors of a proxy, so more than 5,000 get two proxies.
 */

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { ask } from './fixtures/asking.js'
import { timeFactor, topFolder, until, WatchedSite } from './fixtures/watched-site.js'

const wanted = Number(process.argv[2] ?? 2000)
const mercyMs = 5000
/** Connections that are opened at a time. */
const atOnce = 200
/** Seen on Node 20: 18 KB in a proxy and 13 KB in a worker with `ws`; much of it is garbage of the handshakes. */
const mostProxyBytes = 30_000
const mostWorkerBytes = 40_000

const site = new WatchedSite(t, [
  `app = ${join(topFolder, 'test/applications/sockets.cjs')}`,
  'processes = 2',
  `http-processes = ${wanted > 5000 ? 2 : 1}`,
  'worker-connections = 100000',
  'disable-logging = true',
  `ws-mercy = ${mercyMs / 1000}`,
  'reload-mercy = 20',
])
const running = await site.serve()
const { hostname, port } = new URL(running.url)
const sockets: Socket[] = []
t.teardown(() => {
  for (const socket of sockets) socket.destroy()
})

const handshake = [
  'GET /ws HTTP/1.1',
  'Host: a',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Origin: http://localhost:8080',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
].join('\r\n')

async function open(): Promise<void> {
  const socket = connect({ host: hostname, port: Number(port) })
  sockets.push(socket)
  socket.on('error', () => {})
  socket.write(`${handshake}\r\n\r\n`)
  const [head] = (await once(socket, 'data')) as [Buffer]
  if (!head.toString().startsWith('HTTP/1.1 101 ')) throw new Error(`no tunnel: ${head}`)
}

/** Resident memory of a process in bytes. */
function residentBytes(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0)
}

async function memory(): Promise<{ proxy: number; workers: number }> {
  const { workers, proxies } = await site.status()
  const sum = (pids: (number | null)[]) => pids.reduce<number>((all, pid) => all + residentBytes(pid ?? 0), 0)
  return { proxy: sum(proxies.map(({ pid }) => pid)), workers: sum(workers.map(({ pid }) => pid)) }
}

t.test(`${wanted} sockets`, async t => {
  for (let warm = 0; warm < 200; warm++) await ask(running.url, '/')
  const before = await memory()
  while (sockets.length < wanted) await Promise.all(Array.from({ length: atOnce }, open))
  const after = await memory()
  const each = {
    proxy: Math.round((after.proxy - before.proxy) / sockets.length),
    worker: Math.round((after.workers - before.workers) / sockets.length),
  }
  t.comment(`${sockets.length} sockets: ${each.proxy} bytes each in the proxy, ${each.worker} in a worker`)
  t.ok(each.proxy < mostProxyBytes, `${each.proxy} bytes each in the proxy`)
  t.ok(each.worker < mostWorkerBytes, `${each.worker} bytes each in a worker`)
})

t.test('others do not notice', async t => {
  const times: number[] = []
  for (let count = 0; count < 100; count++) {
    const sinceMs = performance.now()
    t.equal((await ask(running.url, '/')).status, 200)
    times.push(performance.now() - sinceMs)
  }
  times.sort((a, b) => a - b)
  t.ok((times[90] ?? 0) < 100 * timeFactor, `nine of ten within ${Math.round(times[90] ?? 0)} ms`)
})

t.test('a reload keeps them for a while, and ends them one after the other with 1012', async t => {
  const ends: number[] = []
  let restarts = 0
  for (const socket of sockets) {
    socket.on('data', (bytes: Buffer) => {
      if (bytes[0] !== 0x88 || bytes.readUInt16BE(2) !== 1012) return
      restarts++
      ends.push(performance.now())
      // Masked with zeros.
      socket.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf4]))
    })
  }
  t.match(await site.run('reload', site.ini), { code: 0 })
  t.equal(restarts, 0, 'the reload ends none')
  await until('all are told', () => restarts === sockets.length)
  ends.sort((a, b) => a - b)
  const spreadMs = (ends.at(-1) ?? 0) - (ends[0] ?? 0)
  t.ok(spreadMs > 0.15 * mercyMs, `over ${Math.round(spreadMs)} ms`)
  const { workers } = await site.untilReady()
  t.ok(
    workers.every(({ generation }) => generation === 2),
    'no worker of before is left',
  )
})

t.test('it stops', async t => t.match(await site.end(running), { code: 0 }))
