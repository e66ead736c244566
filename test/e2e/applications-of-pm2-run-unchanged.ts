/** Applications that were written for PM2 send it messages without a look whether it is there, and wait for its own: they run, start and end as there. */

import { writeFileSync } from 'node:fs'
import t from 'tap'
import { ask } from './fixtures/asking.js'
import { reloads, testEach } from './fixtures/odd-applications.js'
import { WatchedSite } from './fixtures/watched-site.js'

const START = `
const { appendFileSync } = require('node:fs')
const note = text => appendFileSync(__dirname + '/notes', text + '\\n')
const server = require('node:http').createServer((request, response) => response.end(String(process.pid)))
`

testEach({
  'sends messages as it likes, and is told by one before the signal': {
    app: `${START}
process.send({ type: 'process:msg', data: { begun: true } })
process.on('message', (message, handle) => note('message ' + message + ' ' + handle))
process.on('disconnect', () => note('disconnect'))
process.on('SIGTERM', () => {
  note('SIGTERM ' + process.connected)
  server.close(() => process.send('closed', () => process.exit()))
})
server.listen(3000, () => process.send('ready', error => note('sent ' + error)))`,
    async proof(t, site, running) {
      await reloads(t, site, running)
      t.match(await site.end(running), { code: 0 })
      const life = ['message shutdown undefined', 'SIGTERM true', 'sent null']
      t.same(site.read('notes').trim().split('\n').sort(), [...life, ...life].sort())
      t.ok(site.read('notes').indexOf('message') < site.read('notes').indexOf('SIGTERM'))
    },
  },
  'gives the channel up': {
    app: `${START}
process.disconnect()
process.on('message', () => note('message'))
server.listen(3000, () => note(String(process.send('ready')) + process.connected))`,
    async proof(t, site, running) {
      t.match(await site.end(running), { code: 0 })
      t.equal(site.read('notes'), 'falsefalse\n')
    },
  },
  'cleans up at the message, without a listener for the signal': {
    lines: ['worker-reload-mercy = 60', 'reload-mercy = 60'],
    app: `${START}
setInterval(() => {}, 1000)
process.on('message', message => {
  if (message === 'shutdown') setTimeout(() => { note('clean'); process.exit(0) }, 300)
})
server.listen(3000)`,
    async proof(t, site, running) {
      t.match(await site.end(running), { code: 0 })
      t.equal(site.read('notes'), 'clean\n')
    },
  },
  'listens to messages of another kind, and has work for ever': {
    lines: ['worker-reload-mercy = 60', 'reload-mercy = 60'],
    app: `${START}
setInterval(() => {}, 1000)
process.on('message', () => {})
server.listen(3000)`,
    async proof(t, site, running) {
      const sinceMs = performance.now()
      t.match(await site.end(running), { code: 0 })
      const seconds = (performance.now() - sinceMs) / 1000
      t.ok(seconds < 30, `it ended after ${seconds.toFixed(1)} s, and not at its mercy`)
    },
  },
  'says when it is ready': {
    lines: ['wait-ready = true'],
    app: `${START}
server.listen(3000, () => setTimeout(() => {
  note('ready')
  process.send('ready')
}, 300))`,
    async proof(t, site, running) {
      t.equal(site.read('notes'), 'ready\n', 'it served then and not before')
      t.match(await ask(running.url, '/'), { status: 200 })
      await reloads(t, site, running)
      t.equal(site.read('notes'), 'ready\nready\n')
    },
  },
})

t.test('one that never says that it is ready is told by name, and the old code goes on', async t => {
  const site = new WatchedSite(t, ['wait-ready = true'], {
    app: `${START} server.listen(3000, () => process.send('ready'))`,
    expected: [/worker-(exit|load-failed|not-ready)|reload-failed|not ready within|failed/],
  })
  const running = await site.serve()
  // Enough for a process to start on a busy machine.
  site.writeIni(['wait-ready = true', 'worker-start-timeout = 5'])
  writeFileSync(site.path('app.cjs'), `${START} server.listen(3000)`)
  const { code, err } = await site.run('reload', site.ini)
  t.equal(code, 1)
  t.match(
    err,
    /was not ready within 5000 ms: the application listens; wait-ready: it has not called process\.send\('ready'\)/,
  )
  t.match(await ask(running.url, '/'), { status: 200 })
  t.match(await site.end(running), { code: 0 })
})
