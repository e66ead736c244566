/** A single worker is replaced, at a reload and after `max-requests`, by one that serves before it goes. */

import t from 'tap'
import { ask } from './fixtures/asking.js'
import { needsLoad, startLoad } from './fixtures/load.js'
import { farmLines, timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

const lines = [...farmLines, 'processes = 1', 'disable-logging = true']
const replacements = 6

t.setTimeout(300_000 * timeFactor)

t.test('reloads', needsLoad, async t => {
  const site = new WatchedSite(t, lines)
  const running = await site.serve()
  const load = await startLoad(t, site, running.url, '/api/v1/_about')
  const pids = new Set([await answeringPid(running.url)])
  for (let reload = 1; reload <= replacements; reload++) {
    const slow = ask(running.url, '/api/v1/sleep?ms=500')
    t.match(await site.run('reload', site.ini), { code: 0, err: '' })
    t.match(await slow, { status: 200 }, 'what the old one had in its hands it finished')
    pids.add(await answeringPid(running.url))
  }
  t.equal(pids.size, replacements + 1, 'each answers from a worker of its own')
  const { requests, failures } = await load.stop()
  t.same(failures, [], `no request failed of ${requests}`)
  t.match(await site.end(running), { code: 0 })
})

t.test('max-requests', needsLoad, async t => {
  const site = new WatchedSite(t, [...lines, 'max-requests = 1000'])
  const running = await site.serve()
  const load = await startLoad(t, site, running.url, '/api/v1/_about')
  await until(`${replacements} workers have gone`, () => goneOf(running.out()).length >= replacements)
  const { requests, failures } = await load.stop()
  t.same(failures, [], `no request failed of ${requests}`)
  t.ok(
    goneOf(running.out()).every(line => / code=0 why=max-requests /.test(line)),
    'they went for that reason, by themselves',
  )
  await site.untilReady()
  t.match(await site.end(running), { code: 0 })
})

async function answeringPid(url: string): Promise<number> {
  return (JSON.parse((await ask(url, '/api/v1/whoami')).body) as { pid: number }).pid
}

function goneOf(log: string): string[] {
  return log.split('\n').filter(line => line.includes(' worker-exit '))
}
