/** Status and head for files: what is servable, methods, conditions, ranges, folders. */

import fs from 'node:fs'
import t from 'tap'
import type { FileVersion } from '../../proxy/entity-tag.js'
import {
  answerForDirectory,
  answerForFile,
  isServable,
  openStatic,
  type StaticAnswer,
  type StaticRequest,
} from '../../proxy/static-files.js'

const NOW_MS = Date.UTC(2026, 10, 21)
const MODIFIED = 'Thu, 02 Jan 2020 03:04:05 GMT'
const VERSION: FileVersion = { sizeBytes: 1000, modifiedNs: BigInt(Date.parse(MODIFIED)) * 1_000_000n + 5n, inode: 7n }

function request(method: string, headers: Record<string, string> = {}, query?: string): StaticRequest {
  return { method, header: name => headers[name], ...(query === undefined ? {} : { query }) }
}

function headersOf(answer: StaticAnswer | null): Record<string, string> {
  return Object.fromEntries(answer?.headers ?? [])
}

const TAG = headersOf(answerForFile('/a', VERSION, request('GET'), NOW_MS)).ETag ?? ''

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
    ['two ranges', request('GET', { range: 'bytes=0-1,5-6' }), full],
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
    const answer = answerForFile('/a.html', VERSION, asked, NOW_MS)
    const headers = headersOf(answer)
    const { bodyBytes, start } = answer
    t.strictSame(
      [String(answer.status), headers['Content-Length'], headers['Content-Range'], bodyBytes, start],
      expected,
      title,
    )
    t.equal(Object.keys(headers).length, answer.headers.length, `${title}: no header twice`)
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
    t.strictSame(headersOf(answerForFile('/a.html', VERSION, asked, NOW_MS)), expected, title)
  }
  const future = { ...VERSION, modifiedNs: BigInt(NOW_MS + 86_400_000) * 1_000_000n }
  const answer = answerForFile('/a', future, request('GET'), NOW_MS)
  t.equal(headersOf(answer)['Last-Modified'], 'Sat, 21 Nov 2026 00:00:00 GMT', 'a time in the future is now')
})

t.test('names the type by the extension', async t => {
  const cases: [path: string, expected: string][] = [
    ['/', 'text/html; charset=utf-8'],
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
    t.equal(headersOf(answerForFile(path, VERSION, request('GET'), NOW_MS))['Content-Type'], expected, path)
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
    const answer = answerForDirectory(path, request('GET', {}, query))
    t.equal(answer.status, 301)
    t.equal(headersOf(answer).Location, location, JSON.stringify(path))
    const base = `http://here/m${path.slice(0, path.lastIndexOf('/') + 1)}x`
    t.equal(new URL(location, base).href, resolved, `${JSON.stringify(path)}, as a browser resolves it`)
  }
  t.equal(answerForDirectory('/a', request('POST')).status, 405)
})

t.test('looks into a folder', async t => {
  const folder = t.testdir({
    'index.html': 'top',
    'a.txt': 'hello',
    empty: '',
    '.env': 'secret',
    '.well-known': { token: 'token' },
    'with-index': { 'index.html': 'inner' },
    'without-index': { 'b.txt': 'b' },
    'odd-index': { 'index.html': { 'c.txt': 'c' } },
  })
  const cases: [title: string, path: string, request: StaticRequest, status: number | null, body: string | null][] = [
    ['file', '/a.txt', request('GET'), 200, 'hello'],
    ['part', '/a.txt', request('GET', { range: 'bytes=1-3' }), 206, 'ell'],
    ['HEAD', '/a.txt', request('HEAD'), 200, null],
    ['empty file', '/empty', request('GET'), 200, null],
    ['index of the top', '/', request('GET'), 200, 'top'],
    ['index of a folder', '/with-index/', request('GET'), 200, 'inner'],
    ['folder without slash', '/with-index', request('GET'), 301, null],
    ['folder without slash, POST', '/with-index', request('POST'), 405, null],
    ['well-known', '/.well-known/token', request('GET'), 200, 'token'],
    ['POST', '/a.txt', request('POST'), 405, null],
    ['POST to nothing', '/nothing', request('POST'), null, null],
    ['folder without index', '/without-index/', request('GET'), null, null],
    ['the same without slash', '/without-index', request('GET'), null, null],
    ['index that is a folder', '/odd-index/', request('GET'), null, null],
    ['the same without slash', '/odd-index', request('GET'), null, null],
    ['file as a folder', '/a.txt/', request('GET'), null, null],
    ['nothing', '/nothing', request('GET'), null, null],
    ['dotfile', '/.env', request('GET'), null, null],
    ['parent', '/../a', request('GET'), null, null],
    ['NUL', '/a.txt\0', request('GET'), null, null],
  ]
  for (const [title, path, asked, status, body] of cases) {
    const answer = await openStatic(folder, path, asked)
    t.equal(answer?.status ?? null, status, title)
    t.equal(answer === null ? null : await bodyOf(answer), body, `${title}: body`)
  }
})

t.test('the tag of a file that is given back is not modified, until the file changes', async t => {
  const folder = t.testdir({ a: 'one' })
  const first = await openStatic(folder, '/a', request('HEAD'))
  const known = { 'if-none-match': headersOf(first).ETag ?? '' }
  t.equal((await openStatic(folder, '/a', request('GET', known)))?.status, 304)
  fs.writeFileSync(`${folder}/b`, 'two')
  fs.renameSync(`${folder}/b`, `${folder}/a`)
  const changed = await openStatic(folder, '/a', request('GET', known))
  t.equal(changed?.status, 200)
  t.equal(changed === null ? null : await bodyOf(changed), 'two')
})

/** Reads and closes; null where there is no file. */
async function bodyOf(answer: StaticAnswer): Promise<string | null> {
  const { file, start, bodyBytes } = answer
  if (file === null) return null
  const buffer = Buffer.alloc(bodyBytes)
  await new Promise<void>((resolve, reject) => {
    file.read(buffer, 0, bodyBytes, start, error => (error === null ? resolve() : reject(error)))
  })
  file.close()
  return buffer.toString()
}
