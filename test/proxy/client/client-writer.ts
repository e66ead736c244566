/** Whatever a client reads, at once, late or never: it gets all that was written, in order, as it was when it was written. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { ClientWriter } from '../../../proxy/client/client-writer.js'
import { StuckSocket } from '../fixtures/stuck-socket.js'

interface Pair {
  socket: Socket
  writer: ClientWriter
  reader: Socket
}

async function pair(t: Test): Promise<Pair> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const reader = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = (await once(server, 'connection')) as [Socket]
  socket.on('error', () => {})
  t.teardown(() => {
    for (const side of [reader, socket]) side.destroy()
    server.close()
  })
  return { socket, writer: new ClientWriter(socket), reader }
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

/** Writes until the kernel takes no more; how often. */
function fill(writer: ClientWriter, bytes: string | Buffer): number {
  for (let pieces = 1; ; pieces++) if (!writer.write(bytes)) return pieces
}

/** Also after an error, which `once` would throw. */
function closing(socket: Socket): Promise<void> {
  return new Promise(resolve => socket.once('close', () => resolve()))
}

const PIECE = 50_000

for (const { reading, pieces } of [
  { reading: 'at once', pieces: 20 },
  { reading: 'late', pieces: 400 },
]) {
  t.test(`lent bytes and a reader that reads ${reading}`, async t => {
    const { writer, reader } = await pair(t)
    const neighbour = await pair(t)
    neighbour.reader.resume()
    if (reading === 'late') reader.pause()
    const bytes = Buffer.alloc(PIECE + 20)
    const flowing: boolean[] = []
    for (let number = 0; number < pieces; number++) {
      bytes.fill(number % 251, 10, 10 + PIECE)
      flowing.push(writer.writeLent(bytes, 10, 10 + PIECE))
      bytes.fill(255)
      neighbour.writer.writeLent(bytes, 0, PIECE)
      if (reading === 'at once') await new Promise(resolve => setImmediate(resolve))
    }
    if (reading === 'late') t.ok(flowing.includes(false), 'the kernel did not take all')
    t.equal(await readAll(reader, pieces * PIECE, at => Math.floor(at / PIECE) % 251), 0)
  })
}

t.test('a lent piece longer than a frame', async t => {
  const { writer, reader } = await pair(t)
  const bytes = Buffer.alloc(300_000, 7)
  writer.writeLent(bytes, 0, bytes.length)
  bytes.fill(255)
  t.equal(await readAll(reader, bytes.length, () => 7), 0)
})

t.test('what the kernel takes waits nowhere', async t => {
  const { writer, reader } = await pair(t)
  t.equal(writer.write('a text'), true)
  t.equal(writer.write(Buffer.from(' and bytes')), true)
  t.match(writer, { waitingBytes: 0, isFull: false })
  const [chunk] = (await once(reader, 'data')) as [Buffer]
  t.ok('a text and bytes'.startsWith(chunk.latin1Slice()))
})

t.test('what it does not take waits past the stream, in order, and drain tells when nothing waits', async t => {
  const { socket, writer, reader } = await pair(t)
  reader.pause()
  const pieces = fill(writer, 'x'.repeat(PIECE))
  t.equal(writer.isFull, true)
  const before = writer.waitingBytes
  t.ok(before > 0)
  t.equal(socket.writableLength, 0, 'this Node lets us write to the handle')
  t.equal(writer.write('yy'), false)
  t.equal(writer.write(Buffer.from('zzz')), false)
  t.equal(writer.waitingBytes, before + 5)
  let drained = 0
  writer.whenWritable(() => {
    drained += 1
    t.match(writer, { waitingBytes: 0, isFull: false })
  })
  const expected = `${'x'.repeat(PIECE * pieces)}yyzzz`
  t.equal(await readAll(reader, expected.length, at => expected.charCodeAt(at)), 0)
  if (drained === 0) await once(socket, 'drain')
  t.equal(drained, 1)
})

t.test('an end behind what waits lets it out first', async t => {
  const { writer, reader } = await pair(t)
  reader.pause()
  const pieces = fill(writer, Buffer.alloc(PIECE, 'x'))
  const ended = new Promise<number>(resolve => writer.end(() => resolve(writer.waitingBytes)))
  let received = 0
  for await (const chunk of reader) received += (chunk as Buffer).length
  t.equal(received, PIECE * pieces)
  t.equal(await ended, 0)
})

t.test('nothing is written behind the end, or to a client that has gone', async t => {
  const ending = await pair(t)
  ending.socket.end()
  await once(ending.socket, 'finish')
  const closed = closing(ending.socket)
  t.equal(ending.writer.write('more'), false)
  await closed
  t.equal(ending.writer.write('and more'), false)
  t.equal(ending.writer.waitingBytes, 0)

  const reset = await pair(t)
  reset.reader.pause()
  fill(reset.writer, 'x'.repeat(PIECE))
  const gone = closing(reset.socket)
  reset.reader.resetAndDestroy()
  await gone
  t.equal(reset.writer.write('more'), false)
})

t.test('a socket destroyed while something waits: no drain follows', async t => {
  const { socket, writer, reader } = await pair(t)
  reader.pause()
  fill(writer, 'x'.repeat(PIECE))
  socket.on('drain', () => t.fail('it is not writable'))
  socket.destroy()
  await closing(socket)
  await new Promise(resolve => setImmediate(resolve))
  t.equal(writer.waitingBytes, 0)
})

t.test('destroyed by the first who is told: nobody else is told', async t => {
  const { socket, writer, reader } = await pair(t)
  reader.pause()
  fill(writer, 'x'.repeat(PIECE))
  writer.write('y')
  let told = 0
  socket.on('drain', () => {
    told += 1
    socket.destroy()
  })
  reader.resume()
  await closing(socket)
  await new Promise(resolve => setImmediate(resolve))
  t.equal(told, 1)
})

t.test('without a handle of the kind that is known, the socket itself is written to', async t => {
  const socket = new StuckSocket()
  const writer = new ClientWriter(socket.asSocket)
  t.equal(writer.write('text'), true)
  t.equal(writer.write(Buffer.from(' bytes')), true)
  writer.writeLent(Buffer.from(' lent'), 0, 5)
  t.equal(writer.waitingBytes, 15)
  const pieces = fill(writer, 'x'.repeat(1000))
  t.equal(writer.isFull, true)
  const writable = new Promise<void>(resolve => writer.whenWritable(resolve))
  socket.open()
  await writable
  t.equal(socket.received, `text bytes lent${'x'.repeat(pieces * 1000)}`)
})

t.test('what comes byte by byte for a client that does not read costs little more than its bytes', async t => {
  const { socket, writer, reader } = await pair(t)
  reader.pause()
  const piece = Buffer.alloc(PIECE)
  let expected = PIECE * fill(writer, piece)
  const handle = (socket as unknown as { _handle: { writeQueueSize: number } })._handle
  const before = writer.waitingBytes
  const bytes = 100_000
  let writes = 0
  for (let count = 1, queued = handle.writeQueueSize; count <= bytes; count++) {
    writer.write(count % 2 === 0 ? Buffer.from([count % 251]) : String.fromCharCode(count % 251))
    if (handle.writeQueueSize !== queued) writes += 1
    queued = handle.writeQueueSize
  }
  t.equal(writer.waitingBytes, before + bytes, 'all of them count as waiting')
  t.ok(writes < 50, `${writes} writes wait in libuv`)
  writer.write(Buffer.alloc(PIECE, 7))
  const drained = new Promise<void>(resolve => writer.whenWritable(resolve))
  const head = expected
  expected += bytes + PIECE
  const wrong = await readAll(reader, expected, at => (at < head ? 0 : at < head + bytes ? (at - head + 1) % 251 : 7))
  t.equal(wrong, 0, 'and all come, in order')
  await drained
  t.equal(writer.waitingBytes, 0)
})

t.test('joined bytes are handed on before somebody else writes to the socket', async t => {
  const { socket, writer, reader } = await pair(t)
  reader.pause()
  const head = PIECE * fill(writer, Buffer.alloc(PIECE))
  writer.write('a')
  writer.flush()
  socket.write('b')
  const wrong = await readAll(reader, head + 2, at => (at < head ? 0 : at === head ? 97 : 98))
  t.equal(wrong, 0)
})

t.test('single bytes that wait take little more memory than as many', async t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const PAIRS = 8
  const BYTES = 4000
  const pairs = await Promise.all(Array.from({ length: PAIRS }, () => pair(t)))
  for (const { writer, reader } of pairs) {
    reader.pause()
    fill(writer, Buffer.alloc(PIECE))
  }
  const byte = Buffer.from('x')
  const heldBytes = () => {
    // Memory outside of the heap is given back after the first one.
    for (let round = 0; round < 3; round++) collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const before = heldBytes()
  for (const { writer } of pairs) for (let count = 0; count < BYTES; count++) writer.write(byte)
  const each = (heldBytes() - before) / PAIRS
  // A piece held by itself takes 32 times its byte, joined ones 1.5; the heap of the process itself varies by some.
  t.ok(each < BYTES * 16, `${Math.round(each)} bytes for ${BYTES}`)
})
