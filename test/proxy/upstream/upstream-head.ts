/** Heads between a foreign upstream and us; what is refused of whole answers is in `upstream-response.ts`. */

import t from 'tap'
import {
  printInterimHead,
  printTrailers,
  readResponseHead,
  upstreamFields,
} from '../../../proxy/upstream/upstream-head.js'

t.test('fields of the request', async t => {
  const cases: [wire: string, expected: string[]][] = [
    ['\nHost\na', ['Host', 'a']],
    ['\nHost\na\nX-Empty\n\nX-B\n1', ['Host', 'a', 'X-Empty', '', 'X-B', '1']],
    ['\nTransfer-Encoding\nchunked\nTrailer\nX\nEXPECT\n100-continue\nContent-Length\n3', ['Content-Length', '3']],
  ]
  for (const [wire, expected] of cases) t.same(upstreamFields(wire), expected, JSON.stringify(wire))
})

t.test('an answer', async t => {
  const raw = (...parts: string[]) => parts.map(part => Buffer.from(part, 'latin1'))
  t.same(readResponseHead(200, raw('Content-Length', ' 5 ', 'X', 'a'), 'GET'), {
    status: 200,
    fields: 'X: a\r\n',
    lengthBytes: 5,
    bodiless: false,
  })
  t.match(readResponseHead(204, raw('Content-Length', '5'), 'GET'), { lengthBytes: null, bodiless: true })
  t.match(readResponseHead(200, raw('Content-Length', '5'), 'HEAD'), { lengthBytes: 5, bodiless: true })
  const refused: [title: string, status: number, raw: Buffer[]][] = [
    ['a CRLF', 200, raw('X', 'a\r\nSet-Cookie: b')],
    ['DEL', 200, raw('X', 'a\x7f')],
    ['a name with CRLF', 200, raw('X\r\nY', 'a')],
    ['an interim status', 103, raw('X', 'a')],
    ['too high a status', 600, raw('X', 'a')],
    ['two lengths', 200, raw('Content-Length', '5', 'content-length', '5')],
    ['a list of lengths', 200, raw('Content-Length', '5, 5')],
    ['a hexadecimal length', 200, raw('Content-Length', '0x5')],
    ['both', 200, raw('Content-Length', '5', 'Transfer-Encoding', 'chunked')],
    ['another coding', 200, raw('Transfer-Encoding', 'xchunked')],
  ]
  for (const [title, status, fields] of refused) t.match(readResponseHead(status, fields, 'GET'), /^its? [a-z]/, title)
})

t.test('an interim answer and trailers', async t => {
  t.equal(
    printInterimHead(103, ['Link', '<a>', 'Connection', 'X', 'X', '1']),
    'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n',
  )
  for (const [status, value] of [
    [100, 'a'],
    [101, 'a'],
    [200, 'a'],
    [103, 'a\r\n\r\nb'],
  ] as const) {
    t.equal(printInterimHead(status, ['X', value]), null, `${status} ${JSON.stringify(value)}`)
  }
  t.equal(printTrailers(['X-Sum', '1', 'Set-Cookie', 'a', 'Connection', 'close']), 'X-Sum: 1\r\n')
  t.equal(printTrailers(['X-Sum', '1\r\nX: 2']), '')
})
