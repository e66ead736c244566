/** Touched files, changed folders and an edited INI start a reload by themselves; an INI with mistakes is refused with all of them. */

import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { ask } from './fixtures/asking.js'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

const lines = [
  'touch-reload = %drestart.txt',
  'touch-workers-reload = %dworkers.txt',
  'touch-chain-reload = %dchain.txt',
  'fs-reload = %dconf.d',
  'ini-reload = true',
  'exec-pre-app = echo migrated >> %dmigrations',
  'env = COLOUR=blue',
]
const app = `
require('node:http').createServer((request, response) => response.end(process.env.COLOUR)).listen(3000)
`
const site = new WatchedSite(t, lines, { app, expected: [/ reload-failed/, /proceses/, /max-requests/] })
mkdirSync(site.path('conf.d'))
writeFileSync(site.path('restart.txt'), '')
writeFileSync(site.path('chain.txt'), '')
const running = await site.serve()
const client = new SteadyClient(t, running.url, 5, () => ({ path: '/' }))
let generation = 1

/** Waits until one generation more is alone, and for its reason in the log. */
async function reloadedBy(why: string): Promise<void> {
  generation++
  await until(`generation ${generation}, by ${why}`, async () => {
    const report = await site.status()
    return !report.reloading && report.workers.every(worker => worker.generation === generation)
  })
  const told = new RegExp(` reload-start generation=${generation - 1} why=${why}\\b`)
  await until('the log has it', () => told.test(running.out()))
}

const touches: [option: string, change: () => void][] = [
  ['touch-reload', () => utimesSync(site.path('restart.txt'), 1_700_000_000, 1_700_000_000)],
  ['touch-workers-reload', () => writeFileSync(site.path('workers.txt'), '')],
  ['touch-chain-reload', () => rmSync(site.path('chain.txt'))],
  ['fs-reload', () => writeFileSync(site.path('conf.d/new'), '')],
]
for (const [option, change] of touches) {
  t.test(option, async () => {
    change()
    await reloadedBy(option)
    const told = new RegExp(` touched option=${option} path=\\S+`)
    await until('the log says what was touched', () => told.test(running.out()))
  })
}

t.test('an INI that a new one is renamed over is applied, and what needs a restart is named', async t => {
  const current = site.ini
  renameSync(current, `${current}~`)
  site.writeIni([...lines.slice(0, -1), 'env = COLOUR=green', 'http-processes = 2'])
  await reloadedBy('ini-reload')
  t.equal((await ask(running.url, '/')).body, 'green')
  const ignored = / reload-ignored option=http-processes why=needs-restart/
  await until('the log says what needs a restart', () => ignored.test(running.out()))
  t.equal((await site.status()).proxies.length, 1)
})

t.test('one with mistakes is refused, and what an included file mends is taken', async t => {
  writeFileSync(site.path('more.ini'), '[uwsgi]\nproceses = 3\nmax-requests = many\n')
  site.writeIni([...lines.slice(0, -1), 'env = COLOUR=red', 'ini = %dmore.ini'])
  await until('it is refused', () => / reload-failed /.test(running.out()))
  await until('with all mistakes', () => /more\.ini:3: .*max-requests/.test(running.out()))
  t.match(running.out(), /more\.ini:2: .*proceses/)
  t.equal((await ask(running.url, '/')).body, 'green', 'the old one is in force')
  writeFileSync(site.path('more.ini'), '[uwsgi]\nprocesses = 2\n')
  await reloadedBy('ini-reload')
  t.equal((await ask(running.url, '/')).body, 'red')
  t.equal((await site.status()).wanted, 2)
})

t.test('one that means the same replaces nobody', async t => {
  const before = (await site.status()).workers.map(({ pid }) => pid)
  writeFileSync(site.path('more.ini'), '[uwsgi]\n# two are enough\nprocesses = 2\n')
  await until('it was read', () => running.out().match(/ reload-start .*why=ini-reload/g)?.length === 4)
  await site.untilReady()
  t.same(
    (await site.status()).workers.map(({ pid }) => pid),
    before,
  )
  t.equal((await site.status()).generation, generation)
  t.equal(site.read('migrations').trimEnd().split('\n').length, generation, 'exec-pre-app ran once for each generation')
})

t.test('nobody noticed', async t => {
  const replies = await client.stop()
  t.same(failuresAmong(replies), [])
  t.ok(replies.length > 200, `${replies.length} requests`)
  t.match(await site.end(running), { code: 0 })
})
