/** What becomes of requests whose worker dies, from client to application and back: it depends on who has seen them. */

import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import { FRAME, frame, WINDOW_BYTES } from '../../kit/link/frames.js'
import { FakeWorker } from './fixtures/fake-worker.js'
import { type RawClient, request, requestWithBody } from './fixtures/raw-client.js'
import { type Rig, withRig } from './fixtures/rig.js'
import { hello, signal, tick } from './fixtures/signal.js'

/** Sends a request to the first of two workers, which dies when `dies` says so; what the client got, and what the workers saw. */
async function dieWith(
  rig: Rig,
  text: string,
  dies: (asked: Promise<[IncomingMessage, ServerResponse]>) => Promise<void>,
) {
  const asked = signal<[IncomingMessage, ServerResponse]>()
  const mortal = await rig.worker((...pair) => asked.arrive(pair))
  const client = await rig.client()
  client.send(text)
  await asked.arrived
  const other = await rig.worker(hello)
  await dies(asked.arrived)
  mortal.kill()
  const answer = await client.answer(text.startsWith('HEAD'))
  await rig.expectLines(1)
  return { answer, mortal: mortal.seen, other: other.seen, client, entry: rig.log.entries[0] }
}

t.test('a worker dies with a request in flight', async t => {
  const cases: [title: string, text: string, status: number, others: string[], attempts: number][] = [
    ['GET', request('GET', '/'), 200, ['GET /'], 2],
    ['HEAD', request('HEAD', '/'), 200, ['HEAD /'], 2],
    ['DELETE', request('DELETE', '/'), 200, ['DELETE /'], 2],
    ['PUT with its body', requestWithBody('PUT', '/', 'body'), 200, ['PUT /'], 2],
    ['POST', requestWithBody('POST', '/', 'body'), 502, [], 1],
    ['POST without a body', request('POST', '/', ['Content-Length: 0']), 502, [], 1],
    ['PATCH', requestWithBody('PATCH', '/', 'body'), 502, [], 1],
  ]
  for (const [title, text, status, others, attempts] of cases) {
    await withRig(t, {}, async rig => {
      const { answer, mortal, other, entry } = await dieWith(rig, text, async () => {})
      t.equal(answer.status, status, title)
      t.equal(mortal.length, 1, title)
      t.same(other, others, title)
      t.match(entry, { status, attempts, slot: attempts }, title)
    })
  }
})

t.test('the body that is sent again is the whole body', async t => {
  await withRig(t, {}, async rig => {
    const first = signal<void>()
    const mortal = await rig.worker(() => first.arrive())
    const client = await rig.client()
    const body = randomBytes(WINDOW_BYTES - 10)
    client.send(request('PUT', '/', [`Content-Length: ${body.length}`]))
    client.send(body.subarray(0, 50_000))
    await first.arrived
    await rig.worker((asked, response) => {
      const hash = createHash('sha1')
      asked.on('data', chunk => hash.update(chunk)).on('end', () => response.end(hash.digest('hex')))
    })
    mortal.kill()
    client.send(body.subarray(50_000))
    t.equal((await client.answer()).body.toString(), createHash('sha1').update(body).digest('hex'))
    await rig.expectLines(1)
  })
})

t.test('a body that outgrew the window cannot be sent again', async t => {
  await withRig(t, {}, async rig => {
    const read = signal<void>()
    let bytes = 0
    const mortal = await rig.worker(asked => {
      asked.on('data', chunk => {
        bytes += chunk.length
        if (bytes === 2 * WINDOW_BYTES) read.arrive()
      })
    })
    const client = await rig.client()
    client.send(request('PUT', '/', [`Content-Length: ${3 * WINDOW_BYTES}`]))
    client.send(Buffer.alloc(2 * WINDOW_BYTES))
    await read.arrived
    const other = await rig.worker(hello)
    mortal.kill()
    t.match(await client.answer(), { status: 502, fields: { connection: 'close' } })
    t.same(other.seen, [])
    await rig.expectLines(1)
  })
})

t.test('an idempotent request is sent twice at most', async t => {
  await withRig(t, {}, async rig => {
    const kills: (() => void)[] = []
    let asked = 0
    for (let count = 0; count < 3; count++) {
      const worker = await rig.worker(() => {
        asked += 1
        kills[count]?.()
      })
      kills.push(() => setImmediate(() => worker.kill()))
    }
    const client = await rig.client()
    client.send(request('GET', '/'))
    t.equal((await client.answer()).status, 502)
    t.equal(asked, 2)
    await rig.expectLines(1)
  })
})

t.test('a worker dies in the middle of an answer: the client sees that it is not whole', async t => {
  const cases: [title: string, fields: Record<string, string>][] = [
    ['chunked', {}],
    ['by length', { 'Content-Length': '1000' }],
  ]
  for (const [title, fields] of cases) {
    await withRig(t, {}, async rig => {
      const sent = signal<void>()
      const mortal = await rig.worker((_, response) => {
        response.writeHead(200, fields)
        response.write('part')
        sent.arrive()
      })
      const other = await rig.worker(hello)
      const client = await rig.client()
      client.send(request('GET', '/'))
      await sent.arrived
      while (
        rig.lifecycle.workers.dispatcher.links &&
        [...rig.lifecycle.workers.dispatcher.links].every(link =>
          [...link.exchanges].every(each => !each.responseBegun),
        )
      ) {
        await tick()
      }
      mortal.kill()
      t.match(await client.answer(), { status: 200, body: Buffer.from('part'), whole: false }, title)
      await client.closed
      t.same(other.seen, [], `${title}: and it is not sent again`)
      await rig.expectLines(1)
    })
  }
})

t.test('a POST is delivered once at most, whatever the worker had said', async t => {
  const cases: [title: string, seen: boolean, status: number, deliveries: number][] = [
    ['not acknowledged', false, 200, 1],
    ['acknowledged', true, 502, 0],
  ]
  for (const [title, seen, status, deliveries] of cases) {
    await withRig(t, {}, async rig => {
      const played = await FakeWorker.open(t, 50)
      await rig.connect(played.address)
      const client = await rig.client()
      client.send(requestWithBody('POST', '/', 'body'))
      const [heard] = await played.has(FRAME.request, 1)
      await played.has(FRAME.end, 1)
      const other = await rig.worker(hello)
      if (seen) played.say(frame(FRAME.seen, heard?.id ?? 0))
      played.die()
      t.equal((await client.answer()).status, status, title)
      t.equal(other.seen.length, deliveries, title)
      await rig.expectLines(1)
    })
  }
})

t.test('an acknowledgement counts also when the client of the last POST has gone', async t => {
  await withRig(t, {}, async rig => {
    const played = await FakeWorker.open(t, 50)
    await rig.connect(played.address)
    const [stays, goes] = [await rig.client(), await rig.client()]
    stays.send(requestWithBody('POST', '/stays', 'a'))
    await played.has(FRAME.request, 1)
    goes.send(requestWithBody('POST', '/goes', 'b'))
    const [, last] = await played.has(FRAME.request, 2)
    goes.socket.resetAndDestroy()
    await played.has(FRAME.abort, 1)
    const other = await rig.worker(hello)
    played.say(frame(FRAME.seen, last?.id ?? 0))
    played.die()
    t.equal((await stays.answer()).status, 502)
    t.same(other.seen, [], 'it is not executed twice')
    await rig.expectLines(2)
  })
})

t.test('many in flight at a death keep their order and all get an answer', async t => {
  await withRig(t, { settings: { workerConnections: 5 } }, async rig => {
    const started = signal<void>()
    let count = 0
    const mortal = await rig.worker(() => {
      count += 1
      if (count === 5) started.arrive()
    })
    const clients: RawClient[] = []
    for (let index = 0; index < 20; index++) {
      const client = await rig.client()
      client.send(request('GET', `/${index}`))
      clients.push(client)
      while (rig.lifecycle.workers.dispatcher.queued + mortal.inFlight < index + 1) await tick()
    }
    await started.arrived
    mortal.kill()
    const next = await rig.worker(hello)
    for (const client of clients) t.equal((await client.answer()).body.toString(), 'hello')
    t.same(
      next.seen,
      Array.from({ length: 20 }, (_, index) => `GET /${index}`),
    )
    await rig.expectLines(20)
  })
})
