/** A reload of an INI with mistakes names them all and changes nothing; a signal does the same without a terminal. */

import t from 'tap'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { farmLines, until, WatchedSite } from './fixtures/watched-site.js'

const lines = [...farmLines, 'http = 127.0.0.1:0', 'metrics = false', 'reload-mercy = 5', 'run-dir = %drun']
/** `told`: what must be said of it. */
const bad: [title: string, line: string, told: RegExp][] = [
  ['an unknown option', 'proceses = 3', /site\.ini:13: .*proceses.*processes/],
  ['a bad value', 'harakiri = soon', /site\.ini:13: .*harakiri.*soon/],
  ['an application that is not there', 'app = app/farm/form.js', /app\/farm\/form\.js/],
  ['a broken section', '[uwsgi', /site\.ini:13: /],
]

for (const [title, line, told] of bad) {
  t.test(title, async t => {
    const expected = [/ reload-failed /, / reload-failed-line /]
    const site = new WatchedSite(t, lines, { expected })
    const running = await site.serve()
    const client = new SteadyClient(t, running.url, 10, () => ({ path: '/api/v1/whoami' }))
    const before = await pidsOf(site)

    site.writeIni([...lines, 'max-requests = many', line])
    const { code, err } = await site.run('reload', site.ini)
    t.equal(code, 1, 'daimyo reload')
    t.match(err, /^daimyo: reload failed: /)
    t.match(err, told)
    t.match(err, /site\.ini:12: .*max-requests/, 'the other mistake too')
    t.same(await pidsOf(site), before, 'the same workers serve')

    process.kill(running.pid, 'SIGHUP')
    await until('the log says it again', () => running.out().match(/ reload-failed /g)?.length === 2)
    t.match(running.out(), told, 'with the reason')
    t.same(await pidsOf(site), before)

    site.writeIni(lines)
    t.match(await site.run('reload', site.ini), { code: 0, out: /^reloaded$/m })
    t.equal((await site.status()).generation, 2, 'the mended one works')
    t.same(failuresAmong(await client.stop()), [], 'nobody noticed')
    t.match(await site.end(running), { code: 0 })
  })
}

async function pidsOf(site: WatchedSite): Promise<(number | null)[]> {
  return (await site.status()).workers.map(({ pid }) => pid)
}
