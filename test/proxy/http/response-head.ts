import t from 'tap'
import { isBadHead, isInterimHead, parseResponseHead, printResponseHead } from '../../../proxy/http/response-head.js'

const LINE = 'HTTP/1.1 200 OK'

t.test('heads that are believed', async t => {
  const cases: [title: string, text: string, method: string, framing: string, length: number][] = [
    ['no fields', LINE, 'GET', 'close', 0],
    ['a length', `${LINE}\r\nContent-Length: 12`, 'GET', 'length', 12],
    ['no body', `${LINE}\r\ncontent-length:0`, 'GET', 'length', 0],
    ['chunks', `${LINE}\r\nTransfer-Encoding: chunked`, 'GET', 'chunked', 0],
    ['HEAD', `${LINE}\r\nContent-Length: 12`, 'HEAD', 'none', 0],
    ['204', 'HTTP/1.1 204 No Content', 'GET', 'none', 0],
    ['304', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5', 'GET', 'none', 0],
    ['no reason', 'HTTP/1.1 200 ', 'GET', 'close', 0],
    ['not even its space', 'HTTP/1.1 200', 'GET', 'close', 0],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 1', 'GET', 'length', 1],
    ['999', 'HTTP/1.1 999 Odd', 'GET', 'close', 0],
  ]
  for (const [title, text, method, framing, length] of cases) {
    t.match(parseResponseHead(text, method), { framing, length }, title)
  }
  const head = parseResponseHead(`${LINE}\r\nSet-Cookie: a=1\r\nset-cookie:  b=2 \r\nX-\xe4: 1`, 'GET')
  t.ok(isBadHead(head), 'a name that is no token')
})

t.test('heads that are not', async t => {
  const cases: [title: string, text: string][] = [
    ['nothing', ''],
    ['no HTTP', 'hello'],
    ['status 99', 'HTTP/1.1 099 Odd'],
    ['status 101', 'HTTP/1.1 101 Switching Protocols'],
    ['status 1000', 'HTTP/1.1 1000 Odd'],
    ['HTTP/2', 'HTTP/2 200 OK'],
    ['two Content-Lengths', `${LINE}\r\nContent-Length: 1\r\nContent-Length: 2`],
    ['the same twice', `${LINE}\r\nContent-Length: 1\r\ncontent-length: 1`],
    ['a list', `${LINE}\r\nContent-Length: 1, 1`],
    ['a sign', `${LINE}\r\nContent-Length: +1`],
    ['hexadecimal', `${LINE}\r\nContent-Length: 0x1`],
    ['empty', `${LINE}\r\nContent-Length:`],
    ['2^53 and beyond', `${LINE}\r\nContent-Length: 9007199254740993`],
    ['both framings', `${LINE}\r\nContent-Length: 1\r\nTransfer-Encoding: chunked`],
    ['another coding', `${LINE}\r\nTransfer-Encoding: gzip, chunked`],
    ['xchunked', `${LINE}\r\nTransfer-Encoding: xchunked`],
    ['identity', `${LINE}\r\nTransfer-Encoding: identity`],
    ['chunked twice', `${LINE}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked`],
    ['an empty line', `${LINE}\r\nA: b\r\n\r\nHTTP/1.1 200 OK`],
    ['a bare line feed', `${LINE}\r\nA: b\nC: d`],
    ['a bare carriage return', `${LINE}\r\nA: b\rC: d`],
    ['NUL', `${LINE}\r\nA: \0`],
    ['a folded line', `${LINE}\r\nA: b\r\n c`],
    ['a space before the colon', `${LINE}\r\nContent-Length : 1`],
    ['no colon', `${LINE}\r\nevil`],
    ['no name', `${LINE}\r\n: evil`],
    ['a line break in the reason', 'HTTP/1.1 200 O\nK'],
    ['too many fields', LINE + '\r\nA: b'.repeat(2000)],
  ]
  for (const [title, text] of cases) t.ok(isBadHead(parseResponseHead(text, 'GET')), title)
})

t.test('it is printed as it was read', async t => {
  const text = `${LINE} then\r\nA: b\r\nSet-Cookie: c=1\r\nSet-Cookie: d=2\r\nE: \xe4`
  const head = parseResponseHead(text, 'GET')
  if (isBadHead(head)) throw new Error(head.bad)
  t.equal(printResponseHead(head.status, head.fields, head.reason), `${text}\r\n\r\n`)
  t.equal(printResponseHead(404, []), 'HTTP/1.1 404 Not Found\r\n\r\n')
})

t.test('interim heads', async t => {
  const cases: [title: string, text: string, expected: boolean][] = [
    ['100', 'HTTP/1.1 100 Continue\r\n\r\n', true],
    ['103', 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n', true],
    ['101', 'HTTP/1.1 101 Switching Protocols\r\n\r\n', false],
    ['200', 'HTTP/1.1 200 OK\r\n\r\n', false],
    ['two', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n', false],
    ['with a length', 'HTTP/1.1 103 E\r\nContent-Length: 1\r\n\r\n', false],
    ['cut off', 'HTTP/1.1 103 E\r\nA: b\r\n', false],
    ['as many fields as may be', `HTTP/1.1 103 E\r\n${'a: b\r\n'.repeat(128)}\r\n`, true],
    ['one more', `HTTP/1.1 103 E\r\n${'a: b\r\n'.repeat(129)}\r\n`, false],
    ['as long as may be', `HTTP/1.1 103 E\r\nA: ${'x'.repeat(16 * 1024 - 23)}\r\n\r\n`, true],
    ['one byte more', `HTTP/1.1 103 E\r\nA: ${'x'.repeat(16 * 1024 - 22)}\r\n\r\n`, false],
    ['30,000 fields', `HTTP/1.1 103 E\r\n${'a:\r\n'.repeat(30_000)}\r\n`, false],
  ]
  for (const [title, text, expected] of cases) t.equal(isInterimHead(text), expected, title)
})
