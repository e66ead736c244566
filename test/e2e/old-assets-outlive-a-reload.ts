/** A release link is turned and daimyo reloaded: new files at once, those that only the old release has until `asset-grace` is over. */

import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { ask } from './fixtures/asking.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

const graceMs = 3000 * timeFactor
const lines = [
  'chdir = %dcurrent',
  'app = app.cjs',
  'mount = /api',
  'static-map = /=public',
  'static-fallback = /=index.html',
  'static-immutable = true',
  'processes = 1',
  `asset-grace = ${graceMs}ms`,
]
const expected = [/ proxy-exit .*signal=SIGKILL why=died/, / reload-failed /, / reload-failed-line /]
const site = new WatchedSite(t, lines, { expected })

for (const release of ['one', 'two']) {
  mkdirSync(site.path(`${release}/public`), { recursive: true })
  writeFileSync(
    site.path(`${release}/app.cjs`),
    `require('node:http').createServer((_, answer) => answer.end('${release}')).listen(0)`,
  )
  writeFileSync(site.path(`${release}/public/index.html`), `page ${release}`)
  writeFileSync(site.path(`${release}/public/app-${release}-3f9c2a1b.js`), `script ${release}`)
}
turn('one')
const running = await site.serve()

t.test('the release that runs', async t => {
  await expectAll(t, { '/': 'page one', '/api/': 'one', '/app-one-3f9c2a1b.js': 'script one' })
  t.match(await ask(running.url, '/app-one-3f9c2a1b.js'), { headers: { 'cache-control': /immutable/ } })
  t.match(await ask(running.url, '/users/7', { headers: { accept: 'text/html' } }), { status: 200, body: 'page one' })
  t.match(await ask(running.url, '/users/7', { headers: { accept: '*/*' } }), { status: 404 })
})

t.test('a link that is turned changes nothing before the reload', async t => {
  turn('two')
  await expectAll(t, { '/': 'page one', '/api/': 'one', '/app-one-3f9c2a1b.js': 'script one' })
  t.match(await ask(running.url, '/app-two-3f9c2a1b.js'), { status: 404 })
})

t.test('after the reload both releases have their files, for the time of grace', async t => {
  const startMs = performance.now()
  process.kill(running.pid, 'SIGHUP')
  await until('the new release', async () => (await ask(running.url, '/')).body === 'page two')
  await site.untilReady()
  await expectAll(t, { '/': 'page two', '/api/': 'two', '/app-two-3f9c2a1b.js': 'script two' })
  t.match(await ask(running.url, '/app-one-3f9c2a1b.js'), { status: 200, body: 'script one' })
  const proxy = site.processes().find(line => line.includes('daimyo: proxy '))
  process.kill(Number.parseInt(proxy ?? '', 10), 'SIGKILL')
  await until('the next proxy', async () => (await ask(running.url, '/')).body === 'page two')
  t.match(await ask(running.url, '/app-one-3f9c2a1b.js'), { status: 200, body: 'script one' }, 'in the next proxy too')
  await until('the grace is over', async () => (await ask(running.url, '/app-one-3f9c2a1b.js')).status === 404)
  const tookMs = performance.now() - startMs
  t.ok(tookMs >= graceMs && tookMs < graceMs + 10_000 * timeFactor, `after ${Math.round(tookMs)} ms`)
})

t.test('a reload to a release whose files are gone keeps the old one', async t => {
  rmSync(site.path('one/public'), { recursive: true })
  turn('one')
  process.kill(running.pid, 'SIGHUP')
  await running.seen(/reload-failed .*/)
  await expectAll(t, { '/': 'page two', '/app-two-3f9c2a1b.js': 'script two' })
})

t.test('it stops', async t => t.match(await site.end(running), { code: 0 }))

function turn(release: string): void {
  symlinkSync(release, site.path('next'))
  renameSync(site.path('next'), site.path('current'))
}

async function expectAll(
  t: { match(found: unknown, wanted: unknown, title: string): void },
  all: Record<string, string>,
) {
  for (const [path, body] of Object.entries(all)) t.match(await ask(running.url, path), { status: 200, body }, path)
}
