/** The wire format: frames cut anywhere, ids to their last bit, requests there and back, what is refused. */

import t from 'tap'
import {
  creditFrame,
  decodeRequest,
  encodeRequest,
  FRAME,
  FrameReader,
  frame,
  frameHeader,
  isIdempotent,
  MAX_PAYLOAD_BYTES,
  responsePrefix,
} from '../../../kit/link/frames.js'

type Seen = [type: number, id: number, payload: string]

function read(chunks: Buffer[]): Seen[] {
  const seen: Seen[] = []
  const reader = new FrameReader((type, id, bytes, start, end) => seen.push([type, id, bytes.latin1Slice(start, end)]))
  for (const chunk of chunks) reader.read(chunk)
  return seen
}

const FRAMES: Seen[] = [
  [FRAME.hello, 0, 'daimyo-link/1'],
  [FRAME.end, 1, ''],
  [FRAME.data, 0xffffffff, '\x00\xff\n\x80'],
  [FRAME.request, 0x80000000, 'x'.repeat(300)],
  [FRAME.abort, 0x01020304, ''],
]
const STREAM = Buffer.from(FRAMES.map(each => frame(...each)).join(''), 'latin1')

t.test('frames survive a cut at every byte', async t => {
  for (let at = 0; at <= STREAM.length; at++) {
    const seen = read([STREAM.subarray(0, at), STREAM.subarray(at)])
    if (JSON.stringify(seen) !== JSON.stringify(FRAMES)) t.same(seen, FRAMES, `cut at ${at}`)
  }
  t.same(read([...STREAM].map(byte => Buffer.from([byte]))), FRAMES, 'byte by byte')
  t.same(read([Buffer.concat([STREAM, STREAM])]), [...FRAMES, ...FRAMES], 'all in one chunk')
})

t.test('no more frames than asked for, and the rest is read later', async t => {
  for (const most of [1, 2, 3, FRAMES.length, 100]) {
    for (let at = 0; at <= STREAM.length; at++) {
      const seen: Seen[] = []
      const reader = new FrameReader((type, id, bytes, start, end) => {
        seen.push([type, id, bytes.latin1Slice(start, end)])
      })
      let isBounded = true
      for (let chunk of [STREAM.subarray(0, at), STREAM.subarray(at)]) {
        while (chunk.length > 0) {
          const before = seen.length
          chunk = Buffer.from(chunk.subarray(reader.read(chunk, chunk.length, most)))
          // The one that had begun in the chunk before is not counted.
          isBounded &&= seen.length - before <= most + 1
        }
      }
      if (!isBounded || JSON.stringify(seen) !== JSON.stringify(FRAMES)) t.same(seen, FRAMES, `cut at ${at}, ${most}`)
    }
  }
})

t.test('an incomplete frame is not handed over', async t => {
  for (let at = 0; at < 13 + 8; at++) t.same(read([STREAM.subarray(0, at)]), [], `${at} bytes`)
})

t.test('ids keep all their 32 bits', async t => {
  for (const id of [0, 1, 255, 256, 65535, 65536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff]) {
    t.same(read([Buffer.from(frame(FRAME.abort, id), 'latin1')]), [[FRAME.abort, id, '']], String(id))
  }
})

t.test('the length of a payload', async t => {
  const longest = Buffer.concat([
    Buffer.from(frameHeader(FRAME.data, 1, MAX_PAYLOAD_BYTES), 'latin1'),
    Buffer.alloc(MAX_PAYLOAD_BYTES),
  ])
  t.equal(read([longest])[0]?.[2].length, MAX_PAYLOAD_BYTES, 'the longest is taken')
  const cases: [title: string, bytes: Buffer][] = [
    ['one byte more', Buffer.from(frameHeader(FRAME.data, 1, MAX_PAYLOAD_BYTES + 1), 'latin1')],
    ['all bits set', Buffer.alloc(8, 0xff)],
    ['an HTTP client by mistake', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ]
  for (const [title, bytes] of cases) {
    t.throws(() => read([bytes]), RangeError, title)
    t.throws(() => read([...bytes].map(byte => Buffer.from([byte]))), RangeError, `${title}, byte by byte`)
  }
})

t.test('a long data frame comes in parts, and nothing else does', async t => {
  const body = Array.from({ length: 100_000 }, (_, index) => String.fromCharCode(index & 255)).join('')
  const stream = Buffer.from(
    frame(FRAME.data, 7, body) + frame(FRAME.response, 8, body) + frame(FRAME.data, 9, body) + frame(FRAME.end, 7),
    'latin1',
  )
  for (const size of [1000, 20_000, 65_536, 150_000, stream.length]) {
    const chunks = Array.from({ length: Math.ceil(stream.length / size) }, (_, index) =>
      stream.subarray(index * size, (index + 1) * size),
    )
    const got = read(chunks)
    const joined = (type: number, id: number) =>
      got.filter(each => each[0] === type && each[1] === id).map(each => each[2])
    t.equal(joined(FRAME.data, 7).join(''), body, `chunks of ${size}`)
    t.equal(joined(FRAME.data, 9).join(''), body)
    t.same(joined(FRAME.response, 8), [body], 'a response is whole')
    t.same(joined(FRAME.end, 7), [''])
  }
})

t.test('a long frame that comes byte by byte costs as much as its bytes', async t => {
  const body = 'x'.repeat(MAX_PAYLOAD_BYTES)
  for (const type of [FRAME.response, FRAME.data]) {
    const stream = Buffer.from(frame(type, 7, body) + frame(FRAME.end, 7), 'latin1')
    let bytes = 0
    let ends = 0
    const reader = new FrameReader((got, _id, _bytes, start, end) => {
      if (got === type) bytes += end - start
      else ends += 1
    })
    // Where each byte has all before it copied, this takes minutes.
    for (let at = 0; at < stream.length; at++) reader.read(stream.subarray(at, at + 1))
    t.same([bytes, ends], [body.length, 1])
  }
})

t.test('a frame that nobody sends is refused before all of it has come', async t => {
  const impossible: [title: string, type: number, payload: number][] = [
    ['no type', 0, 1],
    ['an unknown type', 14, 500_000],
    ['the last of all types', 255, 1],
    ['too long a hello', FRAME.hello, 65],
    ['too long a pong', FRAME.pong, 5],
    ['too long an acknowledgement', FRAME.seen, 1],
    ['too much credit', FRAME.credit, 70_000],
    ['too long a payload', FRAME.data, MAX_PAYLOAD_BYTES + 1],
  ]
  for (const [title, type, payload] of impossible) {
    const header = Buffer.from(frame(type, 7, 'x'.repeat(payload)), 'latin1').subarray(0, 8)
    t.throws(() => read([header]), { message: /^frame of / }, title)
    t.throws(() => read([...header].map(byte => Buffer.of(byte))), { message: /^frame of / }, `${title}, byte by byte`)
  }
})

t.test('credit is 32 bits, little endian', async t => {
  for (const bytes of [0, 1, 131072, 0x7fffffff, 0xffffffff]) {
    const [, , payload] = read([Buffer.from(creditFrame(7, bytes), 'latin1')])[0] ?? []
    t.equal(Buffer.from(payload ?? '', 'latin1').readUInt32LE(0), bytes)
  }
})

t.test('a response prefix is status and flags', async t => {
  for (const status of [100, 200, 255, 256, 599, 999]) {
    const bytes = Buffer.from(responsePrefix(status, 3), 'latin1')
    t.same([bytes.length, bytes.readUInt16LE(0), bytes[2]], [3, status, 3])
  }
})

t.test('a request comes back as it was', async t => {
  const cases: [title: string, headers: string[], flags: number, address: string, port: number][] = [
    ['usual', ['Host', 'a', 'Accept', '*/*'], 0, '127.0.0.1', 80],
    ['no fields', [], 15, '::1', 0],
    ['empty value', ['Host', '', 'X', ''], 1, '1.2.3.4', 65535],
    ['latin1 value', ['X', 'caf\xe9\xff'], 8, '::', 1],
  ]
  for (const [title, rawHeaders, flags, clientAddress, clientPort] of cases) {
    const headers = rawHeaders.map(part => `\n${part}`).join('')
    const payload = encodeRequest('GET', '/a?b', headers, flags, clientAddress, clientPort)
    const expected = { method: 'GET', target: '/a?b', flags, clientAddress, clientPort, rawHeaders }
    t.same(decodeRequest(payload), expected, title)
  }
})

t.test('which methods may be sent twice', async t => {
  const cases: [method: string, expected: boolean][] = [
    ['GET', true],
    ['HEAD', true],
    ['OPTIONS', true],
    ['PUT', true],
    ['DELETE', true],
    ['POST', false],
    ['PATCH', false],
    ['get', false],
    ['PROPFIND', false],
    ['', false],
  ]
  for (const [method, expected] of cases) t.equal(isIdempotent(method), expected, method)
})
