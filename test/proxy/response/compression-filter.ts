/** Compression of whole answers: what is compressed for whom, slow clients, streams, and answers that end too early. */

import { randomBytes } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { brotliDecompressSync, constants, gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { type RawAnswer, request } from '../fixtures/raw-client.js'
import { type Rig, withRig } from '../fixtures/rig.js'
import { signal } from '../fixtures/signal.js'

const COMPRESSION = {
  httpAutoBr: true,
  httpAutoGzip: true,
  gzipTypes: ['text/html', 'text/event-stream', 'application/json'],
  gzipMinLengthBytes: 1000,
  gzipStreams: 8,
}
const PAGE = '<p>Once more unto the breach, dear friends, once more.</p>\n'.repeat(200)
const GZIP = ['Accept-Encoding: gzip']

function withCompression(t: Test, application: RequestListener, use: (rig: Rig) => Promise<void>, gzipStreams = 8) {
  return withRig(t, { settings: { ...COMPRESSION, gzipStreams }, workers: [application] }, use)
}

/** An application that answers with PAGE, its status and fields as the case says. */
function page(fields: Record<string, string | string[]> = {}, status = 200): RequestListener {
  return (_, response) => {
    response.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8', ...fields })
    response.end(PAGE)
  }
}

const sized = { 'Content-Length': String(PAGE.length) }

function decoded(answer: RawAnswer): string {
  const coding = answer.fields['content-encoding']
  if (coding === 'gzip') return gunzipSync(answer.body).toString()
  return coding === 'br' ? brotliDecompressSync(answer.body).toString() : answer.body.toString()
}

t.test('who gets what', async t => {
  const partial = { ...sized, 'Content-Range': `bytes 0-${PAGE.length - 1}/99999` }
  const cases: [
    title: string,
    application: RequestListener,
    asked: string,
    coding: string | undefined,
    vary: string | undefined,
  ][] = [
    ['gzip', page(), request('GET', '/', GZIP), 'gzip', 'Accept-Encoding'],
    ['gzip of a known length', page(sized), request('GET', '/', GZIP), 'gzip', 'Accept-Encoding'],
    ['brotli before gzip', page(), request('GET', '/', ['Accept-Encoding: gzip, br']), 'br', 'Accept-Encoding'],
    [
      'what it likes better',
      page(),
      request('GET', '/', ['Accept-Encoding: gzip, br;q=0.5']),
      'gzip',
      'Accept-Encoding',
    ],
    ['POST', page(), request('POST', '/', [...GZIP, 'Content-Length: 0']), 'gzip', 'Accept-Encoding'],
    ['an error page', page({}, 404), request('GET', '/', GZIP), 'gzip', 'Accept-Encoding'],
    ['Vary of its own', page({ Vary: 'Cookie' }), request('GET', '/', GZIP), 'gzip', 'Accept-Encoding'],
    ['Vary as needed', page({ Vary: 'accept-encoding' }), request('GET', '/', GZIP), 'gzip', 'accept-encoding'],
    ['a client that does not ask', page(), request('GET', '/'), undefined, 'Accept-Encoding'],
    [
      'a client that refuses',
      page(),
      request('GET', '/', ['Accept-Encoding: gzip;q=0, br;q=0']),
      undefined,
      'Accept-Encoding',
    ],
    ['HTTP/1.0', page(sized), `GET / HTTP/1.0\r\n${GZIP[0]}\r\n\r\n`, undefined, 'Accept-Encoding'],
    ['HEAD', page(sized), request('HEAD', '/', GZIP), 'gzip', 'Accept-Encoding'],
    [
      'no-transform of the client',
      page(),
      request('GET', '/', [...GZIP, 'Cache-Control: no-transform']),
      undefined,
      'Accept-Encoding',
    ],
    [
      'no-transform',
      page({ 'Cache-Control': 'private, no-transform' }),
      request('GET', '/', GZIP),
      undefined,
      undefined,
    ],
    ['coded already', page({ 'Content-Encoding': 'x-own' }), request('GET', '/', GZIP), 'x-own', undefined],
    ['another type', page({ 'Content-Type': 'image/png' }), request('GET', '/', GZIP), undefined, undefined],
    ['a part', page(partial, 206), request('GET', '/', [...GZIP, 'Range: bytes=0-']), undefined, undefined],
    [
      'small',
      (_, response) => void response.setHeader('Content-Type', 'text/html').end('small'),
      request('GET', '/', GZIP),
      undefined,
      undefined,
    ],
    [
      'small, in chunks',
      (_, response) => {
        response.setHeader('Content-Type', 'text/html').write('sma')
        response.end('ll')
      },
      request('GET', '/', GZIP),
      undefined,
      undefined,
    ],
    [
      '204',
      (_, response) => void response.writeHead(204, { 'Content-Type': 'text/html' }).end(),
      request('GET', '/', GZIP),
      undefined,
      undefined,
    ],
    [
      '304',
      (_, response) => void response.writeHead(304, { 'Content-Type': 'text/html' }).end(),
      request('GET', '/', GZIP),
      undefined,
      'Accept-Encoding',
    ],
  ]
  for (const [title, application, asked, coding, vary] of cases) {
    await withCompression(t, application, async rig => {
      const client = await rig.client()
      client.send(asked)
      const answer = await client.answer(asked.startsWith('HEAD'))
      t.equal(answer.fields['content-encoding'], coding, `${title}: coding`)
      t.equal(answer.fields.vary, vary, `${title}: Vary`)
      t.equal(answer.whole, true, title)
      if (coding === 'gzip' || coding === 'br') {
        if (!asked.startsWith('HEAD')) t.equal(decoded(answer), PAGE, `${title}: the body`)
        t.match(answer.fields, { 'content-length': undefined, 'transfer-encoding': 'chunked' }, `${title}: framing`)
      }
      await rig.expectLines(1)
      t.equal(
        rig.log.entries[0]?.sentBytes,
        answer.head.length + framedBytes(answer, asked),
        `${title}: bytes in the log`,
      )
    })
  }
})

t.test('HEAD has the fields that GET has', async t => {
  const tagged = { ...sized, ETag: '"abc"', 'Accept-Ranges': 'bytes' }
  const cases: [title: string, application: RequestListener, fields: string[], coding: string | undefined][] = [
    ['coded', page(tagged), GZIP, 'gzip'],
    ['in the coding that is liked best', page(tagged), ['Accept-Encoding: gzip, br'], 'br'],
    ['an error page', page(tagged, 404), GZIP, 'gzip'],
    ['of no known length', page({ ETag: '"abc"', 'Transfer-Encoding': 'chunked' }), GZIP, 'gzip'],
    ['nobody asks for a coding', page(tagged), [], undefined],
    ['no transformation', page({ ...tagged, 'Cache-Control': 'no-transform' }), GZIP, undefined],
    ['coded already', page({ ...tagged, 'Content-Encoding': 'x-own' }), GZIP, 'x-own'],
    ['another type', page({ ...tagged, 'Content-Type': 'image/png' }), GZIP, undefined],
    ['of a small page', small, GZIP, undefined],
    ['of one that has not changed', page({ ETag: '"abc"' }, 304), [...GZIP, 'If-None-Match: W/"abc"'], undefined],
  ]
  for (const [title, application, fields, coding] of cases) {
    await withCompression(t, application, async rig => {
      const client = await rig.client()
      client.send(request('GET', '/', fields))
      const { Date: _, ...ofGet } = namedFields((await client.answer()).head)
      client.send(request('HEAD', '/', fields))
      const { Date: __, ...ofHead } = namedFields((await client.answer(true)).head)
      t.same(ofHead, ofGet, title)
      t.equal(ofHead['Content-Encoding'], coding, `${title}: coding`)
      client.send(request('HEAD', '/', [...fields, 'Connection: close']))
      t.ok((await client.answer(true)).whole, `${title}: the connection is good`)
      t.equal(await client.rest(), '', `${title}: and nothing came behind the head`)
      await rig.expectLines(3)
    })
  }
})

const small: RequestListener = (_, response) => {
  response.writeHead(200, { 'Content-Type': 'text/html', 'Content-Length': 5, ETag: '"abc"' }).end('small')
}

function namedFields(head: string): Record<string, string> {
  const lines = head.split('\r\n').slice(1, -2)
  return Object.fromEntries(lines.map(line => line.split(': ', 2) as [string, string]))
}

/** Only what is framed by length can be counted here. */
function framedBytes(answer: RawAnswer, asked: string): number {
  if (asked.startsWith('HEAD')) return 0
  if (answer.fields['transfer-encoding'] !== 'chunked') return answer.body.length
  return answer.wireBytes - answer.head.length
}

t.test('validators, ranges and digests speak of the bytes that are sent', async t => {
  const fields = {
    ...sized,
    ETag: '"abc"',
    'Accept-Ranges': 'bytes',
    'Content-MD5': 'x',
    'Repr-Digest': 'x',
    'X-Kept': 'yes',
    'Set-Cookie': ['a=1', 'b=2'],
  }
  await withCompression(t, page(fields), async rig => {
    const client = await rig.client()
    client.send(request('GET', '/', GZIP))
    const { fields, head } = await client.answer()
    t.match(fields, {
      etag: 'W/"abc"',
      'x-kept': 'yes',
      'accept-ranges': undefined,
      'content-md5': undefined,
      'repr-digest': undefined,
    })
    t.match(head, /Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n/)
    client.send(request('GET', '/'))
    t.match(
      (await client.answer()).fields,
      { etag: '"abc"', 'accept-ranges': 'bytes' },
      'on the same connection, without coding',
    )
    await rig.expectLines(2)
  })
})

t.test('a 304 has the tag and the Vary of the 200 that the client knows', async t => {
  const tagged: RequestListener = (asked, response) => {
    const extra = JSON.parse(String(asked.headers['x-fields'] ?? '{}'))
    response.writeHead(asked.headers['if-none-match'] === undefined ? 200 : 304, { ETag: '"abc"', ...extra })
    response.end(asked.headers['if-none-match'] === undefined ? PAGE : '')
  }
  const [weak, strong] = ['If-None-Match: W/"abc"', 'If-None-Match: "abc"']
  const cases: [title: string, fields: string[], etag: string, vary: string | undefined][] = [
    ['it has the compressed one', [...GZIP, weak], 'W/"abc"', 'Accept-Encoding'],
    ['it has both', [...GZIP, 'If-None-Match: "abc", W/"abc"'], 'W/"abc"', 'Accept-Encoding'],
    ['it has others too', [...GZIP, 'If-None-Match: "x"', 'If-None-Match: W/"abc"'], 'W/"abc"', 'Accept-Encoding'],
    ['it has the compressed one and wants it plain now', [weak], '"abc"', 'Accept-Encoding'],
    ['nothing may be done to it', [...GZIP, weak, 'Cache-Control: no-transform'], '"abc"', 'Accept-Encoding'],
    ['it has the plain one', [...GZIP, strong], '"abc"', undefined],
    ['it has something', [...GZIP, 'If-None-Match: *'], '"abc"', undefined],
    ['no list of tags', [...GZIP, 'If-None-Match: W/"abc", ;'], '"abc"', undefined],
    ['a type that is compressed', [strong, 'X-Fields: {"Content-Type":"text/html"}'], '"abc"', 'Accept-Encoding'],
    ['another type', [...GZIP, strong, 'X-Fields: {"Content-Type":"image/png"}'], '"abc"', undefined],
    ['a weak tag of its own', [...GZIP, weak, 'X-Fields: {"ETag":"W/\\"abc\\""}'], 'W/"abc"', undefined],
    ['a coding of its own', [...GZIP, weak, 'X-Fields: {"Content-Encoding":"br"}'], '"abc"', undefined],
    ['not to be transformed', [...GZIP, weak, 'X-Fields: {"Cache-Control":"no-transform"}'], '"abc"', undefined],
    ['Vary of its own', [...GZIP, weak, 'X-Fields: {"Vary":"Accept-Encoding"}'], 'W/"abc"', 'Accept-Encoding'],
  ]
  await withCompression(t, tagged, async rig => {
    const client = await rig.client()
    for (const [title, fields, etag, vary] of cases) {
      client.send(request('GET', '/', fields))
      const answer = await client.answer()
      t.same([answer.status, answer.fields.etag, answer.fields.vary], [304, etag, vary], title)
    }
    await rig.expectLines(cases.length)
  })
})

t.test('trailers stand behind the last chunk', async t => {
  const application: RequestListener = (_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html', Trailer: 'X-Sum' })
    response.write(PAGE)
    response.addTrailers({ 'X-Sum': '7' })
    response.end()
  }
  await withCompression(t, application, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/', GZIP))
    const answer = await client.answer()
    t.same(answer.trailers, ['X-Sum: 7'])
    t.equal(decoded(answer), PAGE)
    await rig.expectLines(1)
  })
})

t.test('each event of a stream arrives at once, and its head before the first', async t => {
  const written = signal<(text: string) => void>()
  const application: RequestListener = (_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
    written.arrive(text => void (text === '' ? response.end() : response.write(text)))
  }
  await withCompression(t, application, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/', GZIP))
    const write = await written.arrived
    let wire = ''
    const until = async (isThere: () => boolean) => {
      while (!isThere()) wire += (await client.bytes()).latin1Slice()
    }
    await until(() => wire.endsWith('\r\n\r\n'))
    t.match(wire, /Content-Encoding: gzip/)
    wire = ''
    for (const event of ['data: one\n\n', 'data: two\n\n']) {
      write(event)
      await until(() => unzipped(wire).endsWith(event))
      t.pass(event)
    }
    write('')
    await until(() => wire.endsWith('\r\n0\r\n\r\n'))
    await rig.expectLines(1)
  })
})

/** The text of the whole chunks so far, as a browser would show it. */
function unzipped(wire: string): string {
  let zipped = ''
  for (let at = 0; ; ) {
    const end = wire.indexOf('\r\n', at)
    const bytes = Number.parseInt(wire.slice(at, end), 16)
    if (end < 0 || !(bytes > 0) || wire.length < end + 4 + bytes) break
    zipped += wire.slice(end + 2, end + 2 + bytes)
    at = end + 4 + bytes
  }
  if (zipped === '') return ''
  return gunzipSync(Buffer.from(zipped, 'latin1'), { finishFlush: constants.Z_SYNC_FLUSH }).toString()
}

t.test('an answer that is broken off has no end', async t => {
  const cases: [title: string, fields: Record<string, string>][] = [
    ['in chunks', {}],
    ['of a known length', { 'Content-Length': '1000000' }],
  ]
  for (const [title, fields] of cases) {
    const application: RequestListener = (asked, response) => {
      response.writeHead(200, { 'Content-Type': 'text/html', ...fields })
      response.write(randomBytes(100_000).toString('base64'), () => setImmediate(() => asked.socket.destroy()))
    }
    await withCompression(t, application, async rig => {
      const client = await rig.client()
      client.send(request('GET', '/', GZIP))
      const answer = await client.answer()
      t.ok(answer.status === 502 || !answer.whole, title)
      if (answer.status !== 502) await client.closed
      await rig.expectLines(1)
    })
  }
})

t.test('no more than so many are compressed at a time', async t => {
  const open = signal<() => void>()
  const application: RequestListener = (asked, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' })
    response.write(PAGE)
    if (asked.url === '/first') open.arrive(() => void response.end())
    else response.end()
  }
  await withCompression(
    t,
    application,
    async rig => {
      const [first, second] = [await rig.client(), await rig.client()]
      first.send(request('GET', '/first', GZIP))
      const end = await open.arrived
      await first.bytes()
      second.send(request('GET', '/', GZIP))
      t.match(await second.answer(), {
        fields: { 'content-encoding': undefined, vary: 'Accept-Encoding' },
        whole: true,
      })
      end()
      await first.bytes()
      await rig.expectLines(2)
      while (true) {
        second.send(request('GET', '/', GZIP))
        if ((await second.answer()).fields['content-encoding'] === 'gzip') break
      }
      await rig.expectLines(rig.log.entries.length)
      const samples = rig.metrics.families({ connections: 0, queued: 0, tunnels: 0, accessLogLostBytes: 0 })
      const counted = samples.find(({ name }) => name === 'daimyo_compressed_answers_total')
      t.ok(counted?.values.some(({ labels }) => labels.coding === 'none'))
    },
    1,
  )
})

t.test('a client that does not read stops the application, and memory stays bounded', async t => {
  const total = 64 * 1024 * 1024
  let written = 0
  const stopped = signal<void>()
  const chunk = randomBytes(48 * 1024).toString('base64')
  const application: RequestListener = (_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' })
    const go = () => {
      while (written < total) {
        written += chunk.length
        if (!response.write(chunk)) {
          setTimeout(stopped.arrive, 300).unref()
          return void response.once('drain', go)
        }
      }
      response.end()
    }
    go()
  }
  await withCompression(t, application, async rig => {
    const client = await rig.client()
    client.socket.pause()
    client.send(request('GET', '/', GZIP))
    await stopped.arrived
    t.ok(written < total / 2, `stopped after ${written} of ${total} bytes`)
    client.socket.resume()
    const answer = await client.answer()
    t.equal(answer.whole, true)
    t.equal(gunzipSync(answer.body).length, written, 'and all of it arrives')
    await rig.expectLines(1)
  })
})

t.test('a client that goes away in the middle leaves nothing open', async t => {
  const gone = signal<void>()
  const application: RequestListener = (asked, response) => {
    response.on('close', () => gone.arrive())
    response.writeHead(200, { 'Content-Type': 'text/html' })
    response.write(PAGE)
    if (asked.url === '/next') response.end()
  }
  await withCompression(
    t,
    application,
    async rig => {
      const client = await rig.client()
      client.send(request('GET', '/', GZIP))
      await client.bytes()
      client.socket.destroy()
      await gone.arrived
      const other = await rig.client()
      let asked = 1
      for (let coding: string | undefined; coding === undefined; asked += 1) {
        other.send(request('GET', '/next', GZIP))
        coding = (await other.answer()).fields['content-encoding']
      }
      await rig.expectLines(asked)
    },
    1,
  )
})
