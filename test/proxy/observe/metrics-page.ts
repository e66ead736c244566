/** `/metrics` through the proxy: who may read it, and what happens when the master says nothing. */

import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { ProxySettings } from '../../../kit/channel/messages.js'
import { hashPassword } from '../../../kit/page/password-hash.js'
import type { Client } from '../../../proxy/exchange/client.js'
import { Exchange } from '../../../proxy/exchange/exchange.js'
import type { OwnResponse } from '../../../proxy/http/error-response.js'
import { isRefusal } from '../../../proxy/http/refusal.js'
import { parseRequestHead } from '../../../proxy/http/request-head.js'
import { MetricsPage } from '../../../proxy/observe/metrics-page.js'
import { request } from '../fixtures/raw-client.js'
import { withRig } from '../fixtures/rig.js'

function exchangeOf(method: string, fields: string[] = []): Exchange {
  const head = parseRequestHead(request(method, '/metrics', fields).slice(0, -4))
  if (isRefusal(head)) throw new Error(head.reason)
  return new Exchange(head, { address: '192.0.2.1' } as Client, 0)
}

function basic(credentials: string): string[] {
  return [`Authorization: Basic ${Buffer.from(credentials).toString('base64')}`]
}

t.test('method and password', async t => {
  const auth = `ops:${await hashPassword('secret')}`
  const cases: [
    title: string,
    auth: string | null,
    method: string,
    fields: string[],
    expected: Partial<OwnResponse>,
  ][] = [
    ['open', null, 'GET', [], { status: 200, body: Buffer.from('up 1\n') }],
    ['HEAD', null, 'HEAD', [], { status: 200 }],
    ['POST', null, 'POST', [], { status: 405 }],
    ['right', auth, 'GET', basic('ops:secret'), { status: 200, body: Buffer.from('up 1\n') }],
    ['no password', auth, 'GET', [], { status: 401 }],
    ['wrong password', auth, 'GET', basic('ops:wrong'), { status: 401 }],
    ['wrong user', auth, 'GET', basic('root:secret'), { status: 401 }],
    ['not Basic', auth, 'GET', ['Authorization: Bearer secret'], { status: 401 }],
    ['twice', auth, 'GET', [...basic('ops:secret'), ...basic('ops:secret')], { status: 401 }],
  ]
  for (const [title, userAndHash, method, fields, expected] of cases) {
    const asked: number[] = []
    const page = new MetricsPage(id => {
      asked.push(id)
      page.arrived(id, 'up 1\n')
    })
    page.auth = userAndHash
    const answer = await page.respond(exchangeOf(method, fields))
    t.match(answer, expected, title)
    t.equal(asked.length, answer.status === 200 ? 1 : 0, `${title}: the master is asked only by who may`)
    if (answer.status === 401)
      t.ok(
        answer.fields.some(([name]) => name === 'WWW-Authenticate'),
        title,
      )
  }
})

/** Simulated timers; `node:test` has them, and they work without its runner. */
function holdTimers(t: Test): void {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
}

t.test('a silent master', async t => {
  holdTimers(t)
  const asked: number[] = []
  const page = new MetricsPage(id => asked.push(id))
  const waiting = Array.from({ length: 72 }, () => page.respond(exchangeOf('GET')))
  t.match(await page.respond(exchangeOf('GET')), { status: 503 }, 'one too many does not wait')
  mock.timers.tick(4999)
  t.equal(await Promise.race([waiting[0], Promise.resolve('still waiting')]), 'still waiting')
  t.same(asked, [1], 'all share one question')
  mock.timers.tick(1)
  for (const answer of await Promise.all(waiting)) t.match(answer, { status: 503 })
  t.doesNotThrow(() => page.arrived(1, 'too late'), 'an answer that comes too late does no harm')
  const next = page.respond(exchangeOf('GET'))
  await setImmediate()
  page.arrived(asked.at(-1) ?? 0, 'up 1\n')
  t.match(await next, { status: 200 }, 'and there is room again')
})

/** A response that nobody reads; `end` is the end of its connection. */
function unread(answer: OwnResponse): { isCut: () => boolean; end: () => void } {
  let isCut = false
  let end = () => {}
  answer.slot?.send(
    {
      waitingBytes: answer.body.length,
      cut: () => {
        isCut = true
      },
      whenOver: callback => {
        end = callback
      },
    },
    answer.body.length,
  )
  return { isCut: () => isCut, end: () => end() }
}

t.test('scrapes that come together share one question and one buffer, and few are under way', async t => {
  const asked: number[] = []
  const page = new MetricsPage(id => asked.push(id))
  const all = Array.from({ length: 20 }, () => page.respond(exchangeOf('GET')))
  await setImmediate()
  page.arrived(1, 'x'.repeat(1000))
  const first = await Promise.all(all.slice(0, 8))
  t.same(asked, [1])
  for (const { body } of first) t.equal(body, first[0]?.body, 'the very same bytes')
  const deliveries = first.map(unread)
  t.equal(await Promise.race([all[8], setImmediate('waits')]), 'waits', 'the ninth waits for a slot')
  deliveries[0]?.end()
  // Made in an instant, the page is kept for an instant only.
  await setImmediate()
  if (asked.length > 1) page.arrived(asked.at(-1) ?? 0, 'x'.repeat(1000))
  const ninth = await all[8]
  t.match(ninth, { status: 200 }, 'and has that of the first that is over')
  ninth?.slot?.leave()
  for (const { end } of deliveries) end()
  const rest = Promise.all(all.slice(9))
  const feed = setInterval(() => page.arrived(asked.at(-1) ?? 0, 'x'), 1)
  for (const one of all.slice(9)) void one.then(answer => answer.slot?.leave())
  for (const answer of await rest) t.match(answer, { status: 200 })
  clearInterval(feed)
})

t.test('through the proxy', async t => {
  const settings: Partial<ProxySettings> = {
    routes: [{ kind: 'metrics', prefix: '/metrics' }],
    metricsAuth: `ops:${await hashPassword('secret')}`,
  }
  let arrived = (_: number) => {}
  await withRig(t, { settings, askMaster: id => process.nextTick(() => arrived(id)) }, async rig => {
    arrived = id => rig.page.arrived(id, '# caf\u00e9 \u2713\nup 1\n')
    const client = await rig.client()
    client.send(request('GET', '/metrics') + request('GET', '/metrics', basic('ops:secret')))
    client.send(request('HEAD', '/metrics', basic('ops:secret')))
    t.match(await client.answer(), { status: 401, fields: { 'www-authenticate': /^Basic / } })
    t.match(await client.answer(), {
      status: 200,
      body: Buffer.from('# caf\u00e9 \u2713\nup 1\n'),
      fields: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
    })
    t.match(await client.answer(true), { status: 200, fields: { 'content-length': '17' } })
    await rig.expectLines(3)
  })
})

t.test('a client that goes away while the master thinks', async t => {
  const settings: Partial<ProxySettings> = { routes: [{ kind: 'metrics', prefix: '/metrics' }] }
  let asked = (_: number) => {}
  await withRig(t, { settings, askMaster: id => asked(id) }, async rig => {
    const client = await rig.client()
    const wanted = new Promise<number>(resolve => {
      asked = resolve
    })
    client.send(request('GET', '/metrics'))
    const id = await wanted
    client.socket.resetAndDestroy()
    await rig.expectLines(1)
    rig.page.arrived(id, 'up 1\n')
    t.match(rig.log.entries, [{ status: 499 }])
  })
})
