/**
 * A signal for the master that goes to every process of the tree, as `systemctl kill` sends it: no request fails, no worker goes away but by a reload or a
 * stop, no inspector opens, and one that comes while a child boots fails neither the start nor a reload. The application notices nothing of it.
 */

import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { MASTERS_SIGNALS } from '../../kit/process/masters-signals.js'
import { INSPECTED_SIGNAL } from '../../kit/process/uninvited-inspector.js'
import { ask } from './fixtures/asking.js'
import { type Serving, until, WatchedSite } from './fixtures/watched-site.js'

/** Answers a POST when its body and a file are there; tells of signals that it may listen for. */
const app = `
const { existsSync, appendFileSync } = require('node:fs')
require('node:http').createServer((request, response) => {
  if (request.url === '/self') {
    response.end(JSON.stringify({
      listeners: [${MASTERS_SIGNALS.map(name => `'${name}'`).join(', ')}].map(name => process.listenerCount(name)),
      events: process.eventNames().filter(name => /^SIG/.test(String(name))),
      argv: process.argv.length,
      execArgv: process.execArgv,
      preloads: Object.keys(require.cache).filter(path => /prelude/.test(path)),
    }))
    return
  }
  if (request.url === '/listen') {
    process.once('SIGUSR2', () => appendFileSync(__dirname + '/heard', 'once '))
    process.on('SIGHUP', () => appendFileSync(__dirname + '/heard', 'hup '))
    return response.end('listens')
  }
  if (request.url === '/deaf') {
    for (const name of process.eventNames()) if (/^SIG/.test(String(name))) process.removeAllListeners(name)
    return response.end('deaf')
  }
  if (request.url.startsWith('/die/')) {
    response.end('dies')
    setTimeout(() => process.kill(process.pid, request.url.slice(5)), 20)
    return
  }
  request.resume().on('end', () => {
    const timer = setInterval(() => {
      if (!existsSync(__dirname + '/go')) return
      clearInterval(timer)
      response.end('posted')
    }, 10)
  })
}).listen(3000)
`

const pidsOf = (site: WatchedSite) => site.processes().map(line => Number.parseInt(line, 10))

/** To every process of the tree, the master too, at once. */
function sendToAll(site: WatchedSite, signal: NodeJS.Signals, but: readonly number[] = []): void {
  for (const pid of pidsOf(site).filter(pid => !but.includes(pid))) send(pid, signal)
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    // ESRCH: it has gone meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Ports that a process listens on, in the kernel's words. */
function listeningPorts(pid: number): string[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap(fd => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
      } catch {
        return [] // ENOENT: it was closed meanwhile.
      }
    }),
  )
  const rows = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').trim().split('\n').slice(1)
  const fields = rows.map(row => row.trim().split(/\s+/))
  return fields.flatMap(([, local = '', , state, , , , , , inode = '']) =>
    state === '0A' && inodes.has(inode) ? [local] : [],
  )
}

async function noInspector(t: Test, site: WatchedSite, running: Serving): Promise<void> {
  const { workers, proxies } = await site.status()
  const front = Number(new URL(running.url).port).toString(16).toUpperCase().padStart(4, '0')
  for (const { pid } of [...workers, ...proxies, { pid: running.pid }]) {
    const ports = listeningPorts(pid ?? 0).filter(port => !port.endsWith(`:${front}`))
    t.same(ports, [], `pid ${pid} listens on nothing else`)
  }
}

const post = (running: Serving) => ask(running.url, '/post', { method: 'POST', body: 'x'.repeat(16_000) })

/** What each of them does to the master. */
const keepsWorkers: NodeJS.Signals[][] = [['SIGUSR1'], ['SIGUSR2'], ['SIGWINCH'], ['SIGTSTP', 'SIGTSTP'], ['SIGCONT']]

t.test('workers and proxies stay, and so does what is in flight', async t => {
  const site = new WatchedSite(t, ['processes = 2', 'logto = %dsite.log'], { app, expected: [/signal-ignored/] })
  const running = await site.serve()
  const before = await site.status()
  const posts = Array.from({ length: 8 }, () => post(running))
  await until('they are in flight', async () => {
    const { workers } = await site.status()
    return workers.reduce((sum, { inFlight }) => sum + inFlight, 0) === posts.length
  })
  for (const signals of keepsWorkers) {
    for (const signal of signals) {
      const { paused } = await site.status()
      sendToAll(site, signal)
      if (signal === 'SIGTSTP')
        await until('the master has taken it', async () => (await site.status()).paused !== paused)
    }
    const after = await site.status()
    t.same(
      after.workers.map(({ pid }) => pid),
      before.workers.map(({ pid }) => pid),
      `${signals}: the same workers`,
    )
    t.same(
      after.proxies.map(({ pid }) => pid),
      before.proxies.map(({ pid }) => pid),
      `${signals}: the same proxies`,
    )
    await noInspector(t, site, running)
  }
  writeFileSync(site.path('go'), '')
  for (const answer of await Promise.all(posts)) t.match(answer, { status: 200, body: 'posted' })
  t.match(await site.end(running), { code: 0 })
  t.notMatch(site.read('site.log') + running.err(), /Debugger listening/)
})

for (const signal of ['SIGHUP', 'SIGTTIN', 'SIGTTOU', 'SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
  t.test(`${signal} fails no request`, async t => {
    const expected = [/signal-ignored/, /worker-exit .*signal=SIG(HUP|TTIN|TTOU)/]
    const site = new WatchedSite(t, ['processes = 2'], { app, expected })
    const running = await site.serve()
    const posts = Array.from({ length: 8 }, () => post(running))
    await until('they are in flight', async () => {
      const { workers } = await site.status()
      return workers.reduce((sum, { inFlight }) => sum + inFlight, 0) === posts.length
    })
    sendToAll(site, signal)
    const took = { SIGHUP: /reload-start/, SIGTTIN: /worker-start slot=3/, SIGTTOU: /worker-retiring/ }
    await until('the master has taken it', () =>
      (signal in took ? took[signal as keyof typeof took] : /master-stopping/).test(running.out()),
    )
    writeFileSync(site.path('go'), '')
    for (const answer of await Promise.all(posts)) t.match(answer, { status: 200, body: 'posted' })
    if (signal === 'SIGHUP' || signal === 'SIGTTIN' || signal === 'SIGTTOU') {
      await site.untilReady()
      if (signal === 'SIGHUP') await until('it is told', () => /reload-done generation=2/.test(running.out()))
      await noInspector(t, site, running)
      t.match(await site.end(running), { code: 0 })
    } else t.match(await running.ended, { code: 0 })
  })
}

t.test('the application sees nothing of it, and hears what it listens for', async t => {
  const site = new WatchedSite(t, ['processes = 1', 'node-args = --no-warnings'], { app })
  const running = await site.serve()
  const [worker] = (await site.status()).workers
  const pid = worker?.pid ?? 0
  const self = async () => JSON.parse((await ask(running.url, '/self')).body)
  const untouched = {
    listeners: MASTERS_SIGNALS.map(() => 0),
    events: [],
    argv: 2,
    execArgv: ['--no-warnings'],
    preloads: [],
  }
  t.same(await self(), untouched)
  t.equal((await ask(running.url, '/listen')).body, 'listens')
  process.kill(pid, 'SIGUSR2')
  await until('its handler ran', () => site.read('heard') === 'once ')
  process.kill(pid, 'SIGUSR2')
  process.kill(pid, 'SIGHUP')
  await until('the other one, too', () => site.read('heard') === 'once hup ')
  t.equal((await ask(running.url, '/deaf')).body, 'deaf')
  for (const signal of MASTERS_SIGNALS) process.kill(pid, signal)
  t.same((await self()).listeners, untouched.listeners, 'it lives, without a listener')
  t.equal((await site.status()).workers[0]?.pid, pid)
  t.match(await site.end(running), { code: 0 })
})

for (const signal of ['SIGTERM', 'SIGUSR2', 'SIGHUP'] as const) {
  t.test(`an application that sends itself ${signal} ends by it, as on bare Node`, async t => {
    const site = new WatchedSite(t, ['processes = 1'], { app, expected: [new RegExp(`signal=${signal}`)] })
    const running = await site.serve()
    const pid = (await site.status()).workers[0]?.pid ?? 0
    await ask(running.url, `/die/${signal}`)
    await until('it has ended', () => new RegExp(`worker-exit .*pid=${pid} .*signal=${signal}`).test(running.out()))
    await site.untilReady()
    t.match(await site.end(running), { code: 0 })
  })
}

const MOST_EARLY = 6

t.test('signals while children boot fail neither the start nor a reload', async t => {
  const early = ['SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGTERM', INSPECTED_SIGNAL].join('|')
  const attempt = /^Starting inspector on 192\.0\.2\.1:1024 failed/
  const expected = [new RegExp(`(worker|proxy)-exit .*signal=(${early})`), /signal-ignored/, attempt]
  const site = new WatchedSite(t, ['processes = 2', 'node-args = --require ./slow.cjs', 'chdir = %d'], {
    app,
    expected,
  })
  writeFileSync(site.path('slow.cjs'), 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)\n')
  const storms: NodeJS.Signals[] = ['SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGTERM']
  let shots = 0
  const hit = new Set<number>()
  const storm = setInterval(() => {
    const master = site.masterPid()
    for (const line of site.processes()) {
      const pid = Number.parseInt(line, 10)
      if (pid === master || master === null || !/ daimyo: (worker|proxy) /.test(line)) continue
      // Before its first line a child has no name of its own, and dies. A few of each have to, then one of them gets through.
      if (!/^\d+ daimyo: /.test(line) && hit.size >= MOST_EARLY) continue
      if (!/^\d+ daimyo: /.test(line)) hit.add(pid)
      send(pid, storms[shots++ % storms.length] ?? 'SIGHUP')
    }
  }, 3)
  t.teardown(() => clearInterval(storm))
  const running = await site.serve()
  // On a busy machine a child may be through with its first line before it is found.
  await until('children were hit before their first line, and later', async () => {
    t.match(await site.run('reload', site.ini), { code: 0 })
    await site.untilReady()
    return hit.size > 0 && shots > 10
  })
  clearInterval(storm)
  t.comment(`${hit.size} children were hit before their first line`)
  t.ok(shots > 10, `${shots} signals`)
  t.notMatch(running.out() + running.err(), /Debugger listening/)
  await noInspector(t, site, running)
  t.match(await site.end(running), { code: 0 })
})
