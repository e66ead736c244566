/** Deadlines of requests at a worker, from client to application and back. */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { RequestListener, ServerResponse } from 'node:http'
import t from 'tap'
import { monotonicMs } from '../../proxy/process/clock.js'
import { type RawClient, request, requestWithBody } from './fixtures/raw-client.js'
import { withRig, workerAddress } from './fixtures/rig.js'
import { hello, signal, tick } from './fixtures/signal.js'
import { watchTimerLag } from './fixtures/timer-lag.js'

t.test('harakiri of one that waits for ever: 504 on time, the worker lives, the application is told', async t => {
  const gone = signal<string>()
  let pid = 0
  const application: RequestListener = (asked, response) => {
    if (asked.url === '/quick') response.end(String(++pid))
    else response.on('close', () => gone.arrive(`writableEnded ${response.writableEnded}`))
  }
  await withRig(t, { settings: { harakiriMs: 200 }, workers: [application] }, async rig => {
    const clients = await Promise.all(Array.from({ length: 10 }, () => rig.client()))
    const lagMs = watchTimerLag(t)
    const startMs = monotonicMs()
    for (const client of clients) client.send(request('GET', '/slow?secret=1'))
    for (const client of clients) t.equal((await client.answer()).status, 504)
    const lateMs = monotonicMs() - startMs - 200
    t.ok(lateMs >= 0 && lateMs < 400 + 2 * lagMs(), `all within ${Math.round(lateMs)} ms after their deadline`)
    t.equal(await gone.arrived, 'writableEnded false')
    clients[0]?.send(request('GET', '/quick'))
    t.equal((await (clients[0] as RawClient).answer()).body.toString(), '1', 'on the same connection')
    t.same(rig.verdicts, [], 'the worker lives')
    t.equal(rig.events.length, 10)
    t.match(rig.events[0], { name: 'request-harakiri', fields: { request: 'GET /slow', slot: 1 } })
    await rig.expectLines(11)
  })
})

t.test('the clock of harakiri', async t => {
  await t.test('does not run while the client uploads', async t => {
    const application: RequestListener = (asked, response) => void asked.on('end', () => response.end('ok')).resume()
    await withRig(t, { settings: { harakiriMs: 1000 }, workers: [application] }, async rig => {
      const client = await rig.client()
      client.send(`${request('POST', '/', ['Content-Length: 3'])}ab`)
      while (rig.lifecycle.workers.dispatcher.loads()[0]?.requests !== 1) await tick()
      rig.lifecycle.sweep(monotonicMs() + 2000)
      client.send('c')
      t.equal((await client.answer()).status, 200)
      await rig.expectLines(1)
    })
  })
  await t.test('stops at the first byte of the answer', async t => {
    const asked = signal<ServerResponse>()
    await withRig(
      t,
      { settings: { harakiriMs: 1000 }, workers: [(_, response) => asked.arrive(response)] },
      async rig => {
        const client = await rig.client()
        client.send(request('GET', '/'))
        const response = await asked.arrived
        response.write('a')
        t.match((await client.bytes()).latin1Slice(), /^HTTP\/1\.1 200 OK/)
        rig.lifecycle.sweep(monotonicMs() + 2000)
        response.end('b')
        t.match((await client.bytes()).latin1Slice(), /b\r\n0\r\n\r\n$/)
        await rig.expectLines(1)
        t.match(rig.log.entries, [{ status: 200 }])
      },
    )
  })
})

t.test('a blocked worker: 504 to the guilty, the verdict, and the neighbours go to another worker', async t => {
  // Time enough for all three to be there before the first of them is late.
  const harakiriMs = 1500
  await withRig(t, { settings: { harakiriMs } }, async rig => {
    const child = fork(new URL('./fixtures/blocking-worker.js', import.meta.url), [rig.folder])
    await once(child, 'message')
    await rig.connect(workerAddress(rig.folder, 90, child.pid))
    const [guilty, innocent, post] = [await rig.client(), await rig.client(), await rig.client()]
    innocent.send(request('GET', '/wait'))
    post.send(requestWithBody('POST', '/wait', 'x'))
    while (rig.lifecycle.workers.dispatcher.loads()[0]?.inFlight !== 2) await tick()
    const [startMs, lagMs] = [monotonicMs(), watchTimerLag(t)]
    guilty.send(request('GET', '/burn'))
    const well = await rig.worker(hello)
    const blocked = signal<void>()
    rig.onBlocked = () => {
      child.kill('SIGKILL')
      blocked.arrive()
    }
    // The neighbours were there first, so one of them is asked for the 504; who blocks the loop cannot be told from outside.
    await blocked.arrived
    const [verdict] = rig.verdicts
    const lateMs = (verdict?.atMs ?? 0) - startMs - harakiriMs
    t.ok(lateMs < 800 + 2 * lagMs(), `${Math.round(lateMs)} ms after the deadline`)
    t.equal(verdict?.workerId, 90)
    const statuses = [await guilty.answer(), await innocent.answer(), await post.answer()].map(answer => answer.status)
    t.equal(statuses.filter(status => status === 504).length, 1, `${statuses}: one 504`)
    t.ok(statuses[2] === 502 || statuses[2] === 504, 'the POST was seen, it is not sent again')
    t.equal(well.seen.length, statuses.filter(status => status === 200).length)
    await rig.expectLines(3)
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
})
