/** Each signal in the README's table does to a running master what the table says. A signal that is added there fails here until it is tried. */

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask, open } from './fixtures/asking.js'
import { type Serving, timeFactor, topFolder, until, WatchedSite } from './fixtures/watched-site.js'

/** `/wait` answers when the file `go` is there, everything else at once. */
const app = `
const { existsSync } = require('node:fs')
require('node:http').createServer((request, response) => {
  if (request.url !== '/wait') return response.end(process.pid + '\\n')
  response.write('wait ')
  const timer = setInterval(() => existsSync(__dirname + '/go') && response.end('done'), 10)
  response.on('close', () => clearInterval(timer))
}).listen(3000)
`

interface Served {
  site: WatchedSite
  running: Serving
  /** What the log file holds now. */
  log: () => string
}

type Proof = (t: Test, served: Served, signal: NodeJS.Signals) => Promise<void>

const stops: Proof = async (t, { site, running, log }, signal) => {
  const answer = await open(running.url, '/wait')
  process.kill(running.pid, signal)
  await until('the proxy drains', () => /proxy-draining/.test(log()))
  writeFileSync(site.path('go'), '')
  let body = ''
  for await (const chunk of answer) body += chunk
  t.equal(body, 'wait done', 'what is in flight is answered')
  t.match(await running.ended, { code: 0 })
  t.match(log(), new RegExp(`master-stopping why=${signal}`))
}

const proofs: Record<string, Proof> = {
  SIGTERM: stops,
  SIGQUIT: stops,
  async SIGINT(t, served, signal) {
    await stops(t, served, signal)
  },
  async SIGHUP(t, { site, running }, signal) {
    const before = (await site.status()).workers.map(({ pid }) => pid)
    process.kill(running.pid, signal)
    await until('generation 2', async () => (await site.untilReady()).generation === 2)
    const { workers } = await site.status()
    t.notOk(
      workers.some(({ pid }) => before.includes(pid)),
      'all workers are new',
    )
    t.match(await ask(running.url, '/'), { status: 200 })
  },
  async SIGUSR1(t, { site, running, log }, signal) {
    await ask(running.url, '/before')
    await until('the access line', () => /"GET \/before /.test(log()))
    renameSync(site.path('site.log'), site.path('site.log.1'))
    await ask(running.url, '/between')
    process.kill(running.pid, signal)
    await until('the new log is there', () => log().length >= 0)
    await until('its access lines are there', async () => {
      await ask(running.url, '/after')
      return /"GET \/after /.test(log())
    })
    process.kill(running.pid, 'SIGTTIN')
    await until('the master’s lines are there', () => /worker-ready slot=2/.test(log()))
    const rotated = site.read('site.log.1')
    t.match(rotated, /"GET \/between /, 'what came before it is in the old one')
    t.notMatch(rotated, /worker-ready slot=2/, 'and nothing of what came behind it')
    t.notMatch(log(), /"GET \/(before|between) /)
  },
  async SIGUSR2(t, { running, log }, signal) {
    process.kill(running.pid, signal)
    await until('the state is told', () => /worker-status slot=1 pid=\d+ phase=ready generation=1 /.test(log()))
    t.match(log(), / status wanted=1 paused=false workers=1 proxies=1$/m)
  },
  async SIGTSTP(t, { site, running }, signal) {
    process.kill(running.pid, signal)
    await until('it is paused', async () => (await site.status()).paused)
    const answer = ask(running.url, '/')
    process.kill(running.pid, signal)
    t.match(await answer, { status: 200 }, 'what waited is answered')
    t.match(await site.status(), { paused: false })
  },
  async SIGTTIN(t, { site, running }, signal) {
    process.kill(running.pid, signal)
    await until('one more', async () => (await site.untilReady()).workers.length === 2)
    t.match(await site.status(), { wanted: 2 })
  },
  async SIGTTOU(t, { site, running, log }, signal) {
    process.kill(running.pid, 'SIGTTIN')
    await until('one more', async () => (await site.untilReady()).workers.length === 2)
    process.kill(running.pid, signal)
    await until('one fewer', async () => (await site.untilReady()).workers.length === 1)
    process.kill(running.pid, signal)
    await ask(running.url, '/')
    t.match(await site.untilReady(), { wanted: 1 }, 'the last one stays')
    t.match(log(), /worker-exit slot=2 .*code=0/, 'it ended by itself')
  },
}

const table =
  readFileSync(join(topFolder, 'README.md'), 'utf8').split('## Signals to the master')[1]?.split('\n## ')[0] ?? ''
const signals = [...table.matchAll(/^\| ([^|]*SIG[^|]*) \|/gm)].flatMap(([, names = '']) => names.split(', '))
t.same(signals.toSorted(), Object.keys(proofs).toSorted(), 'the README’s signals are those that are tried here')

for (const [signal, proof] of Object.entries(proofs)) {
  t.test(signal, async t => {
    const site = new WatchedSite(t, ['processes = 1', 'logto = %dsite.log'], { app })
    const running = await site.serve()
    await proof(t, { site, running, log: () => site.read('site.log') }, signal as NodeJS.Signals)
    if (running.child.exitCode === null) t.match(await site.end(running), { code: 0 })
  })
}

t.test('a second SIGINT does not wait', async t => {
  const lines = ['processes = 1', 'logto = %dsite.log', 'reload-mercy = 60', 'worker-reload-mercy = 60']
  const site = new WatchedSite(t, lines, { app, expected: [/killing|signal=SIGKILL/] })
  const running = await site.serve()
  const answer = await open(running.url, '/wait')
  answer.resume().on('error', () => {}) // ECONNRESET: nobody waits for it
  const sinceMs = performance.now()
  process.kill(running.pid, 'SIGINT')
  // Two within half a second are one key press that arrived twice.
  const { code } = await pressing(running, 'SIGINT', () => site.read('site.log').includes('master-killing'))
  t.ok(code !== null, `it ended by itself, with ${code}`)
  t.ok(performance.now() - sinceMs < 10_000 * timeFactor, 'long before its mercy')
  t.match(site.read('site.log'), /master-killing why=/)
})

t.test('a stop does not wait longer than its mercy', async t => {
  const lines = ['processes = 1', 'logto = %dsite.log', 'reload-mercy = 1', 'worker-reload-mercy = 60']
  const site = new WatchedSite(t, lines, { app, expected: [/killing|killed|signal=SIGKILL/] })
  const running = await site.serve()
  const answer = await open(running.url, '/wait')
  answer.resume().on('error', () => {}) // ECONNRESET: nobody waits for it
  const sinceMs = performance.now()
  t.match(await site.end(running), { code: 0 })
  t.ok(performance.now() - sinceMs < 10_000 * timeFactor, 'bounded by reload-mercy')
})

/** Sends the signal again and again until it was heard: one that comes while the process ends would be the end of it. */
async function pressing(
  running: Serving,
  signal: NodeJS.Signals,
  heard: () => boolean,
): Promise<{ code: number | null }> {
  await until(`${signal} is heard`, () => {
    if (!heard()) running.child.kill(signal)
    return heard()
  })
  return running.ended
}
