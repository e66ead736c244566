/**
 * A static file that is cut, replaced, deleted, rewritten or grown while it is sent: each client gets either what was there when it asked, whole, or sees that its
 * answer is not complete. What is no file at all (a FIFO, a socket, a device) holds nobody up. No descriptor is left open.
 */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import t from 'tap'
import { RawClient, request } from '../proxy/fixtures/raw-client.js'
import { ask } from './fixtures/asking.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

/** More than the kernel's buffers take, so that most of it is unread while the client does not read. */
const bytes = 18_000_000
const content = Buffer.alloc(bytes, 'first ')
const other = Buffer.alloc(bytes, 'other ')
/** For what is answered without waiting; the fastest of some tries. */
const promptMs = 100
const tries = 5

const site = new WatchedSite(t, ['mount = /api', 'static-map = /=%dpublic', 'static-map = /dev=/dev'])
mkdirSync(site.path('public'))
const big = site.path('public/big')
writeFileSync(big, content)
execFileSync('mkfifo', [site.path('public/fifo')])
symlinkSync('/dev/zero', site.path('public/zero'))
const server = createServer().listen(site.path('public/socket'))
t.teardown(() => server.close())
const running = await site.serve()
const port = Number(new URL(running.url).port)
const proxyPid = (await site.status()).proxies[0]?.pid ?? 0

function descriptors(): number {
  return readdirSync(`/proc/${proxyPid}/fd`).length
}

function digest(body: Buffer): string {
  return createHash('sha1').update(body).digest('hex')
}

const changes: [title: string, change: () => void, isWhole: boolean, next: { status: number; length?: number }][] = [
  ['cut', () => truncateSync(big, 1000), false, { status: 200, length: 1000 }],
  ['emptied', () => truncateSync(big, 0), false, { status: 200, length: 0 }],
  ['grown', () => appendFileSync(big, 'more'), true, { status: 200, length: bytes + 4 }],
  ['deleted', () => unlinkSync(big), true, { status: 404 }],
  [
    'replaced',
    () => {
      writeFileSync(`${big}.new`, 'new')
      renameSync(`${big}.new`, big)
    },
    true,
    { status: 200, length: 3 },
  ],
]

t.test('changes', async t => {
  const fewest = descriptors()
  for (const [title, change, isWhole, next] of changes) {
    writeFileSync(big, content)
    await until(`${title}: it is there again`, async () => {
      return (await ask(running.url, '/big', { method: 'HEAD' })).headers['content-length'] === String(bytes)
    })
    const client = await RawClient.open(port)
    client.send(request('GET', '/big'))
    await new Promise<void>(resolve => {
      client.socket.once('data', () => {
        client.socket.pause()
        resolve()
      })
    })
    change()
    client.socket.resume()
    const answer = await client.answer()
    t.match(answer, { status: 200, whole: isWhole, fields: { 'content-length': String(bytes) } }, title)
    if (isWhole) t.equal(digest(answer.body), digest(content), `${title}: the bytes are those of before`)
    else t.ok(answer.body.equals(content.subarray(0, answer.body.length)), `${title}: nothing else was sent`)
    client.socket.destroy()
    await until(`${title}: the next client sees what is there now`, async () => {
      const { status, headers } = await ask(running.url, '/big', { method: 'HEAD' })
      return status === next.status && (next.length === undefined || headers['content-length'] === String(next.length))
    })
    await until(`${title}: it is closed`, () => descriptors() <= fewest)
  }
})

t.test('rewritten in its place: whoever asks later gets no mixture', async t => {
  writeFileSync(big, content)
  await until('it is there again', async () => {
    return (await ask(running.url, '/big', { method: 'HEAD' })).headers['content-length'] === String(bytes)
  })
  const before = await ask(running.url, '/big', { method: 'HEAD' })
  writeFileSync(big, other)
  await until('it is seen', async () => {
    return (await ask(running.url, '/big', { method: 'HEAD' })).headers.etag !== before.headers.etag
  })
  const headers = { range: 'bytes=100-', 'if-range': String(before.headers.etag) }
  const rest = await ask(running.url, '/big', { headers })
  t.equal(rest.status, 200, 'the rest of the former one cannot be had')
  t.equal(digest(Buffer.from(rest.body)), digest(other))
})

t.test('what is no file', async t => {
  const fewest = descriptors()
  for (const path of ['/fifo', '/socket', '/zero', '/dev/zero', '/dev/tty', '/dev/null', '/dev/random']) {
    for (const method of ['GET', 'HEAD']) {
      let fastestMs = Number.POSITIVE_INFINITY
      for (let attempt = 0; attempt < tries; attempt++) {
        const startMs = performance.now()
        t.equal((await ask(running.url, path, { method })).status, 404, `${method} ${path}`)
        fastestMs = Math.min(fastestMs, performance.now() - startMs)
      }
      t.ok(fastestMs < promptMs, `${method} ${path}: ${fastestMs.toFixed(1)} ms`)
    }
  }
  await until('nothing is left open', () => descriptors() <= fewest)
})

t.test('it stops', async t => {
  server.close()
  t.match(await site.end(running), { code: 0 })
})
