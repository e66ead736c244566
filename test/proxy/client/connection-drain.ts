/** What becomes of the connections of a proxy that goes away: `proxy/client/connection.ts`. */

import t from 'tap'
import { request } from '../fixtures/raw-client.js'
import { type Rig, withRig } from '../fixtures/rig.js'
import { tick } from '../fixtures/signal.js'

const GET = request('GET', '/')
const workers = [(_: unknown, response: { end(text: string): void }) => response.end('read')]

function drain(rig: Rig): void {
  rig.lifecycle.draining = true
  for (const connection of rig.connections) connection.drain()
}

const cases: [title: string, before: string, after: string][] = [
  ['a new one is answered, and closed', '', GET],
  ['a head that has begun may end', GET.slice(0, 9), GET.slice(9)],
]
for (const [title, before, after] of cases) {
  t.test(title, async t => {
    await withRig(t, { workers }, async rig => {
      const client = await rig.client()
      while (rig.connections.size === 0) await tick()
      client.send(before)
      await tick()
      drain(rig)
      client.send(after)
      t.match(await client.answer(), { status: 200, fields: { connection: 'close' }, whole: true })
      t.equal(await client.rest(), '')
      await rig.expectLines(1)
    })
  })
}

t.test('a new one that says nothing, and one that is idle, are closed', async t => {
  await withRig(t, { workers }, async rig => {
    const idle = await rig.client()
    idle.send(GET)
    t.match(await idle.answer(), { status: 200, fields: { connection: 'keep-alive' } })
    const silent = await rig.client()
    while (rig.connections.size < 2) await tick()
    drain(rig)
    t.equal(await idle.rest(), '')
    t.equal(await silent.rest(), '')
    await rig.expectLines(1)
  })
})
