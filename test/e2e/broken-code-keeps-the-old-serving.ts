/** A reload to code that cannot serve says so, with the reason, and the workers that serve go on; the next good reload works. */

import t from 'tap'
import { ask } from './fixtures/asking.js'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { until, WatchedSite } from './fixtures/watched-site.js'

const release = (name: string) => `
require('node:http').createServer((request, response) => response.end('${name} ' + process.pid)).listen(3000)
`
const good = release('old')
const lines = ['processes = 2', 'ready-check = GET / 200']
/** For those alone that never get ready: on a slow machine the others too would miss a deadline so short. */
const deadline = 'worker-start-timeout = 5'

/** `told`: what the operator must read on the terminal. */
const broken: [title: string, app: string, told: RegExp[], deadline?: string][] = [
  ['throws at load', `throw new Error('no rice today')`, [/no rice today/, /app\.cjs:1/]],
  ['exits with 0', 'process.exit(0)', [/exit|ended/]],
  ['ends by itself', 'exports.nothing = 0', [/export|listen/]],
  ['never listens', 'setInterval(() => {}, 1000)', [/not ready within 5000 ms/], deadline],
  ['has a syntax error', `${good}\nlet rice = = 1`, [/SyntaxError/, /app\.cjs:\d+/]],
  [
    'listens and answers 500',
    `require('node:http').createServer((request, response) => {
  response.writeHead(500).end('the granary is closed\\n')
}).listen(3000)
console.error('cannot open the granary')`,
    [
      /not ready within 5000 ms: ready-check GET \/: 500 Internal Server Error: the granary is closed$/m,
      /^ {2}cannot open/m,
    ],
    deadline,
  ],
  ['misses a module', `require('./granary.cjs')`, [/granary\.cjs/]],
]
/** The new generation's trouble and nothing else; what is indented are its own words. */
const expected = [
  / worker-(load-failed|exit|not-ready) slot=1 pid=\d+ generation=2 /,
  /^cannot open the granary$/,
  / reload-failed(-line)? /,
  /^daimyo: reload failed: slot 1: /,
  /^ {2}/,
]

for (const [title, app, told, deadline = ''] of broken) {
  t.test(title, async t => {
    const site = new WatchedSite(t, [...lines, deadline], { app: good, expected })
    const running = await site.serve()
    const client = new SteadyClient(t, running.url, 10, () => ({ path: '/' }))
    const before = await pidsOf(site)

    site.writeApp(app)
    const { code, out, err } = await site.run('reload', site.ini)
    t.equal(code, 1, 'daimyo reload')
    t.match(err, /^daimyo: reload failed: slot \d+: ./m, 'the reason')
    for (const pattern of told) t.match(out + err, pattern)
    t.notMatch(out, /^reloaded$/m)
    await site.untilReady()
    t.same(await pidsOf(site), before, 'the same workers serve')
    t.match(await ask(running.url, '/'), { status: 200, body: /^old / })
    await until('the log has it', () => / reload-failed generation=1 why=/.test(running.out()))

    site.writeApp(release('new'))
    t.match(await site.run('reload', site.ini), { code: 0, out: /^reloaded$/m, err: '' })
    t.match(await ask(running.url, '/'), { status: 200, body: /^new / }, 'a good one works afterwards')
    // A fast machine is done with all of the above before so many have come.
    await until('there were requests', () => client.replies.length > 50)
    t.same(failuresAmong(await client.stop()), [], 'nobody noticed')
    t.match(await site.end(running), { code: 0 })
  })
}

async function pidsOf(site: WatchedSite): Promise<(number | null)[]> {
  return (await site.status()).workers.map(({ pid }) => pid)
}
