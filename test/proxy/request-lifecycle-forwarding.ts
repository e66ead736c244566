/** Whom the application and the log take for the client, with and without trusted proxies before us; and the fields that we add to answers. */

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, RequestListener } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { ProxySettings } from '../../kit/channel/messages.js'
import { Connection } from '../../proxy/client/connection.js'
import { isRequestId } from '../../proxy/route/forwarded-fields.js'
import { request } from './fixtures/raw-client.js'
import { type Rig, withRig } from './fixtures/rig.js'

const whoAsks: RequestListener = (asked, response) => {
  const { remoteAddress, remotePort, encrypted } = asked.socket as IncomingMessage['socket'] & { encrypted: boolean }
  response.end(JSON.stringify({ remoteAddress, remotePort, encrypted, ...asked.headers }))
}

const SAID = [
  'X-Forwarded-For: 6.6.6.6, 192.0.2.1:99',
  'X-Forwarded-Proto: https',
  'X-Request-Id: theirs',
  'traceparent: 00-1-2-01',
]

async function asked(rig: Rig, fields: string[]): Promise<Record<string, unknown>> {
  const client = await rig.client()
  client.send(request('GET', '/', fields))
  return JSON.parse((await client.answer()).body.toString())
}

t.test('a trusted proxy is believed, anybody else is not', async t => {
  await withRig(t, { workers: [whoAsks], settings: { trustedProxies: ['127.0.0.0/8'] } }, async rig => {
    t.match(await asked(rig, SAID), {
      remoteAddress: '192.0.2.1',
      remotePort: 99,
      encrypted: true,
      'x-forwarded-for': '6.6.6.6, 192.0.2.1:99, 127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-request-id': 'theirs',
      traceparent: '00-1-2-01',
      host: 'test',
    })
    rig.lifecycle.apply({ ...rig.settings, trustedProxies: ['10.0.0.0/8'] })
    const distrusted = await asked(rig, SAID)
    t.match(distrusted, {
      remoteAddress: '127.0.0.1',
      encrypted: false,
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      traceparent: '00-1-2-01',
    })
    t.not(distrusted['x-request-id'], 'theirs')
    t.ok(isRequestId(String(distrusted['x-request-id'])))
    await rig.expectLines(2)
    await rig.log.close()
    t.match(readFileSync(rig.logPath, 'latin1'), /^192\.0\.2\.1 - .*\n127\.0\.0\.1 - .*\n$/, 'as the log does')
  })
})

t.test('through a unix socket', async t => {
  const cases: [trustedProxies: string[], address: string][] = [
    [['unix'], '192.0.2.1'],
    [['127.0.0.1'], '127.0.0.1'],
  ]
  for (const [trustedProxies, address] of cases) {
    await withRig(t, { workers: [whoAsks], settings: { trustedProxies } }, async rig => {
      const path = join(rig.folder, 'front.sock')
      const server = createServer(
        { allowHalfOpen: true },
        socket => void new Connection(socket, rig.lifecycle, rig.limits),
      )
      server.listen(path)
      await once(server, 'listening')
      const socket = connect(path)
      socket.write(request('GET', '/', [...SAID, 'Connection: close']))
      let text = ''
      for await (const piece of socket.setEncoding('latin1')) text += piece
      t.match(text, `"remoteAddress":"${address}"`, trustedProxies.join())
      server.close()
      await rig.expectLines(1)
    })
  }
})

t.test('a TCP peer that is gone already does not pass for a unix one', async t => {
  await withRig(t, { workers: [whoAsks], settings: { trustedProxies: ['unix'] } }, async rig => {
    const server = createServer({ pauseOnConnect: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
    const [socket] = await once(server, 'connection')
    client.write(request('GET', '/', SAID))
    client.resetAndDestroy()
    await once(client, 'close')
    const connection = new Connection(socket, rig.lifecycle, rig.limits)
    t.equal(connection.overUnix, false)
    t.ok(socket.destroyed)
    server.close()
    await rig.expectLines(0)
  })
})

t.test('the id stands on answers where that is wanted', async t => {
  const settings: Partial<ProxySettings> = {
    requestIdAnswer: true,
    trustedProxies: ['127.0.0.1'],
    routes: [{ kind: 'app', prefix: '/app' }],
    httpQueueTimeoutMs: 50,
  }
  await withRig(t, { settings }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/app', ['X-Request-Id: theirs']))
    t.match(await client.answer(), { status: 503, fields: { 'x-request-id': 'theirs' } }, 'of the proxy')
    await rig.worker((_, response) => {
      response.setHeader('X-Request-Id', 'the application')
      response.end('hello')
    })
    client.send(request('GET', '/app', ['X-Request-Id: theirs']))
    t.match((await client.answer()).head, /^HTTP\/1\.1 200 OK\r\nX-Request-Id: theirs\r\nX-Request-Id: the app/)
    client.send(request('GET', '/elsewhere'))
    t.match(await client.answer(), { status: 404, fields: { 'x-request-id': undefined } }, 'none was made')
    await rig.expectLines(3)
  })
})

t.test('a sticky client', async t => {
  const settings: Partial<ProxySettings> = { sticky: 'w' }
  const cases: [title: string, write: RequestListener][] = [
    ['small', (_, response) => void response.end('hello')],
    ['large', (_, response) => void response.end('x'.repeat(50_000))],
    ['a large buffer', (_, response) => void response.end(Buffer.alloc(50_000, 120))],
    [
      'in pieces',
      (_, response) => {
        response.write('he')
        setImmediate(() => response.end('llo'))
      },
    ],
    ['without a body', (_, response) => void response.writeHead(204).end()],
    ['early hints before it', (_, response) => response.writeEarlyHints({ link: '</a>' }, () => response.end('hello'))],
  ]
  for (const [title, write] of cases) {
    await withRig(t, { settings, workers: [write, write] }, async rig => {
      const client = await rig.client()
      client.send(request('GET', '/'))
      const { head, fields, whole } = await client.answer()
      t.match(head, /^HTTP\/1\.1 20\d [^\r]+\r\nSet-Cookie: w=[\w-]{16}; Path=\/; HttpOnly; SameSite=Lax\r\n/, title)
      t.ok(whole, `${title}: whole`)
      const cookie = fields['set-cookie']?.split(';')[0]
      for (let again = 0; again < 3; again++) {
        client.send(request('GET', '/', [`Cookie: a=b; ${cookie}`]))
        t.notMatch((await client.answer()).head, /Set-Cookie/, `${title}: once`)
      }
      await rig.expectLines(4)
      t.equal(new Set(rig.log.entries.map(({ slot }) => slot)).size, 1, `${title}: one worker`)
    })
  }
})

t.test('a sticky client finds the successor, or another one', async t => {
  const name =
    (text: string): RequestListener =>
    (_, response) =>
      void response.end(text)
  await withRig(t, { settings: { sticky: 'w' } }, async rig => {
    const [first] = [await rig.worker(name('one')), await rig.worker(name('two'))]
    const client = await rig.client()
    const ask = async (fields: string[]) => {
      client.send(request('GET', '/', fields))
      const answer = await client.answer()
      return { body: answer.body.toString(), cookie: answer.fields['set-cookie']?.split(';')[0] }
    }
    const { body, cookie } = await ask([])
    t.equal(body, 'one')
    t.same(await ask([`Cookie: ${cookie}`]), { body: 'one', cookie: undefined })
    first.kill()
    while (rig.lifecycle.workers.dispatcher.links.length > 1) await new Promise(resolve => setImmediate(resolve))
    rig.lifecycle.workers.gone(1, 'crashed')
    const other = await ask([`Cookie: ${cookie}`])
    t.equal(other.body, 'two', 'gone: another one takes over')
    t.ok(other.cookie && other.cookie !== cookie)
    const third = await rig.worker(name('three'))
    third.address.slot = 1
    t.same(
      await ask([`Cookie: ${cookie}`]),
      { body: 'three', cookie: undefined },
      'the next worker of the slot inherits',
    )
    const made = await ask(['Cookie: w=made-up'])
    t.ok(made.cookie, 'a value that nobody gave is replaced')
    await rig.expectLines(5)
  })
})
