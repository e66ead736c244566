/** What applications do to the process that they live in, and others to it: each is served as far as it can be, and reloads and ends all the same. */

import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { ask } from './fixtures/asking.js'
import { pidOf, reloads, testEach } from './fixtures/odd-applications.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

testEach({
  'takes our listeners away and ignores every signal': {
    app: `
for (const name of ['message', 'disconnect', 'exit', 'beforeExit']) process.removeAllListeners(name)
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']) process.on(signal, () => {})
process.exit = () => {}
require('node:http').createServer((request, response) => response.end(String(process.pid))).listen(3000)
setInterval(() => {}, 1000)`,
    lines: ['worker-reload-mercy = 1', 'reload-mercy = 1'],
    expected: [/worker-killed|signal=SIGKILL/],
    async proof(t, site, running) {
      for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR1'] as const) process.kill(await pidOf(running.url), signal)
      await reloads(t, site, running)
    },
  },
  'starts children that outlive it': {
    app: `
const child = require('node:child_process').spawn('sleep', ['1000'], { stdio: 'inherit' })
require('node:http').createServer((request, response) => {
  response.end(String(request.url === '/pid' ? process.pid : child.pid))
}).listen(3000)`,
    // A worker that is slow to end is killed, and its children with it.
    lines: ['reload-mercy = 60', 'worker-reload-mercy = 60'],
    async proof(t, site, running) {
      const children = [Number((await ask(running.url, '/child')).body)]
      // They are the application's own, as on bare Node; only who is killed takes them along.
      t.teardown(() => children.forEach(endChild))
      await reloads(t, site, running)
      children.push(Number((await ask(running.url, '/child')).body))
      t.match(await site.end(running), { code: 0 }, 'who waits for the end of its output waits for nobody else')
      children.splice(0).forEach(endChild)
    },
  },
  'leaks file descriptors until there are none': {
    app: `
const { openSync } = require('node:fs')
require('node:http').createServer((request, response) => {
  if (request.url !== '/leak') return response.end(String(process.pid))
  try { for (;;) openSync('/dev/null') } catch (error) { response.end(error.code) }
}).listen(3000)`,
    lines: ['max-fd = 128'],
    async proof(t, site, running) {
      t.match(await ask(running.url, '/leak'), { status: 200, body: 'EMFILE' })
      for (let again = 0; again < 5; again++) t.match(await ask(running.url, '/'), { status: 200 }, 'its link is there')
      t.match(await site.status(), { workers: [{ phase: 'ready' }] })
      await reloads(t, site, running)
    },
  },
})

t.test('a worker that stands still', async t => {
  const expected = [/ worker-harakiri | worker-exit .*signal=SIGKILL why=harakiri/]
  const app = `require('node:http').createServer((request, response) => response.end(String(process.pid))).listen(3000)`
  const site = new WatchedSite(t, ['processes = 2', 'harakiri = 1', 'disable-logging = true'], { app, expected })
  const running = await site.serve()
  const victim = (await site.status()).workers[0]?.pid ?? 0
  process.kill(victim, 'SIGSTOP')
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask(running.url, '/')))
  const statuses = answers.map(({ status }) => status)
  t.ok(
    statuses.every(status => status === 200 || status === 504),
    `each is answered: ${[...new Set(statuses)]}`,
  )
  t.ok(statuses.filter(status => status === 504).length <= 1, 'one at most pays for it, the others are rescued')
  await until('it is replaced', async () => (await site.untilReady()).workers.every(({ pid }) => pid !== victim))
  t.match(await site.end(running), { code: 0 })
})

t.test('everything is killed at once', async t => {
  const app = `require('node:http').createServer((request, response) => response.end('rice')).listen(3000)`
  const site = new WatchedSite(t, ['processes = 2', 'pidfile = %dsite.pid', 'http = %dhttp.sock'], { app })
  const first = await site.serve()
  for (const line of site.processes()) process.kill(Number.parseInt(line, 10), 'SIGKILL')
  t.match(await first.ended, { code: null })
  await until('all are gone', () => site.processes().length === 0)
  const next = await site.serve()
  t.equal(await getFrom(site.path('http.sock')), 'rice', 'what the dead left behind is no obstacle')
  t.match(await site.end(next), { code: 0 })
})

function endChild(pid: number): void {
  // Only what is still the child: the number may be another's by now.
  if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'sleep') process.kill(pid, 'SIGKILL')
}

/** One GET over a unix socket: the body. */
function getFrom(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ socketPath, path: '/', agent: false, timeout: 10_000 * timeFactor }, response => resolve(text(response)))
      .on('timeout', () => reject(new Error('silent')))
      .on('error', reject)
  })
}
