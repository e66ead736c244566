/** Applications that listen in ways of their own: each is served, and reloaded where the new worker can be what the old one was. */

import t, { type Test } from 'tap'
import { ask } from './fixtures/asking.js'
import { type Serving, until, WatchedSite } from './fixtures/watched-site.js'

interface Scene {
  app: string
  expected?: RegExp[]
  proof(t: Test, site: WatchedSite, running: Serving): Promise<void>
}

async function pidOf(url: string): Promise<number> {
  return Number((await ask(url, '/pid')).body)
}

async function reloads(t: Test, site: WatchedSite, running: Serving): Promise<void> {
  const before = await pidOf(running.url)
  t.match(await site.run('reload', site.ini), { code: 0, err: '' }, 'it can be reloaded')
  t.not(await pidOf(running.url), before)
}

const scenes: Record<string, Scene> = {
  'listens twice': {
    app: `
const server = require('node:http').createServer((request, response) => {
  if (request.url === '/pid') return response.end(String(process.pid))
  try { server.listen(3001) } catch (error) { response.end(error.code) }
})
server.listen(3000)`,
    async proof(t, site, running) {
      t.match(await ask(running.url, '/'), { status: 200, body: 'ERR_SERVER_ALREADY_LISTEN' })
      await reloads(t, site, running)
    },
  },
  'listens on a port of its own': {
    app: `
const http = require('node:http')
http.createServer((request, response) => response.end(request.url === '/pid' ? String(process.pid) : 'main')).listen(3000)
const own = http.createServer((request, response) => response.end('own')).listen(0, '127.0.0.1', () => {
  require('node:fs').writeFileSync(__dirname + '/port', String(own.address().port))
})`,
    async proof(t, site, running) {
      t.match(await ask(running.url, '/'), { status: 200, body: 'main' })
      await until('its port is there', () => site.read('port') !== '')
      t.match(await ask(`http://127.0.0.1:${site.read('port')}`, '/'), { status: 200, body: 'own' })
      await reloads(t, site, running)
    },
  },
  'wants a port that the worker before it still has': {
    app: `
const { existsSync, readFileSync, writeFileSync } = require('node:fs')
const file = __dirname + '/port'
require('node:http').createServer((request, response) => response.end(String(process.pid))).listen(3000, () => {
  const own = require('node:net').createServer().listen(existsSync(file) ? Number(readFileSync(file)) : 0, '127.0.0.1', () => {
    writeFileSync(file, String(own.address().port))
  })
})`,
    expected: [
      /EADDRINUSE|reload-failed|worker-(exit|load-failed) .*generation=2 |Emitted 'error' event|^\s+at |^ {2}/,
    ],
    async proof(t, site, running) {
      await until('its port is there', () => site.read('port') !== '')
      const before = await pidOf(running.url)
      const { code, err } = await site.run('reload', site.ini)
      t.equal(code, 1, 'the new one cannot serve')
      t.match(err, /EADDRINUSE/, 'and that is told')
      t.equal(await pidOf(running.url), before, 'the old one goes on')
    },
  },
  'closes its own server': {
    app: `
const server = require('node:http').createServer((request, response) => {
  if (request.url === '/close') server.close()
  response.end(String(process.pid))
})
server.listen(3000)`,
    async proof(t, site, running) {
      t.match(await ask(running.url, '/close'), { status: 200 })
      t.match(
        await ask(running.url, '/pid'),
        { status: 200 },
        'requests come by the link, as docs/compatibility.md says',
      )
      await reloads(t, site, running)
    },
  },
}

for (const [title, { app, expected, proof }] of Object.entries(scenes)) {
  t.test(title, async t => {
    const site = new WatchedSite(t, ['processes = 1'], { app, expected })
    const running = await site.serve()
    await proof(t, site, running)
    if (running.child.exitCode === null) t.match(await site.end(running), { code: 0 })
  })
}
