/** X-Accel-Redirect and X-Sendfile through a whole proxy: what is sent, what never is, and what of the application's answer goes with it. */

import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { request, requestWithBody } from '../fixtures/raw-client.js'
import { type Rig, withRig } from '../fixtures/rig.js'
import { waitingBytes } from '../fixtures/waiting-bytes.js'

const BIG = Buffer.alloc(5_000_000, 'big file ')

/** The application answers with the fields that the request's `X-Say` asks for, and a body that nobody may see. */
const application: RequestListener = (asked, response) => {
  const fields = JSON.parse(String(asked.headers['x-say'])) as Record<string, string | string[]>
  response.writeHead(asked.url === '/500' ? 500 : 200, fields)
  response.end(asked.url === '/long' ? 'hidden '.repeat(100_000) : 'hidden')
}

function say(fields: Record<string, string | string[]>, method = 'GET', target = '/', more: string[] = []): string {
  return request(method, target, [`X-Say: ${JSON.stringify(fields)}`, ...more])
}

async function withFiles(t: Test, use: (rig: Rig, folder: string) => Promise<void>): Promise<void> {
  await withRig(t, { workers: [application] }, async rig => {
    const folder = join(rig.folder, 'files')
    mkdirSync(join(folder, 'sub', 'deep'), { recursive: true })
    writeFileSync(join(rig.folder, 'secret.txt'), 'secret')
    writeFileSync(join(folder, 'a.txt'), 'file a')
    writeFileSync(join(folder, 'näme with space.txt'), 'umlaut')
    writeFileSync(join(folder, '.hidden'), 'secret')
    writeFileSync(join(folder, 'sub', 'index.html'), 'index')
    writeFileSync(join(folder, 'sub', 'deep', 'b.json'), '{}'.repeat(1000))
    writeFileSync(join(folder, 'big'), BIG)
    symlinkSync(join(rig.folder, 'secret.txt'), join(folder, 'out'))
    symlinkSync(rig.folder, join(folder, 'up'))
    symlinkSync(join(folder, 'a.txt'), join(folder, 'in'))
    rig.lifecycle.apply({
      ...rig.settings,
      httpAutoGzip: true,
      gzipTypes: ['application/json'],
      gzipMinLengthBytes: 100,
      fileRoots: {
        internal: [
          { prefix: '/protected', folder },
          { prefix: '/protected/sub', folder: join(folder, 'sub', 'deep') },
        ],
        sendfile: [{ prefix: folder, folder }],
      },
    })
    await use(rig, folder)
  })
}

t.test('what is sent, and what never is', async t => {
  await withFiles(t, async (rig, folder) => {
    const accel = (value: string) => ({ 'X-Accel-Redirect': value })
    const sendfile = (value: string) => ({ 'X-Sendfile': value })
    const cases: [title: string, text: string, status: number, body: string | null][] = [
      ['X-Accel-Redirect', say(accel('/protected/a.txt')), 200, 'file a'],
      ['X-Sendfile', say(sendfile(`${folder}/a.txt`)), 200, 'file a'],
      ['in small letters', say({ 'x-accel-redirect': '/protected/a.txt' }), 200, 'file a'],
      ['the longest prefix', say(accel('/protected/sub/b.json')), 200, '{}'.repeat(1000)],
      ['encoded', say(accel('/protected/n%c3%a4me%20with%20space.txt')), 200, 'umlaut'],
      ['with a query', say(accel('/protected/a.txt?x=1')), 200, 'file a'],
      ['X-Sendfile encoded', say(sendfile(`${folder}/n%C3%A4me%20with space.txt`)), 200, 'umlaut'],
      ['both', say({ ...accel('/protected/a.txt'), ...sendfile('/etc/passwd') }), 200, 'file a'],
      ['a link inside', say(accel('/protected/in')), 200, 'file a'],
      ['a status that is not its own', say(accel('/protected/a.txt'), 'GET', '/500'), 200, 'file a'],
      ['a long body', say(accel('/protected/a.txt'), 'GET', '/long'), 200, 'file a'],
      ['a range', say(accel('/protected/a.txt'), 'GET', '/', ['Range: bytes=5-']), 206, 'a'],
      ['a range behind the end', say(accel('/protected/a.txt'), 'GET', '/', ['Range: bytes=99-']), 416, null],
      ['a condition', say(accel('/protected/a.txt'), 'GET', '/', ['If-Match: "x"']), 412, null],
      ['several ranges', say(accel('/protected/big'), 'GET', '/', ['Range: bytes=0-1,900000-900001']), 206, null],
      ['HEAD', say(accel('/protected/a.txt'), 'HEAD'), 200, ''],
      [
        'POST',
        requestWithBody('POST', '/', 'x', [`X-Say: ${JSON.stringify(accel('/protected/a.txt'))}`]),
        200,
        'file a',
      ],
      ['a large file', say(accel('/protected/big')), 200, BIG.toString()],
      ['no such file', say(accel('/protected/none')), 404, null],
      ['another prefix', say(accel('/protectedx/a.txt')), 404, null],
      ['no prefix', say(accel('/a.txt')), 404, null],
      ['not a path', say(accel('protected/a.txt')), 404, null],
      ['a named location', say(accel('@fallback')), 404, null],
      ['an absolute URL', say(accel('http://other/protected/a.txt')), 404, null],
      ['nothing', say(accel('')), 404, null],
      ['two of them', say({ 'X-Accel-Redirect': ['/protected/a.txt', '/protected/a.txt'] }), 404, null],
      ['up', say(accel('/protected/../secret.txt')), 404, null],
      ['up and back', say(accel('/protected/sub/../../secret.txt')), 404, null],
      ['up, encoded', say(accel('/protected/%2e%2e/secret.txt')), 404, null],
      ['up, encoded twice', say(accel('/protected/%252e%252e/secret.txt')), 404, null],
      ['an encoded slash', say(accel('/protected/..%2fsecret.txt')), 404, null],
      ['a backslash', say(accel('/protected/..\\secret.txt')), 404, null],
      ['NUL', say(accel('/protected/a.txt%00.png')), 404, null],
      ['overlong UTF-8', say(accel('/protected/%c0%ae%c0%ae/secret.txt')), 404, null],
      ['a link out', say(accel('/protected/out')), 404, null],
      ['a linked folder', say(accel('/protected/up/secret.txt')), 404, null],
      ['a dot file', say(accel('/protected/.hidden')), 404, null],
      ['a folder', say(accel('/protected/sub')), 404, null],
      ['a folder with an index', say(accel('/protected/sub/')), 404, null],
      ['X-Sendfile outside', say(sendfile('/etc/passwd')), 404, null],
      ['X-Sendfile beside', say(sendfile(`${folder}x/a.txt`)), 404, null],
      ['X-Sendfile up', say(sendfile(`${folder}/../secret.txt`)), 404, null],
      ['X-Sendfile up, encoded', say(sendfile(`${folder}/%2e%2e/secret.txt`)), 404, null],
      ['X-Sendfile relative', say(sendfile('a.txt')), 404, null],
      ['X-Sendfile by a link', say(sendfile(`${folder}/out`)), 404, null],
      ['X-Sendfile of the root', say(sendfile(folder)), 404, null],
    ]
    const client = await rig.client()
    for (const [title, text, status, body] of cases) {
      const events = rig.events.length
      client.send(text)
      const answer = await client.answer(text.startsWith('HEAD'))
      t.equal(answer.status, status, title)
      t.equal(answer.whole, true, title)
      t.notMatch(answer.head, /x-accel|x-sendfile/i, `${title}: the field itself goes nowhere`)
      t.notMatch(answer.body.subarray(0, 1000).toString(), /hidden|secret|root:/, title)
      if (body !== null) t.ok(answer.body.equals(Buffer.from(body)), `${title}: the body`)
      t.equal(rig.events.length - events, status === 404 ? 1 : 0, `${title}: an event`)
    }
    t.match(rig.events[0], {
      name: 'named-file-refused',
      fields: { file: '/protected/none', why: 'there is no such file' },
    })
    await rig.expectLines(cases.length)
    const logged = rig.log.entries.map(({ status }) => status)
    t.same(
      logged,
      cases.map(([, , status]) => status),
      'the log has what was sent',
    )
  })
})

t.test('what of the application goes with the file', async t => {
  await withFiles(t, async rig => {
    const client = await rig.client()
    const own = {
      'X-Accel-Redirect': '/protected/a.txt',
      'X-Accel-Buffering': 'no',
      'Content-Type': 'application/x-own',
      'Content-Disposition': 'attachment; filename="b"',
      'Content-Encoding': 'gzip',
      'Content-Length': '6',
      'Cache-Control': 'private',
      'Set-Cookie': ['a=1', 'b=2'],
      ETag: '"own"',
      'Last-Modified': 'Thu, 01 Jan 1970 00:00:00 GMT',
      'X-Other': 'kept',
    }
    client.send(say(own))
    const answer = await client.answer()
    t.match(answer.fields, {
      'content-type': 'application/x-own',
      'content-disposition': 'attachment; filename="b"',
      'content-length': '6',
      'content-encoding': undefined,
      'cache-control': 'private',
      'accept-ranges': 'bytes',
      'x-other': 'kept',
    })
    t.match(answer.head, /Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n/)
    for (const name of ['Content-Type', 'Content-Length', 'ETag', 'Last-Modified', 'Date', 'Connection']) {
      t.equal(answer.head.match(new RegExp(`^${name}:`, 'gim'))?.length, 1, `one ${name}`)
    }
    t.not(answer.fields.etag, '"own"', 'the validators are the file’s')
    const condition = [`If-None-Match: ${answer.fields.etag}`]
    client.send(say(own, 'GET', '/', condition))
    t.match(await client.answer(), { status: 304, fields: { 'cache-control': 'private', 'content-type': undefined } })
    client.send(say({ ...own, 'X-Accel-Redirect': '/protected/big' }, 'GET', '/', ['Range: bytes=0-1,900000-900001']))
    const parts = await client.answer()
    t.match(parts.fields['content-type'], /^multipart\/byteranges; boundary=/)
    t.equal(
      parts.body.toString().match(/^Content-Type: application\/x-own\r$/gm)?.length,
      2,
      'in each of several ranges',
    )
    client.send(say({ 'X-Accel-Redirect': '/protected/a.txt' }))
    t.equal((await client.answer()).fields['content-type'], 'text/plain; charset=utf-8', 'without a type of its own')
    client.send(say({ 'X-Accel-Redirect': '/protected/a.txt', Connection: 'close' }))
    t.equal((await client.answer()).fields.connection, 'close')
    t.equal(await client.closed, false, 'and the connection ends as the application wanted')
    await rig.expectLines(5)
  })
})

t.test('a file is compressed as an answer would be', async t => {
  await withFiles(t, async rig => {
    const client = await rig.client()
    const fields = { 'X-Accel-Redirect': '/protected/sub/b.json' }
    client.send(say(fields, 'GET', '/', ['Accept-Encoding: gzip']))
    const answer = await client.answer()
    t.match(answer.fields, { 'content-encoding': 'gzip', etag: /^W\// })
    t.equal(gunzipSync(answer.body).toString(), '{}'.repeat(1000))
    client.send(say(fields, 'GET', '/', ['Accept-Encoding: gzip', 'Range: bytes=0-1']))
    t.match(await client.answer(), { status: 206, body: Buffer.from('{}'), fields: { 'content-encoding': undefined } })
    await rig.expectLines(2)
  })
})

t.test('a file that becomes shorter while it is sent has no end', async t => {
  await withFiles(t, async (rig, folder) => {
    const path = join(folder, 'shrinks')
    writeFileSync(path, Buffer.alloc(30_000_000))
    const client = await rig.client()
    client.socket.pause()
    client.send(say({ 'X-Accel-Redirect': '/protected/shrinks' }))
    while (rig.lifecycle.workers.dispatcher.loads()[0]?.inFlight !== 0 || waitingBytes([...rig.sockets][0]) === 0) {
      await new Promise(resolve => setImmediate(resolve))
    }
    truncateSync(path, 1000)
    client.socket.resume()
    t.equal((await client.answer()).whole, false)
    await client.closed
    await rig.expectLines(1)
  })
})

t.test('without roots nothing is sent', async t => {
  await withRig(t, { workers: [application] }, async rig => {
    const client = await rig.client()
    client.send(say({ 'X-Accel-Redirect': '/etc/passwd' }))
    t.match(await client.answer(), { status: 404, body: Buffer.from('404 Not Found: nothing is here\n') })
    client.send(say({ 'X-Sendfile': '/etc/passwd' }))
    t.match(await client.answer(), { status: 404, head: /^(?![\s\S]*sendfile)/i })
    await rig.expectLines(2)
  })
})
