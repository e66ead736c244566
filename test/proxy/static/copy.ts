/** Files on their way into a connection: whole, in parts, slowly, truncated, given up. */

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import t from 'tap'
import { type ByteSink, chunkBytesFor, copyFileTo } from '../../../proxy/static/copy.js'
import type { BodyPart } from '../../../proxy/static/files.js'
import { OpenFile } from '../../../proxy/static/open-file.js'

const MEGABYTE = 1024 * 1024
const LARGEST_CHUNK = 256 * 1024

const folder = t.testdir({})

/** A new file of random bytes, opened; counts how often it is closed. */
function openRandom(
  bodyBytes: number,
  isDirect = false,
): { bytes: Buffer; path: string; file: OpenFile; closes: () => number } {
  const bytes = randomBytes(bodyBytes)
  const path = `${folder}/${randomBytes(8).toString('hex')}`
  fs.writeFileSync(path, bytes)
  const file = new OpenFile(fs.openSync(path, 'r'), isDirect ? 'direct' : 'pool')
  let closes = 0
  const close = file.close.bind(file)
  file.close = () => {
    closes++
    close()
  }
  return { bytes, path, file, closes: () => closes }
}

function part(start: number, bytes: number): BodyPart[] {
  return [{ text: '', start, bytes }]
}

/** Keeps every chunk as it is, so that a buffer that is used again too early shows in the bytes. */
class KeepingSink implements ByteSink {
  readonly chunks: Buffer[] = []
  readonly #isFull: boolean

  constructor(isFull: boolean) {
    this.#isFull = isFull
  }

  write(chunk: Buffer): boolean {
    this.chunks.push(chunk)
    return !this.#isFull
  }

  whenWritable(callback: () => void): void {
    setImmediate(callback)
    setImmediate(callback)
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }
}

const SIZES = [0, 1, 1000, 64 * 1024, 128 * 1024, 128 * 1024 + 1, MEGABYTE, 10 * MEGABYTE + 3]

for (const isFull of [false, true]) {
  t.test(`sends files of all sizes whole to a ${isFull ? 'slow' : 'fast'} sink`, async t => {
    for (const size of SIZES) {
      const { bytes, file, closes } = openRandom(size)
      const sink = new KeepingSink(isFull)
      const end = await copyFileTo(file, part(0, size), sink, 'head\r\n\r\n').finished
      t.strictSame(end, { ending: 'complete', sentBytes: size + 8 }, `${size} bytes`)
      t.ok(sink.bytes.equals(Buffer.concat([Buffer.from('head\r\n\r\n'), bytes])), `${size} bytes are the same`)
      t.ok(
        sink.chunks.every(chunk => chunk.length <= LARGEST_CHUNK),
        'no chunk is large',
      )
      if (size <= 128 * 1024) t.equal(sink.chunks.length, 1, 'head and body in one write')
      t.equal(closes(), 1, 'closed once')
    }
  })
}

t.test('sends a small file at once when it is read directly', async t => {
  const { bytes, file, closes } = openRandom(1000, true)
  const sink = new KeepingSink(true)
  const copy = copyFileTo(file, part(0, 1000), sink, 'é')
  t.ok(
    sink.bytes.equals(Buffer.concat([Buffer.from([0xe9]), bytes])),
    'written before the call returns, the head in latin1',
  )
  t.equal((await copy.finished).ending, 'complete')
  t.equal(closes(), 1)
})

t.test('sends parts', async t => {
  const cases: [start: number, bodyBytes: number][] = [
    [0, 1],
    [1, 5],
    [MEGABYTE - 1, 1],
    [100, MEGABYTE - 100],
    [300_000, 400_000],
  ]
  for (const [start, bodyBytes] of cases) {
    const { bytes, file } = openRandom(MEGABYTE)
    const sink = new KeepingSink(true)
    await copyFileTo(file, part(start, bodyBytes), sink).finished
    t.ok(sink.bytes.equals(bytes.subarray(start, start + bodyBytes)), `${bodyBytes} from ${start}`)
  }
})

t.test('uses one buffer again where the sink allows it, with no more than one chunk under way', async t => {
  const size = 10 * MEGABYTE
  const { bytes, file } = openRandom(size)
  const hash = createHash('sha256')
  const buffers = new Set<ArrayBufferLike>()
  let underWay = 0
  let count = 0
  const sink: ByteSink = {
    get waitingBytes() {
      return underWay
    },
    // Every other chunk is taken at once.
    write(chunk) {
      t.equal(underWay, 0)
      hash.update(chunk)
      buffers.add(chunk.buffer)
      underWay = count++ % 2
      return underWay === 0
    },
    whenWritable: callback =>
      setImmediate(() => {
        underWay = 0
        callback()
      }),
  }
  const end = await copyFileTo(file, part(0, size), sink).finished
  t.equal(end.sentBytes, size)
  t.equal(hash.digest('hex'), createHash('sha256').update(bytes).digest('hex'))
  t.equal(buffers.size, 1)
  const again = openRandom(size)
  const quick = { ...sink, waitingBytes: 0, write: (chunk: Buffer) => buffers.add(chunk.buffer).size > 0 }
  await copyFileTo(again.file, part(0, size), quick).finished
  t.equal(buffers.size, 1, 'and the next copy has the same')
})

t.test('a buffer is not used again while its sink refers to it', async t => {
  const chunks: Buffer[] = []
  let isLast = false
  let isTaken = () => {}
  const sink: ByteSink = {
    get waitingBytes() {
      return isLast ? 1 : 0
    },
    write(chunk) {
      chunks.push(chunk)
      isLast = chunks.length === 4
      return !isLast
    },
    whenWritable: callback => {
      isTaken = () => {
        isLast = false
        callback()
      }
    },
  }
  const size = 700 * 1024
  const first = openRandom(size)
  await copyFileTo(first.file, part(0, size), sink).finished
  t.equal(chunks.length, 4)
  const last = chunks[3] as Buffer
  const before = Buffer.from(last)
  const other = openRandom(size)
  await copyFileTo(other.file, part(0, size), { waitingBytes: 0, write: () => true, whenWritable: () => {} }).finished
  t.ok(last.equals(before), 'the last chunk of a copy')
  isTaken()
  const third = new Set<ArrayBufferLike>()
  const quick: ByteSink = {
    waitingBytes: 0,
    write: chunk => {
      third.add(chunk.buffer)
      return true
    },
    whenWritable: () => {},
  }
  await copyFileTo(openRandom(size).file, part(0, size), quick).finished
  t.ok(third.has(last.buffer), 'is free when the sink has passed it on')
})

t.test('follows the pace of a slow client on a real socket', async t => {
  const size = 10 * MEGABYTE
  const { bytes, file, closes } = openRandom(size)
  let mostBuffered = 0
  const server = net.createServer(socket => {
    const sink: ByteSink = {
      get waitingBytes() {
        return socket.writableLength
      },
      write(chunk) {
        const mayGoOn = socket.write(chunk)
        mostBuffered = Math.max(mostBuffered, socket.writableLength)
        return mayGoOn
      },
      whenWritable: callback => socket.once('drain', callback),
    }
    copyFileTo(file, part(0, size), sink, 'head').finished.then(() => socket.end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const client = net.connect(port, '127.0.0.1')
  const hash = createHash('sha256')
  let pauses = 0
  for await (const chunk of client) {
    hash.update(chunk)
    if (pauses++ % 16 === 0) await new Promise(setImmediate)
  }
  server.close()
  t.equal(hash.digest('hex'), createHash('sha256').update('head').update(bytes).digest('hex'))
  t.ok(mostBuffered <= LARGEST_CHUNK, `${mostBuffered} bytes were buffered at most`)
  t.equal(closes(), 1)
})

t.test('tells when a large file was truncated meanwhile', async t => {
  const { path, file, closes } = openRandom(MEGABYTE)
  const sink = new KeepingSink(true)
  sink.whenWritable = callback => {
    fs.truncateSync(path, 100 * 1024)
    setImmediate(callback)
  }
  const end = await copyFileTo(file, part(0, MEGABYTE), sink).finished
  t.match(end, { ending: 'failed', sentBytes: 64 * 1024, failure: { code: 'file-truncated' } })
  t.equal(sink.bytes.length, end.sentBytes, 'what it says was sent')
  t.equal(closes(), 1)
})

for (const isDirect of [true, false]) {
  t.test(`sends nothing of a small file that was truncated, read ${isDirect ? 'directly' : 'by the pool'}`, async t => {
    const { path, file, closes } = openRandom(1000, isDirect)
    fs.truncateSync(path, 999)
    const sink = new KeepingSink(false)
    const end = await copyFileTo(file, part(0, 1000), sink, 'head').finished
    t.match(end, { ending: 'failed', sentBytes: 0, failure: { code: 'file-truncated' } })
    t.equal(sink.chunks.length, 0)
    t.equal(closes(), 1)
  })
}

t.test('sends what was opened when the file is replaced, deleted or grows', async t => {
  const changes: [title: string, change: (path: string) => void][] = [
    ['deleted', path => fs.unlinkSync(path)],
    ['grown', path => fs.appendFileSync(path, 'more')],
    [
      'replaced',
      path => {
        fs.writeFileSync(`${path}.new`, 'new')
        fs.renameSync(`${path}.new`, path)
      },
    ],
  ]
  for (const [title, change] of changes) {
    const { bytes, path, file } = openRandom(MEGABYTE)
    const sink = new KeepingSink(true)
    const copy = copyFileTo(file, part(0, MEGABYTE), sink)
    change(path)
    t.equal((await copy.finished).ending, 'complete', title)
    t.ok(sink.bytes.equals(bytes), `${title}: the same bytes`)
  }
})

t.test('tells a read error', async t => {
  const file = new OpenFile(fs.openSync(folder, 'r'), 'pool')
  const end = await copyFileTo(file, part(0, 10), new KeepingSink(false)).finished
  t.match(end, { ending: 'failed', sentBytes: 0, failure: { code: 'file-unreadable' } })
})

t.test('stops when the client leaves', async t => {
  t.test('during the first read', async t => {
    const { file, closes } = openRandom(MEGABYTE)
    const sink = new KeepingSink(false)
    const read = file.read.bind(file)
    const wasRead = new Promise<void>(resolve => {
      file.read = (buffer, offset, bytes, position, done) =>
        read(buffer, offset, bytes, position, (error, bytesRead) => {
          done(error, bytesRead)
          resolve()
        })
    })
    const copy = copyFileTo(file, part(0, 1000), sink)
    copy.cancel()
    copy.cancel()
    t.strictSame(await copy.finished, { ending: 'cancelled', sentBytes: 0 })
    await wasRead
    t.equal(sink.chunks.length, 0, 'nothing is written any more')
    t.equal(closes(), 1)
  })

  t.test('while it waits for the client', async t => {
    const { file, closes } = openRandom(MEGABYTE)
    let waiting = () => {}
    const sink = new KeepingSink(true)
    const isWaiting = new Promise<void>(resolve => {
      sink.whenWritable = callback => {
        waiting = callback
        resolve()
      }
    })
    const copy = copyFileTo(file, part(0, MEGABYTE), sink)
    await isWaiting
    copy.cancel()
    waiting()
    t.equal((await copy.finished).ending, 'cancelled')
    t.equal(sink.chunks.length, 1)
    t.equal(closes(), 1)
  })

  t.test('inside a write', async t => {
    const { file, closes } = openRandom(MEGABYTE)
    const sink = new KeepingSink(false)
    const copy = copyFileTo(file, part(0, MEGABYTE), sink)
    sink.write = () => {
      copy.cancel()
      return true
    }
    t.strictSame(await copy.finished, { ending: 'cancelled', sentBytes: 64 * 1024 })
    t.equal(closes(), 1)
  })

  t.test('after the end', async t => {
    const { file, closes } = openRandom(10)
    const copy = copyFileTo(file, part(0, 10), new KeepingSink(false))
    t.equal((await copy.finished).ending, 'complete')
    copy.cancel()
    t.equal((await copy.finished).ending, 'complete')
    t.equal(closes(), 1)
  })
})

t.test('sends several parts with the text before each, and closes the file once', async t => {
  for (const isFull of [false, true]) {
    const { bytes, file, closes } = openRandom(MEGABYTE)
    const sink = new KeepingSink(isFull)
    const parts = [
      { text: 'one:', start: 500_000, bytes: 300_000 },
      { text: 'two:', start: 0, bytes: 10 },
      { text: 'end', start: 0, bytes: 0 },
    ]
    const end = await copyFileTo(file, parts, sink, 'head:').finished
    const expected = Buffer.concat([
      Buffer.from('head:one:'),
      bytes.subarray(500_000, 800_000),
      Buffer.from('two:'),
      bytes.subarray(0, 10),
      Buffer.from('end'),
    ])
    t.ok(sink.bytes.equals(expected), 'every byte in its place')
    t.strictSame(end, { ending: 'complete', sentBytes: expected.length })
    t.equal(closes(), 1)
  }
})

t.equal(chunkBytesFor(0), LARGEST_CHUNK, 'large chunks for few')
t.equal(chunkBytesFor(16 * MEGABYTE), 64 * 1024, 'small chunks for many')
