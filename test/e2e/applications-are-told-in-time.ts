/**
 * Applications with answers that have no end are told that their worker goes, in time to end them; their server closes as on bare Node; and a request that
 * has an end is answered, whatever the application does at SIGTERM.
 */

import { once } from 'node:events'
import { get } from 'node:http'
import t, { type Test } from 'tap'
import { ask } from './fixtures/asking.js'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { until, WatchedSite } from './fixtures/watched-site.js'

/** `atTerm` is the body of its handler for SIGTERM; empty: it has none. */
const application = (atTerm: string) => `
const { appendFileSync } = require('node:fs')
const note = text => appendFileSync(__dirname + '/notes', text + '\\n')
const streams = new Set()
const server = require('node:http').createServer((request, response) => {
  if (request.url === '/slow') return setTimeout(() => response.end('slow'), 2500)
  if (request.url !== '/events') return response.end('fast')
  response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\\n\\n')
  streams.add(response)
  response.on('close', () => streams.delete(response))
}).listen(3000)
${atTerm === '' ? '' : `process.on('SIGTERM', (name, number) => { ${atTerm} })`}
`
const ENDS_STREAMS = `
  note('told ' + name + ' ' + number)
  for (const response of streams) response.end('data: last\\n\\n')
  server.close(error => note('closed ' + (error === undefined ? 'well' : error.code)))
`

/** Opens an event stream; `ended` says what came of it, and whether it was whole. */
async function openStream(t: Test, url: string): Promise<{ ended: Promise<{ text: string; isWhole: boolean }> }> {
  const request = get(`${url}/events`, { agent: false })
  t.teardown(() => request.destroy())
  const [response] = await once(request, 'response')
  let text = ''
  response.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  const ended = new Promise<{ text: string; isWhole: boolean }>(resolve => {
    response.on('error', () => {})
    response.on('close', () => resolve({ text, isWhole: response.complete }))
  })
  return { ended }
}

const openStreams = (t: Test, url: string, count: number) =>
  Promise.all(Array.from({ length: count }, () => openStream(t, url)))

const goodbye = { text: 'data: first\n\ndata: last\n\n', isWhole: true }
const seconds = (sinceMs: number) => (performance.now() - sinceMs) / 1000

t.test('a reload and a stop of four workers, each with ten event streams', async t => {
  const site = new WatchedSite(t, ['processes = 4', 'worker-reload-mercy = 60', 'reload-mercy = 60'], {
    app: application(ENDS_STREAMS),
  })
  const running = await site.serve()
  const steady = new SteadyClient(t, running.url, 20, () => ({ path: '/' }))
  let streams = await openStreams(t, running.url, 40)
  let sinceMs = performance.now()
  t.match(await site.run('reload', site.ini), { code: 0 })
  const reloadSeconds = seconds(sinceMs)
  for (const { ended } of streams) t.same(await ended, goodbye)
  t.ok(reloadSeconds < 30, `the reload took ${reloadSeconds.toFixed(1)} s: less than one mercy`)
  t.same(failuresAmong(await steady.stop()), [])
  streams = await openStreams(t, running.url, 40)
  sinceMs = performance.now()
  t.match(await site.end(running), { code: 0 })
  const stopSeconds = seconds(sinceMs)
  for (const { ended } of streams) t.same(await ended, goodbye)
  t.ok(stopSeconds < 30, `the stop took ${stopSeconds.toFixed(1)} s`)
  t.comment(`reload ${reloadSeconds.toFixed(1)} s, stop ${stopSeconds.toFixed(1)} s`)
  const notes = site.read('notes').trim().split('\n').sort()
  t.same(notes, [...Array(8).fill('closed well'), ...Array(8).fill('told SIGTERM 15')])
  t.notMatch(running.out(), /worker-exit .*(code=[1-9]|signal=)/)
})

t.test('an application that exits at once exits when it has answered', async t => {
  const site = new WatchedSite(t, ['processes = 1', 'worker-reload-mercy = 60'], {
    app: application('process.exit(0)'),
  })
  const running = await site.serve()
  const [stream] = await openStreams(t, running.url, 1)
  const slow = ask(running.url, '/slow')
  await until('it is in flight', async () => (await site.status()).workers[0]?.inFlight === 2)
  t.match(await site.run('reload', site.ini), { code: 0 })
  t.match(await slow, { status: 200, body: 'slow' })
  t.match(await stream?.ended, { text: 'data: first\n\n', isWhole: false })
  t.match(await site.end(running), { code: 0 })
})

/** `/held` is answered at SIGTERM, just before the process ends. */
const endsWithItsAnswer = (listen: string) => `
const held = []
const answer = () => { for (const response of held) response.end('held') }
const server = require('node:http').createServer((request, response) => {
  if (request.url !== '/held') return response.end('fast')
  held.push(response)
}).listen(3000)
${listen}
`
const atTerm = (work: string) => `process.on('SIGTERM', () => { ${work} })`
const lastBreaths = {
  'exits when its server has closed': atTerm('server.close(() => process.exit(0)); answer()'),
  'kills itself when its server has closed': atTerm(
    "server.close(() => process.kill(process.pid, 'SIGKILL')); answer()",
  ),
  'exits at once, and answers in a turn that is long': atTerm(
    'process.exit(0); setTimeout(() => { answer(); const end = Date.now() + 100; while (Date.now() < end); }, 50)',
  ),
  'sends itself the signal again': `process.once('SIGTERM', name => {
    process.kill(process.pid, name)
    setTimeout(answer, 50)
  })`,
  'sends itself the signal again when nobody else listens, as signal-exit does': `const listener = () => {
    if (process.listeners('SIGTERM').length !== 1) return
    process.removeListener('SIGTERM', listener)
    process.kill(process.pid, 'SIGTERM')
  }
  process.on('SIGTERM', listener)
  setInterval(() => process.listenerCount('SIGTERM') === 0 && answer(), 50)`,
  'leaves by process.reallyExit': atTerm('process.reallyExit(0); setTimeout(answer, 50)'),
}

t.test('the last answer of an application is not lost', async t => {
  await Promise.all(
    Object.entries(lastBreaths).map(async ([title, atTerm]) => {
      const lines = ['processes = 1', 'reload-mercy = 60']
      const site = new WatchedSite(t, lines, {
        app: endsWithItsAnswer(atTerm),
        expected: [/signal=SIG(KILL|TERM) why=SIGTERM/],
      })
      const running = await site.serve()
      const held = ask(running.url, '/held')
      await until('it is in flight', async () => (await site.status()).workers[0]?.inFlight === 1)
      t.match(await site.end(running), { code: 0 })
      t.match(await held, { status: 200, body: 'held' }, title)
      t.notMatch(running.out(), /why=died/, `${title}: nobody died`)
    }),
  )
})

t.test('an application that ends its streams at SIGTERM, and nothing else, does not stay', async t => {
  const site = new WatchedSite(t, ['processes = 1', 'worker-reload-mercy = 60', 'reload-mercy = 60'], {
    app: application('for (const response of streams) response.end()'),
  })
  const running = await site.serve()
  const [stream] = await openStreams(t, running.url, 1)
  const sinceMs = performance.now()
  t.match(await site.end(running), { code: 0 })
  t.match(await stream?.ended, { isWhole: true })
  t.ok(seconds(sinceMs) < 30, `${seconds(sinceMs).toFixed(1)} s`)
})

t.test('a stop cuts the streams of an application that does not listen, and lets other answers end', async t => {
  const site = new WatchedSite(t, ['processes = 1', 'reload-mercy = 60', 'stream-mercy = 0'], { app: application('') })
  const running = await site.serve()
  const [stream] = await openStreams(t, running.url, 1)
  const slow = ask(running.url, '/slow')
  await until('it is in flight', async () => (await site.status()).workers[0]?.inFlight === 2)
  const sinceMs = performance.now()
  t.match(await site.end(running), { code: 0 })
  t.match(await slow, { status: 200, body: 'slow' })
  t.match(await stream?.ended, { text: 'data: first\n\n', isWhole: false })
  t.ok(seconds(sinceMs) < 30, `${seconds(sinceMs).toFixed(1)} s`)
})

for (const method of ['closeAllConnections', 'close'] as const) {
  t.test(`server.${method}() means those that came through a proxy, too`, async t => {
    const site = new WatchedSite(t, ['processes = 1', 'reload-mercy = 60'], {
      app: application(
        `server.close(() => note('closed')); ${method === 'close' ? 'for (const response of streams) response.end()' : 'server.closeAllConnections()'}`,
      ),
    })
    const running = await site.serve()
    const [stream] = await openStreams(t, running.url, 1)
    t.match(await site.end(running), { code: 0 })
    t.match(await stream?.ended, { isWhole: method === 'close' })
    t.equal(site.read('notes'), 'closed\n')
  })
}

/** It has half a second of work left when its server has closed, which it tells at each step. */
const CLEANS_UP = `server.close(() => {
  note('closed')
  setTimeout(() => { note('cleaned up'); process.exit(0) }, 500)
})`

t.test('when a reload or a stop has cut what is in flight, an application still cleans up', async t => {
  await Promise.all(
    (['reload', 'stop'] as const).map(async command => {
      const lines = ['processes = 1', 'worker-reload-mercy = 5', 'reload-mercy = 5', 'stream-mercy = 60']
      const site = new WatchedSite(t, lines, { app: application(`note('told'); ${CLEANS_UP}`) })
      const running = await site.serve()
      const [stream] = await openStreams(t, running.url, 1)
      const { code, out } = await (command === 'reload' ? site.run('reload', site.ini) : site.end(running))
      t.equal(code, 0)
      if (command === 'reload')
        t.match(out, /still reloading: waiting for 1 request of slot 1, until [\d:]{8} \(worker-reload-mercy\)/)
      t.match(await stream?.ended, { text: 'data: first\n\n', isWhole: false }, command)
      t.equal(site.read('notes'), 'told\nclosed\ncleaned up\n', command)
    }),
  )
})
