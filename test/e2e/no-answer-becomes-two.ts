/**
 * Whatever an application does behind the back of `node:http`, its client reads one answer to one request: the application's, a 502, or one that is
 * visibly broken off. A second request on the same connection must get its own answer.
 */

import { connect } from 'node:net'
import t from 'tap'
import { until, WatchedSite } from './fixtures/watched-site.js'

/** Each entry of `tricks` answers the request for its name. */
const app = `
const EVIL = 'HTTP/1.1 200 EVIL\\r\\nContent-Length: 0\\r\\n\\r\\n'
const fickle = () => { let n = 0; return { toString: () => (n++ === 0 ? 'fine' : 'x\\r\\n\\r\\n' + EVIL) } }
const mutated = (r, value) => { const a = ['fine']; r.setHeader('X-A', a); a[0] = value; r.end('hi') }
const raw = (r, head) => { r.writeHead(200, { 'Content-Length': 2 }); r._header = head; r.end('hi') }
const tricks = {
  array: r => mutated(r, 'x\\r\\n\\r\\n' + EVIL),
  arrayLf: r => mutated(r, 'x\\n\\n' + EVIL),
  arrayCr: r => mutated(r, 'x\\rContent-Length: 0'),
  arrayLength: r => mutated(r, 'x\\r\\nContent-Length: 0\\r\\nContent-Length: 2'),
  toString: r => { r.setHeader('X-A', fickle()); r.end('hi') },
  both: r => { r.setHeader('Content-Length', 2); r.setHeader('Transfer-Encoding', 'chunked'); r.end('hi') },
  lengths: r => { r.setHeader('Content-Length', ['2', '3']); r.end('hi') },
  lengthsRaw: r => { r.writeHead(200, ['Content-Length', '2', 'content-length', '3']); r.end('hi') },
  hexadecimal: r => { r.setHeader('Content-Length', '0x2'); r.end('hi') },
  coding: r => { r.setHeader('Transfer-Encoding', 'gzip, chunked'); r.end('hi') },
  identity: r => { r.setHeader('Transfer-Encoding', 'identity'); r.end('hi') },
  hints: r => { r.writeEarlyHints({ link: '</a>; rel=preload', 'x-y': 'a\\r\\n\\r\\n' + EVIL }); r.end('hi') },
  hintsOnly: r => { r.socket.write('HTTP/1.1 103 Early Hints\\r\\nContent-Length: 3\\r\\n\\r\\n'); r.end('hi') },
  endless: r => { r.socket.write('x'.repeat(20e6)); r.end('hi') },
  status101: r => { r.writeHead(101); r.end('hi') },
  status199: r => { r.statusCode = 199; r.end('hi') },
  header: r => raw(r, 'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n' + EVIL),
  status099: r => raw(r, 'HTTP/1.1 099 Odd\\r\\nContent-Length: 2\\r\\n\\r\\n'),
  status1000: r => raw(r, 'HTTP/1.1 1000 Odd\\r\\nContent-Length: 2\\r\\n\\r\\n'),
  noHttp: r => raw(r, 'hello\\r\\n\\r\\n'),
  rawFirst: r => { r.socket.write(EVIL); r.end('hi') },
  rawBetween: r => { r.writeHead(200); r.socket.write('junk'); r.end('hi') },
  longer: r => { r.writeHead(200, { 'Content-Length': 2 }); r.end('hi' + EVIL) },
  longerRaw: r => { r.writeHead(200, { 'Content-Length': 2 }); r.write('hi'); r.socket.write(EVIL); r.end() },
  shorter: r => { r.writeHead(200, { 'Content-Length': 5 }); r.end('hi') },
  shorterLater: r => { r.writeHead(200, { 'Content-Length': 5 }); r.write('hi'); setTimeout(() => r.end(), 20) },
  chunks: r => { r.write('a'); r.socket.write('0\\r\\n\\r\\n' + EVIL); r.end('b') },
  chunksLater: r => { r.write('a'); setTimeout(() => { r.socket.write('0\\r\\n\\r\\n' + EVIL); r.end('b') }, 20) },
  chunksMiddle: r => { r.write('a'); setTimeout(() => { r.socket.write('0\\r\\n\\r\\n' + EVIL); setTimeout(() => r.end('b'), 20) }, 20) },
  trailer: r => { r.write('a'); r._trailer = 'X: y\\r\\n\\r\\n' + EVIL; r.end('b') },
  early: r => { r.write('a'); r._trailer = 'X: y\\r\\n'; r.chunkedEncoding = false; r.end('b') },
  none: r => { r.removeHeader('transfer-encoding'); r.useChunkedEncodingByDefault = false; r.write('hi'); r.shouldKeepAlive = true; r._last = false; r.end() },
  bodyOf204: r => { r.writeHead(204); r._hasBody = true; r.end(EVIL) },
}
require('node:http').createServer((request, response) => {
  const name = request.url.slice(1)
  if (name === 'own') return response.end('own')
  if (name === 'names') return response.end(Object.keys(tricks).join() + '\\n')
  tricks[name](response)
}).listen(3000)
`

/** Sends both requests at once and resolves with all that came until the connection ended, or the second was answered. */
async function askTwice(url: string, path: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write(
    `GET /${path} HTTP/1.1\r\nHost: test\r\n\r\nGET /own HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n`,
  )
  let text = ''
  socket.setEncoding('latin1').on('data', chunk => {
    text += chunk
  })
  await new Promise(resolve => socket.on('error', () => {}).on('close', resolve))
  return text
}

t.test('tricks', async t => {
  const site = new WatchedSite(t, [], { app, expected: [/ bad-answer /] })
  const running = await site.serve()
  const names = (await askTwice(running.url, 'names')).match(/\r\n(array[\w,]+)\n/)?.[1]?.split(',') ?? []
  t.ok(names.length > 30, `${names.length} tricks`)
  const kept = ['longer', 'longerRaw', 'none', 'bodyOf204']
  const broken = ['shorter', 'shorterLater', 'chunksLater', 'chunksMiddle']
  for (const name of names) {
    const text = await askTwice(running.url, name)
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)
    t.notMatch(text, /EVIL/, `${name}: nothing forged`)
    if (kept.includes(name)) t.match(statuses[0], /^20[04]$/, `${name}: the application's own answer`)
    else if (broken.includes(name)) t.match(statuses.join(), /^(200|502,200)$/, `${name}: broken off, or refused`)
    else t.same(statuses, ['502', '200'], `${name}: refused, and the next request is answered`)
    if (statuses.length === 2) t.match(text, /\r\n\r\nown$/, `${name}: with its own answer`)
    else t.equal(statuses.length, 1, `${name}: one answer`)
  }
  const told = / bad-answer .*request="GET \/both" slot=1 why="it has both content-length and transfer-encoding"/
  await until('it is told', () => told.test(running.out()))
  t.match(await site.end(running), { code: 0 })
})
