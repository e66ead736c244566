/** A master that is killed leaves nothing: every process is gone within two seconds, and the next start finds no obstacle. */

import { rmSync } from 'node:fs'
import t from 'tap'
import { ask } from './fixtures/asking.js'
import { SteadyClient } from './fixtures/steady-client.js'
import { farmLines, until, WatchedSite } from './fixtures/watched-site.js'

const goneMs = 2000

t.test('while a worker is blocked and others are in use', async t => {
  const site = new WatchedSite(t, [...farmLines, 'processes = 3', 'metrics = 127.0.0.1:0', 'pidfile = %dsite.pid'])
  const running = await site.serve()
  const port = new URL(running.url).port
  await blockOneWorker(site, running.url)
  const client = new SteadyClient(t, running.url, 5, () => ({ path: '/api/v1/whoami' }))
  await until('the others answer', () => client.replies.length > 20)
  t.ok(site.processes().length >= 5, 'a master, a proxy and three workers run')

  process.kill(running.pid, 'SIGKILL')
  await until('no process is left', () => site.processes().length === 0, goneMs).catch(() => {})
  t.same(site.processes(), [], `after ${goneMs} ms`)
  await client.stop()
  t.match(await running.ended, { code: null })

  site.writeIni([...farmLines, `http = 127.0.0.1:${port}`, 'metrics = 127.0.0.1:0', 'pidfile = %dsite.pid'])
  const next = await site.serve()
  t.match(
    await ask(next.url, '/api/v1/_about'),
    { status: 200 },
    'the next one starts in the same folder, on the same port',
  )
  t.match(await site.end(next), { code: 0 })
})

/** It has a child that SIGTERM ends and one that it does not, says so, and blocks its loop when it is asked for `/block`. */
const parent = `
const { spawn } = require('node:child_process')
const options = { stdio: ['ignore', 'pipe', 'inherit'] }
spawn('/bin/sh', ['-c', 'sleep 1000 & wait'], options)
spawn('/bin/sh', ['-c', 'trap "" TERM; echo deaf; exec sleep 1000'], options).stdout.once('data', () => {
  require('node:http').createServer((request, response) => {
    response.end('here')
    if (request.url === '/block') setImmediate(() => { for (;;); })
  }).listen(3000)
})`

for (const [title, lines, isLeft] of [
  ['what its workers have started goes too', [], false],
  ['with keep-children that stays', ['keep-children = true'], true],
] as const) {
  t.test(title, async t => {
    const site = new WatchedSite(t, ['processes = 2', ...lines], { app: parent })
    const running = await site.serve()
    await ask(running.url, '/block')
    t.equal(site.processes().length, 10, 'a master, a proxy, two workers and three children of each')
    process.kill(running.pid, 'SIGKILL')
    const sleepers = () => site.processes().filter(line => /sleep/.test(line))
    await until('the workers are gone', () => site.processes().length === sleepers().length, goneMs)
    if (isLeft) t.equal(sleepers().length, 6)
    else await until('and their children', () => sleepers().length === 0, goneMs)
    for (const line of sleepers()) process.kill(Number.parseInt(line, 10), 'SIGKILL')
    rmSync(site.path('run'), { recursive: true })
  })
}

t.test('a worker that hangs in its end, when the proxies are gone as well', async t => {
  const app = `
process.on('exit', () => { for (;;); })
require('node:http').createServer((request, response) => response.end('here')).listen(3000)`
  const site = new WatchedSite(t, ['processes = 1'], { app })
  const running = await site.serve()
  const proxies = site.processes().filter(line => /daimyo: proxy/.test(line))
  t.equal(proxies.length, 1)
  process.kill(running.pid, 'SIGKILL')
  for (const line of proxies) process.kill(Number.parseInt(line, 10), 'SIGKILL')
  await until('no process is left', () => site.processes().length === 0)
  rmSync(site.path('run'), { recursive: true })
})

/** Resolves when a worker is in `burn` and nothing else can reach it. */
async function blockOneWorker(site: WatchedSite, url: string): Promise<void> {
  const pids = new Set((await site.status()).workers.map(({ pid }) => pid))
  ask(url, '/api/v1/burn?ms=60000').catch(() => {}) // its server is killed
  await until('a worker is busy and does not answer itself', async () => {
    const { workers } = await site.status()
    return workers.some(({ pid, inFlight }) => pids.has(pid) && inFlight > 0)
  })
}
