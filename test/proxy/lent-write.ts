/** What is written of a buffer that changes right afterwards arrives as it was, at a reader that is fast and at one that is not. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { writeLent } from '../../proxy/lent-write.js'

async function pair(t: Test): Promise<{ writer: Socket; reader: Socket }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const reader = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [writer] = (await once(server, 'connection')) as [Socket]
  t.teardown(() => {
    for (const socket of [reader, writer]) socket.destroy()
    server.close()
  })
  return { writer, reader }
}

/** Counts on a wrong byte, and on all that came. */
async function readAll(reader: Socket, bytes: number, expected: (at: number) => number): Promise<number> {
  let count = 0
  let wrong = 0
  for await (const chunk of reader) {
    for (const byte of chunk as Buffer) if (byte !== expected(count++)) wrong += 1
    if (count >= bytes) break
  }
  return wrong
}

const PIECE = 50_000

for (const { reading, pieces } of [
  { reading: 'at once', pieces: 20 },
  { reading: 'late', pieces: 400 },
]) {
  t.test(`a reader that reads ${reading}`, async t => {
    const { writer, reader } = await pair(t)
    const neighbour = await pair(t)
    neighbour.reader.resume()
    if (reading === 'late') reader.pause()
    const bytes = Buffer.alloc(PIECE + 20)
    const flowing: boolean[] = []
    for (let number = 0; number < pieces; number++) {
      bytes.fill(number % 251, 10, 10 + PIECE)
      flowing.push(writeLent(writer, bytes, 10, 10 + PIECE))
      bytes.fill(255)
      writeLent(neighbour.writer, bytes, 0, PIECE)
      if (reading === 'at once') await new Promise(resolve => setImmediate(resolve))
    }
    if (reading === 'late') t.ok(flowing.includes(false), 'the kernel did not take all')
    t.equal(await readAll(reader, pieces * PIECE, at => Math.floor(at / PIECE) % 251), 0)
  })
}

t.test('a piece longer than a frame', async t => {
  const { writer, reader } = await pair(t)
  const bytes = Buffer.alloc(300_000, 7)
  writeLent(writer, bytes, 0, bytes.length)
  bytes.fill(255)
  t.equal(await readAll(reader, bytes.length, () => 7), 0)
})
