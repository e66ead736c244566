/** The worker's end of a link, against a proxy that is played: order of acknowledgement and start, batches, wrong peers, the end. */

import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type LinkServer, openLinkServer } from '../../../../app/host/link/link-server.js'
import {
  ASIDES_PER_PING,
  encodeRequest,
  FRAME,
  FrameReader,
  frame,
  frameHeader,
  LINK_VERSION,
  REQUEST_FLAG,
  RESPONSE_PREFIX_BYTES,
  WINDOW_BYTES,
} from '../../../../kit/link/frames.js'
import { scratchFolder } from '../../../supervisor/fixtures/scratch-folder.js'

interface Heard {
  type: number
  id: number
  text: string
}

/** A proxy that says what it is told, and keeps what it hears. */
class FakeProxy {
  readonly socket: Socket
  readonly heard: Heard[] = []
  #wake = () => {}

  constructor(path: string) {
    this.socket = connect(path)
    const reader = new FrameReader((type, id, bytes, start, end) => {
      this.heard.push({ type, id, text: bytes.latin1Slice(start, end) })
    })
    this.socket.on('data', chunk => {
      reader.read(chunk)
      this.#wake()
    })
    this.socket.on('error', () => {})
  }

  say(...frames: string[]): void {
    this.socket.write(frames.join(''), 'latin1')
  }

  async has(type: number, count = 1): Promise<Heard[]> {
    for (;;) {
      const heard = this.heard.filter(each => each.type === type)
      if (heard.length >= count) return heard
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}

interface Worker {
  proxy: FakeProxy
  link: LinkServer
  path: string
  /** Requests that it was told of before they began. */
  counted: number
}

async function open(t: Test, application: RequestListener): Promise<Worker> {
  const path = join(scratchFolder(t), 'link')
  const worker = { counted: 0 }
  const host = {
    onRequest: () => {
      worker.counted += 1
    },
    lagMs: () => 12.6,
  }
  const link = await openLinkServer(path, createServer(application), host)
  const proxy = new FakeProxy(path)
  proxy.say(frame(FRAME.hello, 0, LINK_VERSION))
  await proxy.has(FRAME.hello)
  t.teardown(() => {
    link.close()
    proxy.socket.destroy()
  })
  return Object.assign(worker, { proxy, link, path })
}

function requestFrame(id: number, method: string, target: string, flags = 0): string {
  return frame(FRAME.request, id, encodeRequest(method, target, '\nHost\na', flags, '192.0.2.1', 5))
}

async function tick(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
}

t.test('what must not be done twice is acknowledged before the application sees it', async t => {
  const cases: [title: string, methods: string[], acknowledged: number[]][] = [
    ['nothing to acknowledge', ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'], []],
    ['one', ['POST'], [1]],
    ['the last of a batch speaks for all before it', ['GET', 'POST', 'GET', 'PATCH', 'GET'], [4]],
  ]
  for (const [title, methods, acknowledged] of cases) {
    const order: string[] = []
    const { proxy } = await open(t, (_, response) => {
      // Whatever the application writes comes behind what it was acknowledged with.
      response.end()
    })
    proxy.say(...methods.map((method, index) => requestFrame(index + 1, method, '/')))
    await proxy.has(FRAME.response, methods.length)
    for (const { type, id } of proxy.heard) {
      if (type === FRAME.seen) order.push(`seen ${id}`)
      if (type === FRAME.response) order.push(`response ${id}`)
    }
    t.same(
      order,
      [...acknowledged.map(id => `seen ${id}`), ...methods.map((_, index) => `response ${index + 1}`)],
      title,
    )
  }
})

t.test('a worker that dies in the application has acknowledged before', async t => {
  const { proxy, link } = await open(t, asked => {
    // The end of the process, as far as the proxy can see.
    if (asked.url === '/die') process.nextTick(() => link.close())
  })
  proxy.say(requestFrame(7, 'POST', '/die'))
  await once(proxy.socket, 'close')
  t.match(proxy.heard, [{ type: FRAME.hello }, { type: FRAME.seen, id: 7 }])
})

t.test('an acknowledgement that the kernel does not take holds the batch back', async t => {
  let started = 0
  const { proxy } = await open(t, (asked, response) => {
    started += 1
    if (asked.url === '/fill') response.end(Buffer.alloc(120_000))
  })
  proxy.socket.pause()
  let id = 0
  // Answers that nobody reads, until the socket is full.
  for (let before = -1; before !== started; ) {
    before = started
    for (let count = 0; count < 20; count++) proxy.say(requestFrame(++id, 'GET', '/fill'))
    for (let wait = 0; wait < 20; wait++) await tick()
    if (id > 100) break
  }
  const before = started
  proxy.say(requestFrame(++id, 'POST', '/'))
  for (let wait = 0; wait < 50; wait++) await tick()
  t.equal(started, before, 'the POST is not begun')
  proxy.socket.resume()
  const [seen] = await proxy.has(FRAME.seen)
  t.equal(seen?.id, id)
  while (started === before) await tick()
  t.equal(started, before + 1)
})

/** Takes what the application throws, as a process without other listeners would end by it. */
function catchUncaught(t: Test): unknown[] {
  const caught: unknown[] = []
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', error => void caught.push((error as Error).message))
  t.teardown(() => {
    process.removeAllListeners('uncaughtException')
    for (const other of others) process.on('uncaughtException', other)
  })
  return caught
}

t.test('what one request throws does not lose the others of its batch', async t => {
  const caught = catchUncaught(t)
  const application: RequestListener = (asked, response) => {
    if (asked.url === '/throw') throw new Error('in the listener')
    if (asked.url === '/range') throw new RangeError('of its own')
    if (asked.url === '/data')
      asked.on('data', () => {
        throw new Error('in data')
      })
    else response.end('ok')
  }
  const { proxy, link } = await open(t, application)
  proxy.say(
    requestFrame(1, 'GET', '/throw'),
    requestFrame(2, 'GET', '/range'),
    requestFrame(3, 'GET', '/ok'),
    requestFrame(4, 'PUT', '/data', REQUEST_FLAG.body),
  )
  await proxy.has(FRAME.response, 1)
  proxy.say(frame(FRAME.data, 4, 'x'), requestFrame(5, 'GET', '/ok'), requestFrame(6, 'GET', '/ok'))
  const answers = await proxy.has(FRAME.response, 3)
  t.same(
    answers.map(({ id }) => id),
    [3, 5, 6],
  )
  await tick()
  t.same(caught, ['in the listener', 'of its own', 'in data'], 'and each ends up where Node lets it')
  t.equal(link.inFlight, 3)
})

t.test('peers that are no proxy are left, and the worker lives', async t => {
  const cases: [title: string, text: string][] = [
    ['an HTTP client', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['another version', frame(FRAME.hello, 0, 'daimyo-link/1')],
    ['an unknown frame', frame(99, 0)],
    ['a frame that only workers send', frame(FRAME.response, 1, 'xyz')],
    ['a frame too long', frameHeader(FRAME.data, 1, 0xffffff)],
  ]
  const { path, proxy } = await open(t, (_, response) => void response.end())
  for (const [title, text] of cases) {
    const stranger = new FakeProxy(path)
    stranger.say(text)
    await once(stranger.socket, 'close')
    t.same(
      stranger.heard.map(({ type }) => type),
      [FRAME.hello],
      title,
    )
  }
  proxy.say(requestFrame(1, 'GET', '/'))
  t.equal((await proxy.has(FRAME.response)).length, 1, 'the proxy beside them is served')
})

t.test('pings are answered at once, with the lag', async t => {
  const { proxy } = await open(t, () => {})
  proxy.say(frame(FRAME.ping, 41), frame(FRAME.ping, 42))
  const pongs = await proxy.has(FRAME.pong, 2)
  t.same(
    pongs.map(({ id, text }) => [id, Buffer.from(text, 'latin1').readUInt32LE(0)]),
    [
      [41, 13],
      [42, 13],
    ],
  )
})

t.test('frames of requests that are no more do no harm', async t => {
  const { proxy, link } = await open(t, (_, response) => void response.end('ok'))
  proxy.say(frame(FRAME.data, 9, 'x'), frame(FRAME.end, 9), frame(FRAME.credit, 9, '\x01\0\0\0'), frame(FRAME.abort, 9))
  proxy.say(requestFrame(9, 'GET', '/'))
  await proxy.has(FRAME.response)
  t.equal(link.inFlight, 0)
})

t.test('when the proxy goes away, its requests are over', async t => {
  const closed: string[] = []
  const asked: [IncomingMessage, ServerResponse][] = []
  const worker = await open(t, (...pair) => {
    asked.push(pair)
    pair[1].on('close', () => closed.push(pair[0].url ?? ''))
  })
  const { proxy, link } = worker
  proxy.say(requestFrame(1, 'GET', '/1'), requestFrame(2, 'POST', '/2', REQUEST_FLAG.body))
  while (asked.length < 2) await tick()
  t.equal(link.inFlight, 2)
  t.equal(worker.counted, 2)
  proxy.socket.destroy()
  while (closed.length < 2) await tick()
  t.same(closed, ['/1', '/2'])
  t.equal(link.inFlight, 0)
  t.doesNotThrow(() => asked[0]?.[1].end('nobody'))
})

for (const [title, end] of [
  ['by its end', 'end'],
  ['by a longer piece', 'piece'],
] as const) {
  t.test(`a body in tiny pieces for an application that does not read is joined, ${title} at the latest`, async t => {
    let asked: IncomingMessage | undefined
    let pushes = 0
    const { proxy } = await open(t, message => {
      asked = message
      const push = message.push.bind(message)
      message.push = (...args) => {
        pushes += 1
        return push(...args)
      }
    })
    proxy.say(requestFrame(1, 'POST', '/', REQUEST_FLAG.body))
    while (asked === undefined) await tick()
    const body = Array.from({ length: 100_000 }, (_, at) => String.fromCharCode(97 + (at % 26)))
    proxy.say(...body.map(piece => frame(FRAME.data, 1, piece)))
    proxy.say(frame(FRAME.ping, 7))
    await proxy.has(FRAME.pong)
    const most = asked.readableHighWaterMark + 50
    t.ok(pushes < most, `${pushes} pieces are kept`)
    if (end === 'piece') {
      body.push('z'.repeat(5000))
      proxy.say(frame(FRAME.data, 1, body.at(-1)))
    } else proxy.say(frame(FRAME.end, 1, ''))
    let got = ''
    const isWhole = new Promise<void>(resolve => {
      asked?.setEncoding('latin1').on('data', (chunk: string) => {
        got += chunk
        if (end === 'piece' && got.length === 105_000) resolve()
      })
      asked?.once('end', resolve)
    })
    await isWhole
    t.ok(got === body.join(''), 'all of it comes, in order')
    t.equal((await proxy.has(FRAME.credit)).length > 0, true, 'and is returned as credit')
  })
}

t.test('what was joined of a body comes when the application reads on, without another frame', async t => {
  let asked: IncomingMessage | undefined
  const { proxy } = await open(t, message => {
    asked = message
  })
  proxy.say(requestFrame(1, 'POST', '/', REQUEST_FLAG.body))
  while (asked === undefined) await tick()
  const bytes = asked.readableHighWaterMark + 10
  for (let count = 0; count < bytes; count++) proxy.say(frame(FRAME.data, 1, 'x'))
  proxy.say(frame(FRAME.ping, 7))
  await proxy.has(FRAME.pong)
  let got = 0
  await new Promise<void>(resolve => {
    asked?.on('data', (chunk: Buffer) => {
      got += chunk.length
      if (got === bytes) resolve()
    })
  })
  t.equal(got, bytes)
})

function sayDeadlines({ socket }: IncomingMessage): void {
  for (let ms = 1; ms <= 10_000; ms++) (socket as unknown as { setHarakiri(ms: number): void }).setHarakiri(ms)
}

t.test('an application that says more than a link takes is held back, and its last word arrives', async t => {
  const { proxy } = await open(t, (asked, response) => {
    sayDeadlines(asked)
    for (let count = 0; count < 10_000; count++) response.writeEarlyHints({ link: '</a.css>; rel=preload' })
    response.end('done')
  })
  proxy.say(requestFrame(1, 'GET', '/'))
  await proxy.has(FRAME.response)
  const told = (type: number) => proxy.heard.filter(each => each.type === type)
  t.ok(told(FRAME.harakiri).length <= ASIDES_PER_PING / 2, `${told(FRAME.harakiri).length} deadlines`)
  const bytes = [...told(FRAME.informational), ...told(FRAME.response)].reduce((sum, { text }) => sum + text.length, 0)
  t.ok(bytes <= WINDOW_BYTES + RESPONSE_PREFIX_BYTES, `${bytes} bytes within the window`)
})

t.test('a deadline that was held back goes out behind the next pong', async t => {
  const { proxy } = await open(t, asked => {
    sayDeadlines(asked)
  })
  proxy.say(requestFrame(1, 'GET', '/'))
  const before = (await proxy.has(FRAME.harakiri, ASIDES_PER_PING / 2)).length
  t.equal(before, ASIDES_PER_PING / 2)
  proxy.say(frame(FRAME.ping, 5))
  const all = await proxy.has(FRAME.harakiri, before + 1)
  t.equal(Buffer.from(all.at(-1)?.text ?? '', 'latin1').readUInt32LE(0), 10_000, 'the last one')
  t.ok(
    proxy.heard.findIndex(({ type }) => type === FRAME.pong) < proxy.heard.lastIndexOf(all.at(-1)!),
    'behind the pong',
  )
})
