/** The chunked decoder: every case at once, at every split in two, and byte by byte must give the same. */

import t from 'tap'
import { ChunkedDecoder, MAX_EXTENSION_BYTES, MAX_TRAILER_BYTES } from '../../../proxy/http/chunked-body.js'
import { isRefusal, type RefusalCode } from '../../../proxy/http/refusal.js'

interface Outcome {
  data: string
  /** Bytes after the end of the message; null: it has not ended. */
  rest: string | null
  trailers: string[]
}

const LAST = '0\r\n\r\n'
const filled = (name: string, bytes: number): string => `${name}: `.padEnd(bytes - 2, 'x')

const TAKEN: [title: string, input: string, expected: Partial<Outcome>][] = [
  ['nothing yet', '', { rest: null }],
  ['an empty body', LAST, {}],
  ['one chunk', `5\r\nhello\r\n${LAST}`, { data: 'hello' }],
  ['two chunks', `5\r\nhello\r\n6\r\n world\r\n${LAST}`, { data: 'hello world' }],
  ['data that looks like framing', `c\r\n0\r\n\r\nGET / H\r\n${LAST}`, { data: '0\r\n\r\nGET / H' }],
  ['data of every byte', `${(256).toString(16)}\r\n${everyByte()}\r\n${LAST}`, { data: everyByte() }],
  ['sizes in both cases', `a\r\n0123456789\r\nA\r\n0123456789\r\n${LAST}`, { data: '01234567890123456789' }],
  ['leading zeros', `005\r\nhello\r\n000\r\n\r\n`, { data: 'hello' }],
  ['a size of sixteen digits', `0000000000000005\r\nhello\r\n${LAST}`, { data: 'hello' }],
  ['the largest size', '1fffffffffffff\r\nhello', { data: 'hello', rest: null }],
  ['a size that is cut', '5', { rest: null }],
  ['data that is cut', '5\r\nhel', { data: 'hel', rest: null }],
  ['no CRLF after the data yet', '5\r\nhello', { data: 'hello', rest: null }],
  ['no last chunk yet', '5\r\nhello\r\n', { data: 'hello', rest: null }],
  ['no empty line yet', '0\r\n', { rest: null }],
  ['a request after the end', `1\r\nx\r\n${LAST}GET / HTTP/1.1\r\n`, { data: 'x', rest: 'GET / HTTP/1.1\r\n' }],
  ['a second body after the end', LAST + LAST, { rest: LAST }],
  ['an LF after the end', `${LAST}\n`, { rest: '\n' }],
  ['an extension', `5;a\r\nhello\r\n${LAST}`, { data: 'hello' }],
  ['an extension with a value', `5;a=b\r\nhello\r\n0;c=d\r\n\r\n`, { data: 'hello' }],
  ['an extension with a quoted value', `5;a="b; c\\"\\\\\t\xe9"\r\nhello\r\n${LAST}`, { data: 'hello' }],
  ['several extensions', `5;a=b;c;d="e"\r\nhello\r\n${LAST}`, { data: 'hello' }],
  ['the longest extension', `5;${'a'.repeat(MAX_EXTENSION_BYTES - 1)}\r\nhello\r\n${LAST}`, { data: 'hello' }],
  [
    'the longest extension after the longest size',
    `0000000000000005;${'a'.repeat(MAX_EXTENSION_BYTES - 1)}\r\nhello\r\n${LAST}`,
    { data: 'hello' },
  ],
  ['a trailer', '0\r\nA: b\r\n\r\n', { trailers: ['A', 'b'] }],
  ['several trailers', '0\r\nA: b\r\nc:\t d \r\nE:\r\n\r\nX', { trailers: ['A', 'b', 'c', 'd', 'E', ''], rest: 'X' }],
  ['a trailer of all printable characters', '0\r\nA: \t!~\xff\r\n\r\n', { trailers: ['A', '!~\xff'] }],
  [
    'the longest trailers',
    `0\r\n${filled('A', MAX_TRAILER_BYTES)}\r\n\r\n`,
    { trailers: ['A', 'x'.repeat(MAX_TRAILER_BYTES - 5)] },
  ],
  [
    'trailers that mean nothing here',
    '0\r\nAuthorization: b\r\nset-cookie: c\r\nTrailer: A\r\nexpect: x\r\nA: b\r\n\r\n',
    { trailers: ['A', 'b'] },
  ],
  [
    'trailers that speak for other proxies',
    '0\r\nX-Forwarded-For: b\r\nX_Forwarded_Proto: c\r\nForwarded: d\r\nX-Real-IP: e\r\n\r\n',
    { trailers: [] },
  ],
]

const REFUSED: [title: string, input: string, expected: RefusalCode][] = [
  ['an empty size', '\r\n', 'bad-chunk-size'],
  ...[
    '+5',
    '-5',
    ' 5',
    '5 ',
    '5\t',
    '0x5',
    '5h',
    'g',
    '5_0',
    '5,5',
    '5.',
    '00000000000000005',
    '20000000000000',
    'ffffffffffffffff',
    '\xb2',
  ].map((size): [string, string, RefusalCode] => [
    `size ${JSON.stringify(size)}`,
    `${size}\r\nhello\r\n${LAST}`,
    'bad-chunk-size',
  ]),
  ['a size of 17 digits and no end', 'f'.repeat(MAX_EXTENSION_BYTES + 20), 'bad-chunk-size'],
  ['anything without end', 'x'.repeat(MAX_EXTENSION_BYTES + 20), 'bad-chunk-size'],
  ['a bare LF after the size', '5\nhello\r\n0\r\n\r\n', 'bare-lf'],
  ['a bare CR after the size', '5\rhello\r\n', 'bad-chunk-size'],
  ['a CR too many after the size', '5\r\r\nhello\r\n', 'bad-chunk-size'],
  ['a bare LF after an extension', '5;a\nhello\r\n', 'bare-lf'],
  ['a bare CR in an extension', '5;a\rb\r\nhello\r\n', 'bad-chunk-extension'],
  ['white space before an extension', '5 ;a\r\nhello\r\n', 'bad-chunk-size'],
  ['white space in an extension', '5; a\r\nhello\r\n', 'bad-chunk-extension'],
  ['white space around an extension value', '5;a = b\r\nhello\r\n', 'bad-chunk-extension'],
  ['an extension without name', '5;\r\nhello\r\n', 'bad-chunk-extension'],
  ['an extension with a value only', '5;=a\r\nhello\r\n', 'bad-chunk-extension'],
  ['an extension with an empty value', '5;a=\r\nhello\r\n', 'bad-chunk-extension'],
  ['an extension with an open quote', '5;a="b\r\nhello\r\n', 'bad-chunk-extension'],
  ['an extension with text after the quote', '5;a="b"c\r\nhello\r\n', 'bad-chunk-extension'],
  ['an extension with a control character', '5;a=\x01\r\nhello\r\n', 'bad-chunk-extension'],
  ['an extension with a quoted control character', '5;a="\\\0"\r\nhello\r\n', 'bad-chunk-extension'],
  ['an extension that is too long', `5;${'a'.repeat(MAX_EXTENSION_BYTES)}\r\nhello\r\n`, 'chunk-extensions-too-long'],
  ['an extension without end', `5;${'a'.repeat(MAX_EXTENSION_BYTES + 20)}`, 'chunk-extensions-too-long'],
  [
    'extensions too long together',
    `1;${'a'.repeat(99)}\r\nx\r\n`.repeat(MAX_EXTENSION_BYTES / 100 + 1),
    'chunk-extensions-too-long',
  ],
  ['data longer than its size', '4\r\nhello\r\n0\r\n\r\n', 'bad-chunk-end'],
  ['data shorter than its size', '6\r\nhello\r\n0\r\n\r\n', 'bad-chunk-end'],
  ['a bare LF after the data', '5\r\nhello\n0\r\n\r\n', 'bad-chunk-end'],
  ['a bare CR after the data', '5\r\nhello\r0\r\n\r\n', 'bad-chunk-end'],
  ['an LF before a CR after the data', '5\r\nhello\n\r0\r\n\r\n', 'bad-chunk-end'],
  ['a bare LF after the last size', '0\n\r\n', 'bare-lf'],
  ['a bare LF as the end', '0\r\n\n', 'bare-lf'],
  ['a bare CR as the end', '0\r\n\rX\r\n', 'bad-trailer'],
  ['a bare LF after a trailer', '0\r\nA: b\n\r\n', 'bare-lf'],
  ['a bare CR in a trailer', '0\r\nA: b\rc\r\n\r\n', 'bad-trailer'],
  ['a trailer without colon', '0\r\nA\r\n\r\n', 'bad-trailer'],
  ['a trailer without name', '0\r\n: b\r\n\r\n', 'bad-trailer'],
  ['a space before a trailer colon', '0\r\nA : b\r\n\r\n', 'bad-trailer'],
  ['a folded trailer', '0\r\nA: b\r\n c\r\n\r\n', 'bad-trailer'],
  ['NUL in a trailer', '0\r\nA: \0\r\n\r\n', 'bad-trailer'],
  ['a request where trailers belong', '0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', 'bad-trailer'],
  ['Content-Length as trailer', '0\r\ncontent-length: 5\r\n\r\n', 'forbidden-trailer'],
  ['Transfer-Encoding as trailer', '0\r\nTransfer-Encoding: chunked\r\n\r\n', 'forbidden-trailer'],
  ['Connection as trailer', '0\r\nConnection: close\r\n\r\n', 'forbidden-trailer'],
  ['Proxy-Connection as trailer', '0\r\nProxy-Connection: close\r\n\r\n', 'forbidden-trailer'],
  ['Upgrade as trailer', '0\r\nUpgrade: x\r\n\r\n', 'forbidden-trailer'],
  ['Host as trailer', '0\r\nA: b\r\nHOST: b\r\n\r\n', 'forbidden-trailer'],
  ['a trailer that is too long', `0\r\n${filled('A', MAX_TRAILER_BYTES + 1)}\r\n\r\n`, 'trailers-too-long'],
  ['trailers too long together', `0\r\n${`${filled('A', 1024)}\r\n`.repeat(17)}\r\n`, 'trailers-too-long'],
  ['a trailer without end', `0\r\n${filled('A', MAX_TRAILER_BYTES + 5)}`, 'trailers-too-long'],
]

t.test('is taken', async t => {
  for (const [title, input, expected] of TAKEN) {
    const outcome: Outcome = { data: '', rest: '', trailers: [], ...expected }
    eachSplit(input, (parts, how) => {
      const decoded = decode(parts)
      if (JSON.stringify(decoded) !== JSON.stringify(outcome)) t.strictSame(decoded, outcome, `${title}, ${how}`)
    })
    t.strictSame(decode([Buffer.from(input, 'latin1')]), outcome, title)
  }
})

t.test('is refused', async t => {
  for (const [title, input, expected] of REFUSED) {
    eachSplit(input, (parts, how) => {
      const decoded = decode(parts)
      if (decoded !== expected) t.strictSame(decoded, expected, `${title}, ${how}`)
    })
    t.equal(decode([Buffer.from(input, 'latin1')]), expected, title)
  }
})

const EARLY: [title: string, input: string, expected: RefusalCode][] = [
  ['a size of another letter', 'x', 'bad-chunk-size'],
  ['a size behind a blank', ' ', 'bad-chunk-size'],
  ['a size with a sign', '+', 'bad-chunk-size'],
  ['a size with a prefix', '0x', 'bad-chunk-size'],
  ['a size of 17 digits', '0'.repeat(17), 'bad-chunk-size'],
  ['an extension without a size', ';', 'bad-chunk-size'],
  ['a bare CR behind a size', '5\rh', 'bad-chunk-size'],
  ['the second size', '1\r\nx\r\nx', 'bad-chunk-size'],
  ['data beyond its size', '1\r\nxy', 'bad-chunk-end'],
  ['a CR too many behind data', '1\r\nx\r\r', 'bad-chunk-end'],
  ['a trailer without a name', '0\r\n:', 'bad-trailer'],
  ['a folded trailer', '0\r\n ', 'bad-trailer'],
  ['a request where trailers belong', '0\r\nGET ', 'bad-trailer'],
  ['a bare CR as the end', '0\r\n\rX', 'bad-trailer'],
]

t.test('what is wrong is refused at once, without the end of its line', async t => {
  for (const [title, input, expected] of EARLY) {
    eachSplit(input, (parts, how) => t.equal(decode(parts), expected, `${title}, ${how}`))
    t.equal(decode([Buffer.from(input, 'latin1')]), expected, title)
    t.not(decode([Buffer.from(input.slice(0, -1), 'latin1')]), expected, `${title}: and not before`)
  }
})

t.test('a bare LF is told as such, however the bytes come', async t => {
  for (const [input, expected] of [
    ['5\n', 'bare-lf'],
    ['\n', 'bare-lf'],
    ['x\n', 'bad-chunk-size'],
    ['0\r\nA: b\n', 'bare-lf'],
    ['0\r\n:\n', 'bad-trailer'],
  ] as const) {
    eachSplit(input, (parts, how) => t.equal(decode(parts), expected, `${JSON.stringify(input)}, ${how}`))
    t.equal(decode([Buffer.from(input, 'latin1')]), expected, JSON.stringify(input))
  }
})

t.test('data is not copied', async t => {
  const bytes = Buffer.from(`5\r\nhello\r\n${LAST}`)
  const parts: Buffer[] = []
  new ChunkedDecoder().decode(bytes, data => parts.push(data))
  t.equal(parts.length, 1)
  t.equal(parts[0]?.buffer, bytes.buffer)
  t.equal(parts[0]?.byteOffset, bytes.byteOffset + 3)
})

t.test('tells where the message ends, and takes nothing after that', async t => {
  const decoder = new ChunkedDecoder()
  const nothing = () => t.fail('data after the end')
  t.strictSame(decoder.decode(Buffer.from(`${LAST}${LAST}`), nothing), { consumed: 5, done: true })
  t.strictSame(decoder.decode(Buffer.from(LAST), nothing), { consumed: 0, done: true })
})

t.test('a refusal is final', async t => {
  const decoder = new ChunkedDecoder()
  const nothing = () => t.fail('data after a refusal')
  const refusal = decoder.decode(Buffer.from('x\r\n'), nothing)
  t.match(refusal, { refused: 'bad-chunk-size', status: 400 })
  t.equal(decoder.decode(Buffer.from(`1\r\nx\r\n${LAST}`), nothing), refusal)
})

t.test('data before a refusal was handed on', async t => {
  const received: string[] = []
  new ChunkedDecoder().decode(Buffer.from('1\r\nx\r\nz\r\n'), data => received.push(data.toString()))
  t.strictSame(received, ['x'])
})

/** Calls `use` with the input cut in two at every place, and cut into single bytes. */
function eachSplit(input: string, use: (parts: Buffer[], how: string) => void): void {
  const bytes = Buffer.from(input, 'latin1')
  for (let at = 1; at < bytes.length; at++) use([bytes.subarray(0, at), bytes.subarray(at)], `cut at ${at}`)
  use(
    Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)),
    'byte by byte',
  )
}

function decode(parts: Buffer[]): Outcome | string {
  const decoder = new ChunkedDecoder()
  let data = ''
  let rest: string | null = null
  for (const part of parts) {
    const result = decoder.decode(part, bytes => {
      data += bytes.toString('latin1')
    })
    if (isRefusal(result)) return result.refused
    if (result.done) rest = (rest ?? '') + part.toString('latin1', result.consumed)
    else if (result.consumed !== part.length) return `only ${result.consumed} of ${part.length} bytes consumed`
  }
  return { data, rest, trailers: decoder.trailers }
}

function everyByte(): string {
  return Buffer.from(Array.from({ length: 256 }, (_, code) => code)).toString('latin1')
}
