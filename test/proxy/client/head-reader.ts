/** A head is read as if it were the first of its connection, whatever came before it; and what may be long is not kept. */

import t from 'tap'
import { HeadReader } from '../../../proxy/client/head-reader.js'
import { MOST_HEAD, parseRequestHead } from '../../../proxy/http/request-head.js'

const FIELDS = ['Host: a', 'User-Agent: x', 'If-None-Match: "y"', 'X-Forwarded-For: 1.2.3.4']
const lines = (...all: string[]): string => all.join('\r\n')
const get = (target: string, ...fields: string[]): string => lines(`GET ${target} HTTP/1.1`, ...FIELDS, ...fields)

/** Each head alone and behind each other one: any pair of one connection's requests. */
const HEADS: [title: string, head: string][] = [
  ['a request', get('/')],
  ['the same once more', get('/')],
  ['another target', get('/other?x=y')],
  ['the root of a query', get('/?')],
  ['another method', get('/').replace('GET', 'DELETE')],
  ['a method that is not known', get('/').replace('GET', 'FETCH')],
  ['a method that is not served', get('/').replace('GET', 'TRACE')],
  ['HTTP/1.0', get('/').replace('HTTP/1.1', 'HTTP/1.0')],
  ['HTTP/1.0, kept', get('/', 'Connection: keep-alive').replace('HTTP/1.1', 'HTTP/1.0')],
  ['HTTP/2.0', get('/').replace('HTTP/1.1', 'HTTP/2.0')],
  ['absolute-form', get('http://a/x')],
  ['absolute-form of another host', get('http://b/x')],
  ['absolute-form without Host, HTTP/1.0', lines('GET http://a/x HTTP/1.0', 'X: y')],
  ['origin-form without Host, HTTP/1.0', lines('GET /x HTTP/1.0', 'X: y')],
  ['asterisk-form', get('*').replace('GET', 'OPTIONS')],
  ['asterisk-form of a GET', get('*')],
  ['no field', 'GET / HTTP/1.0'],
  ['no field and no Host', 'GET / HTTP/1.1'],
  ['a field more', get('/', 'X: y')],
  ['a field more at the front', lines('GET / HTTP/1.1', 'X: y', ...FIELDS)],
  ['a request line in a field', lines('GET / HTTP/1.1', 'X: GET / HTTP/1.1', ...FIELDS)],
  ['two request lines', lines('GET / HTTP/1.1', get('/'))],
  ['a body', get('/', 'Content-Length: 3').replace('GET', 'POST')],
  ['a chunked body', get('/', 'Transfer-Encoding: chunked').replace('GET', 'POST')],
  ['a chunked body in HTTP/1.0', lines('POST / HTTP/1.0', ...FIELDS, 'Transfer-Encoding: chunked')],
  ['an expectation', get('/', 'Content-Length: 3', 'Expect: 100-continue').replace('GET', 'PUT')],
  ['its last', get('/', 'Connection: close')],
  ['a nomination', get('/', 'Connection: if-none-match')],
  ['an upgrade', get('/', 'Connection: upgrade', 'Upgrade: websocket')],
  ['a bad target', get('/ /')],
  ['a bare LF in the target', get('/\n')],
  ['a bare CR behind the version', get('/').replace('HTTP/1.1', 'HTTP/1.1\r')],
  ['a target with a fragment', get('/#x')],
  ['a backslash', get('/\\')],
]

for (const [before, first] of HEADS) {
  t.test(`behind ${before}`, async t => {
    const memory = new HeadReader()
    for (const [title, head] of HEADS) {
      memory.parse(`${first}\r\n\r\n`, first.length, MOST_HEAD)
      const expected = parseRequestHead(head)
      t.strictSame(memory.parse(`${head}\r\n\r\n`, head.length, MOST_HEAD), expected, title)
      t.strictSame(memory.parse(`${head}\r\n\r\nmore`, head.length, MOST_HEAD), expected, `${title}, again`)
    }
  })
}

t.test('what begins no request is refused at once', async t => {
  const limits = { ...MOST_HEAD, bufferSizeBytes: 16_384 }
  const read = (text: string) => new HeadReader().read(Buffer.from(text, 'latin1'), text.length, limits)
  for (const text of ['\x16\x03\x01', '{', ' GET', '\n', '\rG', '\r\n\r\n\0', '\x80']) {
    t.match(read(text), { refused: 'bad-method', status: 400 }, JSON.stringify(text))
  }
  for (const text of ['G', 'GET /', '\r', '\r\n', '\r\n\r\n', '\r\n\r\nG', "!#$%&'*+-.^_`|~0"]) {
    t.equal(read(text), null, JSON.stringify(text))
  }
})

t.test('the same fields are not read twice', async t => {
  const memory = new HeadReader()
  const [first, second] = ['/', '/other'].map(target => {
    const head = get(target)
    return memory.parse(head, head.length, MOST_HEAD)
  })
  t.match([first, second], [{ target: '/' }, { target: '/other' }])
  t.equal((first as { conditions: object }).conditions, (second as { conditions: object }).conditions, 'one object')
})

t.test('the limits are those of now', async t => {
  const memory = new HeadReader()
  const head = get(`/${'x'.repeat(50)}`)
  t.match(memory.parse(head, head.length, MOST_HEAD), { method: 'GET' })
  t.match(memory.parse(head, head.length, { ...MOST_HEAD, httpHeaderCount: 3 }), { refused: 'too-many-fields' })
  t.match(memory.parse(head, head.length, { ...MOST_HEAD, httpUriSizeBytes: 20 }), { refused: 'target-too-long' })
})

t.test('a long head, or one with a long body behind it, is not kept', async t => {
  for (const [title, head, behind] of [
    ['head', get('/', `X: ${'x'.repeat(3000)}`), ''],
    ['body', get('/', 'Content-Length: 3000').replace('GET', 'POST'), 'x'.repeat(3000)],
  ] as const) {
    const memory = new HeadReader()
    const text = `${head}\r\n\r\n${behind}`
    const [first, second] = [memory.parse(text, head.length, MOST_HEAD), memory.parse(text, head.length, MOST_HEAD)]
    t.strictSame(first, second, title)
    t.not((first as { conditions: object }).conditions, (second as { conditions: object }).conditions, title)
  }
})

t.test('forgotten, it is read again', async t => {
  const memory = new HeadReader()
  const head = get('/')
  const first = memory.parse(head, head.length, MOST_HEAD)
  memory.forget()
  const second = memory.parse(head, head.length, MOST_HEAD)
  t.strictSame(first, second)
  t.not((first as { conditions: object }).conditions, (second as { conditions: object }).conditions)
})
