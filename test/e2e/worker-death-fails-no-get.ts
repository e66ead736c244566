/** Workers are killed at random under load: no GET fails, and no POST is executed twice. */

import { appendFileSync } from 'node:fs'
import t from 'tap'
import { ask } from './fixtures/asking.js'
import { needsLoad, startLoad } from './fixtures/load.js'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { farmLines, timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

const kills = 20
const expected = [/ worker-exit .*signal=SIGKILL why=died/]

t.setTimeout(300_000 * timeFactor)

t.test(`${kills} times kill -9`, needsLoad, async t => {
  const site = new WatchedSite(t, [...farmLines, 'disable-logging = true'], { expected })
  const running = await site.serve()
  const load = await startLoad(t, site, running.url, '/api/v1/_about')
  const dead = await killWorkers(site, kills)
  const { requests, failures } = await load.stop()
  t.comment(`${requests} GETs`)
  t.same(failures, [], 'no GET failed')
  t.ok(requests > kills * 100, 'there were GETs')
  t.equal(dead.size, kills, 'so many different workers died')
  t.match(await site.end(running), { code: 0 })
})

/** Writes down each request before it answers, and takes its time, so that a death finds some that were seen. */
const writesDown = `
const { appendFileSync } = require('node:fs')
require('node:http').createServer((request, response) => {
  let body = ''
  request.on('data', chunk => { body += chunk })
  request.on('end', () => {
    appendFileSync(__dirname + '/executed', body + '\\n')
    setTimeout(() => response.end(body), 20)
  })
}).listen(3000)
`

t.test('POSTs meanwhile', async t => {
  const site = new WatchedSite(t, ['processes = 2'], { app: writesDown, expected })
  appendFileSync(site.path('executed'), '')
  const running = await site.serve()
  const posts = new SteadyClient(t, running.url, 2, number => ({ method: 'POST', path: '/', body: String(number) }))
  await killWorkers(site, 6)
  // A worker on a busy machine may have died with nothing in its hands.
  for (let more = 0; more < 20 && posts.replies.every(({ status }) => status === 200); more++)
    await killWorkers(site, 1)
  const replies = await posts.stop()
  const executed = site.read('executed').trimEnd().split('\n')
  t.equal(new Set(executed).size, executed.length, 'none was executed twice')
  const answered = replies.filter(({ status }) => status === 200)
  t.ok(
    answered.every(({ number, body }) => body === String(number)),
    'each answer is its own',
  )
  t.same(
    answered.filter(({ number }) => !executed.includes(String(number))),
    [],
    'what was answered was executed',
  )
  const given = replies.filter(({ status }) => status !== 200)
  t.ok(given.length > 0, 'some were in the hands of a worker that died')
  t.ok(
    given.every(({ status }) => status === 502),
    'and their clients were told',
  )
  t.ok(answered.length > given.length, 'most were answered')
  t.same(failuresAmong(replies.filter(({ status }) => status === 0)), [], 'no connection broke')
  t.match(await site.end(running), { code: 0 })
})

t.test('POSTs that no application has seen', async t => {
  const site = new WatchedSite(t, ['processes = 2'], { app: writesDown, expected })
  const running = await site.serve()
  const victim = (await site.status()).workers[0]?.pid ?? 0
  process.kill(victim, 'SIGSTOP')
  const asked = Array.from({ length: 20 }, (_, number) => String(number))
  const answers = Promise.all(asked.map(body => ask(running.url, '/', { method: 'POST', body })))
  await until(
    'those of the other worker are executed',
    () => site.read('executed').split('\n').length > asked.length / 2,
  )
  process.kill(victim, 'SIGKILL')
  t.same(
    (await answers).map(({ status, body }) => `${status} ${body}`),
    asked.map(body => `200 ${body}`),
    'all are answered',
  )
  const executed = site.read('executed').trimEnd().split('\n')
  t.same(executed.sort(), asked.sort(), 'each was executed once')
  t.match(await site.end(running), { code: 0 })
})

/** Kills a worker at random, waits until another one stands in its slot, and so on; resolves with the pids. */
async function killWorkers(site: WatchedSite, count: number): Promise<Set<number>> {
  const dead = new Set<number>()
  while (dead.size < count) {
    const { workers } = await site.untilReady()
    const victim = workers[Math.floor(Math.random() * workers.length)]?.pid ?? 0
    dead.add(victim)
    process.kill(victim, 'SIGKILL')
    // One death at a time: a request that loses two workers is not sent a third time.
    await until(`${victim} is reaped`, async () => (await site.status()).workers.every(({ pid }) => pid !== victim))
  }
  await site.untilReady()
  return dead
}
