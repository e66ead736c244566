/** Compression, files in the place of answers, and error pages: from the lines of an INI to what a client gets; a reload brings the next. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { ask } from './fixtures/asking.js'
import { until, WatchedSite } from './fixtures/watched-site.js'

const app = `
const listener = (request, response) => {
  const path = request.url.slice(request.url.lastIndexOf('/'))
  if (path === '/page') response.setHeader('Content-Type', 'text/html').end('<p>page</p>'.repeat(1000))
  else if (path === '/accel') response.setHeader('X-Accel-Redirect', '/protected/a.txt').end('hidden')
  else if (path === '/out') response.setHeader('X-Accel-Redirect', '/protected/../site.ini').end('hidden')
  else response.setHeader('X-Sendfile', __dirname + '/files/a.txt').end('hidden')
}
require('node:http').createServer(listener).listen(process.env.PORT, () => process.stdout.write('listening'))
`
const lines = [
  'mount = /api',
  'http-auto-gzip = true',
  'http-auto-br = 1',
  'request-id-answer = true',
  'internal = /protected=%dfiles',
  'x-sendfile-root = %dfiles',
  'static-map = /styles=%dstyles',
  'http-to = /legacy=http://unix:%dlegacy.sock:',
  'error-page = 404,503=%dpages/gone.html',
]

t.test('an INI', async t => {
  const site = new WatchedSite(t, lines, { app, expected: [/ named-file-refused /] })
  for (const folder of ['files', 'pages', 'styles']) mkdirSync(site.path(folder))
  writeFileSync(site.path('files/a.txt'), 'file a')
  writeFileSync(site.path('styles/a.css'), 'p { color: red }\n'.repeat(1000))
  writeFileSync(site.path('pages/gone.html'), '<h1>gone</h1>')
  const legacy = spawn(process.execPath, [site.path('app.cjs')], { env: { PORT: site.path('legacy.sock') } })
  t.teardown(() => legacy.kill())
  await once(legacy.stdout, 'data')
  const running = await site.serve()
  const accepts = (coding: string) => ({ headers: { 'Accept-Encoding': coding } })
  for (const prefix of ['/api', '/legacy']) {
    t.match((await ask(running.url, `${prefix}/page`, accepts('gzip'))).headers, {
      'content-encoding': 'gzip',
      vary: 'Accept-Encoding',
    })
    t.match((await ask(running.url, `${prefix}/page`, accepts('gzip, br'))).headers, { 'content-encoding': 'br' })
    t.match(await ask(running.url, `${prefix}/page`), {
      headers: { 'content-encoding': undefined },
      body: /^(<p>page<\/p>){1000}$/,
    })
    t.match(await ask(running.url, `${prefix}/accel`), {
      status: 200,
      body: 'file a',
      headers: { 'x-accel-redirect': undefined, 'x-request-id': /./ },
    })
    t.match(await ask(running.url, `${prefix}/sendfile`), {
      status: 200,
      body: 'file a',
      headers: { 'x-sendfile': undefined },
    })
  }
  const style = async () => (await ask(running.url, '/styles/a.css', accepts('gzip'))).headers
  t.match(await style(), { vary: 'Accept-Encoding' })
  await until('a compressed file', async () => (await style())['content-encoding'] === 'gzip')
  const gone = { status: 404, body: '<h1>gone</h1>', headers: { 'content-type': 'text/html; charset=utf-8' } }
  t.match(await ask(running.url, '/api/out'), gone, 'outside of the roots')
  t.match(await ask(running.url, '/nothing'), gone)
  await until('the event', async () =>
    / named-file-refused .*request="GET \/api\/out" slot=1 file="?\/protected\/\.\.\/site\.ini"? why=/.test(
      running.out(),
    ),
  )

  writeFileSync(site.path('pages/gone.html'), '<h1>moved</h1>')
  t.match((await ask(running.url, '/nothing')).body, 'gone', 'the page is in memory')
  site.writeIni(lines.filter(line => !line.startsWith('http-auto')))
  t.match(await site.run('reload', site.ini), { code: 0 })
  t.match((await ask(running.url, '/nothing')).body, 'moved', 'and read again by a reload')
  t.match((await ask(running.url, '/api/page', accepts('gzip'))).headers, {
    'content-encoding': undefined,
    vary: undefined,
  })
  t.match(await style(), { 'content-encoding': undefined, vary: undefined })
  t.match(await site.end(running), { code: 0 })
  legacy.kill()
  await once(legacy, 'exit')
  rmSync(site.path('legacy.sock'))
})

t.test('a page that is not there', async t => {
  const site = new WatchedSite(t, ['error-page = 404=%dnosuch.html'], { app })
  const { code, out, err } = await site.run('check', site.ini)
  t.equal(code, 78)
  t.match(
    out + err,
    /site\.ini:\d+: error-page: no such file: received .*nosuch\.html: accepted a readable file of UTF-8 text/,
  )
})
