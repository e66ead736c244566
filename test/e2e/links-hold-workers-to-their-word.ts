/**
 * An application finds the socket of its worker's link and writes there what no worker says. The link is closed and the worker replaced; the proxy
 * lives and stays small, the other workers' answers arrive whole, and nothing that must not be done twice is done twice.
 */

import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import t from 'tap'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

/** What a proxy may grow by: its window, its buffers, and what V8 has not collected. The floods are ten times as large. */
const mostGrowthBytes = 40_000_000
const floodBytes = 400_000_000

/** How an application gets at its link, and speaks there. */
const linkAccess = `
const net = require('node:net')
const links = () => process._getActiveHandles().filter(handle =>
  handle instanceof net.Socket && String(handle._server?._pipeName).endsWith('.link'))
const frame = (type, id, payload = '') => {
  const bytes = Buffer.from(payload, 'latin1')
  const header = Buffer.alloc(8)
  header.writeUInt32LE(bytes.length | (type << 24) >>> 0)
  header.writeUInt32LE(id >>> 0, 4)
  return Buffer.concat([header, bytes])
}
`

/** \`/flood\` begins an answer and then pushes frames of data past its window, as fast as the proxy reads. */
const floodingApp = `${linkAccess}
require('node:http').createServer((request, response) => {
  if (request.url !== '/flood') return response.end('calm')
  response.writeHead(200)
  // The frame that carries this line tells the request's id.
  for (const link of links()) {
    const write = link.write
    link.write = function (bytes, ...more) {
      const sent = write.call(this, bytes, ...more)
      for (let at = 0; Buffer.isBuffer(bytes) && at + 8 <= bytes.length; at += 8 + (bytes.readUInt32LE(at) & 0xffffff)) {
        const payload = bytes.subarray(at + 8, at + 8 + (bytes.readUInt32LE(at) & 0xffffff))
        if (!payload.includes('the flood comes')) continue
        link.write = write
        flood(link, bytes.readUInt32LE(at + 4))
      }
      return sent
    }
  }
  response.write('the flood comes')
}).listen(3000)
function flood(link, id) {
  const piece = frame(3, id, 'x'.repeat(64 * 1024))
  let left = ${floodBytes}
  const pour = () => {
    while (left > 0 && !link.destroyed) {
      left -= piece.length
      if (!link.write(piece)) return link.once('drain', pour)
    }
  }
  pour()
}
`

/** Each life of the worker in slot 2 takes the next of these as soon as it has a link; \`sent\` is the id of a request that it got. */
const tricks: [name: string, bytes: string][] = [
  ['garbage', "Buffer.from('garbage\\n'.repeat(600))"],
  ['the beginning of a frame of no type', 'Buffer.from([0, 0, 8, 99, 1, 0, 0, 0, 1, 2, 3])'],
  ['the beginning of too long a pong', 'Buffer.from([0, 0, 8, 8, 1, 0, 0, 0])'],
  ['the beginning of too long an acknowledgement', 'Buffer.from([1, 0, 0, 11, 1, 0, 0, 0])'],
  ['an HTTP answer', "Buffer.from('HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n')"],
  ['a second hello', "frame(1, 0, 'daimyo-link/4')"],
  ['a pong unasked', "frame(8, 77, '\\0\\0\\0\\0')"],
  ['an acknowledgement of what is yet to come', 'frame(11, 1e9)'],
  ['the answer to a request that is yet to come', "frame(9, 1e9, '\\xc8\\0\\x01HTTP/1.1 200 OK\\r\\n\\r\\n')"],
  ['credit for nothing', "frame(5, 1e9, '\\xff\\xff\\xff\\xff')"],
  ['a payload cut short', "frame(13, 1e9, '\\0')"],
  ['a request', "frame(2, 1, 'x')"],
  ['a frame without end', 'Buffer.from([255, 255, 255, 3, 1, 0, 0, 0])'],
  ['words without end', 'Buffer.concat(Array.from({ length: 20000 }, (_, at) => frame(12, at)))'],
]

const hostileApp = `${linkAccess}
const fs = require('node:fs')
const slot = process.env.DAIMYO_SLOT
require('node:http').createServer((request, response) => {
  if (request.method === 'POST') fs.appendFileSync(__dirname + '/done', request.url + '\\n')
  setTimeout(() => response.end(request.url), 5)
}).listen(3000)
const tricks = [${tricks.map(([, bytes]) => `() => ${bytes}`).join(', ')}]
if (slot === '2') {
  const look = setInterval(() => {
    if (links().length === 0) return
    clearInterval(look)
    const lives = fs.existsSync(__dirname + '/lives') ? fs.statSync(__dirname + '/lives').size : 0
    fs.appendFileSync(__dirname + '/lives', '.')
    // Some requests are in flight by then. A link that a busy proxy gave up meanwhile is replaced by another.
    const play = () => {
      const [link] = links().filter(link => !link.destroyed)
      if (link === undefined) return setTimeout(play, 10)
      link.write(tricks[lives % tricks.length]())
    }
    setTimeout(play, 150)
  }, 10)
}
`

t.setTimeout(300_000 * timeFactor)

t.test('more data than the window, for a client that never reads', async t => {
  const expected = [/ worker-broke-link /, / worker-killed .*why=link-broken/, / worker-exit .*why=link-broken/]
  const site = new WatchedSite(t, ['processes = 1'], { app: floodingApp, expected })
  const running = await site.serve()
  const before = await site.status()
  const proxy = before.proxies[0]?.pid ?? 0
  const steady = new SteadyClient(t, running.url, 50, () => ({ path: '/calm' }))
  await until('some requests are answered', () => steady.replies.length > 5)
  const calmBytes = residentBytes(proxy, 'VmHWM')
  const { hostname, port } = new URL(running.url)
  const deaf = connect(Number(port), hostname).pause()
  deaf.on('error', () => {})
  t.teardown(() => deaf.destroy())
  deaf.write('GET /flood HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('the link is closed', () => / worker-broke-link .*why=.*window/.test(running.out()))
  await until('another worker is there', async () => (await site.untilReady()).workers[0]?.deaths === 1)
  const growth = residentBytes(proxy, 'VmHWM') - calmBytes
  t.ok(growth < mostGrowthBytes, `the proxy never held ${Math.round(growth / 1e6)} MB more`)
  const after = await site.status()
  t.equal(after.proxies[0]?.pid, proxy, 'the same proxy')
  t.not(after.workers[0]?.pid, before.workers[0]?.pid, 'another worker')
  const answered = steady.replies.length
  await until('the next requests are answered', () => steady.replies.length > answered + 5)
  t.same(failuresAmong(await steady.stop()), [], 'what was asked meanwhile was answered')
  t.match(await site.end(running), { code: 0 })
})

t.test('a worker that breaks its link in every life', async t => {
  const expected = [/ worker-broke-link slot=2 /, / worker-(killed|exit) slot=2 .*why=link-broken/]
  const site = new WatchedSite(t, ['processes = 3'], { app: hostileApp, expected })
  const running = await site.serve('site.ini', '--quarantine-deaths', '0')
  const before = await site.status()
  const proxy = before.proxies[0]?.pid ?? 0
  const pidOf = (report: typeof before, slot: number) => report.workers.find(worker => worker.slot === slot)?.pid
  const readers = [1, 2, 3, 4].map(
    client => new SteadyClient(t, running.url, 20, number => ({ path: `/${client}/${number}` })),
  )
  const poster = new SteadyClient(t, running.url, 30, number => ({
    path: `/post/${number}`,
    method: 'POST',
    body: 'x',
  }))
  await until('some requests are answered', () => readers.every(({ replies }) => replies.length > 5))
  const calmBytes = residentBytes(proxy, 'VmHWM')
  const breaks = () => running.out().match(/ worker-broke-link slot=2 /g)?.length ?? 0
  await until('every trick has been tried', () => breaks() >= tricks.length, 120_000)
  const exits = running.out().match(/ worker-exit slot=2 .*why=link-broken/g)?.length ?? 0
  t.ok(exits >= tricks.length - 1, `replaced each time: ${exits}`)
  for (const reader of readers) {
    const replies = await reader.stop()
    t.same(failuresAmong(replies), [], 'every GET is answered')
    t.same(
      replies.filter(({ title, body }) => title !== `GET ${body}`),
      [],
      'with its own answer',
    )
  }
  const posted = await poster.stop()
  t.same(
    posted.filter(({ status }) => status !== 200 && status !== 502).map(({ status, error }) => `${status} ${error}`),
    [],
    'a POST is answered, or the client learns that it may have been done',
  )
  const done = site.read('done').trim().split('\n')
  t.equal(new Set(done).size, done.length, 'no POST was done twice')
  const growth = residentBytes(proxy, 'VmHWM') - calmBytes
  t.ok(growth < mostGrowthBytes, `the proxy never held ${Math.round(growth / 1e6)} MB more`)
  const after = await site.status()
  t.equal(after.proxies[0]?.pid, proxy, 'the same proxy')
  for (const slot of [1, 3]) t.equal(pidOf(after, slot), pidOf(before, slot), `the same worker in slot ${slot}`)
  t.match(await site.end(running), { code: 0 })
})

function residentBytes(pid: number, name: string): number {
  const [, kilobytes] =
    new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}
