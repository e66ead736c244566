/** `kit/channel/channel.ts`: messages in all pieces, what ends the line, and what the other side can make it hold or do. */

import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Channel, ChannelBudget, type ChannelOptions } from '../../../kit/channel/channel.js'
import { scratchFolder } from '../../supervisor/fixtures/scratch-folder.js'

interface Line {
  /** The other end, as bytes. */
  peer: Socket
  channel: Channel
  messages: unknown[]
  /** Resolves with why the line was broken, null where the peer closed it. */
  closed: Promise<string | null>
  slowed: number
  /** Resolves when there are so many messages. */
  count(wanted: number): Promise<void>
}

async function connectLine(t: Test, more: Partial<ChannelOptions> = {}): Promise<Line> {
  const server = createServer()
  const path = join(scratchFolder(t), 's')
  server.listen(path)
  await once(server, 'listening')
  const peer = createConnection(path)
  const [socket] = (await once(server, 'connection')) as [Socket]
  server.close()
  peer.on('error', () => {})
  t.teardown(() => {
    peer.destroy()
    socket.destroy()
  })
  const messages: unknown[] = []
  const waiting: { wanted: number; done: () => void }[] = []
  const line: Partial<Line> = { peer, messages, slowed: 0 }
  line.count = wanted =>
    new Promise(done => {
      if (messages.length >= wanted) done()
      else waiting.push({ wanted, done })
    })
  line.closed = new Promise(resolve => {
    line.channel = new Channel(
      { from: socket, to: socket },
      {
        mostBytes: 1000,
        message: value => {
          messages.push(value)
          for (const { wanted, done } of waiting) if (messages.length >= wanted) done()
          return value !== 'not ours'
        },
        closed: resolve,
        slowed: () => {
          line.slowed = (line.slowed ?? 0) + 1
        },
        ...more,
      },
    )
  })
  return line as Line
}

function frame(value: unknown): Buffer {
  return frameOf(JSON.stringify(value))
}

function frameOf(text: string, length = Buffer.byteLength(text)): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt32LE(length)
  return Buffer.concat([head, Buffer.from(text)])
}

t.test('messages arrive whole, however they are cut', async t => {
  const values = [{ a: 1 }, 'é😀', [], { long: 'x'.repeat(900) }, null, 7]
  const bytes = Buffer.concat(values.map(frame))
  for (const size of [1, 2, 3, 5, 64, 1000, bytes.length]) {
    const line = await connectLine(t)
    line.peer.setNoDelay(true)
    for (let at = 0; at < bytes.length; at += size) {
      // A turn between two pieces, or the kernel would join them.
      await new Promise(resolve => line.peer.write(bytes.subarray(at, at + size), resolve))
    }
    await line.count(values.length)
    t.same(line.messages, values, `pieces of ${size}`)
  }
})

t.test('what one end sends the other reads', async t => {
  const line = await connectLine(t)
  const other = new Promise<unknown>(resolve => {
    const message = (value: unknown) => {
      resolve(value)
      return true
    }
    const back = new Channel({ from: line.peer, to: line.peer }, { mostBytes: 1000, message, closed: () => {} })
    t.teardown(() => back.destroy())
  })
  await new Promise<void>(sent => line.channel.send({ hello: 'é' }, 1000, sent))
  t.same(await other, { hello: 'é' })
  t.equal(line.channel.send({ long: 'x'.repeat(1000) }, 1000), false, 'too long a one is not sent')
})

/** What ends the line, and why it says so. */
const broken: [string, Buffer, RegExp][] = [
  ['a line of text', Buffer.from('garbage\n'), /a message of \d+ bytes: at most 1000/],
  ['what Node’s own channel says', Buffer.from('{"cmd":"NODE_HANDLE_ACK"}\n'), /a message of \d+ bytes/],
  ['zeros', Buffer.alloc(4), /not JSON/],
  ['half a message in front of the next', Buffer.concat([frame({ a: 1 }).subarray(0, 6), frame(1)]), /./],
  ['no JSON', frameOf('{"a":'), /not JSON/],
  ['bytes that are no UTF-8', Buffer.from([2, 0, 0, 0, 0xff, 0xfe]), /not JSON/],
  ['a length of one byte too many', frameOf('x'.repeat(1001)), /a message of 1001 bytes: at most 1000 are accepted/],
  ['the longest length there is', Buffer.from([255, 255, 255, 255]), /a message of 4294967295 bytes/],
  ['a message of another kind', frame('not ours'), /another kind/],
]
for (const [title, bytes, why] of broken) {
  t.test(`the line ends at: ${title}`, async t => {
    const line = await connectLine(t)
    line.peer.write(frame('before'))
    await line.count(1)
    line.peer.write(Buffer.concat([bytes, frame('behind')]))
    t.match(await line.closed, why)
    t.notOk(line.messages.includes('behind'), 'nothing behind it is read')
    await new Promise<void>(sent => line.channel.send({}, 10, sent))
    t.pass('and to send is no error')
  })
}

t.test('a line that the other end closes is not broken', async t => {
  const line = await connectLine(t)
  line.peer.end(frame('last'))
  t.equal(await line.closed, null)
  t.same(line.messages, ['last'])
})

t.test('a message that trickles in costs its own length and no more time than it has bytes', async t => {
  const bytes = 2_000_000
  const line = await connectLine(t, { mostBytes: bytes + 2 })
  const text = frame('x'.repeat(bytes))
  const startMs = performance.now()
  // As small as the kernel makes of it: each read has what was written until then.
  for (let at = 0; at < text.length; at += 500) {
    if (!line.peer.write(text.subarray(at, at + 500))) await once(line.peer, 'drain')
  }
  await line.count(1)
  t.equal(String(line.messages[0]).length, bytes)
  t.ok(performance.now() - startMs < 10_000)
})

const pace = { messagesPerSecond: 100, messages: 50, bytesPerSecond: 1e6, bytes: 1e6 }

t.test('messages past the budget wait, and none is lost', async t => {
  const line = await connectLine(t, { budget: new ChannelBudget(pace) })
  const startMs = performance.now()
  line.peer.write(Buffer.concat(Array.from({ length: 150 }, (_, index) => frame(index))))
  await line.count(50)
  t.ok(line.messages.length < 150, `${line.messages.length} at once`)
  await line.count(150)
  t.ok(performance.now() - startMs > 900, 'a hundred more take a second')
  t.same(
    line.messages,
    Array.from({ length: 150 }, (_, index) => index),
  )
  t.equal(line.slowed, 1, 'told once')
})

t.test('a budget that has something again in the very moment after it was spent loses no message', async t => {
  class Alternating extends ChannelBudget {
    #asked = 0
    override get isSpent(): boolean {
      this.#asked += 1
      return this.#asked % 2 === 1
    }
  }
  const line = await connectLine(t, { budget: new Alternating(pace) })
  line.peer.write(Buffer.concat([frame(1), frame(2)]))
  await line.count(2)
  t.same(line.messages, [1, 2])
})

t.test('bytes past the budget are not read', async t => {
  const line = await connectLine(t, {
    mostBytes: 2e6,
    budget: new ChannelBudget({ ...pace, bytesPerSecond: 2e6, bytes: 1e6 }),
  })
  const message = frame('x'.repeat(1e6))
  for (let index = 0; index < 20; index++) line.peer.write(message)
  await line.count(2)
  t.ok(line.peer.writableLength > 10e6, `${line.peer.writableLength} bytes wait at their sender`)
  t.equal(line.slowed, 1)
})

t.test(
  'the work that a message makes delays the next one, and that of others who come back under its name',
  async t => {
    const budget = new ChannelBudget({ ...pace, work: { atOnce: 100, perSecond: 1000 } })
    const line = await connectLine(t, { budget })
    budget.spendWork(600)
    t.ok(budget.isSpent)
    t.ok(budget.waitMs > 400 && budget.waitMs <= 510, `${budget.waitMs} ms`)
    const again = new ChannelBudget({ ...pace, work: { atOnce: 100, perSecond: 1000 } }, budget)
    t.ok(again.isSpent)
    const startMs = performance.now()
    line.peer.write(frame(1))
    await line.count(1)
    t.ok(performance.now() - startMs > 300)
    const uncounted = new ChannelBudget(pace)
    uncounted.spendWork(1e9)
    t.notOk(uncounted.isSpent)
  },
)

t.test('a reader that does not read ends the line', async t => {
  const line = await connectLine(t)
  line.peer.pause()
  const text = 'x'.repeat(8e6)
  for (let index = 0; index < 9; index++) line.channel.send({ text })
  t.equal(await line.closed, 'it does not read')
})

t.test('what has more structure than any message of ours is not parsed', async t => {
  const line = await connectLine(t, { bounds: { depth: 4, values: 10, members: 5, beginnings: 5, numerals: 20 } })
  line.peer.write(frame({ a: [{ b: 1 }] }))
  await line.count(1)
  // It is no JSON either: the parser would have said so.
  line.peer.write(frameOf(`${'['.repeat(500)}`))
  t.equal(await line.closed, 'a message of more values than any of ours')
  t.equal(line.messages.length, 1)
})

t.test('what the other end would refuse is not sent', async t => {
  const line = await connectLine(t)
  const bounds = { depth: 2, values: 10, members: 5, beginnings: 5, numerals: 20 }
  t.equal(line.channel.send({ a: [1, 2, 3] }, 1000, undefined, bounds), true)
  t.equal(line.channel.send({ a: [[]] }, 1000, undefined, bounds), false)
  t.equal(line.channel.send({ a: Array(20).fill(0) }, 1000, undefined, bounds), false)
})

t.test('what is sent on a line that has ended costs nothing', async t => {
  const line = await connectLine(t)
  line.channel.destroy()
  let texts = 0
  const message = { toJSON: () => ++texts }
  for (let index = 0; index < 3; index++) t.equal(line.channel.send(message), true)
  await new Promise<void>(sent => void line.channel.send(message, 1000, sent))
  t.equal(texts, 0)
})

t.test('texts that are numbers cost messages', async t => {
  const budget = new ChannelBudget(pace)
  const bounds = { depth: 2, values: 10, members: 5, beginnings: 5, numerals: 4 }
  const line = await connectLine(t, { budget, bounds })
  line.peer.write(frame([200, 'x', '007']))
  await line.count(1)
  t.ok(budget.left(performance.now()).messages > 45)
  line.peer.write(frame(['200', '1000032768', '1000065536']))
  await line.count(2)
  t.ok(budget.left(performance.now()).messages < 40)
  line.peer.write(frame(['1', '2', '3', '4', '5']))
  t.match(await line.closed, /more values/)
})

t.test('who comes back under another name has what was left', async t => {
  const first = new ChannelBudget(pace)
  for (let index = 0; index < 45; index++) first.spendMessages(1)
  const second = new ChannelBudget(pace, first)
  t.ok(second.left(performance.now()).messages < 50)
  first.spendBytes(2e6)
  t.notOk(second.isSpent, 'after that each has its own')
  const third = new ChannelBudget(pace, first)
  t.ok(third.isSpent)
  t.ok(third.waitMs <= 1010, `${third.waitMs} ms`)
  const line = await connectLine(t, { mostBytes: 2e6, budget: third })
  const startMs = performance.now()
  line.peer.write(frame(1))
  await line.count(1)
  t.ok(performance.now() - startMs > 500, 'and waits')
})
