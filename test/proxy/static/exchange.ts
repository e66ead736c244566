/** Files through a whole proxy: what a client gets, where the application stands behind, slow readers, files that change. */

import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { request, requestWithBody } from '../fixtures/raw-client.js'
import { type Rig, withRig } from '../fixtures/rig.js'
import { waitingBytes } from '../fixtures/waiting-bytes.js'

const BIG = randomBytes(30_000_000)

const application: RequestListener = (asked, response) => void response.end(`app ${asked.method} ${asked.url}`)

/** A rig with a folder of files mapped to `/files`, looked up for `/` as well if `check` says so. */
async function withFiles(t: Test, check: boolean, use: (rig: Rig, folder: string) => Promise<void>): Promise<void> {
  await withRig(t, { workers: [application] }, async rig => {
    const folder = join(rig.folder, 'www')
    mkdirSync(join(folder, 'sub'), { recursive: true })
    writeFileSync(join(folder, 'small.txt'), 'small')
    writeFileSync(join(folder, 'big'), BIG)
    writeFileSync(join(folder, 'index.html'), '<p>index')
    writeFileSync(join(folder, '.secret'), 'secret')
    symlinkSync('/etc/passwd', join(folder, 'out'))
    rig.lifecycle.apply({
      ...rig.settings,
      checkStatic: check ? [folder] : [],
      routes: [
        { kind: 'static', prefix: '/files', folder },
        { kind: 'app', prefix: check ? '/' : '/api' },
      ],
    })
    await use(rig, folder)
  })
}

t.test('what a client gets', async t => {
  const cases: [title: string, text: string, status: number, body: string | null][] = [
    ['a file', request('GET', '/files/small.txt'), 200, 'small'],
    ['HEAD', request('HEAD', '/files/small.txt'), 200, null],
    ['a range', request('GET', '/files/small.txt', ['Range: bytes=1-3']), 206, 'mal'],
    [
      'a range behind the end',
      request('GET', '/files/small.txt', ['Range: bytes=9-']),
      416,
      '416 Range Not Satisfiable: the file has no bytes in this range\n',
    ],
    ['a folder with an index', request('GET', '/files/'), 200, '<p>index'],
    ['a folder without its slash', request('GET', '/files'), 301, null],
    ['a folder below, without an index', request('GET', '/files/sub'), 404, null],
    ['nothing', request('GET', '/files/none'), 404, '404 Not Found: nothing is here\n'],
    ['a dot file', request('GET', '/files/.secret'), 404, null],
    ['out by ..', request('GET', '/files/../../etc/passwd'), 400, null],
    ['out by encoded dots', request('GET', '/files/%2e%2e/%2e%2e/etc/passwd'), 400, null],
    ['out by a link', request('GET', '/files/out'), 403, null],
    ['POST', requestWithBody('POST', '/files/small.txt', 'body'), 405, null],
    [
      'POST of more than is read to its end',
      requestWithBody('POST', '/files/small.txt', 'x'.repeat(100_000)),
      405,
      null,
    ],
  ]
  await withFiles(t, false, async rig => {
    for (const [title, text, status, body] of cases) {
      const client = await rig.client()
      client.send(text)
      const answer = await client.answer(text.startsWith('HEAD'))
      if (title === 'out by a link') t.ok([403, 404].includes(answer.status), title)
      else t.equal(answer.status, status, title)
      t.equal(answer.whole, true, title)
      t.notMatch(answer.body.toString(), /root:|secret/, title)
      if (body !== null) t.equal(answer.body.toString(), body, title)
      client.socket.destroy()
    }
    await rig.expectLines(cases.length)
    t.same(
      rig.log.entries.filter(({ slot, attempts }) => slot !== 0 || attempts !== 0),
      [],
      'no worker was asked',
    )
  })
})

t.test('conditions', async t => {
  await withFiles(t, false, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/files/small.txt'))
    const { fields } = await client.answer()
    const cases: [field: string, status: number][] = [
      [`If-None-Match: ${fields.etag}`, 304],
      ['If-None-Match: "other"', 200],
      [`If-Modified-Since: ${fields['last-modified']}`, 304],
      ['If-Match: "other"', 412],
    ]
    for (const [field, status] of cases) {
      client.send(request('GET', '/files/small.txt', [field]))
      t.equal((await client.answer()).status, status, field)
    }
    await rig.expectLines(cases.length + 1)
  })
})

t.test('errors have the page of their status, and what their head has to say', async t => {
  const post = requestWithBody('POST', '/files/small.txt', 'body')
  const cases: [title: string, text: string, status: number, field: [name: string, value: string] | null][] = [
    ['another method', post, 405, ['allow', 'GET, HEAD']],
    ['another method, for the mount', post.replace('/small.txt', ''), 405, ['allow', 'GET, HEAD']],
    ['a condition', request('GET', '/files/small.txt', ['If-Match: "other"']), 412, null],
    ['a range', request('GET', '/files/small.txt', ['Range: bytes=9-']), 416, ['content-range', 'bytes */5']],
    ['a range of a large file', request('GET', '/files/big', ['Range: bytes=30000000-']), 416, null],
    ['HEAD', request('HEAD', '/files/small.txt', ['If-Match: "other"']), 412, null],
  ]
  await withFiles(t, false, async (rig, folder) => {
    const page = { statuses: [405, 412, 416], file: '/srv/e.html', text: '<p>page' }
    rig.lifecycle.apply({
      ...rig.settings,
      routes: [{ kind: 'static', prefix: '/files', folder }],
      errorPage: [page],
    })
    const client = await rig.client()
    for (const [title, text, status, field] of cases) {
      client.send(text)
      const answer = await client.answer(text.startsWith('HEAD'))
      t.match(
        { ...answer, body: answer.body.toString() },
        { status, body: text.startsWith('HEAD') ? '' : '<p>page' },
        title,
      )
      t.equal(answer.fields['content-length'], '7', `${title}: of the page`)
      t.equal(answer.head.match(/^content-length:/gim)?.length, 1, `${title}: one length`)
      if (field !== null) t.equal(answer.fields[field[0]], field[1], title)
    }
    await rig.expectLines(cases.length)
    t.same(
      rig.log.entries.map(({ status }) => status),
      cases.map(([, , status]) => status),
    )
  })
})

t.test('where there is no file the application is asked', async t => {
  const cases: [title: string, text: string, expected: string][] = [
    ['a file', request('GET', '/small.txt'), 'small'],
    ['none', request('GET', '/none?a=b'), 'app GET /none?a=b'],
    ['none in the mapped folder', request('GET', '/files/none'), 'app GET /files/none'],
    ['POST', requestWithBody('POST', '/small.txt', 'body'), 'app POST /small.txt'],
    ['DELETE', request('DELETE', '/none'), 'app DELETE /none'],
    ['GET with a body', requestWithBody('GET', '/none', 'x'.repeat(1000)), 'app GET /none'],
  ]
  await withFiles(t, true, async rig => {
    const client = await rig.client()
    for (const [, text] of cases) client.send(text)
    for (const [title, , expected] of cases) t.equal((await client.answer()).body.toString(), expected, title)
    await rig.expectLines(cases.length)
  })
})

/** As bytes, and percent-encoded. */
const ODD_NAMES: [title: string, name: Buffer, encoded: string][] = [
  ['a backslash', Buffer.from('a\\b.txt'), 'a%5Cb.txt'],
  ['a line feed', Buffer.from('a\nb.txt'), 'a%0Ab.txt'],
  ['DEL and an escape', Buffer.from('\x1b[2J\x7f.txt'), '%1B%5B2J%7F.txt'],
  ['a control character of ISO 8859', Buffer.from('a\x80.txt'), 'a%C2%80.txt'],
  ['ISO 8859-1', Buffer.from('caf\xe9.txt', 'latin1'), 'caf%E9.txt'],
  ['UTF-8 that is cut', Buffer.from('\xc3.txt', 'latin1'), '%C3.txt'],
  ['half a surrogate pair', Buffer.from('\xed\xb3\xa9', 'latin1'), '%ED%B3%A9'],
  ['UTF-8 beside others', Buffer.concat([Buffer.from('😀\\ü'), Buffer.from([0xff])]), '%F0%9F%98%80%5C%C3%BC%FF'],
]

t.test('a file of any name, as nginx serves it', async t => {
  for (const check of [false, true]) {
    await withFiles(t, check, async (rig, folder) => {
      const client = await rig.client()
      const [prefix, none] = check ? ['/', 200] : ['/files/', 404]
      let lines = 0
      const ask = async (target: string) => {
        client.send(request('GET', target))
        lines += 1
        return client.answer()
      }
      for (const [title, name, encoded] of ODD_NAMES) {
        const path = Buffer.concat([Buffer.from(`${folder}/`), name])
        t.equal((await ask(prefix + encoded)).status, none, `${title}: not there yet`)
        writeFileSync(path, title)
        // What was not there is looked for again.
        for (let look = 0; look < 3; look++) {
          const { status, body } = await ask(prefix + encoded)
          t.same([status, body.toString()], [200, title], title)
        }
        const below = Buffer.concat([path, Buffer.from('.d')])
        mkdirSync(below)
        writeFileSync(Buffer.concat([below, Buffer.from('/index.html')]), 'index')
        const { fields } = await ask(`${prefix}${encoded}.d`)
        t.equal(
          new URL(fields.location ?? '', `http://a${prefix}${encoded}.d`).pathname.replace('%5B', '['),
          `${prefix}${encoded}.d/`.replace('%5B', '['),
          `${title}: a folder`,
        )
        t.equal((await ask(`${prefix}${encoded}.d/`)).body.toString(), 'index', `${title}: its index`)
        symlinkSync('/etc/passwd', Buffer.concat([path, Buffer.from('.out')]))
        t.notMatch((await ask(`${prefix}${encoded}.out`)).body.toString(), /root:/, `${title}: no link leads out`)
        symlinkSync(name, Buffer.concat([path, Buffer.from('.in')]))
        t.equal((await ask(`${prefix}${encoded}.in`)).body.toString(), title, `${title}: a link inside`)
      }
      await rig.expectLines(lines)
    })
  }
})

t.test('no name leads out, nor to what is hidden', async t => {
  await withFiles(t, false, async (rig, folder) => {
    writeFileSync(join(folder, '.\\x'), 'secret')
    writeFileSync(join(folder, 'sub', '.\n'), 'secret')
    const targets = [
      ...['..%5C..%5Cetc%5Cpasswd', 'sub%5C..%5C..%5Cx', '.%5Cx', 'sub/.%0A', '%2E%5Cx', 'small.txt%00', 'sub%2F%0A'],
      ...['%FF%2F..%2Fsmall.txt', '%C0%AE%C0%AE/x', '%C0%AF', 'sub/%2E%2E%5C%FF', 'small.txt%5C', 'sub%5Csmall.txt'],
    ]
    const client = await rig.client()
    for (const target of targets) {
      client.send(request('GET', `/files/${target}`))
      const { status, body } = await client.answer()
      t.ok(status === 400 || status === 404, `${target}: ${status}`)
      t.notMatch(body.toString(), /secret|small|root:/, target)
    }
    await rig.expectLines(targets.length)
  })
})

t.test('a big file to a slow reader, and the next request behind it', async t => {
  await withFiles(t, false, async rig => {
    const client = await rig.client()
    client.socket.pause()
    client.send(request('GET', '/files/big') + request('GET', '/files/small.txt'))
    let held = 0
    while (held === 0) {
      await new Promise(resolve => setImmediate(resolve))
      for (const socket of rig.sockets) held = Math.max(held, waitingBytes(socket))
    }
    t.ok(held <= 512 * 1024, `${held} bytes held`)
    client.socket.resume()
    const answer = await client.answer()
    t.equal(createHash('sha1').update(answer.body).digest('hex'), createHash('sha1').update(BIG).digest('hex'))
    t.equal((await client.answer()).body.toString(), 'small')
    await rig.expectLines(2)
  })
})

t.test('a file that is cut while it is sent: the client sees that it is not whole', async t => {
  await withFiles(t, false, async (rig, folder) => {
    const client = await rig.client()
    client.socket.pause()
    client.send(request('GET', '/files/big'))
    let held = 0
    while (held === 0) {
      await new Promise(resolve => setImmediate(resolve))
      for (const socket of rig.sockets) held = Math.max(held, waitingBytes(socket))
    }
    truncateSync(join(folder, 'big'), 1000)
    client.socket.resume()
    t.match(await client.answer(), { status: 200, whole: false })
    await rig.expectLines(1)
  })
})

t.test('a client that goes away in the middle of a file', async t => {
  await withFiles(t, false, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/files/big'))
    await client.bytes()
    client.socket.resetAndDestroy()
    await rig.expectLines(1)
    t.match(rig.log.entries, [{ status: 200 }])
    t.ok(
      (rig.log.entries[0]?.sentBytes ?? BIG.length) < BIG.length,
      `${rig.log.entries[0]?.sentBytes} bytes in the log`,
    )
  })
})
