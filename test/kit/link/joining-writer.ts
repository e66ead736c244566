/** What waits for a peer that does not read costs little more than its bytes; all of it comes, in order; where nothing waits, nothing is copied. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { JOINED_BYTES, JoiningWriter } from '../../../kit/link/joining-writer.js'
import { countWrites } from '../fixtures/count-writes.js'

const PIECE = 64 * 1024
const BYTES = 100_000

/** Both ends of a connection; `far` reads when it is told to. */
async function pair(t: Test): Promise<[near: Socket, far: Socket]> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [far] = (await once(server, 'connection')) as [Socket]
  if (near.connecting) await once(near, 'connect')
  for (const side of [near, far]) side.on('error', () => {})
  t.teardown(() => {
    for (const side of [near, far]) side.destroy()
    server.close()
  })
  return [near, far]
}

/** Until the kernel takes no more; the bytes that were written. */
function fill(near: Socket, writer: JoiningWriter): number {
  let bytes = 0
  while (near.writableLength === 0) {
    writer.write(Buffer.alloc(PIECE))
    bytes += PIECE
  }
  return bytes
}

/** All that comes behind the first `skipped` bytes, until the end. */
async function readAll(far: Socket, skipped: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of far) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).subarray(skipped)
}

t.test('pieces for a peer that does not read are joined', async t => {
  const kinds: [title: string, piece: (at: number) => string | Buffer][] = [
    ['bytes', at => Buffer.from([at % 251])],
    ['text', at => String.fromCharCode(at % 251)],
    ['both', at => (at % 2 === 0 ? Buffer.from([at % 251]) : String.fromCharCode(at % 251))],
  ]
  for (const [title, piece] of kinds) {
    const [near, far] = await pair(t)
    const writer = new JoiningWriter(near)
    const filled = fill(near, writer)
    const writes = countWrites(near)
    const before = writer.waitingBytes
    for (let at = 0; at < BYTES; at++) writer.write(piece(at))
    t.equal(writer.waitingBytes, before + BYTES, `${title}: all of them count as waiting`)
    t.ok(writes() < 50, `${title}: ${writes()} writes wait in the socket`)
    writer.write(Buffer.alloc(PIECE, 7))
    writer.write('end')
    writer.end()
    const expected = Buffer.concat([
      Buffer.from(Array.from({ length: BYTES }, (_, at) => at % 251)),
      Buffer.alloc(PIECE, 7),
    ])
    const got = await readAll(far, filled)
    t.ok(got.equals(Buffer.concat([expected, Buffer.from('end')])), `${title}: all come, in order`)
  }
})

t.test('where nothing waits, pieces are written as they are', async t => {
  const [near, far] = await pair(t)
  const writer = new JoiningWriter(near)
  const handed: unknown[] = []
  const write = near.write.bind(near)
  near.write = ((bytes: Buffer, ...rest: []) => {
    handed.push(bytes)
    return write(bytes, ...rest)
  }) as Socket['write']
  const pieces = ['a', Buffer.from('b'), Buffer.alloc(JOINED_BYTES, 'c')]
  for (const piece of pieces) writer.write(piece)
  t.strictSame(handed, pieces)
  t.ok(
    handed.every((piece, at) => piece === pieces[at]),
    'none of them is a copy',
  )
  t.notOk(writer.isHeld)
  writer.writeBoth('d', Buffer.from('e'))
  writer.end()
  t.equal((await readAll(far, 0)).latin1Slice(), `ab${'c'.repeat(JOINED_BYTES)}de`)
})

t.test('what is joined leaves as soon as the kernel has the rest, and is told', async t => {
  const [near, far] = await pair(t)
  let written = 0
  const isFreed = new Promise<void>(resolve => {
    const writer = new JoiningWriter(near, () => {
      writer.write('last')
      resolve()
    })
    written = fill(near, writer) + 'onetwothreelast'.length
    for (const piece of ['one', 'two', 'three']) writer.write(piece)
    t.ok(writer.isHeld)
  })
  let got = ''
  let count = 0
  const isRead = new Promise<void>(resolve => {
    far.on('data', (chunk: Buffer) => {
      count += chunk.length
      got = (got + chunk.latin1Slice()).slice(-15)
      if (count === written) resolve()
    })
    far.resume()
  })
  await Promise.all([isFreed, isRead])
  t.equal(got, 'onetwothreelast')
})

t.test('a slow peer is told of as a socket tells it', async t => {
  const [near, far] = await pair(t)
  const writer = new JoiningWriter(near)
  fill(near, writer)
  let accepted = 0
  while (writer.write('x')) accepted += 1
  t.ok(accepted < near.writableHighWaterMark + JOINED_BYTES, `after ${accepted} more bytes`)
  far.resume()
  await once(near, 'drain')
})

t.test('a peer that dies, or an end: what waits is let go', async t => {
  for (const end of [(near: Socket) => void near.destroy(), (_: Socket, far: Socket) => void far.resetAndDestroy()]) {
    const [near, far] = await pair(t)
    const writer = new JoiningWriter(near)
    fill(near, writer)
    for (let count = 0; count < 100; count++) writer.write('x')
    const closed = new Promise(resolve => near.once('close', resolve))
    end(near, far)
    await closed
    await new Promise(resolve => setImmediate(resolve))
    t.notOk(writer.isHeld)
    t.equal(writer.waitingBytes, near.writableLength)
  }
})
