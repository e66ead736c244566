/** A connection of a trusted proxy that begins with a header of the PROXY protocol, and those that should and do not. */

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from 'node:http'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { ProxySettings } from '../../../kit/channel/messages.js'
import { Connection } from '../../../proxy/client/connection.js'
import { request, requestWithBody } from '../fixtures/raw-client.js'
import { type Rig, withRig } from '../fixtures/rig.js'

const settings: Partial<ProxySettings> = {
  httpEnableProxyProtocol: true,
  trustedProxies: ['127.0.0.0/8', 'unix', '198.51.100.0/24'],
}
const V1 = 'PROXY TCP4 192.0.2.7 203.0.113.5 56706 443\r\n'
const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n'
/** 2001:db8::7, port 56706, with a field of three bytes. */
const V2 = `${SIGNATURE}\x21\x21\0\x2a\x20\x01\x0d\xb8${'\0'.repeat(11)}\x07${'\0'.repeat(16)}\xdd\x82\x01\xbb\x04\0\x03abc`
const LOCAL = `${SIGNATURE}\x20\0\0\0`
const SAID = ['X-Forwarded-For: 6.6.6.6', 'X-Forwarded-Proto: https']

const whoAsks: RequestListener = (asked, response) => {
  const { remoteAddress, remotePort, encrypted } = asked.socket as IncomingMessage['socket'] & { encrypted: boolean }
  response.end(JSON.stringify({ remoteAddress, remotePort, encrypted, ...asked.headers, method: asked.method }))
}

async function tick(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
}

/** The client addresses of the access log. */
async function loggedAddresses(rig: Rig): Promise<string[]> {
  await rig.log.close()
  const lines = readFileSync(rig.logPath, 'latin1').split('\n').slice(0, -1)
  return lines.map(line => line.replace(/ .*/, ''))
}

function countOf(rig: Rig, name: string): [labels: object, value: number][] {
  const families = rig.metrics.families({ connections: 0, queued: 0, tunnels: 0, accessLogLostBytes: 0 })
  const values = families.find(family => family.name === name)?.values ?? []
  return values.map(({ labels, value }) => [labels, value])
}

t.test('the header names the client of all requests, in whatever pieces they come', async t => {
  const cases: [title: string, header: string, address: string][] = [
    ['version 1', V1, '192.0.2.7'],
    ['version 2', V2, '2001:db8::7'],
  ]
  for (const [title, header, address] of cases) {
    const text = `${header}${request('GET', '/1')}${requestWithBody('POST', '/2', 'body')}${request('GET', '/3')}`
    const bytes = Buffer.from(text, 'latin1')
    for (const size of [bytes.length, header.length, 1]) {
      await withRig(t, { workers: [whoAsks], settings }, async rig => {
        const client = await rig.client()
        for (let at = 0; at < bytes.length; at += size) {
          client.send(bytes.subarray(at, at + size))
          if (size < bytes.length) await tick()
        }
        for (const method of ['GET', 'POST', 'GET']) {
          const said = JSON.parse((await client.answer()).body.toString())
          const who = {
            remoteAddress: address,
            remotePort: 56706,
            encrypted: false,
            'x-forwarded-for': address,
            method,
          }
          t.match(said, who, `${title}, in pieces of ${size}`)
        }
        await rig.expectLines(3)
        t.same(await loggedAddresses(rig), [address, address, address])
      })
    }
  }
})

t.test('whose forwarding fields are believed', async t => {
  const cases: [title: string, header: string, remoteAddress: string, encrypted: boolean, chain: string][] = [
    ['a client is not believed', V1, '192.0.2.7', false, '192.0.2.7'],
    ['a named proxy is', 'PROXY TCP4 198.51.100.1 127.0.0.1 1 2\r\n', '6.6.6.6', true, '6.6.6.6, 198.51.100.1'],
    ['the proxy itself is', LOCAL, '6.6.6.6', true, '6.6.6.6, 127.0.0.1'],
    ['an unknown client is not', 'PROXY UNKNOWN\r\n', '127.0.0.1', false, '127.0.0.1'],
    ['nor is one of another family', `${SIGNATURE}\x21\0\0\0`, '127.0.0.1', false, '127.0.0.1'],
  ]
  for (const [title, header, remoteAddress, encrypted, chain] of cases) {
    await withRig(t, { workers: [whoAsks], settings }, async rig => {
      const client = await rig.client()
      client.send(header + request('GET', '/', SAID))
      const said = JSON.parse((await client.answer()).body.toString())
      t.match(said, { remoteAddress, encrypted, 'x-forwarded-for': chain }, title)
      await rig.expectLines(1)
    })
  }
})

t.test('nobody else has a header: it is no request', async t => {
  const others: Partial<ProxySettings>[] = [
    { ...settings, trustedProxies: ['10.0.0.0/8', 'unix'] },
    { ...settings, trustedProxies: [] },
    { ...settings, httpEnableProxyProtocol: false },
  ]
  for (const other of others) {
    for (const header of [V1, V2]) {
      await withRig(t, { workers: [whoAsks], settings: other }, async rig => {
        const client = await rig.client()
        client.send(header + request('GET', '/'))
        t.match(await client.answer(), { status: 400, fields: { connection: 'close' } })
        t.equal(await client.rest(), '')
        await rig.expectLines(1)
        t.same(await loggedAddresses(rig), ['127.0.0.1'])
      })
    }
    await withRig(t, { workers: [whoAsks], settings: other }, async rig => {
      const client = await rig.client()
      client.send(request('GET', '/'))
      t.match(JSON.parse((await client.answer()).body.toString()), { remoteAddress: '127.0.0.1' }, 'HTTP is spoken')
      await rig.expectLines(1)
    })
  }
})

t.test('without a valid header there is no response, one line and one count', async t => {
  const cases: [title: string, text: string][] = [
    ['a request', request('GET', '/')],
    ['a header that is not valid', V1.replace('56706', '99999') + request('GET', '/')],
    ['two headers in the wrong order', `${request('GET', '/')}${V1}`],
    ['TLS', '\x16\x03\x01\x02\0\x01'],
  ]
  for (const [title, text] of cases) {
    await withRig(t, { workers: [whoAsks], settings }, async rig => {
      const client = await rig.client()
      client.send(text)
      t.equal(await client.rest(), '', title)
      await client.closed
      await rig.expectLines(1)
      t.match(rig.log.entries, [{ title: '-', status: 400, sentBytes: 0 }], title)
      t.same(countOf(rig, 'daimyo_refused_requests_total'), [[{ reason: 'bad-proxy-header' }, 1]], title)
      t.equal(rig.workers[0]?.seen.length, 0)
    })
  }
})

t.test('a second header is no request', async t => {
  await withRig(t, { workers: [whoAsks], settings }, async rig => {
    const client = await rig.client()
    client.send(V1 + V1 + request('GET', '/'))
    t.match(await client.answer(), { status: 400 })
    await rig.expectLines(1)
    t.same(await loggedAddresses(rig), ['192.0.2.7'])
  })
})

t.test('a header that does not come to its end ends the connection in time', async t => {
  for (const begun of ['', 'P', V1.slice(0, -1), V2.slice(0, -1), V1]) {
    await withRig(t, { workers: [whoAsks], settings: { ...settings, httpHeaderTimeoutMs: 100 } }, async rig => {
      const client = await rig.client()
      client.send(begun)
      t.equal(await client.rest(), '', JSON.stringify(begun))
      t.same(countOf(rig, 'daimyo_limits_total'), [[{ limit: 'http-header-timeout' }, 1]])
      client.send(V1 + request('GET', '/late'))
      client.socket.end()
      await client.closed
      t.equal(rig.workers[0]?.seen.length, 0)
      await rig.expectLines(0)
    })
  }
})

t.test(
  'a client that ends its half with its request gets the response, and one without a request gets none',
  async t => {
    await withRig(t, { workers: [whoAsks], settings }, async rig => {
      const client = await rig.client(true)
      client.send(V1 + request('GET', '/'))
      client.socket.end()
      t.match(await client.answer(), { status: 200 })
      await rig.expectLines(1)
      for (const begun of ['', 'PRO', V1]) {
        const other = await rig.client(true)
        other.socket.end(begun)
        t.equal(await other.rest(), '', JSON.stringify(begun))
      }
    })
  },
)

t.test('a client of a unix socket', async t => {
  for (const [header, address, logged] of [
    [V1, '192.0.2.7', '192.0.2.7'],
    ['PROXY UNKNOWN\r\n', '127.0.0.1', 'unix:'],
  ] as const) {
    await withRig(t, { workers: [whoAsks], settings }, async rig => {
      const path = join(rig.folder, 'front.sock')
      const server = createServer({ allowHalfOpen: true }, socket => {
        const connection = new Connection(socket, rig.lifecycle, rig.limits)
        t.equal(rig.lifecycle.trusts(connection), true)
        connection.awaitProxyHeader(() => {})
      })
      server.listen(path)
      await once(server, 'listening')
      const socket = connect(path)
      socket.write(header + request('GET', '/', [...SAID, 'Connection: close']))
      let text = ''
      for await (const piece of socket.setEncoding('latin1')) text += piece
      t.match(text, `"remoteAddress":"${address}"`)
      server.close()
      await rig.expectLines(1)
      t.same(await loggedAddresses(rig), [logged])
    })
  }
})

t.test('a WebSocket has the address of the header', async t => {
  const server = createHttpServer()
  const asked = once(server, 'upgrade')
  await withRig(t, { workers: [server], settings }, async rig => {
    const client = await rig.client()
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
    client.send(V2 + request('GET', '/ws', [...upgrade, 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==']))
    const [{ socket, headers }] = await asked
    t.match(socket, { remoteAddress: '2001:db8::7', remoteFamily: 'IPv6', remotePort: 56706 })
    t.match(headers, { 'x-forwarded-for': '2001:db8::7' })
    socket.on('end', () => socket.end()).resume()
    client.socket.resetAndDestroy()
    await once(socket, 'close')
    await rig.expectLines(1)
  })
})
