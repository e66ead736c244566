/** A watchdog's socket on which anything may come: what the proxy makes of it is short, and it waits for nobody. */

import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { requestStack } from '../../../proxy/deaths/stack-request.js'
import { scratchFolder } from '../../supervisor/fixtures/scratch-folder.js'

async function watchdog(
  t: Test,
  answer: (socket: Socket) => void,
): Promise<{ linkPath: string; closed: Promise<unknown> }> {
  const folder = scratchFolder(t)
  const server = createServer().listen(join(folder, 'worker-1.watch'))
  await once(server, 'listening')
  t.teardown(() => server.close())
  const closed = new Promise(resolve => {
    server.on('connection', socket => {
      socket
        .on('error', () => {})
        .on('close', resolve)
        .resume()
      answer(socket)
    })
  })
  return { linkPath: join(folder, 'worker-1.link'), closed }
}

const frames = Array.from({ length: 1000 }, () => ({ name: 'n'.repeat(20), place: 'p' }))

const cases: [title: string, text: string, frames: number, why: string][] = [
  ['a report', JSON.stringify({ frames: frames.slice(0, 2), why: '' }), 2, ''],
  ['a long one', JSON.stringify({ frames, why: '' }), 20, ''],
  ['long words', JSON.stringify({ frames: [], why: 'x'.repeat(60_000) }), 0, `${'x'.repeat(300)}…`],
  ['no JSON', 'hello', 0, 'no answer'],
  ['brackets in brackets', '['.repeat(60_000), 0, 'no answer'],
  ['brackets in brackets, closed', `${'['.repeat(30_000)}${']'.repeat(30_000)}`, 0, 'no answer'],
  ['other shapes', JSON.stringify({ frames: [null, 1, { name: {}, place: [] }], why: '' }), 0, ''],
]
for (const [title, text, count, why] of cases) {
  t.test(title, async t => {
    const { linkPath, closed } = await watchdog(t, socket => socket.end(text))
    const asked = requestStack(linkPath)
    await closed
    while (asked.report === null) await new Promise(resolve => setImmediate(resolve))
    t.equal(asked.report.frames.length, count)
    t.equal(asked.report.why, why)
  })
}

t.test('a line without end is cut off', async t => {
  let sent = 0
  const { linkPath, closed } = await watchdog(t, socket => {
    const piece = Buffer.alloc(64 * 1024, 'x')
    const pour = () => {
      while (!socket.destroyed) {
        sent += piece.length
        if (!socket.write(piece)) return void socket.once('drain', pour)
      }
    }
    pour()
  })
  const asked = requestStack(linkPath)
  await closed
  while (asked.report === null) await new Promise(resolve => setImmediate(resolve))
  t.equal(asked.report.why, 'no answer')
  t.ok(sent < 4 * 1024 ** 2, `${sent} bytes were sent at most`)
})

t.test('one that never answers is left', async t => {
  const { linkPath, closed } = await watchdog(t, () => {})
  const asked = requestStack(linkPath)
  await new Promise(resolve => setImmediate(resolve))
  t.equal(asked.report, null)
  asked.cancel()
  await closed
  t.pass('the connection is closed')
})
