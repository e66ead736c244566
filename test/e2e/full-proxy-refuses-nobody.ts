/**
 * A proxy that has no room for another connection, by its options or by its descriptors, lets newcomers wait in the backlog, serves those whom it
 * has, takes idle connections to make room, never spins, says so once, and goes on as before when there is room again.
 */

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import t from 'tap'
import { RawClient, request } from '../proxy/fixtures/raw-client.js'
import { ask } from './fixtures/asking.js'
import { scrape, sumOf } from './fixtures/metrics-page.js'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { type Serving, timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

const measured = ['metrics = 127.0.0.1:0', 'http-header-timeout = 120', 'http-queue-timeout = 500ms']
const halfHead = 'GET / HTTP/1.1\r\nHo'

/** How often a limit was met, as `/metrics` tells it. */
async function met(running: Serving, limit: string): Promise<number> {
  return sumOf(await scrape(running.metricsUrl), 'daimyo_limits_total', `limit="${limit}"`) ?? 0
}

async function proxyPid(site: WatchedSite): Promise<number> {
  return (await site.status()).proxies[0]?.pid ?? 0
}

/** Clients that have begun a request and never go on. */
async function openHalf(port: number, count: number): Promise<RawClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => RawClient.open(port)))
  for (const client of clients) client.send(halfHead)
  return clients
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

function setDescriptorLimit(pid: number, count: number): void {
  const { status, stderr } = spawnSync('prlimit', ['--pid', String(pid), `--nofile=${count}:`], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`prlimit: ${stderr}`)
}

function linesWith(running: Serving, word: string): number {
  return running
    .out()
    .split('\n')
    .filter(line => line.includes(word)).length
}

t.test('64 descriptors and 100 clients that take them', async t => {
  const site = new WatchedSite(t, measured)
  const running = await site.serve()
  const port = Number(new URL(running.url).port)
  const pid = await proxyPid(site)
  const steady = new SteadyClient(t, running.url, 50, () => ({ path: '/' }), { asksAgain: true })
  await until('it is served', () => steady.replies.length > 0)
  setDescriptorLimit(pid, 64)
  const setMs = performance.now()
  await until('the proxy has looked, as it does twice a second', () => performance.now() - setMs > 700 * timeFactor)
  const hostile = await openHalf(port, 100)
  const late = await RawClient.open(port)
  late.send(request('GET', '/'))
  let answered = false
  const lateAnswer = late.answer().finally(() => {
    answered = true
  })
  const [startMs, startSeconds, startReplies] = [performance.now(), cpuSeconds(pid), steady.replies.length]
  await until('two seconds have passed', () => performance.now() - startMs > 2000)
  const share = (cpuSeconds(pid) - startSeconds) / ((performance.now() - startMs) / 1000)
  t.ok(share < 0.3, `it does not spin: ${Math.round(share * 100)} % of a core`)
  t.ok(descriptors(pid) <= 64 - 8, `some descriptors are left: ${descriptors(pid)} are in use`)
  t.ok(steady.replies.length - startReplies > 10, 'who has a connection is served meanwhile')
  t.equal(answered, false, 'who comes later waits')
  for (const client of hostile) client.socket.destroy()
  t.equal((await lateAnswer).status, 200, 'and is answered when there is room')
  t.same(failuresAmong(await steady.stop()), [])
  t.equal(linesWith(running, 'accept-paused'), 1, 'it is said once')
  t.match(await site.end(running), { code: 0 })
})

t.test('no descriptor at all', async t => {
  const site = new WatchedSite(t, [...measured, 'check-static = %dwww', 'harakiri = 60'], {
    expected: [/ worker-exit .*SIGKILL/],
  })
  const folder = site.path('www')
  spawnSync('mkdir', [folder])
  writeFileSync(`${folder}/large.bin`, Buffer.alloc(3_000_000))
  const running = await site.serve()
  const port = Number(new URL(running.url).port)
  const pid = await proxyPid(site)
  const clients = await Promise.all([1, 2, 3, 4].map(() => RawClient.open(port)))
  const [first, second, third, fourth] = clients as [RawClient, RawClient, RawClient, RawClient]
  for (const client of clients) {
    client.send(request('GET', '/'))
    t.equal((await client.answer()).status, 200)
  }
  // One that has begun a request is not idle, so nobody takes its connection.
  const [begun, rest] = ['POST / HT', request('POST', '/').slice('POST / HT'.length)]
  fourth.send(begun)
  setDescriptorLimit(pid, 10)
  first.send(request('GET', '/large.bin'))
  t.equal((await first.answer()).status, 503, 'a file')
  second.send(request('POST', '/'))
  t.equal((await second.answer()).status, 200, 'the application')
  third.send(request('GET', '/ws', ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']))
  t.equal((await third.answer()).status, 503, 'a WebSocket')
  const [worker] = (await site.status()).workers
  process.kill(worker?.pid ?? 0, 'SIGKILL')
  await until('there is another, which the proxy cannot link', async () => {
    const [next] = (await site.status()).workers
    return next?.phase === 'linking' && next.pid !== worker?.pid
  })
  fourth.send(rest)
  const answer = await fourth.answer()
  t.match(answer, { status: 503, fields: { 'retry-after': '1' } }, 'a link to a new worker')
  t.match(answer.body.toString(), 'too many files are open')
  setDescriptorLimit(pid, 1024)
  await until('all is as before', async () => {
    const answers = await Promise.all([ask(running.url, '/large.bin'), ask(running.url, '/', { method: 'POST' })])
    return answers.every(({ status }) => status === 200)
  })
  await until('each is counted', async () => (await met(running, 'descriptors')) >= 3)
  for (const client of clients) client.socket.destroy()
  t.match(await site.end(running), { code: 0 })
})

t.test('http-connections: idle ones make room, busy ones do not, and who waits is answered', async t => {
  const site = new WatchedSite(t, [...measured, 'http-connections = 20'])
  const running = await site.serve()
  const port = Number(new URL(running.url).port)
  const idle = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(port)))
  for (const client of idle) client.send(request('GET', '/'))
  for (const client of idle) t.equal((await client.answer()).status, 200)
  const startMs = performance.now()
  t.equal((await ask(running.url, '/')).status, 200)
  t.ok(performance.now() - startMs < 5000 * timeFactor, 'room is made at once')
  await until('it is counted', async () => (await met(running, 'idle-evicted')) > 0)
  const resets = await Promise.all(idle.map(client => (client.socket.destroyed ? client.closed : false)))
  t.notOk(resets.includes(true), 'by an ordinary end')
  for (const client of idle) client.socket.destroy()
  const hostile = await openHalf(port, 20)
  await until('it is full', async () => (await met(running, 'http-connections')) > 1)
  const waiting = ask(running.url, '/')
  for (const client of hostile) client.socket.destroy()
  t.equal((await waiting).status, 200)
  t.equal(linesWith(running, 'accept-paused'), 1)
  t.match(await site.end(running), { code: 0 })
})

t.test('http-connections-per-address: a trusted proxy speaks for many clients', async t => {
  const limits = ['http-connections-per-address = 3', 'trusted-proxies = 127.0.0.1', 'http = 127.0.0.1:0']
  const site = new WatchedSite(t, [...measured, ...limits])
  const running = await site.serve()
  const clients = await openHalf(Number(new URL(running.url).port), 3)
  t.equal((await ask(running.url, '/')).status, 200)
  for (const client of clients) client.socket.destroy()
  t.match(await site.end(running), { code: 0 })
})

t.test('http-connections-per-address: one more gets 503, a unix socket has no limit', async t => {
  const site = new WatchedSite(t, [
    ...measured,
    'http-connections-per-address = 3',
    'http = 127.0.0.1:0',
    'http = %dfront.sock',
  ])
  const running = await site.serve()
  const port = Number(new URL(running.url).port)
  const clients = await openHalf(port, 3)
  const turnedAway = await RawClient.open(port)
  turnedAway.send(request('GET', '/'))
  t.match(await turnedAway.answer(), { status: 503, fields: { connection: 'close' } })
  const local: Socket[] = []
  for (let count = 0; count < 10; count++) {
    const socket = createConnection(site.path('front.sock'))
    local.push(socket)
    socket.write(request('GET', '/'))
    const [chunk] = await new Promise<Buffer[]>(resolve => socket.once('data', data => resolve([data])))
    t.match(chunk?.toString(), /^HTTP\/1\.1 200 /)
  }
  for (const socket of local) socket.destroy()
  for (const client of clients) client.socket.destroy()
  await until('there is room again', async () => (await ask(running.url, '/')).status === 200)
  await until('it is counted', async () => (await met(running, 'http-connections-per-address')) > 0)
  t.match(await site.end(running), { code: 0 })
})
