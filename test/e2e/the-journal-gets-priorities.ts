/** Where its output leads to the journal of systemd (JOURNAL_STREAM), each line has a priority in front; elsewhere none has. */

import { readFileSync } from 'node:fs'
import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { ownCommand } from '../supervisor/fixtures/reachable-program.js'
import { ask } from './fixtures/asking.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

const app = `
console.log('<0>the end is near')
console.log('well')
console.error(new Error('no rice today').stack)
require('node:http').createServer((request, response) => {
  if (request.url === '/die') process.exit(3)
  response.end()
}).listen(1)`

/** As systemd starts a service: both streams are one, and the variable names it. */
const asService = 'exec 2>&1 3>&1; export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/$$/fd/3); exec 3>&-; exec "$@"'
const service = ['sh', '-c', asService, 'sh', ...ownCommand]

t.test('each line says how urgent it is', async t => {
  const lines = ['processes = 1', 'exec-pre-app = echo migrated; echo careful >&2']
  const site = new WatchedSite(t, lines, { app, command: service, expected: [/./] })
  const running = await site.serve()
  t.equal((await ask(running.url, '/die')).status, 502)
  await running.seen(/worker-exit .*code=3/)
  await site.untilReady()
  t.match(await site.end(running), { code: EXIT.ok })
  const out = running.out()
  for (const [title, pattern] of [
    ['an emergency of the application', /^<3>the end is near$/m],
    ['its standard output', /^<6>well$/m],
    ['a stack on standard error', /^<4>Error: no rice today\n<4> {4}at .*\n<4> {4}at /m],
    ['a hook', /^<6>\[exec-pre-app\] migrated$/m],
    ['its standard error', /^<4>\[exec-pre-app\] careful$/m],
    ['an event', /^<6>\S+Z worker-ready /m],
    ['a death', /^<3>\S+Z worker-exit .*code=3/m],
    ['the access log, which needs none', /^127\.0\.0\.1 - - .*"GET \/die /m],
  ] as const)
    t.match(out, pattern, title)
  t.notMatch(out, /^<[0-2]>/m)
})

t.test('so do commands and starts that fail', async t => {
  const site = new WatchedSite(t, ['prozesses = 1'], { app, command: service, expected: [/./] })
  const { code, out } = await site.run(site.ini)
  t.equal(code, EXIT.config)
  t.match(out, /^<4>\S+site\.ini:\d+: unknown option: received prozesses/m)
  t.match(out, /^<3>daimyo: cannot start: /m)
  t.match(await site.run('status', site.ini), { out: /^<3>daimyo: not running: / })
})

t.test('a log of its own has none, nor has a pipe', async t => {
  for (const [title, lines, command] of [
    ['logto', ['logto = %dsite.log'], service],
    ['a pipe', [], ownCommand],
  ] as const) {
    const site = new WatchedSite(t, ['processes = 1', ...lines], { app, command, expected: [/./] })
    const running = await site.serve()
    const log = () => (title === 'logto' ? readFileSync(site.path('site.log'), 'utf8') : running.out())
    await until(title, () => /^\S+Z worker-ready /m.test(log()) && /^<0>the end is near$/m.test(log()))
    t.notMatch(log(), /^<[1-7]>/m, title)
    t.match(await site.end(running), { code: EXIT.ok })
  }
})
