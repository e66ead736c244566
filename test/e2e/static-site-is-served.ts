/** A folder is served as a site: whole files, parts, conditions, and never anything that is not below the folder. */

import { mkdirSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { ask, runProgram, sendBytes } from './fixtures/asking.js'
import { until, WatchedSite } from './fixtures/watched-site.js'

const site = new WatchedSite(t, ['mount = /api', 'static-map = /=%dpublic', 'static-map = /static=%dassets'])
const secret = 'never-to-be-seen'
const page = '<!doctype html>\n<title>rice</title>\n'
const letters = 'abcdefghijklmnopqrstuvwxyz'.repeat(4000)

for (const folder of ['public/below', 'public/.git', 'assets', 'assets-of-others'])
  mkdirSync(site.path(folder), { recursive: true })
for (const [path, text] of Object.entries({
  'public/index.html': page,
  'public/letters.txt': letters,
  'public/with space.txt': 'space',
  'public/below/index.html': 'below',
  'public/.git/config': secret,
  'public/.env': secret,
  'assets/app.js': 'export {}\n',
  'assets-of-others/app.js': secret,
  'secret.txt': secret,
})) {
  writeFileSync(site.path(path), text)
}
symlinkSync(site.path('secret.txt'), site.path('public/out.txt'))
symlinkSync(site.folder, site.path('public/up'))
symlinkSync('letters.txt', site.path('public/alias.txt'))
const fifo = await runProgram('mkfifo', [site.path('public/fifo')])
const running = await site.serve()

const whole: [title: string, path: string, expected: { status: number; type: RegExp; body: string }][] = [
  ['the index', '/', { status: 200, type: /^text\/html/, body: page }],
  ['a query is not part of the name', '/index.html?v=1', { status: 200, type: /^text\/html/, body: page }],
  ['a large file', '/letters.txt', { status: 200, type: /^text\/plain/, body: letters }],
  ['an encoded name', '/with%20space.txt', { status: 200, type: /^text\/plain/, body: 'space' }],
  ['a folder below', '/below/', { status: 200, type: /^text\/html/, body: 'below' }],
  ['a link that stays inside', '/alias.txt', { status: 200, type: /^text\/plain/, body: letters }],
  ['the longest mount wins', '/static/app.js', { status: 200, type: /javascript/, body: 'export {}\n' }],
]
for (const [title, path, { status, type, body }] of whole) {
  t.test(`GET ${path}: ${title}`, async t => {
    const answer = await ask(running.url, path)
    t.match(answer.headers, {
      'content-type': type,
      'content-length': String(Buffer.byteLength(body)),
      etag: /^(W\/)?".+"$/,
    })
    t.same([answer.status, answer.body === body], [status, true])
    const head = await ask(running.url, path, { method: 'HEAD' })
    const { date: _, ...fields } = answer.headers
    t.match(head, { status, body: '', headers: fields }, 'HEAD is the same without the body')
  })
}

t.test('conditions', async t => {
  const { headers } = await ask(running.url, '/letters.txt')
  const etag = headers.etag ?? ''
  const modified = headers['last-modified'] ?? ''
  t.equal(Date.parse(modified), Math.floor(statSync(site.path('public/letters.txt')).mtimeMs / 1000) * 1000)
  const cases: [title: string, headers: Record<string, string>, status: number][] = [
    ['its ETag', { 'if-none-match': etag }, 304],
    ['one of several', { 'if-none-match': `"other", ${etag}` }, 304],
    ['another ETag', { 'if-none-match': '"other"' }, 200],
    ['not modified since', { 'if-modified-since': modified }, 304],
    ['modified since', { 'if-modified-since': 'Sat, 01 Jan 2000 00:00:00 GMT' }, 200],
    ['no date', { 'if-modified-since': 'yesterday' }, 200],
    ['must match and does not', { 'if-match': '"other"' }, 412],
  ]
  for (const [title, headers, status] of cases) {
    const answer = await ask(running.url, '/letters.txt', { headers })
    t.equal(answer.status, status, title)
    if (status === 304) t.match(answer, { body: '', headers: { etag } }, `${title}: no body`)
  }
})

t.test('ranges', async t => {
  const size = letters.length
  const cases: [range: string, status: number, expected: { range?: string; body?: string }][] = [
    ['bytes=0-4', 206, { range: `bytes 0-4/${size}`, body: 'abcde' }],
    ['bytes=26-27', 206, { range: `bytes 26-27/${size}`, body: 'ab' }],
    [`bytes=${size - 2}-`, 206, { range: `bytes ${size - 2}-${size - 1}/${size}`, body: 'yz' }],
    ['bytes=-3', 206, { range: `bytes ${size - 3}-${size - 1}/${size}`, body: 'xyz' }],
    [`bytes=${size}-`, 416, { range: `bytes */${size}` }],
    ['lines=1-2', 200, { body: letters }],
    ['bytes=2-1', 200, { body: letters }],
  ]
  for (const [range, status, { range: contentRange, body }] of cases) {
    const answer = await ask(running.url, '/letters.txt', { headers: { range } })
    t.same([answer.status, answer.headers['content-range']], [status, contentRange], range)
    if (body !== undefined) t.ok(answer.body === body, `${range}: the bytes`)
  }
})

const attacks: [title: string, target: string][] = [
  ['dots', '/../secret.txt'],
  ['dots further in', '/below/../../secret.txt'],
  ['encoded dots', '/%2e%2e/secret.txt'],
  ['an encoded slash', '/..%2fsecret.txt'],
  ['an encoded slash behind a folder', '/below%2f..%2f..%2fsecret.txt'],
  ['a backslash', '/..\\secret.txt'],
  ['an encoded backslash', '/..%5csecret.txt'],
  ['encoded twice', '/%252e%252e%252fsecret.txt'],
  ['overlong UTF-8', '/%c0%ae%c0%ae%c0%afsecret.txt'],
  ['NUL', '/secret.txt%00.html'],
  ['two slashes', '//../secret.txt'],
  ['an absolute path', `/${site.path('secret.txt')}`],
  ['a mount that is only a prefix', '/static../assets-of-others/app.js'],
  ['a neighbour of a mount', '/static-of-others/app.js'],
  ['dots behind a mount', '/static/../../secret.txt'],
  ['a dotfile', '/.env'],
  ['a folder that is a dotfile', '/.git/config'],
  ['an encoded dotfile', '/%2eenv'],
  ['a link out', '/out.txt'],
  ['a folder link out', '/up/secret.txt'],
  ['a FIFO', '/fifo'],
  ['nothing', '/nothing.txt'],
  ['a file as a folder', '/letters.txt/'],
]
t.test('nothing else is served, and no attempt hangs', async t => {
  t.equal(fifo.code, 0, 'there is a FIFO')
  for (const [title, target] of attacks) {
    const answer = await sendBytes(running.url, `GET ${target} HTTP/1.1\r\nHost: farm\r\nConnection: close\r\n\r\n`)
    t.match(answer, /^HTTP\/1\.1 (400|403|404) /, `${title}: ${target}`)
    t.notMatch(answer, secret, `${title}: not a byte of it`)
    t.notMatch(answer, site.folder, `${title}: nor where it lies`)
  }
})

t.test('a folder without its slash', async t => {
  for (const path of ['/below', '/below?rice=1']) {
    const { status, headers } = await ask(running.url, path)
    t.equal(status, 301, path)
    t.equal(
      new URL(headers.location ?? '', running.url + path).href,
      `${running.url}${path.replace('below', 'below/')}`,
      path,
    )
  }
})

t.test('other methods', async t => {
  for (const method of ['POST', 'PUT', 'DELETE']) {
    t.match(await ask(running.url, '/letters.txt', { method }), { status: 405, headers: { allow: /GET/ } }, method)
  }
})

t.test('a new file is there, a changed one is new, a removed one is gone', async t => {
  t.match(await ask(running.url, '/late.txt'), { status: 404 })
  writeFileSync(site.path('public/late.txt'), 'one')
  t.match(await ask(running.url, '/late.txt'), { status: 200, body: 'one' })
  writeFileSync(site.path('public/late.txt'), 'changed')
  await until('the changed one', async () => (await ask(running.url, '/late.txt')).body === 'changed')
  unlinkSync(site.path('public/late.txt'))
  await until('it is gone', async () => (await ask(running.url, '/late.txt')).status === 404)
})

t.test('a site needs no application', async t => {
  const lines = ['http = 127.0.0.1:0', 'metrics = false', 'run-dir = %drun-alone', 'static-map = /=%dpublic']
  writeFileSync(site.path('alone.ini'), `[uwsgi]\n${lines.join('\n')}\n`)
  const alone = site.spawn('alone.ini')
  await alone.seen(/^ {2}stop /m)
  const [, url = ''] = /^ {2}serving +(\S+)$/m.exec(alone.out()) ?? []
  t.match(alone.out(), /^ {2}workers +none \(static files only\)/m)
  t.match(await ask(url, '/'), { status: 200, body: page })
  t.match(await site.end(alone), { code: 0 })
})

t.test('it stops', async t => t.match(await site.end(running), { code: 0 }))
