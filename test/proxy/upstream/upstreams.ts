/** What a new configuration leaves of the upstreams, and which path goes to them. */

import t from 'tap'
import type { ProxySettings, RouteSpec } from '../../../kit/channel/messages.js'
import { ForeignServer, toUpstreams } from '../fixtures/foreign-server.js'
import { request } from '../fixtures/raw-client.js'
import { type Rig, SETTINGS, withRig } from '../fixtures/rig.js'

function apply(rig: Rig, settings: Partial<ProxySettings>): void {
  rig.lifecycle.apply({ ...SETTINGS, ...settings })
}

async function tick(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
}

t.test('what is unchanged keeps its connections; what is gone finishes first', async t => {
  const answers: (() => void)[] = []
  const one = await ForeignServer.http(t, (asked, response) => {
    if (asked.url === '/hold') answers.push(() => response.end('one'))
    else response.end('one')
  })
  const other = await ForeignServer.http(t, (_, response) => void response.end('other'))
  await withRig(t, { settings: toUpstreams(one) }, async rig => {
    const client = await rig.client()
    const ask = async (target = '/') => {
      client.send(request('GET', target))
      return (await client.answer()).body.toString()
    }
    t.equal(await ask(), 'one')
    apply(rig, { ...toUpstreams(one), harakiriMs: 60_000 })
    t.equal(await ask(), 'one')
    t.equal(one.accepted, 1, 'the connection is kept')
    const held = await rig.client()
    held.send(request('GET', '/hold'))
    while (answers.length === 0) await tick()
    apply(rig, toUpstreams(other))
    t.equal(await ask(), 'other')
    answers[0]?.()
    t.equal((await held.answer()).body.toString(), 'one', 'what the old one had is answered')
    while (one.sockets.size > 0) await tick()
    apply(rig, { routes: [] })
    client.send(request('GET', '/'))
    t.equal((await client.answer()).status, 404)
    await rig.expectLines(5)
  })
})

t.test('beside the application, and behind files', async t => {
  const foreign = await ForeignServer.http(t, (asked, response) => void response.end(`foreign ${asked.url}`))
  const { routes = [] } = toUpstreams(foreign)
  const upstreams = routes.flatMap((route: RouteSpec) => (route.kind === 'upstream' ? route.upstreams : []))
  const settings: Partial<ProxySettings> = {
    routes: [
      { kind: 'app', prefix: '/' },
      { kind: 'upstream', prefix: '/legacy', upstreams },
      { kind: 'static', prefix: '/legacy/files', folder: '/nowhere' },
    ],
  }
  await withRig(t, { settings, workers: [(_, response) => void response.end('application')] }, async rig => {
    const client = await rig.client()
    const cases: [target: string, expected: string][] = [
      ['/', 'application'],
      ['/legacy', 'foreign /legacy'],
      ['/legacy/x?y', 'foreign /legacy/x?y'],
      ['/legacyx', 'application'],
      ['/legacy/files/a', 'foreign /legacy/files/a'],
      ['/x/../legacy/a', 'foreign /x/../legacy/a'],
    ]
    for (const [target, expected] of cases) {
      client.send(request('GET', target))
      t.equal((await client.answer()).body.toString(), expected, target)
    }
    await rig.expectLines(cases.length)
  })
})

t.test('failures are counted on when their upstream is gone', async t => {
  const bad = await ForeignServer.raw(t, socket => void socket.end('no\r\n\r\n'))
  const failures = (rig: Rig) =>
    rig.lifecycle.upstreams.families().find(({ name }) => name === 'daimyo_upstream_failures_total')?.values
  await withRig(t, { settings: toUpstreams(bad) }, async rig => {
    const client = await rig.client()
    for (let round = 1; round <= 2; round++) {
      client.send(request('GET', '/'))
      t.equal((await client.answer()).status, 502)
      t.match(failures(rig), [{ labels: { mount: '/', upstream: 0, reason: 'bad-answer' }, value: round }])
      apply(rig, { routes: [] })
      t.match(failures(rig), [{ value: round }])
      apply(rig, toUpstreams(bad))
    }
    await rig.expectLines(2)
  })
  await withRig(t, {}, async rig => {
    t.same(rig.lifecycle.upstreams.families(), [], 'without http-to there is nothing')
  })
})
