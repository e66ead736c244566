/** Workers that leak are replaced under load, before they crash, and no client notices. */

import { mkdirSync, readdirSync, statSync } from 'node:fs'
import t from 'tap'
import { ask } from './fixtures/asking.js'
import { needsLoad, startLoad } from './fixtures/load.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

/** Leaks 10 MB of heap a second; answers with how much of it V8 may have. */
const leakyApp = `
const kept = []
setInterval(() => kept.push(Array.from({ length: 65536 }, (_, index) => index + 0.5)), 50)
const answer = process.execArgv.join(' ')
require('node:http').createServer((request, response) => response.end(answer)).listen(3000)
`

t.test('reload-on-rss', needsLoad, async t => {
  const limits = ['reload-on-rss = 130', 'min-worker-lifetime = 0', 'leak-autopsy = %dautopsies', 'reload-mercy = 60']
  const site = new WatchedSite(t, ['processes = 2', 'disable-logging = true', ...limits], { app: leakyApp })
  mkdirSync(site.path('autopsies'))
  const running = await site.serve()
  t.equal((await ask(running.url, '/')).body, '--max-old-space-size=98')
  const load = await startLoad(t, site, running.url, '/')
  await until('two workers have gone', () => exitsOf(running.out()).length >= 2)
  const { requests, failures } = await load.stop()
  t.same(failures, [], `no request failed of ${requests}`)
  const unlike = exitsOf(running.out()).filter(line => !line.includes(' code=0 why=reload-on-rss '))
  t.same(unlike, [], 'they went for that reason, by themselves: V8 did not give up before')
  await site.untilReady()
  const [snapshot = '', ...others] = readdirSync(site.path('autopsies'))
  t.same(others, [], 'one snapshot an hour')
  t.match(running.out(), / autopsy-refused slot=\d pid=\d+ why=(one-an-hour|another-is-written)/)
  t.equal(statSync(site.path(`autopsies/${snapshot}`)).mode & 0o777, 0o600, 'for its owner alone')
  t.match(JSON.parse(site.read(`autopsies/${snapshot}`)), { snapshot: { node_count: Number } })
  t.match(await site.end(running), { code: 0 })
})

function exitsOf(log: string): string[] {
  return log.split('\n').filter(line => line.includes(' worker-exit '))
}
