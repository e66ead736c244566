/** A deploy that turns the link `current` changes nothing before the reload: a worker that is killed meanwhile comes back with the old release. */

import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { ask } from './fixtures/asking.js'
import { until, WatchedSite } from './fixtures/watched-site.js'

/** What it was loaded from, and what it finds when it looks again. */
const application = (name: string) => `
const { readFileSync } = require('node:fs')
require('node:http').createServer((request, response) => {
  response.end('${name} ' + readFileSync('name', 'utf8') + ' ' + process.pid)
}).listen(3000)
`
const site = new WatchedSite(t, ['chdir = %dcurrent', 'app = app.cjs', 'processes = 2'], {
  expected: [/ worker-exit .*signal=SIGKILL why=died/],
})
for (const name of ['first', 'second']) {
  mkdirSync(site.path(name))
  writeFileSync(site.path(`${name}/app.cjs`), application(name))
  writeFileSync(site.path(`${name}/name`), name)
}
symlinkSync('first', site.path('current'))
const running = await site.serve()

t.test('the link is turned and a worker is killed', async t => {
  symlinkSync('second', site.path('next'))
  renameSync(site.path('next'), site.path('current'))
  const victims = (await site.status()).workers.map(({ pid }) => pid ?? 0)
  for (const pid of victims) {
    process.kill(pid, 'SIGKILL')
    await until('another one is ready', async () => {
      const { workers } = await site.status()
      return workers.length === 2 && workers.every(worker => worker.phase === 'ready' && worker.pid !== pid)
    })
  }
  t.same([...(await releases()).values()], ['first first', 'first first'])
  t.notOk(victims.some(pid => running.out().includes(`pid=${pid} generation=2`)))
})

t.test('after the reload all run the new one', async t => {
  t.match(await site.run('reload', site.ini), { code: 0 })
  t.same([...(await releases()).values()], ['second second', 'second second'])
  t.match(await site.end(running), { code: 0 })
})

/** What each of the two workers answers, by pid. */
async function releases(): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  await until('both have answered', async () => {
    const [loaded = '', seen = '', pid = ''] = (await ask(running.url, '/')).body.split(' ')
    found.set(pid, `${loaded} ${seen}`)
    return found.size === 2
  })
  return found
}
