/** The sending half of a link: one write a turn, order kept, and write errors that do not end the reading. */

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FrameWriter } from '../../kit/frame-writer.js'
import { FRAME, FrameReader, frame } from '../../kit/frames.js'
import { scratchFolder } from '../supervisor/fixtures/scratch-folder.js'

/** Both ends of a unix socket connection. */
async function pair(t: Test): Promise<[near: Socket, far: Socket]> {
  const server = createServer()
  server.listen(join(scratchFolder(t), 's'))
  await once(server, 'listening')
  const near = connect(server.address() as string)
  const [far] = (await once(server, 'connection')) as [Socket]
  t.teardown(() => {
    near.destroy()
    far.destroy()
    server.close()
  })
  return [near, far]
}

/** Counts calls of the socket's own write. */
function countWrites(socket: Socket): () => number {
  let writes = 0
  const write = socket.write.bind(socket)
  socket.write = ((...args: Parameters<Socket['write']>) => {
    writes += 1
    return write(...args)
  }) as Socket['write']
  return () => writes
}

t.test('what arises in one turn leaves in one write', async t => {
  const [near, far] = await pair(t)
  const writes = countWrites(near)
  const writer = new FrameWriter(near)
  for (let id = 1; id <= 5; id++) writer.send(frame(FRAME.abort, id))
  t.equal(writes(), 0, 'nothing before the end of the turn')
  const [chunk] = (await once(far, 'data')) as [Buffer]
  t.equal(chunk.length, 5 * 8)
  t.equal(writes(), 1)
  writer.flush()
  t.equal(writes(), 1, 'an empty flush writes nothing')
})

t.test('strings and long buffers keep their order and every byte', async t => {
  const [near, far] = await pair(t)
  const writer = new FrameWriter(near)
  const sizes = [0, 1, 4095, 4096, 4097, 65536, 300_000]
  const seen: [number, Buffer][] = []
  const done = new Promise<void>(resolve => {
    // A long frame may come in parts.
    const reader = new FrameReader((_type, id, bytes, start, end) => {
      const last = seen.at(-1)
      if (last?.[0] === id) last[1] = Buffer.concat([last[1], bytes.subarray(start, end)])
      else seen.push([id, Buffer.from(bytes.subarray(start, end))])
      if (seen.length === 2 * sizes.length && seen.at(-1)?.[1].length === sizes.at(-1)) resolve()
    })
    far.on('data', chunk => reader.read(chunk))
  })
  for (const [index, size] of sizes.entries()) {
    writer.send(frame(FRAME.data, index, `s${index}\xff`))
    writer.sendBytes(FRAME.data, 100 + index, Buffer.alloc(size, index))
  }
  await done
  for (const [index, size] of sizes.entries()) {
    t.same(seen[2 * index], [index, Buffer.from(`s${index}\xff`, 'latin1')])
    t.equal(seen[2 * index + 1]?.[0], 100 + index)
    t.ok(seen[2 * index + 1]?.[1].equals(Buffer.alloc(size, index)), `${size} bytes`)
  }
})

t.test('a dead peer: its last words are read before the end, whatever we write', async t => {
  const cases: [title: string, write: (writer: FrameWriter) => void][] = [
    ['frames', writer => writer.send(frame(FRAME.ping, 1))],
    ['long buffers', writer => writer.sendBytes(FRAME.data, 1, Buffer.alloc(200_000))],
  ]
  for (const [title, write] of cases) {
    const [near, far] = await pair(t)
    near.pause()
    const errors: Error[] = []
    near.on('error', error => errors.push(error))
    const writer = new FrameWriter(near)
    far.write('last words')
    far.destroy()
    await once(far, 'close')
    for (let round = 0; round < 3; round++) {
      write(writer)
      writer.flush()
      await new Promise(resolve => setImmediate(resolve))
    }
    t.notOk(near.destroyed, `${title}: a failed write does not destroy`)
    let read = ''
    near.on('data', chunk => {
      read += chunk
    })
    const closed = once(near, 'close')
    near.resume()
    await closed
    t.equal(read, 'last words', title)
    t.same(errors, [], `${title}: no error either`)
  }
})

t.test('after the end of the socket nothing is written and nothing breaks', async t => {
  const cases: [title: string, end: (socket: Socket) => void][] = [
    ['ended', socket => void socket.end()],
    ['destroyed', socket => void socket.destroy()],
  ]
  for (const [title, end] of cases) {
    const [near, far] = await pair(t)
    const errors: Error[] = []
    near.on('error', error => errors.push(error))
    far.resume()
    const writer = new FrameWriter(near)
    end(near)
    writer.send(frame(FRAME.ping, 1))
    writer.sendBytes(FRAME.data, 1, Buffer.alloc(100_000))
    writer.flush()
    await once(near, 'close')
    t.same(errors, [], title)
  }
})
