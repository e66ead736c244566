/**
 * Bytes as a client could send them: one to three requests put together from parts, most often damaged in one to three places, and a
 * last request behind them that shows where a reader thinks that the others end. Used by the test that compares our
 * parser with Node's, and by the fuzzing program. The same seed and index always give the same input.
 */

/** A number from 0 to `below` - 1. */
export type Random = (below: number) => number

/** Input number `index` of the series `seed`, as latin1. */
export function mutatedRequest(seed: number, index: number): string {
  const random = randomNumbers(seed, index)
  let input = ''
  for (let count = pick(random, [1, 1, 1, 2, 3]); count > 0; count--) input += composeRequest(random)
  const wounds = pick(random, [0, 0, 1, 1, 1, 2, 3])
  for (let i = 0; i < wounds; i++) input = pick(random, random(2) === 0 ? MUTATIONS : BODY_MUTATIONS)(input, random)
  return input + NEXT_REQUEST
}

/** Stands behind every input and is never damaged. */
export const NEXT_REQUEST = 'GET /next HTTP/1.1\r\nHost: next\r\n\r\n'

/** mulberry32, begun at a place of its own for each index. */
export function randomNumbers(seed: number, index: number): Random {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)] as T
}

function composeRequest(random: Random): string {
  const fields = ['Host: a.example']
  for (let count = random(5); count > 0; count--) fields.splice(random(fields.length + 1), 0, pick(random, FIELDS))
  const body = composeBody(random)
  if (body.field !== '') fields.splice(random(fields.length + 1), 0, body.field)
  const requestLine = `${pick(random, METHODS)} ${pick(random, TARGETS)} HTTP/1.${random(8) === 0 ? 0 : 1}`
  return `${[requestLine, ...fields].join('\r\n')}\r\n\r\n${body.bytes}`
}

function composeBody(random: Random): { field: string; bytes: string } {
  switch (random(3)) {
    case 0:
      return { field: '', bytes: '' }
    case 1: {
      const bytes = pick(random, DATA)
      return { field: `Content-Length: ${bytes.length}`, bytes }
    }
    default:
      return { field: 'Transfer-Encoding: chunked', bytes: composeChunks(random) }
  }
}

function composeChunks(random: Random): string {
  let chunks = ''
  for (let count = random(4); count > 0; count--) {
    const data = pick(random, DATA)
    if (data !== '') chunks += `${chunkSize(random, data.length)}${pick(random, EXTENSIONS)}\r\n${data}\r\n`
  }
  return `${chunks}${chunkSize(random, 0)}${pick(random, EXTENSIONS)}\r\n${pick(random, TRAILERS)}\r\n`
}

/** In either case, at times with zeros in front. */
function chunkSize(random: Random, length: number): string {
  const digits = random(2) === 0 ? length.toString(16) : length.toString(16).toUpperCase()
  return '0'.repeat(pick(random, [0, 0, 0, 1, 14])) + digits
}

const METHODS = [
  'GET',
  'GET',
  'POST',
  'POST',
  'HEAD',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'PROPFIND',
  'M-SEARCH',
  'QUERY',
]

const TARGETS = [
  '/',
  '/a?b=c',
  '/%2e%2e/',
  '//x/..',
  '/a|[]{}?\\',
  'http://a.example/b',
  'http://A.example:80',
  'https://a.example?c',
  '*',
]

const FIELDS = [
  'Accept: */*',
  'X-Empty:',
  'X-Spaces: \t b  c \t',
  'x-obs: \xc3\xbc\xff',
  'Cookie: a=b; c=d',
  'Cookie: e=f',
  'Connection: keep-alive',
  'Connection: close',
  'connection: X-Empty, cookie',
  'Connection: Upgrade',
  'Connection: host, content-length, transfer-encoding',
  'Upgrade: websocket',
  'Keep-Alive: timeout=5',
  'TE: trailers',
  'Trailer: X-Sum',
  'Expect: 100-continue',
  'X-Forwarded-For: 1.2.3.4',
  'X_Forwarded_For: 5.6.7.8',
  'Forwarded: for=1.2.3.4',
  'User-Agent: x',
  'Proxy-Connection: close',
  '__proto__: x',
]

const DATA = ['', 'x', 'hello', '0\r\n\r\n', 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n', '\0\r\n\xff'.repeat(7)]

const EXTENSIONS = ['', '', '', '', ';a', ';a=b', ';a="b;\\"c"', ';a;b=c']

const TRAILERS = ['', '', '', 'X-Sum: 1\r\n', 'X-Sum: 1\r\nexpires: 2\r\nX-Last:\r\n']

/** What breaks parsers, and what repairs framing by accident. */
const MORSELS = [
  ...[
    '\r',
    '\n',
    '\r\n',
    '\r\n\r\n',
    ' ',
    '\t',
    '\0',
    '\x0b',
    '\x0c',
    '\x7f',
    '\x80',
    '\xa0',
    '\xff',
    ':',
    ',',
    ';',
    '"',
    '\\',
    '/',
    '#',
    '?',
    '@',
    '*',
  ],
  ...[
    '+',
    '-',
    '_',
    '0',
    '5',
    '0x',
    'f',
    '99999999999999999999',
    '%00',
    '%',
    '[::1]',
    ':80',
    'chunked',
    ', chunked',
    'chunked, ',
    'identity',
  ],
  ...[
    'HTTP/1.1',
    'HTTP/1.0',
    'HTTP/2.0',
    'HTTP/1.2',
    'CONNECT',
    'TRACE',
    'PRI',
    'SOURCE',
    'get',
    '0\r\n\r\n',
    '5\r\n',
    'http://b/',
  ],
]

const LINES = [
  ...[
    'Content-Length: 5',
    'Content-Length: 0',
    'Content-Length: +5',
    'Content-Length: 5, 5',
    'Content-Length:',
    'Content-Length : 5',
    'Content_Length: 5',
  ],
  ...[
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: chunked, identity',
  ],
  ...[
    'Transfer-Encoding:\tCHUNKED',
    'Transfer-Encoding:\x0bchunked',
    'Transfer-Encoding\t: chunked',
    'Transfer-Encoding:',
    ' Transfer-Encoding: chunked',
  ],
  ...[
    'Host: b',
    'Host:',
    'Host: a, b',
    'Host: u@a',
    ' folded',
    '\tfolded',
    ': x',
    'no colon',
    'A B: c',
    'Expect: x',
    'X-Sum: 1',
    'Trailer: Content-Length',
  ],
]

type Mutation = (input: string, random: Random) => string

const MUTATIONS: readonly Mutation[] = [
  (input, random) => splice(input, random(input.length + 1), 0, pick(random, MORSELS)),
  (input, random) => splice(input, random(input.length + 1), 1, pick(random, MORSELS)),
  (input, random) => splice(input, random(input.length + 1), 1, String.fromCharCode(random(256))),
  (input, random) => splice(input, random(input.length + 1), 1 + random(4), ''),
  (input, random) => changeLines(input, lines => lines.splice(random(lines.length + 1), 0, pick(random, LINES))),
  (input, random) => changeLines(input, lines => lines.splice(1 + random(2), 0, pick(random, LINES))),
  (input, random) => changeLines(input, lines => lines.splice(random(lines.length), 1)),
  (input, random) => changeLines(input, lines => lines.splice(random(lines.length), 0, pick(random, lines))),
  (input, random) => changeLineEnd(input, random),
  (input, random) => changeCase(input, random),
]

/** Damages what stands behind a head: sizes, extensions, data, ends of chunks, trailers, the begin of the next request. */
const BODY_MUTATIONS: readonly Mutation[] = [
  (input, random) => splice(input, placeInBody(input, random), 0, pick(random, MORSELS)),
  (input, random) => splice(input, placeInBody(input, random), 1, pick(random, MORSELS)),
  (input, random) => splice(input, placeInBody(input, random), 1 + random(3), ''),
  (input, random) =>
    splice(input, placeInBody(input, random), 0, pick(random, ['\r\n', '0\r\n', 'f\r\n', ';a=b', ': ', 'x'])),
  (input, random) => splice(input, placeInBody(input, random), 0, `${pick(random, LINES)}\r\n`),
  (input, random) => splice(input, placeInBody(input, random), 1, String.fromCharCode(random(256))),
]

function placeInBody(input: string, random: Random): number {
  const headEnd = input.indexOf('\r\n\r\n')
  return headEnd < 0 ? random(input.length + 1) : headEnd + 4 + random(input.length - headEnd - 3)
}

function splice(input: string, at: number, removed: number, inserted: string): string {
  return input.slice(0, at) + inserted + input.slice(at + removed)
}

function changeLines(input: string, change: (lines: string[]) => void): string {
  const lines = input.split('\r\n')
  change(lines)
  return lines.join('\r\n')
}

function changeLineEnd(input: string, random: Random): string {
  const ends = [...input.matchAll(/\r\n/g)]
  const end = ends[random(ends.length || 1)]
  return end === undefined
    ? input
    : splice(input, end.index, 2, pick(random, ['\n', '\r', '\r\r\n', '\n\r', ' \r\n', '\r\n ']))
}

function changeCase(input: string, random: Random): string {
  const at = random(input.length + 1)
  const piece = input.slice(at, at + 1 + random(12))
  const changed = random(2) === 0 ? piece.toUpperCase() : piece.toLowerCase()
  // U+00FF has no upper case in latin1.
  return changed.length === piece.length && !/[^\0-\xff]/.test(changed)
    ? splice(input, at, piece.length, changed)
    : input
}
