/**
 * What an application sees of a request that came over the link, beside what it sees of the same request in a bare `node:http` server:
 * the same events, the same answer, the same end of the connection.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { pipeline, Readable } from 'node:stream'
import t from 'tap'
import { type RawAnswer, RawClient, request, requestWithBody } from '../../../proxy/fixtures/raw-client.js'
import { withRig } from '../../../proxy/fixtures/rig.js'

/** An application of one request, which notes what happens; `done` when there is no more to note. */
type Scene = (
  request: IncomingMessage,
  response: ServerResponse,
  note: (what: string) => void,
  done: () => void,
) => void

interface Seen {
  notes: string[]
  status: number
  body: string
  fields: Record<string, string>
  whole: boolean
}

function noting(scene: Scene): { application: RequestListener; notes: string[]; finished: Promise<void> } {
  const notes: string[] = []
  let done = () => {}
  const finished = new Promise<void>(resolve => {
    done = () => setImmediate(resolve)
  })
  return { application: (asked, response) => scene(asked, response, what => notes.push(what), done), notes, finished }
}

function seenOf(notes: string[], answer: RawAnswer): Seen {
  const { status, fields, body, whole } = answer
  return { notes, status, fields, body: body.toString('latin1'), whole }
}

async function inBareNode(text: string, scene: Scene, prepare: (server: Server) => void): Promise<Seen> {
  const { application, notes, finished } = noting(scene)
  const server = createServer(application)
  // The link does not speak of the connection's keep-alive time, which is the proxy's.
  server.keepAliveTimeout = 0
  prepare(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = await RawClient.open((server.address() as AddressInfo).port)
  client.send(text)
  const answer = await client.answer(text.startsWith('HEAD'))
  await finished
  client.socket.destroy()
  server.close()
  server.closeAllConnections()
  return seenOf(notes, answer)
}

const plain = (response: ServerResponse) => void response.end('plain')

function eventsOf(
  message: IncomingMessage | ServerResponse,
  name: string,
  events: string[],
  note: (what: string) => void,
) {
  for (const event of events) message.on(event, () => note(`${name} ${event}`))
}

/** As those do who say statuses that Node does not know. */
function writeRaw(response: ServerResponse, bytes: string, written?: () => void): void {
  const { _writeRaw } = response as unknown as {
    _writeRaw(bytes: string, encoding: string, written?: () => void): void
  }
  _writeRaw.call(response, bytes, 'latin1', written)
}

const REQUEST_EVENTS = ['end', 'close', 'aborted', 'error', 'timeout']
const RESPONSE_EVENTS = ['prefinish', 'finish', 'close', 'error', 'timeout', 'drain']

/** Notes all events of both until the response is closed. */
function watch(
  [asked, response]: [IncomingMessage, ServerResponse],
  note: (what: string) => void,
  done: () => void,
): void {
  eventsOf(asked, 'request', REQUEST_EVENTS, note)
  eventsOf(response, 'response', RESPONSE_EVENTS, note)
  response.on('close', () => setImmediate(done))
}

const SCENES: [title: string, text: string, scene: Scene, prepare?: (server: Server) => void][] = [
  [
    'a plain answer',
    request('GET', '/'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      plain(response)
    },
  ],
  [
    'a body that is read',
    requestWithBody('POST', '/', 'body'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      asked.on('data', chunk => note(`data ${chunk}`)).on('end', () => plain(response))
    },
  ],
  [
    'a body that nobody reads',
    requestWithBody('POST', '/', 'body'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      plain(response)
    },
  ],
  [
    'an answer in pieces, with callbacks',
    request('GET', '/'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      response.write('a', () => note('a written'))
      response.write(Buffer.from('b'), () => note('b written'))
      setImmediate(() => response.end('c', () => note('end written')))
    },
  ],
  [
    'HEAD with a body that the application gives all the same',
    request('HEAD', '/'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      response.setHeader('Content-Length', 5)
      plain(response)
    },
  ],
  [
    'latin1 in a field',
    request('GET', '/'),
    (_, response, __, done) => {
      response.setHeader('X-Name', 'caf\xe9')
      response.end('plain')
      done()
    },
  ],
  [
    'latin1 in a field, UTF-8 in the body',
    request('GET', '/'),
    (_, response, __, done) => {
      response.setHeader('X-Name', 'caf\xe9')
      response.end('\u2713 plain')
      done()
    },
  ],
  [
    'latin1 in a field, bytes in the body',
    request('GET', '/'),
    (_, response, __, done) => {
      response.setHeader('X-Name', 'caf\xe9')
      response.end(Buffer.from('\u2713 plain'))
      done()
    },
  ],
  [
    'every encoding',
    request('GET', '/'),
    (_, response, __, done) => {
      response.write('68656c6c6f', 'hex')
      response.write('aGVsbG8=', 'base64')
      response.write('\xe9', 'latin1')
      response.write('\u2713\u2713', 'utf16le')
      response.write('\u2713')
      response.end(new Uint8Array([1, 2, 255]))
      done()
    },
  ],
  [
    'the response destroyed before its head',
    request('GET', '/'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      response.destroy()
    },
  ],
  [
    'the response destroyed with an error',
    request('GET', '/'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      response.destroy(new Error('why'))
    },
  ],
  [
    'the request destroyed with an error',
    request('GET', '/'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      asked.destroy(new Error('why'))
    },
  ],
  [
    'the socket destroyed',
    request('GET', '/'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      asked.socket.destroy()
    },
  ],
  [
    'the socket destroyed with an error',
    request('GET', '/'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      asked.socket.destroy(new Error('why'))
    },
  ],
  [
    'a pipeline whose source fails at once',
    request('GET', '/'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      const source = new Readable({ read: () => source.destroy(new Error('no file')) })
      pipeline(source, response, error => note(`pipeline ${error?.message}`))
    },
  ],
  [
    'a time-out of the response, with a listener',
    request('GET', '/'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      response.setTimeout(30, () => response.end('late'))
    },
  ],
  [
    'a time-out of the request, which is complete: nobody listens',
    request('GET', '/'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      response.removeAllListeners('timeout')
      asked.setTimeout(30)
    },
  ],
  [
    'a time-out of a request that is not complete',
    `${request('POST', '/', ['Content-Length: 5'])}abc`,
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      // Not before: what comes in begins a time-out anew, or comes after it.
      asked.once('data', () => asked.setTimeout(30, () => response.writeHead(408, { Connection: 'close' }).end('slow')))
    },
  ],
  [
    'a time-out of the socket',
    request('GET', '/'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      response.removeAllListeners('timeout')
      asked.socket.setTimeout(30, () => note('socket timeout'))
    },
  ],
  [
    'a time-out of the server',
    request('GET', '/'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      response.removeAllListeners('timeout')
    },
    server => server.setTimeout(30),
  ],
  [
    'a time-out that is taken back',
    request('GET', '/'),
    (...[asked, response, note, done]) => {
      watch([asked, response], note, done)
      response.setTimeout(30)
      response.setTimeout(0)
      setTimeout(() => plain(response), 80)
    },
  ],
  [
    'what the messages say of themselves',
    request('GET', '/a?b', ['X-A: 1', 'x-a: 2', 'Cookie: a', 'Cookie: b', 'Host2: x']),
    (asked, response, note, done) => {
      const { method, url, httpVersion, rawHeaders, headers, complete, headersDistinct } = asked
      note(JSON.stringify({ method, url, httpVersion, complete }))
      note(
        JSON.stringify(
          rawHeaders.filter((_, index) => !/^x-(forwarded|request-id)/i.test(rawHeaders[index - (index % 2)] ?? '')),
        ),
      )
      note(`${headers['x-a']} ${headers.cookie} ${headersDistinct['x-a']}`)
      note(`${asked.socket.remoteAddress} ${typeof asked.socket.remotePort} ${asked.socket.remoteFamily}`)
      note(
        `${asked.socket === response.socket} ${asked.connection === asked.socket} ${asked.socket.readable} ${asked.socket.writable}`,
      )
      note(
        `${response.headersSent} ${response.writable} ${response.writableEnded} ${response.writableLength} ${response.req === asked}`,
      )
      response.end('x')
      note(`${response.headersSent} ${response.writableEnded} ${response.finished}`)
      response.on('close', () => {
        note(`${response.destroyed} ${response.writableFinished} ${response.socket} ${response.writable}`)
        done()
      })
    },
  ],
]

t.test('as in a bare server', async t => {
  for (const [title, text, scene, prepare = () => {}] of SCENES) {
    const expected = await inBareNode(text, scene, prepare)
    const { application, notes, finished } = noting(scene)
    const server = createServer(application)
    prepare(server)
    await withRig(t, { workers: [server] }, async rig => {
      const client = await rig.client()
      client.send(text)
      const answer = await client.answer(text.startsWith('HEAD'))
      await finished
      const seen = seenOf(notes, answer)
      const { date: _, 'keep-alive': __, ...fields } = expected.fields
      t.same(seen.notes.sort(), expected.notes.sort(), `${title}: notes`)
      t.ok(notes.length > 0 || !/watch|note/.test(String(scene)) || scene.length < 4, title)
      if (expected.status === 0) {
        // Bare Node closes the connection; a proxy says what happened.
        t.equal(seen.status, 502, `${title}: bad gateway`)
      } else {
        t.match({ ...seen, notes: [] }, { ...expected, notes: [], fields }, `${title}: answer`)
      }
      client.socket.resetAndDestroy()
      await rig.expectLines(1)
    })
  }
})

t.test('more and less body than the head promises', async t => {
  const cases: [title: string, application: RequestListener, expected: object][] = [
    [
      'more: cut off',
      (_, response) => void response.writeHead(200, { 'Content-Length': 3 }).end('abcdef'),
      { status: 200, body: Buffer.from('abc'), whole: true },
    ],
    [
      'more, in pieces',
      (_, response) => {
        response.writeHead(200, { 'Content-Length': 3 })
        response.write('ab')
        response.write(Buffer.alloc(10_000, 'c'))
        response.end('d')
      },
      { status: 200, body: Buffer.from('abc'), whole: true },
    ],
    [
      'less, nothing sent yet',
      (_, response) => void response.writeHead(200, { 'Content-Length': 9 }).end('abc'),
      { status: 502 },
    ],
    [
      'less, a part sent',
      (_, response) => {
        response.writeHead(200, { 'Content-Length': 9 })
        response.write('abc')
        setTimeout(() => response.end(), 50)
      },
      { status: 200, body: Buffer.from('abc'), whole: false },
    ],
    [
      'no number',
      (_, response) => void response.writeHead(200, { 'Content-Length': 'abc' }).end('abc'),
      { status: 502 },
    ],
    ['below 0', (_, response) => void response.writeHead(200, { 'Content-Length': '-3' }).end('abc'), { status: 502 }],
    [
      'raw bytes before the head',
      (asked, response) => {
        asked.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
        response.end('own')
      },
      { status: 502 },
    ],
    [
      'an interim answer that the final one breaks off',
      (_, response) => {
        writeRaw(response, 'HTTP/1.1 102 Processing\r\n')
        response.end('own')
      },
      { status: 502, interim: [] },
    ],
    [
      'an interim answer without an end, in pieces',
      (_, response) => {
        writeRaw(response, 'HTTP/1.1 103 Early Hints\r\nLink: ')
        for (let piece = 0; piece < 80; piece++) writeRaw(response, 'x'.repeat(1000))
      },
      { status: 502, interim: [] },
    ],
  ]
  for (const [title, application, expected] of cases) {
    await withRig(
      t,
      { workers: [(asked, response) => (asked.url === '/next' ? plain(response) : application(asked, response))] },
      async rig => {
        const client = await rig.client()
        client.send(request('GET', '/'))
        const answer = await client.answer()
        t.match(answer, expected, title)
        if (answer.whole) {
          client.send(request('GET', '/next'))
          t.match(
            await client.answer(),
            { status: 200, body: Buffer.from('plain') },
            `${title}: the next answer is in its place`,
          )
        } else await client.closed
        await rig.expectLines(answer.whole ? 2 : 1)
      },
    )
  }
})

t.test('each event of a stream arrives at once', async t => {
  let response: ServerResponse | undefined
  const application: RequestListener = (_, each) => {
    response = each.writeHead(200, { 'Content-Type': 'text/event-stream' })
    each.flushHeaders()
  }
  await withRig(t, { workers: [application] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/'))
    t.match((await client.bytes()).latin1Slice(), /\r\n\r\n$/, 'the head alone')
    for (let index = 0; index < 5; index++) {
      response?.write(`data: ${index}\n\n`)
      t.match((await client.bytes()).latin1Slice(), `data: ${index}\n\n`)
    }
    response?.end()
    t.equal((await client.bytes()).latin1Slice(), '0\r\n\r\n')
    await rig.expectLines(1)
  })
})

t.test('a time-out does not outlive its request', async t => {
  let socket: Socket | undefined
  const application: RequestListener = (asked, response) => {
    socket = asked.socket.setTimeout(30)
    response.end()
  }
  await withRig(t, { workers: [application] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/'))
    t.equal((await client.answer()).status, 200)
    t.equal(socket?.timeout, 0)
    await rig.expectLines(1)
  })
})

t.test('the contexts of two requests do not mix, even in one batch', async t => {
  const storage = new AsyncLocalStorage<string>()
  const leaks: string[] = []
  const application: RequestListener = (asked, response) => {
    if (storage.getStore() !== undefined) leaks.push(`${asked.url} began in the context of ${storage.getStore()}`)
    storage.enterWith(asked.url ?? '')
    asked.on('data', () => storage.getStore() === asked.url || leaks.push(`${asked.url} read in ${storage.getStore()}`))
    asked.on('end', () => {
      if (storage.getStore() !== asked.url) leaks.push(`${asked.url} ended in the context of ${storage.getStore()}`)
      setImmediate(() => response.end(storage.getStore()))
    })
  }
  await withRig(t, { workers: [application] }, async rig => {
    const clients = await Promise.all(Array.from({ length: 10 }, () => rig.client()))
    for (let round = 0; round < 3; round++) {
      for (const [index, client] of clients.entries()) {
        client.send(
          index % 2 === 0 ? request('GET', `/${round}/${index}`) : requestWithBody('PUT', `/${round}/${index}`, 'body'),
        )
      }
      for (const [index, client] of clients.entries()) {
        t.equal((await client.answer()).body.toString(), `/${round}/${index}`)
      }
    }
    t.same(leaks, [])
    await rig.expectLines(30)
  })
})

t.test('very many small pieces beyond the window cost as much as under bare Node, about', async t => {
  const PIECES = 60_000
  const application: RequestListener = (_asked, response) => {
    for (let at = 0; at < PIECES; at++) response.write('x')
    response.end()
  }
  const before = process.cpuUsage()
  await withRig(t, { workers: [application] }, async rig => {
    const client = await rig.client()
    client.send(request('GET', '/'))
    t.equal((await client.answer()).body.length, PIECES)
    await rig.expectLines(1)
  })
  // Moving all that waits at each piece took 16 s. Of this process's own time: neighbours may take more.
  const { user, system } = process.cpuUsage(before)
  const tookMs = (user + system) / 1000
  t.ok(tookMs < 8000, `${Math.round(tookMs)} ms`)
})
