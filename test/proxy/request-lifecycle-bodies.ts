/** Bodies both ways, from client to application and back: bounded memory, buffering first, answers before the body is there. */

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import t from 'tap'
import type { ProxySettings } from '../../kit/channel/messages.js'
import { WINDOW_BYTES } from '../../kit/link/frames.js'
import { Connection } from '../../proxy/client/connection.js'
import { request } from './fixtures/raw-client.js'
import { type Rig, withRig } from './fixtures/rig.js'
import { signal, tick } from './fixtures/signal.js'
import { StuckSocket } from './fixtures/stuck-socket.js'
import { waitingBytes } from './fixtures/waiting-bytes.js'

/** What waits in the proxy for its client; the kernel's own buffers come on top. */
function heldBytes(rig: Rig): number {
  return Math.max(0, ...[...rig.sockets].map(waitingBytes))
}

/** More than the kernel buffers on the loopback interface. */
t.test('20 MB to a slow reader: nobody holds more than two windows', async t => {
  const body = randomBytes(20_000_000)
  let refusals = 0
  let drains = 0
  let backlog = 0
  const application: RequestListener = async (_, response) => {
    response.writeHead(200, { 'Content-Length': body.length })
    for (let start = 0; start < body.length; start += 50_000) {
      if (response.write(body.subarray(start, start + 50_000))) continue
      refusals += 1
      t.equal(response.writableNeedDrain, true)
      await once(response, 'drain')
      t.equal(response.writableNeedDrain, false, 'reset before drain')
      drains += 1
    }
    response.end()
  }
  await withRig(t, { workers: [application] }, async rig => {
    const client = await rig.client()
    client.socket.pause()
    client.send(request('GET', '/'))
    while (heldBytes(rig) === 0) await tick()
    for (let turn = 0; turn < 20; turn++) {
      client.socket.resume()
      await tick()
      client.socket.pause()
      for (let wait = 0; wait < 20; wait++) {
        await tick()
        backlog = Math.max(backlog, heldBytes(rig))
      }
    }
    client.socket.resume()
    const answer = await client.answer()
    t.ok(answer.body.equals(body), 'byte-identical')
    t.ok(refusals > 5 && drains === refusals, `${refusals} times the application was told to wait, and then to go on`)
    t.ok(backlog > 0 && backlog <= 2 * WINDOW_BYTES, `${backlog} bytes held at most`)
    await rig.expectLines(1)
  })
})

t.test('5 MB from a fast client to a slow application: nobody holds more than two windows', async t => {
  const body = randomBytes(5_000_000)
  const cases: [title: string, settings: Partial<ProxySettings>][] = [
    ['as it comes', {}],
    ['the first part buffered', { postBufferingBytes: 1_000_000 }],
  ]
  for (const [title, settings] of cases) {
    const asked = signal<IncomingMessage>()
    let held = 0
    let taken = () => 0
    const application: RequestListener = async (incoming, response) => {
      asked.arrive(incoming)
      const hash = createHash('sha1')
      let read = 0
      for await (const chunk of incoming) {
        for (let wait = 0; wait < 5; wait++) await tick()
        read += (chunk as Buffer).length
        held = Math.max(held, taken() - read)
        hash.update(chunk as Buffer)
      }
      response.end(hash.digest('hex'))
    }
    await withRig(t, { settings, workers: [application] }, async rig => {
      const client = await rig.client()
      client.send(request('POST', '/', [`Content-Length: ${body.length}`]))
      client.send(body)
      taken = () => [...rig.sockets][0]?.bytesRead ?? 0
      await asked.arrived
      t.equal((await client.answer()).body.toString(), createHash('sha1').update(body).digest('hex'), title)
      // What was buffered before the worker had the request goes there at once.
      const bound = 2 * WINDOW_BYTES + (settings.postBufferingBytes ?? 0)
      t.ok(held > 0 && held <= bound, `${title}: ${held} bytes held at most`)
      await rig.expectLines(1)
    })
  }
})

t.test('an application that never reads stops the client, and nothing piles up', async t => {
  const asked = signal<ServerResponse>()
  await withRig(t, { workers: [(_, response) => asked.arrive(response)] }, async rig => {
    const client = await rig.client()
    client.send(request('POST', '/', ['Content-Length: 50000000']))
    client.send(Buffer.alloc(50_000_000))
    const response = await asked.arrived
    const [socket] = rig.sockets
    while (!socket?.isPaused()) await tick()
    t.ok((socket?.bytesRead ?? 0) <= 2 * WINDOW_BYTES, `${socket?.bytesRead} bytes were taken`)
    response.end('enough')
    t.match(await client.answer(), { status: 200, body: Buffer.from('enough') })
    client.socket.destroy()
    await rig.expectLines(1)
  })
})

t.test('post-buffering: the worker gets the request when the body is there, or the buffer is full', async t => {
  const cases: [title: string, bodyBytes: number, chunked: boolean][] = [
    ['small', 10, false],
    ['small, chunked', 10, true],
    ['larger than a window', 3 * WINDOW_BYTES, false],
    ['as large as the buffer', 500_000, false],
    ['larger than the buffer', 900_000, false],
    ['larger than the buffer, chunked', 900_000, true],
    ['none', 0, true],
  ]
  for (const [title, bodyBytes, chunked] of cases) {
    let got = 0
    const application: RequestListener = (asked, response) => {
      asked.on('data', chunk => {
        got += chunk.length
      })
      asked.on('end', () => response.end(String(got)))
    }
    await withRig(t, { settings: { postBufferingBytes: 500_000 }, workers: [application] }, async rig => {
      const client = await rig.client()
      client.send(request('POST', '/', [chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${bodyBytes}`]))
      for (let sent = 0; sent < bodyBytes; sent += 90_000) {
        const piece = Buffer.alloc(Math.min(90_000, bodyBytes - sent), 'x')
        client.send(chunked ? `${piece.length.toString(16)}\r\n${piece}\r\n` : piece)
        if (bodyBytes <= 500_000 && sent + piece.length < bodyBytes)
          t.equal(rig.lifecycle.workers.dispatcher.loads()[0]?.requests, 0, title)
        await tick()
      }
      if (chunked) client.send('0\r\n\r\n')
      t.equal((await client.answer()).body.toString(), String(bodyBytes), title)
      await rig.expectLines(1)
    })
  }
})

t.test('an answer before the body is there', async t => {
  const early: RequestListener = (_, response) => void response.end('early')
  const cases: [title: string, text: string, bodyBytes: number, keeps: boolean][] = [
    ['little left: the connection stays', request('POST', '/', ['Content-Length: 1000']), 1000, true],
    ['much left', request('POST', '/', ['Content-Length: 5000000']), 5_000_000, false],
    ['chunked, end unknown', `${request('POST', '/', ['Transfer-Encoding: chunked'])}4c4b40\r\n`, 5_000_000, false],
  ]
  for (const [title, text, bodyBytes, keeps] of cases) {
    await withRig(t, { workers: [early] }, async rig => {
      const client = await rig.client()
      client.send(text)
      t.match(await client.answer(), { status: 200, body: Buffer.from('early') }, title)
      client.send(Buffer.alloc(bodyBytes))
      if (keeps) {
        client.send(request('GET', '/'))
        t.match(await client.answer(), { status: 200 }, `${title}: and serves the next request`)
      }
      await rig.expectLines(keeps ? 2 : 1)
    })
  }
})

t.test('the answer reaches also a client that sends all before it reads', async t => {
  await withRig(t, { workers: [(_, response) => void response.end('early')] }, async rig => {
    const client = await rig.client()
    client.socket.pause()
    client.send(request('POST', '/', ['Content-Length: 30000000']))
    await new Promise<unknown>(resolve => client.socket.write(Buffer.alloc(30_000_000), resolve))
    await rig.expectLines(1)
    t.notOk(client.socket.destroyed, 'no reset')
    client.socket.resume()
    t.match(await client.answer(), { status: 200, body: Buffer.from('early') })
  })
})

t.test('a body that is not framed as it should be', async t => {
  const chunked = request('POST', '/', ['Transfer-Encoding: chunked'])
  const asked = signal<IncomingMessage>()
  await withRig(t, { workers: [incoming => asked.arrive(incoming)] }, async rig => {
    const client = await rig.client()
    client.send(`${chunked}3\r\nabc\r\n`)
    const incoming = await asked.arrived
    const closed = new Promise(resolve => incoming.on('error', () => {}).on('close', resolve))
    client.send('zz\r\n')
    t.match(await client.answer(), { status: 400, fields: { connection: 'close' } })
    await closed
    t.equal(incoming.complete, false, 'the application does not take it for complete')
    await rig.expectLines(1)
  })
  await withRig(t, { workers: [(_, response) => void response.end('early')] }, async rig => {
    const client = await rig.client()
    client.send(`${chunked}3\r\nabc\r\nzz\r\n`)
    const answer = await client.answer()
    t.ok([200, 400].includes(answer.status), 'after an early answer there is no second one')
    t.equal(await client.rest(), '')
    await rig.expectLines(1)
  })
})

t.test('a connection reads on after a body that had used the window up', async t => {
  const asked = signal<ServerResponse>()
  const application: RequestListener = ({ method }, response) => {
    if (method === 'POST') asked.arrive(response)
    else response.end('next')
  }
  await withRig(t, { workers: [application] }, async rig => {
    const client = await rig.client()
    client.send(request('POST', '/', [`Content-Length: ${WINDOW_BYTES}`]))
    client.send(Buffer.alloc(WINDOW_BYTES))
    const response = await asked.arrived
    const [socket] = rig.sockets
    while ((socket?.bytesRead ?? 0) < WINDOW_BYTES) await tick()
    response.end('first')
    t.equal((await client.answer()).body.toString(), 'first')
    client.send(request('GET', '/'))
    t.equal((await client.answer()).body.toString(), 'next', 'although nobody gave credit for that body')
    await rig.expectLines(2)
  })
})

t.test('a body in chunks of one byte takes no more room than another, while it waits and at the worker', async t => {
  const chunks = 60_000
  const body = '1\r\nx\r\n'.repeat(chunks)
  let pieces = 0
  const application: RequestListener = (asked, response) => {
    asked.on('data', () => {
      pieces += 1
    })
    asked.on('end', () => response.end('read'))
  }
  await withRig(t, {}, async rig => {
    const client = await rig.client()
    client.send(`${request('PUT', '/', ['Transfer-Encoding: chunked'])}${body}`)
    const waiting = () => rig.lifecycle.workers.dispatcher.exchanges()[0]
    while ((waiting()?.replayableBytes ?? 0) < chunks) await tick()
    t.ok((waiting()?.replayable?.length ?? chunks) < 200, `it waits in ${waiting()?.replayable?.length} pieces`)
    client.send('0\r\n\r\n')
    await rig.worker(application)
    t.equal((await client.answer()).body.toString(), 'read')
    t.ok(pieces < 200, `the application got ${pieces}`)
    await rig.expectLines(1)
  })
})

t.test('a body that comes byte by byte takes no more room than another while it waits', async t => {
  const bytes = 10_000
  for (const fields of [['Transfer-Encoding: chunked'], [`Content-Length: ${bytes}`]]) {
    await withRig(t, {}, async rig => {
      const socket = new StuckSocket({ allowHalfOpen: true })
      socket.open()
      new Connection(socket.asSocket, rig.lifecycle, rig.limits)
      socket.push(request('PUT', '/', fields))
      const waiting = () => rig.lifecycle.workers.dispatcher.exchanges()[0]
      const isChunked = fields[0] === 'Transfer-Encoding: chunked'
      for (let index = 0; index < bytes; index++) {
        socket.push(isChunked ? '1\r\nx\r\n' : 'x')
        while ((waiting()?.replayableBytes ?? 0) <= index) await tick()
      }
      t.ok((waiting()?.replayable?.length ?? bytes) < 50, `it waits in ${waiting()?.replayable?.length} pieces`)
      if (isChunked) socket.push('0\r\n\r\n')
      await rig.worker(async (asked, response) => {
        let length = 0
        for await (const chunk of asked) length += chunk.length
        response.end(`${length} bytes`)
      })
      await rig.expectLines(1)
      t.match(socket.received, `\r\n\r\n${bytes} bytes`)
      socket.destroy()
    })
  }
})
