/** The sending half of a link: one write a turn, order kept, and write errors that do not end the reading. */

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FrameWriter } from '../../../kit/link/frame-writer.js'
import { FRAME, FrameReader, frame } from '../../../kit/link/frames.js'
import { scratchFolder } from '../../supervisor/fixtures/scratch-folder.js'
import { countWrites } from '../fixtures/count-writes.js'

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

/** Gets frames: what came of each id, ends as `.`, other frames by their type. */
function collect(far: Socket, ids: number): { heard: string[]; read(): Promise<void> } {
  const heard: string[] = Array.from({ length: ids }, () => '')
  return {
    heard,
    read: () =>
      new Promise(resolve => {
        let ended = 0
        const reader = new FrameReader((type, id, bytes, start, end) => {
          if (type === FRAME.data) heard[id] += bytes.latin1Slice(start, end)
          else if (type === FRAME.end) heard[id] += '.'
          else heard[id] += `<${type}>`
          if (type === FRAME.end && ++ended === ids) resolve()
        })
        far.on('data', chunk => reader.read(chunk))
        far.resume()
      }),
  }
}

t.test('a peer that does not read: bodies in tiny pieces weigh what they hold', async t => {
  const IDS = 4
  const EACH = 20_000
  const [near, far] = await pair(t)
  far.pause()
  const writer = new FrameWriter(near)
  const { heard, read } = collect(far, IDS)
  const expected = heard.map(() => '')
  while (writer.backlogBytes === 0) writer.sendBytes(FRAME.data, 0, Buffer.alloc(0x10000, 'a'))
  const filled = near.bytesWritten + near.writableLength
  const writes = countWrites(near)
  const before = writer.backlogBytes
  for (let count = 0; count < EACH; count++) {
    for (let id = 0; id < IDS; id++) {
      const piece = String.fromCharCode(97 + (count % 26))
      writer.sendBytes(FRAME.data, id, Buffer.from(piece))
      expected[id] += piece
      // As at the end of a turn.
      writer.flush()
    }
  }
  const waiting = writer.backlogBytes - before
  t.ok(waiting < IDS * EACH * 1.1, `${waiting} bytes wait`)
  t.ok(writes() < 100, `as ${writes()} writes`)
  for (let id = 0; id < IDS; id++) writer.send(frame(FRAME.end, id))
  await read()
  const head = heard[0]!.length - EACH - 1
  t.ok(head > 0 && head < filled)
  heard[0] = heard[0]!.slice(head)
  t.ok(
    heard.every((text, id) => text === `${expected[id]}.`),
    'all come, in order, and the ends behind them',
  )
  t.equal(writer.backlogBytes, 0)
})

t.test('a peer that does not read: frames of many turns wait as few writes', async t => {
  const [near, far] = await pair(t)
  far.pause()
  const writer = new FrameWriter(near)
  while (writer.backlogBytes === 0) writer.sendBytes(FRAME.data, 0, Buffer.alloc(0x10000, 'a'))
  const writes = countWrites(near)
  for (let count = 0; count < 20_000; count++) {
    writer.send(frame(FRAME.abort, 1))
    writer.flush()
  }
  t.ok(writes() < 100, `${writes()} writes`)
})

t.test('a peer that does not read: what is said of a body behind its pieces comes behind them', async t => {
  const [near, far] = await pair(t)
  far.pause()
  const writer = new FrameWriter(near)
  const { heard, read } = collect(far, 3)
  while (writer.backlogBytes === 0) writer.sendBytes(FRAME.data, 0, Buffer.alloc(0x10000, 'a'))
  const long = 'l'.repeat(5000)
  const shorter = 's'.repeat(4096)
  for (const piece of ['1', '2', long, '3', shorter, '4']) {
    for (let id = 1; id < 3; id++) {
      writer.sendBytes(FRAME.data, id, Buffer.from(piece))
      writer.flush()
    }
  }
  writer.send(frame(FRAME.abort, 1))
  for (let id = 0; id < 3; id++) writer.send(frame(FRAME.end, id))
  await read()
  t.equal(heard[1], `12${long}3${shorter}4<${FRAME.abort}>.`)
  t.equal(heard[2], `12${long}3${shorter}4.`)
})

t.test('a peer that reads again gets pieces that nothing came behind', async t => {
  const [near, far] = await pair(t)
  far.pause()
  const writer = new FrameWriter(near)
  while (writer.backlogBytes === 0) writer.sendBytes(FRAME.data, 0, Buffer.alloc(0x10000, 'a'))
  for (let count = 0; count < 10; count++) {
    writer.sendBytes(FRAME.data, 9, Buffer.from('x'))
    writer.flush()
  }
  let got = ''
  await new Promise<void>(resolve => {
    const reader = new FrameReader((_type, id, bytes, start, end) => {
      if (id === 9) got += bytes.latin1Slice(start, end)
      if (got.length === 10) resolve()
    })
    far.on('data', chunk => reader.read(chunk))
    far.resume()
  })
  t.equal(got, 'x'.repeat(10))
})

t.test('a mark is reached once the kernel has taken all that was sent before it', async t => {
  const [near, far] = await pair(t)
  far.pause()
  const writer = new FrameWriter(near)
  writer.sendBytes(FRAME.data, 0, Buffer.alloc(1000))
  await new Promise<void>(resolve => writer.mark(resolve))
  t.equal(writer.backlogBytes, 0, 'at once, where the kernel takes it')
  while (writer.backlogBytes === 0) writer.sendBytes(FRAME.data, 0, Buffer.alloc(0x10000))
  for (const id of [1, 2]) writer.sendBytes(FRAME.data, id, Buffer.from('piece'))
  let isReached = false
  const reached = new Promise<void>(resolve =>
    writer.mark(() => {
      isReached = true
      resolve()
    }),
  )
  writer.sendBytes(FRAME.data, 0, Buffer.alloc(2_000_000))
  for (let turn = 0; turn < 100; turn++) await new Promise(resolve => setImmediate(resolve))
  t.notOk(isReached, 'a peer that does not read')
  far.resume()
  await reached
  t.pass('a peer that reads on')
})

t.test('a mark of a link that ends breaks nothing', async t => {
  const [near, far] = await pair(t)
  far.pause()
  const writer = new FrameWriter(near)
  while (writer.backlogBytes === 0) writer.sendBytes(FRAME.data, 0, Buffer.alloc(0x10000))
  const errors: Error[] = []
  near.on('error', error => errors.push(error))
  writer.mark(() => {})
  far.destroy()
  near.destroy()
  await once(near, 'close')
  writer.mark(() => t.fail('nothing is written any more'))
  await new Promise(resolve => setImmediate(resolve))
  t.same(errors, [])
})
