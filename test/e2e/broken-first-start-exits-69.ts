/** An application that cannot start ends the first start with 69 and its own words, and nothing of the tree is left. */

import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { topFolder, WatchedSite } from './fixtures/watched-site.js'

const fixture = (name: string) => `app = ${join(topFolder, 'test/applications', name)}`
/** A deadline for those alone that never start: on a slow machine the others too would miss it. */
const deadline = '\nworker-start-timeout = 1'
/** Of those that have to load before they can say what they wait for. */
const laterDeadline = '\nworker-start-timeout = 3'
const syntaxError = 'const rice = 1\nif (rice) } else {\n'

/** `shown`: what the operator must read; of the application's own stack the place of its mistake. */
const broken: [title: string, line: string, shown: RegExp[]][] = [
  ['throws at load', fixture('throws-at-load.cjs'), [/no licence for rice/, /at readLicence .*throws-at-load\.cjs:4/]],
  ['has a syntax error', 'app = %dapp.cjs', [/^ *SyntaxError: /m, /app\.cjs:2/]],
  ['is a module with one', 'app = %dapp.mjs', [/^ *SyntaxError: /m, /app\.mjs:2/]],
  ['is not there', 'app = %dnone.cjs', [/none\.cjs/]],
  ['exits by itself', fixture('exits-at-load.cjs'), [/ended with code 3/]],
  ['exports nonsense', fixture('exports-nonsense.cjs'), [/export/]],
  [
    'rejects what it exports',
    fixture('rejected-promise.cjs'),
    [/no granary at 127\.0\.0\.1/, /rejected-promise\.cjs:6/],
  ],
  [
    'never listens',
    fixture('never-listens.cjs') + laterDeadline,
    [
      /not-listening .*why="it has not called listen on an HTTP server/,
      /not ready within 3000 ms: it has not called listen on an HTTP server; it waits for a timer/,
    ],
  ],
  [
    'listens elsewhere',
    `${fixture('cjs-listen.cjs')}\napp-port = 3999${laterDeadline}`,
    [/not ready within 3000 ms: it has not called listen on app-port 3999; it listens with HTTP on 127\.0\.0\.1:3000/],
  ],
  [
    'forks cluster workers',
    `${fixture('forks-cluster-workers.cjs')}${laterDeadline}`,
    [
      /not ready within 3000 ms: it has not called listen on an HTTP server; .*it has forked 1 cluster worker, .*cluster-worker = true/,
    ],
  ],
  ['waits at its top for ever', fixture('awaits-forever.mjs') + deadline, [/await|not ready within 1000 ms/]],
]
for (const [title, line, shown] of broken) {
  t.test(title, async t => {
    const lines = [line, 'processes = 2', 'pidfile = %dsite.pid']
    const site = new WatchedSite(t, lines, { app: syntaxError })
    writeFileSync(site.path('app.mjs'), syntaxError)
    const { code, out, err } = await site.run(site.ini)
    t.ok(code === EXIT.unavailable || (code === EXIT.config && title === 'is not there'), `exit code ${code}`)
    for (const pattern of shown) t.match(out + err, pattern)
    t.match(err, /^daimyo: cannot start: /m, 'the reason')
    t.notMatch(out, /master-ready/)
    t.ok((out.match(/worker-start /g) ?? []).length <= 2, 'it is not tried again and again')
    t.same([existsSync(site.path('run')), existsSync(site.path('site.pid'))], [false, false], 'run folder and pidfile')
  })
}

t.test('in the background it is told on the terminal', async t => {
  const site = new WatchedSite(t, [fixture('throws-at-load.cjs')], { expected: [/./] })
  const { code, out, err } = await site.run('start', site.ini)
  t.match({ code, out }, { code: EXIT.unavailable, out: '' })
  t.match(err, /no licence for rice/)
  t.match(err, /at readLicence .*throws-at-load\.cjs:4/)
  t.notOk(existsSync(site.path('logs/daimyo.pid')))
})
