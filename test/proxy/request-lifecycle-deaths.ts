/** Requests that meet several deaths, the master's word on how a worker ended, and quarantine: from client to application. */

import t from 'tap'
import type { WorkerEnd } from '../../kit/channel/messages.js'
import { FRAME, frame } from '../../kit/link/frames.js'
import { FakeWorker } from './fixtures/fake-worker.js'
import { request, requestWithBody } from './fixtures/raw-client.js'
import { type Rig, withRig } from './fixtures/rig.js'
import { hello, signal } from './fixtures/signal.js'

/** Sends a request to one worker after the other, each of which dies when it has it, and then to one that answers. */
async function outlive(rig: Rig, text: string, deaths: number, end: WorkerEnd, isToldFirst: boolean) {
  const client = await rig.client()
  let seen = 0
  client.send(text)
  const answered = client.answer()
  for (let death = 1; death <= deaths; death++) {
    const asked = signal<void>()
    const worker = await rig.worker(() => {
      seen += 1
      asked.arrive()
    })
    const over = await Promise.race([asked.arrived.then(() => null), answered])
    if (over !== null) return { answer: over, seen }
    if (isToldFirst) rig.lifecycle.workers.gone(death, end)
    worker.kill()
    while (rig.lifecycle.workers.dispatcher.links.length > 0) await new Promise(resolve => setImmediate(resolve))
    if (!isToldFirst) rig.lifecycle.workers.gone(death, end)
  }
  await rig.worker(hello)
  return { answer: await answered, seen }
}

t.test('a request whose workers die one after the other', async t => {
  const [get, put] = [request('GET', '/'), requestWithBody('PUT', '/', 'x')]
  const post = requestWithBody('POST', '/', 'x')
  const cases: [title: string, text: string, deaths: number, end: WorkerEnd, status: number, seen: number][] = [
    ['GET, killed by somebody', get, 4, 'killed', 200, 4],
    ['GET, crashed once', get, 1, 'crashed', 200, 1],
    ['GET, crashed twice', get, 2, 'crashed', 502, 2],
    ['GET, ended by the master twice', get, 2, 'asked', 502, 2],
    ['PUT, killed once', put, 1, 'killed', 200, 1],
    ['PUT, killed twice', put, 2, 'killed', 502, 2],
    ['POST, killed once', post, 1, 'killed', 502, 1],
    ['GET, killed for ever', get, 12, 'killed', 502, 10],
  ]
  for (const isToldFirst of [false, true]) {
    for (const [title, text, deaths, end, status, seen] of cases) {
      await withRig(t, {}, async rig => {
        const got = await outlive(rig, text, deaths, end, isToldFirst)
        t.match({ status: got.answer.status, seen: got.seen }, { status, seen }, `${title}, told ${isToldFirst}`)
        await rig.expectLines(1)
      })
    }
  }
})

t.test('the word of the master does not come', async t => {
  await withRig(t, {}, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/'))
    for (let death = 1; death <= 2; death++) {
      const asked = signal<void>()
      const worker = await rig.worker(() => asked.arrive())
      await asked.arrived
      worker.kill()
      while (rig.lifecycle.workers.dispatcher.links.length > 0) await new Promise(resolve => setImmediate(resolve))
    }
    t.equal((await client.answer()).status, 502)
    await rig.expectLines(1)
  })
})

t.test('a client leaves while its request waits for the word', async t => {
  await withRig(t, {}, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/'))
    for (let death = 1; death <= 2; death++) {
      const asked = signal<void>()
      const worker = await rig.worker(() => asked.arrive())
      await asked.arrived
      worker.kill()
      while (rig.lifecycle.workers.dispatcher.links.length > 0) await new Promise(resolve => setImmediate(resolve))
    }
    client.socket.resetAndDestroy()
    await rig.expectLines(1)
    t.match(rig.log.entries, [{ status: 499 }])
    const next = await rig.worker(hello)
    rig.lifecycle.workers.gone(2, 'killed')
    t.same(next.seen, [], 'it is not sent again')
  })
})

t.test('what a dead worker had acknowledged counts, also when the master speaks first', async t => {
  await withRig(t, {}, async rig => {
    const played = await FakeWorker.open(t, 50)
    await rig.connect(played.address)
    const client = await rig.client()
    client.send(requestWithBody('POST', '/', 'body'))
    const [heard] = await played.has(FRAME.request, 1)
    const other = await rig.worker(hello)
    played.say(frame(FRAME.seen, heard?.id ?? 0))
    // In the same turn: the acknowledgement is in the kernel and not read yet.
    rig.lifecycle.workers.gone(50, 'killed')
    played.die()
    t.equal((await client.answer()).status, 502)
    t.same(other.seen, [], 'it is not executed twice')
    await rig.expectLines(1)
  })
})

t.test('a request that workers die of is held back; its neighbours are not', async t => {
  const settings = { quarantineDeaths: 3 }
  await withRig(t, { settings }, async rig => {
    const client = await rig.client()
    let died = 0
    for (let round = 0; round < 2; round++) {
      client.send(request('GET', `/die?round=${round}`))
      for (let death = 0; death < 2; death++) {
        const asked = signal<void>()
        const worker = await rig.worker(() => asked.arrive())
        await asked.arrived
        worker.kill()
        while (rig.lifecycle.workers.dispatcher.links.length > 0) await new Promise(resolve => setImmediate(resolve))
        died += 1
        rig.lifecycle.workers.gone(worker.address.workerId, 'crashed')
        if (died === 3) break
      }
      if (round === 1) await rig.worker(hello)
      const answer = await client.answer()
      if (round === 0) t.equal(answer.status, 502, 'twice at first')
      else
        t.match(
          answer,
          { status: 503, fields: { 'retry-after': /^(60|5\d)$/ } },
          'at the third death no other worker gets it',
        )
    }
    t.match(rig.events, [{ name: 'request-quarantined', fields: { request: 'GET /die', deaths: 3, seconds: 60 } }])
    const [, , , worker] = rig.workers
    client.send(request('GET', '/die?again'))
    t.match(await client.answer(), { status: 503, fields: { 'retry-after': /^(60|5\d)$/ } })
    client.send(requestWithBody('POST', '/die', 'x'))
    t.equal((await client.answer()).status, 200)
    client.send(request('GET', '/'))
    t.equal((await client.answer()).status, 200)
    t.same(worker?.seen, ['POST /die', 'GET /'])
    const families = rig.metrics.families({ connections: 0, queued: 0, tunnels: 0, accessLogLostBytes: 0 })
    t.equal(families.find(({ name }) => name === 'daimyo_quarantines_total')?.values[0]?.value, 1)
    await rig.expectLines(5)
  })
})
