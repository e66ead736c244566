/** A stop in the middle of a start or a reload, a reload in the middle of a stop: the stop wins, nothing in flight is lost, and nobody is told otherwise. */

import { writeFileSync } from 'node:fs'
import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { askMaster } from '../../supervisor/control/control-client.js'
import { withHeldSocket } from '../../supervisor/control/held-socket.js'
import { ask, open } from './fixtures/asking.js'
import { until, WatchedSite } from './fixtures/watched-site.js'

/** `/wait` is answered when the file `go` is there. The second one to be loaded says so by the file `second`, and never listens. */
const app = `
const { existsSync, writeFileSync } = require('node:fs')
const isFirst = !existsSync(__dirname + '/first')
writeFileSync(__dirname + (isFirst ? '/first' : '/second'), '')
if (isFirst) require('node:http').createServer((request, response) => {
  if (request.url !== '/wait') return response.end('rice')
  response.write('wait ')
  const timer = setInterval(() => existsSync(__dirname + '/go') && response.end('done'), 10)
  response.on('close', () => clearInterval(timer))
}).listen(3000)
else setInterval(() => {}, 1000)
`

async function bodyOf(answer: Awaited<ReturnType<typeof open>>): Promise<string> {
  let body = ''
  for await (const chunk of answer) body += chunk
  return body
}

t.test('SIGTERM in the middle of a reload', async t => {
  const site = new WatchedSite(t, ['processes = 1', 'reload-mercy = 60'], { app, expected: [/reload/] })
  const running = await site.serve()
  const answer = await open(running.url, '/wait')
  const reload = site.run('reload', site.ini)
  await until('the new worker loads', () => site.read('second') === '')
  process.kill(running.pid, 'SIGTERM')
  t.match(await reload, { code: EXIT.failed, err: /^daimyo: reload failed: the master stops: SIGTERM$/m })
  writeFileSync(site.path('go'), '')
  t.equal(await bodyOf(answer), 'wait done')
  t.match(await running.ended, { code: EXIT.ok })
})

t.test('SIGHUP, a reload and another SIGTERM in the middle of a stop', async t => {
  const site = new WatchedSite(t, ['processes = 1', 'reload-mercy = 60'], { app, expected: [/reload/] })
  const running = await site.serve()
  const answer = await open(running.url, '/wait')
  process.kill(running.pid, 'SIGTERM')
  await until('it drains', () => / proxy-draining /.test(running.out()))
  process.kill(running.pid, 'SIGHUP')
  process.kill(running.pid, 'SIGTERM')
  t.match(await site.run('reload', site.ini), { code: EXIT.failed, err: /the master stops: SIGTERM/ })
  t.match(await site.status(), { stopping: true, reloading: false, workers: [{ generation: 1, phase: 'ready' }] })
  writeFileSync(site.path('go'), '')
  t.equal(await bodyOf(answer), 'wait done')
  t.match(await running.ended, { code: EXIT.ok })
  t.notMatch(running.out(), / reload-start | generation=2 /)
})

t.test('SIGHUP in the middle of a start is a reload behind it', async t => {
  const slow = `
const { existsSync } = require('node:fs')
const server = require('node:http').createServer((request, response) => response.end('rice'))
const timer = setInterval(() => existsSync(__dirname + '/go') && (clearInterval(timer), server.listen(3000)), 10)
`
  const site = new WatchedSite(t, ['processes = 1'], { app: slow })
  const running = site.spawn(site.ini)
  await until('it starts', () => / worker-start /.test(running.out()))
  process.kill(running.pid, 'SIGHUP')
  t.match(await site.status(), { generation: 1, reloading: false })
  writeFileSync(site.path('go'), '')
  await until('it was reloaded', () => / reload-done generation=2$/m.test(running.out()))
  const { urls } = await site.untilReady()
  t.match(await ask(urls[0] ?? '', '/'), { status: 200, body: 'rice' })
  t.match(await site.end(running), { code: EXIT.ok })
})

t.test('SIGTERM in the middle of a start', async t => {
  const site = new WatchedSite(t, ['processes = 1'], { app })
  writeFileSync(site.path('first'), '')
  const running = site.spawn(site.ini)
  await until('it loads', () => site.read('second') === '')
  t.match(await site.end(running), { code: EXIT.ok, err: /^daimyo: the start was interrupted: SIGTERM$/m })
})

t.test('SIGTERM where the last worker has died and the next one starts', async t => {
  const lines = ['processes = 1', 'reload-mercy = 60', 'http-processes = 2', 'http-queue-timeout = 60']
  const site = new WatchedSite(t, lines, { app, expected: [/ worker-exit .*SIGKILL/] })
  const running = await site.serve()
  const { workers } = await site.status()
  process.kill(workers[0]?.pid ?? 0, 'SIGKILL')
  await until('the next one loads', () => site.read('second') === '')
  const answers = ['GET', 'POST'].map(method => ask(running.url, '/', { method }))
  await until('both wait', async () => {
    const done = await withHeldSocket(site.path('run/control.sock'), [], held =>
      askMaster(held, { command: 'top' }, { silenceMs: 10_000 }),
    )
    return done.ok && done.top?.inFlight.length === 2
  })
  process.kill(running.pid, 'SIGTERM')
  for (const answer of answers)
    t.match(await answer, { status: 503, headers: { connection: 'close' }, body: /nobody is left for this request/ })
  t.match(await running.ended, { code: EXIT.ok })
  t.equal(running.out().match(/ worker-start /g)?.length, 2, 'none is started in the stop')
})
