/** Workers that leak, grow old or have answered enough are replaced under load, and no client notices. */

import t from 'tap'
import { ask } from './fixtures/asking.js'
import { needsLoad, startLoad } from './fixtures/load.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(120_000 * timeFactor)

/** Leaks 10 MB of heap a second; answers with how much of it V8 may have. */
const leakyApp = `
const kept = []
setInterval(() => kept.push(Array.from({ length: 65536 }, (_, index) => index + 0.5)), 50)
const answer = process.execArgv.join(' ')
require('node:http').createServer((request, response) => response.end(answer)).listen(3000)
`

const cases: [title: string, lines: string[], why: string, nodeArgs: string][] = [
  ['memory', ['reload-on-rss = 130', 'min-worker-lifetime = 0'], 'reload-on-rss', '--max-old-space-size=98'],
  ['age', ['max-worker-lifetime = 1', 'max-worker-lifetime-delta = 1'], 'max-worker-lifetime', ''],
  ['requests', ['max-requests = 500', 'max-requests-delta = 100'], 'max-requests', ''],
]

for (const [title, lines, why, nodeArgs] of cases) {
  t.test(title, needsLoad, async t => {
    const site = new WatchedSite(t, ['processes = 2', 'disable-logging = true', ...lines], { app: leakyApp })
    const running = await site.serve()
    t.equal((await ask(running.url, '/')).body, nodeArgs)
    const load = await startLoad(t, site, running.url, '/')
    await until('two workers have gone', () => exitsOf(running.out()).length >= 2, 30_000)
    const { requests, failures } = await load.stop()
    t.same(failures, [], `no request failed of ${requests}`)
    const unlike = exitsOf(running.out()).filter(line => !line.includes(` code=0 why=${why} `))
    t.same(unlike, [], 'they went for that reason, by themselves')
    await site.untilReady()
    t.match(await site.end(running), { code: 0 })
  })
}

function exitsOf(log: string): string[] {
  return log.split('\n').filter(line => line.includes(' worker-exit '))
}
