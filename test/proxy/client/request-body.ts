/** Where a request's body ends, by length and by chunks, fed in pieces of every size. */

import t from 'tap'
import { RequestBody } from '../../../proxy/client/request-body.js'
import { isRefusal } from '../../../proxy/http/refusal.js'
import { parseRequestHead, type RequestHead } from '../../../proxy/http/request-head.js'

function headOf(field: string): RequestHead {
  const head = parseRequestHead(`POST / HTTP/1.1\r\nHost: a\r\n${field}`)
  if (isRefusal(head)) throw new Error(head.reason)
  return head
}

/** Feeds in pieces of `size` bytes until the body is complete or refused; what came out, and what was left over. */
function feed(field: string, text: string, size: number) {
  let data = ''
  let trailers: string | null = null
  let ends = 0
  const sink = {
    data: (bytes: Buffer) => {
      data += bytes.latin1Slice()
    },
    end: (received: string) => {
      trailers = received
      ends += 1
    },
  }
  const body = new RequestBody(headOf(field), sink)
  let taken = 0
  while (taken < text.length && !body.complete) {
    const result = body.feed(Buffer.from(text.slice(taken, taken + size), 'latin1'))
    if (typeof result !== 'number') return { data, refused: result.refused }
    taken += result
  }
  return { data, trailers, ends, rest: text.slice(taken), left: body.leftBytes, complete: body.complete }
}

const CHUNKED = 'Transfer-Encoding: chunked'

t.test('finds the end, however the bytes come', async t => {
  const whole = { trailers: '', ends: 1, left: 0, complete: true }
  const cases: [title: string, field: string, text: string, expected: object][] = [
    ['length', 'Content-Length: 5', 'helloGET /', { ...whole, data: 'hello', rest: 'GET /' }],
    ['length, nothing behind', 'Content-Length: 5', 'hello', { ...whole, data: 'hello', rest: '' }],
    [
      'length, not all there',
      'Content-Length: 5',
      'hel',
      { data: 'hel', trailers: null, ends: 0, rest: '', left: 2, complete: false },
    ],
    ['chunks', CHUNKED, '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /', { ...whole, data: 'abcde', rest: 'GET /' }],
    ['no chunk', CHUNKED, '0\r\n\r\n', { ...whole, data: '', rest: '' }],
    [
      'trailers',
      CHUNKED,
      '1\r\na\r\n0\r\nX: 1\r\nY: 2\r\n\r\n',
      { ...whole, data: 'a', trailers: 'X\n1\nY\n2', rest: '' },
    ],
    ['bad size', CHUNKED, '1\r\na\r\n-1\r\n', { data: 'a', refused: 'bad-chunk-size' }],
    ['framing trailer', CHUNKED, '0\r\nContent-Length: 1\r\n\r\n', { data: '', refused: 'forbidden-trailer' }],
  ]
  for (const [title, field, text, expected] of cases) {
    for (const size of [1, 2, 3, 7, 1000]) {
      const fed = feed(field, text, size)
      // How far a piece goes beyond the end differs by its size; that nothing of it was taken does not.
      t.same({ ...fed }, { ...expected }, `${title}, ${size} at a time`)
    }
  }
})

t.test('chunks of a byte are handed on together, between larger ones and in their order', async t => {
  const pieces: string[] = []
  const body = new RequestBody(headOf(CHUNKED), { data: bytes => void pieces.push(bytes.latin1Slice()), end: () => {} })
  const large = 'L'.repeat(5000)
  const tiny = (letter: string) => `1\r\n${letter}\r\n`.repeat(1000)
  body.feed(Buffer.from(`${tiny('a')}1388\r\n${large}\r\n${tiny('b')}`))
  t.same(pieces, ['a'.repeat(1000), large, 'b'.repeat(1000)])
  body.feed(Buffer.from('1\r\nc\r\n'))
  t.equal(pieces.at(-1), 'c', 'what comes alone waits for nothing')
  body.feed(Buffer.from(`${tiny('d')}zz\r\n`))
  t.equal(pieces.at(-1), 'd'.repeat(1000), 'what came before a refusal was handed on')
})
