import t from 'tap'
import { CHUNKED, isSplit, readPromise, UNTIL_CLOSE } from '../../../../app/host/request/response-promise.js'

const LINE = 'HTTP/1.1 200 OK\r\n'

t.test('what a head promises', async t => {
  const cases: [title: string, head: string, isHead: boolean, bodyBytes: number][] = [
    ['a length', `${LINE}Content-Length: 5\r\n\r\nhello`, false, 5],
    ['a length in small letters', `${LINE}content-length:5\r\nDate: x\r\n\r\n`, false, 5],
    ['nothing', `${LINE}Content-Length: 0\r\n\r\n`, false, 0],
    ['chunks', `${LINE}Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n`, false, CHUNKED],
    ['chunks in capitals', `${LINE}TRANSFER-ENCODING: CHUNKED\r\n\r\n`, false, CHUNKED],
    ['the end of the connection', `${LINE}Connection: close\r\n\r\nbody`, false, UNTIL_CLOSE],
    ['no fields', 'HTTP/1.1 200 OK\r\n\r\n', false, UNTIL_CLOSE],
    ['no reason', 'HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n', false, 1],
    ['HEAD', `${LINE}Content-Length: 5\r\n\r\n`, true, 0],
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n', false, 0],
    ['304', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', false, 0],
    [
      'names that only begin so',
      `${LINE}Content-Lengthy: x\r\nTransfer-Encodings: y\r\nX-Sendfiles: z\r\n\r\n`,
      false,
      UNTIL_CLOSE,
    ],
  ]
  for (const [title, head, isHead, bodyBytes] of cases) {
    const headBytes = head.indexOf('\r\n\r\n') + 4
    t.match(readPromise(head, isHead), { bodyBytes, headBytes, namesFile: false }, title)
  }
  for (const name of ['X-Accel-Redirect', 'x-sendfile', 'X-SENDFILE']) {
    t.match(readPromise(`${LINE}${name}: /a\r\nContent-Length: 0\r\n\r\n`, false), { namesFile: true }, name)
  }
  t.match(readPromise('HTTP/1.1 999 Odd\r\n\r\n', false), { status: 999 })
})

t.test('what is no head', async t => {
  const cases: [title: string, head: string, why: RegExp][] = [
    ['nothing', '', /status line/],
    ['words', 'hello', /status line/],
    ['status 099', 'HTTP/1.1 099 Odd\r\n\r\n', /status line/],
    ['status 100', 'HTTP/1.1 100 Continue\r\n\r\n', /status line/],
    ['status 101', 'HTTP/1.1 101 Switching Protocols\r\n\r\n', /status line/],
    ['status 1000', 'HTTP/1.1 1000 Odd\r\n\r\n', /status line/],
    ['no end', `${LINE}A: b\r\n`, /no end/],
    ['no line', 'HTTP/1.1 200 OK', /line break/],
    ['a line feed in the reason', 'HTTP/1.1 200 O\nK\r\n\r\n', /line break/],
    ['a carriage return in the reason', 'HTTP/1.1 200 O\rK\r\n\r\n', /line break/],
    ['a line feed in a value', `${LINE}A: b\nC: d\r\n\r\n`, /line break/],
    ['two of them', `${LINE}A: b\n\nHTTP/1.1 200 EVIL\r\n\r\n`, /line break/],
    ['a carriage return in a value', `${LINE}A: b\rC: d\r\n\r\n`, /line break/],
    ['a folded line', `${LINE}A: b\r\n c\r\n\r\n`, /folded/],
    ['two Content-Lengths', `${LINE}Content-Length: 2\r\nContent-Length: 3\r\n\r\n`, /two content-lengths/],
    ['the same twice', `${LINE}Content-Length: 2\r\ncontent-length: 2\r\n\r\n`, /two content-lengths/],
    ['hexadecimal', `${LINE}Content-Length: 0x2\r\n\r\n`, /no number/],
    ['a sign', `${LINE}Content-Length: +2\r\n\r\n`, /no number/],
    ['a list', `${LINE}Content-Length: 2, 2\r\n\r\n`, /no number/],
    ['empty', `${LINE}Content-Length: \r\n\r\n`, /no number/],
    ['2^53', `${LINE}Content-Length: 9007199254740992\r\n\r\n`, /no number/],
    ['a blank before the colon', `${LINE}Content-Length : 2\r\nContent-Length: 3\r\n\r\n`, /two content-lengths/],
    ['both framings', `${LINE}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n`, /both/],
    ['two codings', `${LINE}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`, /two transfer/],
    ['gzip, chunked', `${LINE}Transfer-Encoding: gzip, chunked\r\n\r\n`, /another/],
    ['identity', `${LINE}Transfer-Encoding: identity\r\n\r\n`, /another/],
    ['HTTP/2', 'HTTP/2 200 OK\r\n\r\n', /status line/],
  ]
  for (const [title, head, why] of cases) t.match(readPromise(head, false), why, title)
})

t.test('a printed head with an empty line in it', async t => {
  t.equal(isSplit(`${LINE}A: b\r\n\r\n`), false)
  t.equal(isSplit(`${LINE}A: b\r\n\r\nHTTP/1.1 200 EVIL\r\n\r\n`), true)
  t.equal(isSplit('null'), true, 'none at all')
})
