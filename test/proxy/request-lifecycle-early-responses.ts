/**
 * Answers that are complete before the request's body is: the application may read on, as it may with `node:http` alone, and the client sees the
 * answer in whatever order it sends and reads.
 */

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { RawClient, request } from './fixtures/raw-client.js'
import { withRig } from './fixtures/rig.js'
import { signal, tick } from './fixtures/signal.js'

const body = randomBytes(3_000_000)
const digest = createHash('sha1').update(body).digest('hex')
const LENGTH = request('POST', '/', [`Content-Length: ${body.length}`])
const CHUNKED = request('POST', '/', ['Transfer-Encoding: chunked'])

/** Answers at once and reads on; `ends` gets what it read, or why it did not get all. */
function readsOn(ends: { arrive(end: string): void }): RequestListener {
  return (asked, response) => {
    const hash = createHash('sha1')
    asked.on('data', (chunk: Buffer) => hash.update(chunk))
    asked.on('end', () => {
      if (asked.method === 'POST') ends.arrive(`${hash.digest('hex')} ${asked.rawTrailers}`)
    })
    asked.on('error', (error: NodeJS.ErrnoException) => ends.arrive(error.code ?? ''))
    response.end('early')
  }
}

/** Sends the body piece by piece once the answer is there, then another request. */
async function uploadAfterAnswer(client: RawClient, chunked: boolean): Promise<number[]> {
  client.send(chunked ? CHUNKED : LENGTH)
  const statuses = [(await client.answer()).status]
  for (let at = 0; at < body.length; at += 100_000) {
    const piece = body.subarray(at, at + 100_000)
    if (chunked) client.send(`${piece.length.toString(16)}\r\n`)
    client.send(piece)
    if (chunked) client.send('\r\n')
    await tick()
  }
  if (chunked) client.send('0\r\nX-Sum: 1\r\n\r\n')
  client.send(request('GET', '/'))
  statuses.push((await client.answer()).status)
  return statuses
}

t.test('an application that answers and reads on gets all of the body, as from node:http itself', async t => {
  for (const chunked of [false, true]) {
    const expected = `${digest} ${chunked ? 'X-Sum,1' : ''}`
    const [bare, proxied] = [signal<string>(), signal<string>()]
    const server = createServer(readsOn(bare)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = await RawClient.open((server.address() as AddressInfo).port)
    t.same(await uploadAfterAnswer(client, chunked), [200, 200])
    t.equal(await bare.arrived, expected)
    client.socket.destroy()
    server.close()
    await withRig(t, { workers: [readsOn(proxied)] }, async rig => {
      t.same(await uploadAfterAnswer(await rig.client(), chunked), [200, 200])
      t.equal(await proxied.arrived, expected, 'through the proxy')
      await rig.expectLines(2)
    })
  }
})

t.test('whoever reads on is bounded and learns of the end', async t => {
  const cases: [
    title: string,
    act: (client: RawClient, asked: IncomingMessage, kill: () => void) => void,
    expected: string,
  ][] = [
    ['the client leaves', client => void client.socket.destroy(), 'ECONNRESET'],
    ['the client stops', () => {}, 'ECONNRESET'],
    ['the application stops', (_, asked) => void asked.pause(), 'ECONNRESET'],
    ['the body is broken', client => client.send('zz\r\n'), 'ECONNRESET'],
    ['the body passes limit-post', client => client.send(`f4240\r\n${'x'.repeat(1_000_000)}`), 'ECONNRESET'],
    ['the application lets it go', (_, asked) => void asked.destroy(), ''],
    ['the worker dies', (_client, _asked, kill) => kill(), 'ECONNRESET'],
  ]
  for (const [title, act, expected] of cases) {
    const [asked, ends] = [signal<IncomingMessage>(), signal<string>()]
    const application: RequestListener = (incoming, response) => {
      incoming.once('data', () => asked.arrive(incoming))
      incoming.on('close', () => ends.arrive(''))
      readsOn(ends)(incoming, response)
    }
    // Only who stops is to meet it, and not before its answer.
    const httpBodyTimeoutMs = title.endsWith(' stops') ? 2000 : 600_000
    await withRig(t, { settings: { httpBodyTimeoutMs, limitPostBytes: 900_000 } }, async rig => {
      const worker = await rig.worker(application)
      const client = await rig.client()
      client.send(CHUNKED)
      t.equal((await client.answer()).body.toString(), 'early', title)
      client.send('1\r\nx\r\n')
      act(client, await asked.arrived, () => worker.kill())
      t.equal(await ends.arrived, expected, title)
      await client.closed
      await rig.expectLines(1)
    })
  }
})

t.test('an answer that closes the connection ends the reading, as with node:http', async t => {
  const ends = signal<string>()
  await withRig(t, { workers: [readsOn(ends)] }, async rig => {
    const client = await rig.client()
    client.send(request('POST', '/', ['Content-Length: 3000000', 'Connection: close']))
    t.match(await client.answer(), { status: 200, fields: { connection: 'close' } })
    t.equal(await ends.arrived, 'ECONNRESET')
    await rig.expectLines(1)
  })
})

t.test('a worker that retires is not drained while a body is read', async t => {
  const ends = signal<string>()
  await withRig(t, { workers: [readsOn(ends)] }, async rig => {
    const client = await rig.client()
    client.send(request('POST', '/', ['Content-Length: 10']))
    await client.answer()
    rig.lifecycle.workers.dispatcher.retire(1)
    t.same(rig.drained, [])
    client.send('0123456789')
    await ends.arrived
    while (rig.drained.length === 0) await tick()
    await rig.expectLines(1)
  })
})

t.test('a proxy that goes away lets the body end and then ends the connection', async t => {
  const ends = signal<string>()
  await withRig(t, { workers: [readsOn(ends)] }, async rig => {
    const client = await rig.client()
    client.send(request('POST', '/', ['Content-Length: 10']))
    await client.answer()
    rig.lifecycle.draining = true
    for (const connection of rig.connections) connection.drain()
    client.send('0123456789')
    t.match(await ends.arrived, /^[0-9a-f]{40} $/)
    t.equal(await client.rest(), '')
    t.equal(await client.closed, false)
    await rig.expectLines(1)
  })
})

t.test('the client sees an early answer that nobody reads on for, in whatever order', async t => {
  const early: RequestListener = (_, response) => void response.end('early')
  for (const reads of ['first', 'last']) {
    for (const [title, head, framed] of [
      ['a length', request('POST', '/', ['Content-Length: 400000']), Buffer.alloc(400_000)],
      ['chunks', `${CHUNKED}61a80\r\n`, Buffer.alloc(400_000)],
    ] as const) {
      await withRig(t, { workers: [early] }, async rig => {
        const client = await rig.client()
        if (reads === 'last') client.socket.pause()
        client.send(head)
        if (reads === 'first') t.equal((await client.answer()).body.toString(), 'early', `${title}, read first`)
        client.send(framed)
        await rig.expectLines(1)
        client.socket.resume()
        if (reads === 'last') t.equal((await client.answer()).body.toString(), 'early', `${title}, read last`)
        t.equal(await client.rest(), '')
        t.equal(await client.closed, false, `${title}: no reset`)
      })
    }
  }
})

t.test('100 pipelined requests with bodies in one segment', async t => {
  const application: RequestListener = (asked, response) => {
    let text = ''
    asked.on('data', chunk => {
      text += chunk
    })
    asked.on('end', () => response.end(`${asked.url} ${text}`))
  }
  await withRig(t, { workers: [application] }, async rig => {
    const client = await rig.client()
    let text = ''
    for (let index = 0; index < 100; index++) {
      const target = `/${index}`
      if (index % 3 === 0) text += request('GET', target)
      else if (index % 3 === 1) text += `${request('POST', target, ['Content-Length: 4'])}body`
      else text += `${request('PUT', target, ['Transfer-Encoding: chunked'])}2\r\nbo\r\n2;a=b\r\ndy\r\n0\r\n\r\n`
    }
    t.ok(text.length < 16_384, 'it is one read')
    client.send(text)
    for (let index = 0; index < 100; index++) {
      const { status, body } = await client.answer()
      t.equal(`${status} ${body}`, `200 /${index} ${index % 3 === 0 ? '' : 'body'}`)
    }
    await rig.expectLines(100)
  })
})
