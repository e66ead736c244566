/** Applications that listen in ways of their own: each is served, and reloaded where the new worker can be what the old one was. */

import { lstatSync, readlinkSync, statSync } from 'node:fs'
import { ask } from './fixtures/asking.js'
import { pidOf, reloads, testEach } from './fixtures/odd-applications.js'
import { SteadyClient } from './fixtures/steady-client.js'
import { until } from './fixtures/watched-site.js'

testEach({
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
      const both =
        /site-doubtful .*site=:::3000 other=127\.0\.0\.1:0 remedy="app-port = 0 if that is the site, app-port = 3000 if not"/
      t.match(running.out(), both, 'it is not on PORT, so both are named')
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
  'listens on a unix path, and makes it fit for its clients': {
    lines: ['processes = 2'],
    app: `
const fs = require('node:fs')
const path = __dirname + '/app.sock'
if (fs.existsSync(path)) fs.unlinkSync(path)
require('node:http').createServer((request, response) => response.end(String(process.pid))).listen(path, () => {
  fs.chmodSync(path, 0o666)
  fs.chownSync(path, process.getuid(), process.getgid())
})`,
    async proof(t, site, running) {
      t.match(await ask(running.url, '/'), { status: 200 })
      t.ok(lstatSync(site.path('app.sock')).isSymbolicLink())
      t.match(readlinkSync(site.path('app.sock')), /\/run\/workers\/worker-\d+\.sock$/)
      await reloads(t, site, running)
      t.ok(statSync(site.path('app.sock')).isSocket(), 'it leads to a worker that is there')
      t.match(await site.end(running), { code: 0 })
      t.throws(() => lstatSync(site.path('app.sock')), { code: 'ENOENT' })
    },
  },
  'opens its metrics port first and its site later': {
    app: `
const http = require('node:http')
http.createServer((request, response) => response.end('metrics')).listen(0, '127.0.0.1')
setTimeout(() => {
  http.createServer((request, response) => response.end(request.url === '/pid' ? String(process.pid) : 'site')).listen(process.env.PORT || 3000)
}, 300)`,
    async proof(t, site, running) {
      t.match(await ask(running.url, '/'), { status: 200, body: 'site' }, 'from the first request on')
      await reloads(t, site, running)
      t.notMatch(running.out(), /site-(doubtful|late)/)
    },
  },
  'has its site at an address that it chose, behind another server': {
    app: `
const http = require('node:http')
http.createServer((request, response) => response.end('metrics')).listen(0, '127.0.0.1')
http.createServer((request, response) => response.end('site')).listen('/nowhere/site.sock')`,
    lines: ['app-port = /nowhere/site.sock'],
    async proof(t, _site, running) {
      t.match(await ask(running.url, '/'), { status: 200, body: 'site' })
    },
  },
  'has its first server on another port than PORT': {
    app: `
const http = require('node:http')
setInterval(() => {}, 1000)
http.createServer((request, response) => {
  response.end('first')
  if (request.url === '/begin') http.createServer((request, response) => response.end('late')).listen(process.env.PORT)
}).listen(3000)`,
    lines: ['env = PORT=3001'],
    async proof(t, _site, running) {
      t.match(await ask(running.url, '/begin'), { status: 200, body: 'first' })
      await until('the one on PORT has taken over', async () => (await ask(running.url, '/')).body === 'late')
      await running.seen(/site-late .*site=3001 before=:::3000 remedy="app-port = 3001/)
    },
  },
  'opens its metrics port first, and its site once that has long been the site': {
    app: `
const { existsSync, writeFileSync } = require('node:fs')
const http = require('node:http')
const isFirst = !existsSync(__dirname + '/started')
writeFileSync(__dirname + '/started', '')
const begin = () => http.createServer((request, response) => response.end('site')).listen(process.env.PORT)
if (!isFirst) setTimeout(begin, 2500)
setInterval(() => {}, 1000)
http.createServer((request, response) => {
  response.end('metrics')
  if (isFirst && request.url === '/begin') begin()
}).listen(0, '127.0.0.1')`,
    async proof(t, site, running) {
      t.match(await ask(running.url, '/begin'), { status: 200, body: 'metrics' })
      await until('the site has taken over', async () => (await ask(running.url, '/')).body === 'site')
      const client = new SteadyClient(t, running.url, 20, () => ({ path: '/' }))
      t.equal((await site.run('reload', site.ini)).code, 0)
      const bodies = new Set((await client.stop()).map(({ body }) => body))
      t.same([...bodies], ['site'], 'its place is kept for it from then on')
    },
  },
  'answers by a server of its own until it has started': {
    app: `
const http = require('node:http')
const starting = http.createServer((request, response) => response.writeHead(503).end('starting')).listen(process.env.PORT, () => {
  starting.close(() => http.createServer((request, response) => {
    response.end(request.url === '/pid' ? String(process.pid) : 'started')
  }).listen(process.env.PORT))
})`,
    async proof(t, site, running) {
      t.match(await ask(running.url, '/'), { status: 200, body: 'started' })
      await reloads(t, site, running)
      t.match(await ask(running.url, '/'), { status: 200, body: 'started' })
    },
  },
  'looks whether PORT is free': {
    app: `
const probe = require('node:net').createServer().listen(process.env.PORT, () => probe.close(() => {
  require('node:http').createServer((request, response) => {
    response.end(request.url === '/pid' ? String(process.pid) : 'free')
  }).listen(process.env.PORT)
}))`,
    async proof(t, site, running) {
      t.match(await ask(running.url, '/'), { status: 200, body: 'free' })
      await reloads(t, site, running)
    },
  },
  'listens with https': {
    app: `
const https = require('node:https')
process.on('SIGTERM', () => server.close(error => { console.log('closed', error === undefined); process.exit() }))
const server = https.createServer({}, (request, response) => {
  response.end(request.url === '/pid' ? String(process.pid) : 'secure')
}).listen(3443, () => console.log('listening on', server.address().port))`,
    async proof(t, site, running) {
      t.match(await ask(running.url, '/'), { status: 200, body: 'secure' })
      await reloads(t, site, running)
      t.match(running.out(), /listening on 3443/)
      t.match(await site.end(running), { code: 0, out: /closed true/ })
    },
  },
  'forks cluster workers': {
    app: `
const cluster = require('node:cluster')
if (cluster.isPrimary) for (let n = 0; n < 2; n++) cluster.fork()
else require('node:http').createServer((request, response) => {
  response.end(request.url === '/pid' ? String(process.pid) : 'worker ' + cluster.worker.id)
}).listen(3000)`,
    lines: ['cluster-worker = true'],
    async proof(t, _site, running) {
      t.match(await ask(running.url, '/'), { status: 200, body: 'worker 1' })
    },
  },
  'is a cluster worker that goes by itself, with a request under way': {
    app: `
const cluster = require('node:cluster')
require('node:http').createServer((request, response) => {
  if (request.method === 'POST') cluster.worker.disconnect()
  setTimeout(() => response.end(String(process.pid)), request.method === 'POST' ? 200 : 0)
}).listen(3000)`,
    lines: ['cluster-worker = true'],
    async proof(t, _site, running) {
      const { status, body } = await ask(running.url, '/', { method: 'POST' })
      t.equal(status, 200)
      await until('another one is there', async () => (await ask(running.url, '/')).body !== body)
      await until('its end is told', () => /worker-exit .*code=0 why=disconnected/.test(running.out()))
    },
  },
  'asks itself, and is told words': {
    app: `
const [command, title] = process.argv.slice(2)
if (command !== 'start') process.exit(2)
const { DAIMYO_SLOT, DAIMYO_GENERATION, PORT } = process.env
const http = require('node:http')
const server = http.createServer(async (request, response) => {
  if (request.url === '/api') return response.end([request.socket.remoteAddress, title, DAIMYO_SLOT, DAIMYO_GENERATION, PORT].join(' '))
  const answers = await Promise.all(['localhost', '127.0.0.1'].map(async host => {
    return (await fetch('http://' + host + ':' + server.address().port + '/api')).text()
  }))
  response.end(request.url === '/pid' ? String(process.pid) : answers.join())
}).listen(process.env.PORT)`,
    lines: ['args = start shop'],
    async proof(t, _site, running) {
      const seen = `127.0.0.1 shop 1 1 ${new URL(running.url).port}`
      t.match(await ask(running.url, '/'), { status: 200, body: `${seen},${seen}` })
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
  'closes its server and listens again, in a loop': {
    app: `
let times = 0
const server = require('node:http').createServer((request, response) => response.end(times + ' ' + process.pid))
const listen = () => server.listen(3000, () => { times++; setTimeout(close, 200) })
const close = () => server.close(() => setTimeout(listen, 800))
listen()`,
    async proof(t, _site, running) {
      const pids = new Set<string>()
      await until('it has done so often enough to be seen without a server', async () => {
        const { status, body } = await ask(running.url, '/')
        const [times, pid] = body.split(' ')
        pids.add(`${status} ${pid}`)
        return Number(times) >= 6
      })
      t.equal(pids.size, 1, 'one worker answers all the time')
      t.notMatch(running.out(), /socket-gone/)
    },
  },
})
