/**
 * A request that ends its worker each time is held back after the third death, while the others are answered; and what the options about proxies in
 * front of us and about answers change, seen from the outside.
 */

import t from 'tap'
import { ask } from './fixtures/asking.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

const application = `
require('node:http').createServer((request, response) => {
  if (request.url.startsWith('/die')) process.exit(3)
  response.end(JSON.stringify({ address: request.socket.remoteAddress, headers: request.headers, pid: process.pid }))
}).listen(3000)
`

t.setTimeout(300_000 * timeFactor)

t.test('a request that kills', async t => {
  const expected = [/ worker-exit .*code=3 why=died/, / request-quarantined /]
  const site = new WatchedSite(t, ['processes = 2', 'quarantine-time = 30'], { app: application, expected })
  const running = await site.serve()
  t.equal((await ask(running.url, '/die?secret=1')).status, 502, 'it takes two workers')
  await site.untilReady()
  // It may be with a fourth worker already when the master tells how the third one ended.
  t.match(String((await ask(running.url, '/die?secret=2')).status), /^50[23]$/, 'and a third one')
  await until('it is told', () => / request-quarantined .*deaths=3/.test(running.out()))
  t.notMatch(running.out(), /request-quarantined .*secret/, 'without the query')
  await site.untilReady()
  const held = await ask(running.url, '/die')
  t.equal(held.status, 503)
  t.ok(Number(held.headers['retry-after']) > 10, `retry after ${held.headers['retry-after']} s`)
  t.equal((await ask(running.url, '/live')).status, 200)
  const deaths = running.out().match(/ worker-exit .*code=3/g)?.length ?? 0
  t.ok(deaths <= 4, `${deaths} workers died`)
  t.match(await site.end(running), { code: 0 })
})

t.test('a trusted proxy in front, sticky clients, ids on answers', async t => {
  const lines = [
    'processes = 2',
    'trusted-proxies = 127.0.0.0/8, ::1',
    'sticky = w',
    'request-id-answer = true',
    'log-request-id = true',
  ]
  const site = new WatchedSite(t, lines, { app: application })
  const running = await site.serve()
  const headers = { 'X-Forwarded-For': '192.0.2.1', 'X-Request-Id': 'from-the-front' }
  const first = await ask(running.url, '/', { headers })
  const { address, headers: seen, pid } = JSON.parse(first.body)
  t.equal(address, '192.0.2.1')
  t.match(seen, { 'x-forwarded-for': '192.0.2.1, 127.0.0.1', 'x-request-id': 'from-the-front' })
  t.equal(first.headers['x-request-id'], 'from-the-front')
  const [cookie] = first.headers['set-cookie'] ?? []
  t.match(cookie, /^w=[\w-]{16}; Path=\/; HttpOnly; SameSite=Lax$/)
  for (let again = 0; again < 4; again++) {
    const answer = await ask(running.url, '/', { headers: { Cookie: cookie?.split(';')[0] ?? '' } })
    t.equal(JSON.parse(answer.body).pid, pid, 'the same worker')
    t.equal(answer.headers['set-cookie'], undefined)
  }
  t.match(await site.end(running), { code: 0 })
  t.match(running.out(), /^192\.0\.2\.1 - - .* from-the-front$/m, 'the log has both')
})
