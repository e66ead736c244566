/** Status and head for files: what is servable, methods, conditions, ranges, folders. */

import t from 'tap'
import type { Conditions } from '../../../proxy/http/conditions.js'
import type { FileVersion } from '../../../proxy/http/entity-tag.js'
import { ERRORS } from '../../../proxy/http/error-response.js'
import {
  bodyBytesOf,
  contentTypeOf,
  emptyResponse,
  errorIn,
  isServable,
  type Representation,
  responseForDirectory,
  responseForFile,
  type StaticRequest,
  type StaticResponse,
  validatorsOf,
} from '../../../proxy/static/files.js'

const NOW_MS = Date.UTC(2026, 10, 21)
const MODIFIED = 'Thu, 02 Jan 2020 03:04:05 GMT'
const VERSION: FileVersion = { sizeBytes: 1000, modifiedNs: BigInt(Date.parse(MODIFIED)) * 1_000_000n + 5n, inode: 7n }

function request(method: string, conditions: Conditions = {}, query?: string): StaticRequest {
  return { method, conditions, ...(query === undefined ? {} : { query }) }
}

function headersOf(answer: StaticResponse | null): Record<string, string> {
  return Object.fromEntries(answer?.headers ?? [])
}

const FILE: Representation = {
  sizeBytes: VERSION.sizeBytes,
  validators: validatorsOf(VERSION, 'identity', NOW_MS),
  contentType: 'text/html; charset=utf-8',
  coding: 'identity',
  vary: '',
  freshness: null,
}

function answer(asked: StaticRequest, file: Partial<Representation> = {}): StaticResponse {
  return responseForFile({ ...FILE, ...file }, asked, NOW_MS, () => 'MARK')
}

const TAG = headersOf(answer(request('GET'))).ETag ?? ''

t.test('decides which paths may be looked at', async t => {
  const cases: [path: string, expected: boolean][] = [
    ['/', true],
    ['/a', true],
    ['/a/b.c/d', true],
    ['/a.', true],
    ['/a/b..c', true],
    ['/.well-known', true],
    ['/.well-known/acme-challenge/x', true],
    ['/..', false],
    ['/a/../b', false],
    ['/a/..', false],
    ['/./a', false],
    ['/..\\a', false],
    ['/...', false],
    ['/.env', false],
    ['/.git/config', false],
    ['/a/.htaccess', false],
    ['/.well-known/.env', false],
    ['/.well-known/../a', false],
    ['/.well-knownx/a', false],
    ['/a/.well-known/b', false],
    ['/a\0.html', false],
    ['/.well-known/a\0', false],
    ['a', false],
    ['', false],
  ]
  for (const [path, expected] of cases) t.equal(isServable(path), expected, JSON.stringify(path))
})

t.test('answers for a file', async t => {
  const full = ['200', '1000', undefined, 1000, 0]
  const cases: [title: string, request: StaticRequest, expected: (string | number | undefined)[]][] = [
    ['GET', request('GET'), full],
    ['HEAD', request('HEAD'), ['200', '1000', undefined, 0, 0]],
    ['POST', request('POST'), ['405', '0', undefined, 0, 0]],
    ['method in small letters', request('get'), ['405', '0', undefined, 0, 0]],
    ['DELETE with a condition', request('DELETE', { 'if-match': '"x"' }), ['405', '0', undefined, 0, 0]],
    ['range', request('GET', { range: 'bytes=10-19' }), ['206', '10', 'bytes 10-19/1000', 10, 10]],
    ['suffix range', request('GET', { range: 'bytes=-10' }), ['206', '10', 'bytes 990-999/1000', 10, 990]],
    ['range of everything', request('GET', { range: 'bytes=0-' }), ['206', '1000', 'bytes 0-999/1000', 1000, 0]],
    ['range behind the end', request('GET', { range: 'bytes=1000-' }), ['416', '0', 'bytes */1000', 0, 0]],
    ['two ranges', request('GET', { range: 'bytes=0-1,500-501' }), ['206', '186', undefined, 186, 0]],
    ['two ranges that cost more', request('GET', { range: 'bytes=0-700,800-999' }), full],
    ['malformed range', request('GET', { range: 'bytes=x' }), full],
    ['range of a HEAD', request('HEAD', { range: 'bytes=0-1' }), ['200', '1000', undefined, 0, 0]],
    ['if-range true', request('GET', { range: 'bytes=0-1', 'if-range': TAG }), ['206', '2', 'bytes 0-1/1000', 2, 0]],
    [
      'if-range date',
      request('GET', { range: 'bytes=0-1', 'if-range': MODIFIED }),
      ['206', '2', 'bytes 0-1/1000', 2, 0],
    ],
    ['if-range false', request('GET', { range: 'bytes=0-1', 'if-range': '"old"' }), full],
    ['if-range false behind the end', request('GET', { range: 'bytes=5000-', 'if-range': '"old"' }), full],
    ['not modified', request('GET', { 'if-none-match': TAG }), ['304', undefined, undefined, 0, 0]],
    ['not modified, HEAD', request('HEAD', { 'if-modified-since': MODIFIED }), ['304', undefined, undefined, 0, 0]],
    [
      'not modified before range',
      request('GET', { 'if-none-match': TAG, range: 'bytes=5000-' }),
      ['304', undefined, undefined, 0, 0],
    ],
    ['failed condition', request('GET', { 'if-match': '"old"' }), ['412', '0', undefined, 0, 0]],
    ['failed before range', request('GET', { 'if-match': '"old"', range: 'bytes=0-1' }), ['412', '0', undefined, 0, 0]],
  ]
  for (const [title, asked, expected] of cases) {
    const made = answer(asked)
    const headers = headersOf(made)
    const { status, body } = made
    t.strictSame(
      [String(status), headers['Content-Length'], headers['Content-Range'], bodyBytesOf(made), body[0]?.start ?? 0],
      expected,
      title,
    )
    t.equal(Object.keys(headers).length, made.headers.length, `${title}: no header twice`)
  }
})

t.test('sends the headers that belong to a status', async t => {
  const cases: [title: string, request: StaticRequest, expected: Record<string, string>][] = [
    [
      '200',
      request('GET'),
      {
        'Content-Type': 'text/html; charset=utf-8',
        'Content-Length': '1000',
        'Last-Modified': MODIFIED,
        ETag: TAG,
        'Accept-Ranges': 'bytes',
      },
    ],
    ['304', request('GET', { 'if-none-match': '*' }), { 'Last-Modified': MODIFIED, ETag: TAG }],
    ['405', request('PUT'), { Allow: 'GET, HEAD', 'Content-Length': '0' }],
    ['412', request('GET', { 'if-match': '"x"' }), { 'Content-Length': '0' }],
    ['416', request('GET', { range: 'bytes=1000-' }), { 'Content-Range': 'bytes */1000', 'Content-Length': '0' }],
  ]
  for (const [title, asked, expected] of cases) {
    t.strictSame(headersOf(answer(asked)), expected, title)
  }
  const future = { ...VERSION, modifiedNs: BigInt(NOW_MS + 86_400_000) * 1_000_000n }
  const made = answer(request('GET'), { validators: validatorsOf(future, 'identity', NOW_MS) })
  t.equal(headersOf(made)['Last-Modified'], 'Sat, 21 Nov 2026 00:00:00 GMT', 'a time in the future is now')
})

t.test('names the type by the extension', async t => {
  const cases: [path: string, expected: string][] = [
    ['/a.HTML', 'text/html; charset=utf-8'],
    ['/a.css', 'text/css; charset=utf-8'],
    ['/a.mjs', 'text/javascript; charset=utf-8'],
    ['/a.json', 'application/json; charset=utf-8'],
    ['/a.txt', 'text/plain; charset=utf-8'],
    ['/a.svg', 'image/svg+xml'],
    ['/a.png', 'image/png'],
    ['/a.woff2', 'font/woff2'],
    ['/a.wasm', 'application/wasm'],
    ['/a.tar.gz', 'application/gzip'],
    ['/b.html/a', 'application/octet-stream'],
    ['/a.constructor', 'application/octet-stream'],
    ['/a.__proto__', 'application/octet-stream'],
    ['/a.', 'application/octet-stream'],
    ['/html', 'application/octet-stream'],
  ]
  for (const [path, expected] of cases) {
    t.equal(contentTypeOf(path), expected, path)
  }
})

t.test('redirects to folders without naming a host', async t => {
  const cases: [path: string, query: string | undefined, location: string, resolved: string][] = [
    ['/a', undefined, './a/', 'http://here/m/a/'],
    ['/a/b', '?c=d/e', './b/?c=d/e', 'http://here/m/a/b/?c=d/e'],
    ['//evil.example', undefined, './evil.example/', 'http://here/m//evil.example/'],
    ['/http:', undefined, './http%3A/', 'http://here/m/http%3A/'],
    ['/a b\r\nx?y#z%', undefined, './a%20b%0D%0Ax%3Fy%23z%25/', 'http://here/m/a%20b%0D%0Ax%3Fy%23z%25/'],
    ['/\\evil', undefined, './%5Cevil/', 'http://here/m/%5Cevil/'],
    ['/ü', undefined, './%C3%BC/', 'http://here/m/%C3%BC/'],
    ['/\ud800', undefined, './%EF%BF%BD/', 'http://here/m/%EF%BF%BD/'],
  ]
  for (const [path, query, location, resolved] of cases) {
    const answer = responseForDirectory(path, request('GET', {}, query))
    t.equal(answer.status, 301)
    t.equal(headersOf(answer).Location, location, JSON.stringify(path))
    const base = `http://here/m${path.slice(0, path.lastIndexOf('/') + 1)}x`
    t.equal(new URL(location, base).href, resolved, `${JSON.stringify(path)}, as a browser resolves it`)
  }
  t.equal(responseForDirectory('/a', request('POST')).status, 405)
})

t.test('errors go where all errors are answered, without the length of a body that is not theirs', async t => {
  const coded = { vary: 'Accept-Encoding' }
  const cases: [title: string, answer: StaticResponse, expected: ReturnType<typeof errorIn>][] = [
    ['405', answer(request('PUT')), { code: 'method-not-allowed', fields: [['Allow', 'GET, HEAD']] }],
    ['406', emptyResponse(406, []), { code: 'not-acceptable', fields: [] }],
    ['412', answer(request('GET', { 'if-match': '"x"' })), { code: 'precondition-failed', fields: [] }],
    [
      '416',
      answer(request('GET', { range: 'bytes=1000-' }), coded),
      {
        code: 'range-not-satisfiable',
        fields: [
          ['Content-Range', 'bytes */1000'],
          ['Vary', 'Accept-Encoding'],
        ],
      },
    ],
    ['200', answer(request('GET')), null],
    ['304', answer(request('GET', { 'if-none-match': '*' })), null],
    ['301', responseForDirectory('/a', request('GET')), null],
  ]
  for (const [title, given, expected] of cases) {
    t.same(errorIn(given), expected, title)
    if (expected !== null) t.equal(ERRORS[expected.code][0], given.status, `${title}: the same status`)
  }
})

t.test('says what a compressed form and a rule for its age need', async t => {
  const coded = { coding: 'br', vary: 'Accept-Encoding', validators: validatorsOf(VERSION, 'br', NOW_MS) } as const
  const brTag = `${TAG.slice(0, -1)}-br"`
  t.match(headersOf(answer(request('GET'), coded)), { 'Content-Encoding': 'br', Vary: 'Accept-Encoding', ETag: brTag })
  t.equal(answer(request('GET', { 'if-none-match': TAG }), coded).status, 200, 'the tag of another form')
  const known = headersOf(answer(request('GET', { 'if-none-match': brTag }), coded))
  t.strictSame(known, { 'Last-Modified': MODIFIED, ETag: brTag, Vary: 'Accept-Encoding' }, '304')
  t.match(headersOf(answer(request('GET', { range: 'bytes=5-6' }), coded)), { 'Content-Encoding': 'br' }, '206')
  t.match(headersOf(answer(request('GET', { range: 'bytes=5000-' }), coded)), { Vary: 'Accept-Encoding' }, '416')
  const aged = { freshness: { seconds: 60, fromMs: null, immutable: false } }
  const fields = { Expires: 'Sat, 21 Nov 2026 00:01:00 GMT', 'Cache-Control': 'max-age=60' }
  t.match(headersOf(answer(request('GET'), aged)), fields)
  t.match(headersOf(answer(request('GET', { 'if-none-match': '*' }), aged)), fields, '304')
})

t.test('several ranges are a multipart answer of the length that it says', async t => {
  const made = answer(request('GET', { range: 'bytes=-1,0-4' }))
  t.equal(headersOf(made)['Content-Type'], 'multipart/byteranges; boundary=MARK')
  t.equal(headersOf(made)['Content-Length'], String(bodyBytesOf(made)))
  const text = made.body.map(part => `${part.text}<${part.start}+${part.bytes}>`).join('')
  const head = (range: string) =>
    `\r\n--MARK\r\nContent-Type: ${FILE.contentType}\r\nContent-Range: bytes ${range}/1000`
  t.equal(text, `${head('999-999')}\r\n\r\n<999+1>${head('0-4')}\r\n\r\n<0+5>\r\n--MARK--\r\n<0+0>`)
})
