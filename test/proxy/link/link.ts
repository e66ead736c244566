/** The proxy's end of a link against a worker that is played: ids, acknowledgements, answers in pieces, credit, death. */

import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  creditFrame,
  FRAME,
  frame,
  frameHeader,
  LINK_VERSION,
  RESPONSE_FLAG,
  responsePrefix,
  WINDOW_BYTES,
} from '../../../kit/link/frames.js'
import type { Client } from '../../../proxy/exchange/client.js'
import { asking, Exchange } from '../../../proxy/exchange/exchange.js'
import { isRefusal } from '../../../proxy/http/refusal.js'
import { parseRequestHead } from '../../../proxy/http/request-head.js'
import { Link } from '../../../proxy/link/link.js'
import { monotonicMs } from '../../../proxy/process/clock.js'
import { scratchFolder } from '../../supervisor/fixtures/scratch-folder.js'
import { FakeWorker } from '../fixtures/fake-worker.js'
import { request } from '../fixtures/raw-client.js'
import { responderEvents } from '../fixtures/responder-events.js'

/** A client that keeps what it gets, and takes more or not as the test says. */
class FakeClient implements Client {
  readonly waitingBytes = 0
  readonly address = '192.0.2.1'
  readonly port = 5
  readonly encrypted = false
  readonly closing = false
  readonly closingNow = false
  received = ''
  writes = 0
  resumes = 0
  takesMore = true
  #callbacks: (() => void)[] = []

  write(bytes: string | Buffer): boolean {
    this.writes += 1
    this.received += typeof bytes === 'string' ? bytes : bytes.latin1Slice()
    return this.takesMore
  }

  writeLent(bytes: Buffer, start: number, end: number): boolean {
    return this.write(bytes.latin1Slice(start, end))
  }

  whenWritable(callback: () => void): void {
    this.#callbacks.push(callback)
  }

  drain(): void {
    this.takesMore = true
    for (const callback of this.#callbacks.splice(0)) callback()
  }

  respond(): void {}

  completeResponse(): void {}

  breakResponse(): void {}

  readingStopped(): void {}

  resumeBody(): void {
    this.resumes += 1
  }
}

interface TestExchange extends Exchange {
  client: FakeClient
}

function exchangeOf(method: string, target: string, fields: string[] = []): TestExchange {
  const head = parseRequestHead(request(method, target, fields).slice(0, -4))
  if (isRefusal(head)) throw new Error(head.reason)
  const exchange = new Exchange(head, new FakeClient(), 0)
  asking(exchange).wireHeaders = head.headers
  return exchange as TestExchange
}

/** An open link, and everything that it told, as it came. */
async function open(t: Test, lastId = 0) {
  const worker = await FakeWorker.open(t, 1)
  const told: string[] = []
  const lost: Exchange[] = []
  let wake = () => {}
  const tell = (text: string) => {
    told.push(text)
    wake()
  }
  const events = {
    linked: () => tell('linked'),
    completed: (exchange: Exchange, close: boolean) => tell(`responded ${exchange.title}${close ? ' close' : ''}`),
    broke: (_: Link, why: string) => tell(`broke: ${why}`),
    lost: (_: Link, exchanges: Exchange[]) => {
      lost.push(...exchanges)
      tell(`lost ${exchanges.map(exchange => exchange.title).join(', ')}`)
    },
    freed: () => {},
  }
  const responses = responderEvents({
    failed: (exchange, code) => tell(`${code} ${exchange.title}`),
    broken: exchange => tell(`broken ${exchange.title}`),
    badResponse: (exchange, why) => tell(`bad ${exchange.title}: ${why}`),
    fileNamed: exchange => tell(`file ${exchange.title}`),
  })
  const link = new Link(worker.address, events, responses, lastId)
  t.teardown(() => link.dismiss())
  const until = async (text: string) => {
    while (!told.includes(text)) {
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
  }
  await until('linked')
  return { worker, link, told, lost, until }
}

/** A link to a worker that has not said hello. */
async function openSilent(t: Test) {
  const folder = scratchFolder(t)
  const server = createServer(socket => void socket.on('error', () => {})).listen(join(folder, 'link'))
  await once(server, 'listening')
  t.teardown(() => server.close())
  const told: string[] = []
  const nothing = () => {}
  const address = { workerId: 1, slot: 1, pid: 0, generation: 1, socketPath: '', tunnelPath: '' }
  const openedMs = monotonicMs()
  const link = new Link(
    { ...address, linkPath: join(folder, 'link') },
    {
      linked: nothing,
      completed: nothing,
      freed: nothing,
      broke: (_, why) => void told.push(`broke: ${why}`),
      lost: () => void told.push('lost '),
    },
    responderEvents(),
  )
  t.teardown(() => link.dismiss())
  return { told, silent: { link, openedMs } }
}

const OK = 'HTTP/1.1 200 OK\r\n\r\n'

t.test('ids ascend, wrap past the largest, and leave out 0 and those in use', async t => {
  const { worker, link } = await open(t, 0xfffffffd)
  for (const title of ['/1', '/2', '/3', '/4']) link.send(exchangeOf('GET', title), false)
  await worker.has(FRAME.request, 4)
  t.same(
    worker.requests().map(({ id }) => id),
    [0xfffffffe, 0xffffffff, 1, 2],
  )
  const again = await open(t, 0xfffffffe)
  const first = exchangeOf('GET', '/first')
  again.link.send(first, false)
  again.link.send(exchangeOf('GET', '/second'), false)
  t.equal(first.linkId, 0xffffffff)
  await again.worker.has(FRAME.request, 2)
  again.worker.answer(1, 'two')
  again.worker.answer(0xffffffff, 'one')
  await again.until('responded GET /first')
  t.match(first.client.received, /one$/, 'and the answers find their requests')
})

t.test('an acknowledgement speaks of all that was sent before it', async t => {
  const cases: [title: string, lastId: number, releaseLast: boolean][] = [
    ['plainly', 0, false],
    ['where the last one has been given up meanwhile', 0, true],
    ['where ids wrap in between', 0xfffffffe, false],
    ['where ids wrap and the last one has been given up', 0xfffffffe, true],
  ]
  for (const [title, lastId, releaseLast] of cases) {
    const { worker, link, lost, until } = await open(t, lastId)
    const [one, get, two, three] = [
      exchangeOf('POST', '/1'),
      exchangeOf('GET', '/g'),
      exchangeOf('POST', '/2'),
      exchangeOf('POST', '/3'),
    ]
    for (const exchange of [one, get, two, three]) link.send(exchange, false)
    await worker.has(FRAME.request, 4)
    const id = two.linkId
    if (releaseLast) link.cancel(two, false)
    worker.say(frame(FRAME.seen, id))
    worker.die()
    await until(releaseLast ? 'lost POST /1, GET /g, POST /3' : 'lost POST /1, GET /g, POST /2, POST /3')
    t.equal(one.seen, true, `${title}: the one before it was seen`)
    t.equal(three.seen, false, `${title}: the one behind it was not`)
    t.equal(lost.includes(two), !releaseLast)
    t.equal(one.replayable, null, `${title}: and cannot be sent again`)
  }
})

t.test('an acknowledgement of one attempt says nothing of the next', async t => {
  const [first, second] = [await open(t), await open(t)]
  const exchange = exchangeOf('POST', '/')
  first.link.send(exchange, false)
  await first.worker.has(FRAME.request, 1)
  first.worker.die()
  await first.until('lost POST /')
  t.equal(exchange.seen, false)
  second.link.send(exchange, false)
  t.match(exchange, { seen: false, attempts: 2 })
})

t.test('answers: in one frame, in pieces, broken off, in vain', async t => {
  const { worker, link, until, told } = await open(t)
  const [whole, pieces, broken, released, closing] = ['/whole', '/pieces', '/broken', '/released', '/closing'].map(
    target => exchangeOf('GET', target),
  ) as [TestExchange, TestExchange, TestExchange, TestExchange, TestExchange]
  for (const exchange of [whole, pieces, broken, released, closing]) link.send(exchange, false)
  await worker.has(FRAME.request, 5)
  const late = released.linkId
  link.cancel(released, false)
  worker.answer(whole.linkId, 'x')
  worker.say(frame(FRAME.response, pieces.linkId, responsePrefix(201, 0) + OK), frame(FRAME.data, pieces.linkId, 'ab'))
  worker.say(frame(FRAME.data, pieces.linkId, 'cd'), frame(FRAME.end, pieces.linkId, '\0'))
  worker.say(frame(FRAME.response, broken.linkId, responsePrefix(200, 0) + OK), frame(FRAME.abort, broken.linkId))
  worker.answer(late, 'nobody reads this')
  worker.say(frame(FRAME.abort, late), creditFrame(late, WINDOW_BYTES / 4), frame(FRAME.end, late, '\0'))
  worker.answer(closing.linkId, 'y', RESPONSE_FLAG.close)
  await until('responded GET /closing close')
  t.same(told, [
    'linked',
    'responded GET /whole',
    'responded GET /pieces',
    'broken GET /broken',
    'responded GET /closing close',
  ])
  t.match(whole, { status: 200, responseBegun: true, link: null, sentBytes: whole.client.received.length })
  t.equal(pieces.client.received, `${OK}abcd`)
  t.equal(pieces.status, 201)
  t.equal(released.client.received, '')
  t.equal(link.inFlight, 0)
})

t.test('a worker that speaks no link is left', async t => {
  const cases: [title: string, say: (worker: FakeWorker) => void][] = [
    ['another version', worker => worker.hello('daimyo-link/1')],
    ['an unknown frame', worker => worker.say(frame(99, 0))],
    ['a frame that only proxies send', worker => worker.say(frame(FRAME.request, 1))],
    ['a frame too long', worker => worker.say(frameHeader(FRAME.data, 1, 0xffffff))],
    ['HTTP', worker => worker.say('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ]
  for (const [title, say] of cases) {
    const { worker, link, until, lost } = await open(t)
    link.send(exchangeOf('GET', '/'), false)
    say(worker)
    await until('lost GET /')
    t.equal(lost.length, 1, title)
    t.equal(link.open, false, title)
  }
})

t.test('a promise that is broken costs the link, at once', async t => {
  const head = responsePrefix(200, 0) + OK
  const long = (bytes: number) => 'x'.repeat(bytes)
  /** To a link with GET 1, POST 2 and PUT 3 in flight, and GET 4 given up. */
  const cases: [title: string, frames: string[], why: RegExp][] = [
    [
      'one byte more than the window',
      [frame(FRAME.response, 1, `${responsePrefix(200, 0)}${long(WINDOW_BYTES + 1)}`)],
      /window/,
    ],
    [
      'the same in pieces',
      [frame(FRAME.response, 1, head), ...Array.from({ length: 20 }, () => frame(FRAME.data, 1, long(8000)))],
      /window/,
    ],
    [
      'a whole answer beyond it',
      [frame(FRAME.response, 1, `${responsePrefix(200, 1)}${long(WINDOW_BYTES + 1)}`)],
      /window/,
    ],
    [
      'hints beyond it',
      Array.from({ length: 9000 }, () => frame(FRAME.informational, 4, 'HTTP/1.1 103 A\r\n\r\n')),
      /nobody asks/,
    ],
    ['data without a byte', [frame(FRAME.response, 1, head), frame(FRAME.data, 1)], /without a byte/],
    ['an answer without a status', [frame(FRAME.response, 1, '\xc8\0')], /without a status/],
    ['an end without its flags', [frame(FRAME.response, 1, head), frame(FRAME.end, 1)], /payload of 0 bytes/],
    ['credit for nothing', [creditFrame(1, 1)], /credit/],
    ['credit of nothing', [creditFrame(3, 0)], /credit/],
    ['more credit than body', [creditFrame(3, 5001)], /credit/],
    ['credit without a number', [frame(FRAME.credit, 3, '\x01')], /payload of 1 bytes/],
    ['a pong without a number', [frame(FRAME.pong, 1, '\0\0\0')], /payload of 3 bytes/],
    ['a harakiri with two', [frame(FRAME.harakiri, 1, '\0\0\0\0\0\0\0\0')], /payload of 8 bytes/],
    ['an acknowledgement with words', [frame(FRAME.seen, 2, 'x')], /payload of 1 bytes/],
    ['a pong for no ping', [frame(FRAME.pong, 1, '\0\0\0\0')], /ping/],
    ['an acknowledgement of what is to come', [frame(FRAME.seen, 5)], /acknowledges/],
    ['an acknowledgement twice', [frame(FRAME.seen, 2), frame(FRAME.seen, 2)], /acknowledges/],
    ['a second hello', [frame(FRAME.hello, 0, LINK_VERSION)], /hello twice/],
    ['an answer to what is to come', [frame(FRAME.response, 5, head)], /was not sent/],
    ['an abort of what is to come', [frame(FRAME.abort, 5)], /was not sent/],
    ['stuck in what is to come', [frame(FRAME.stuck, 5)], /was not sent/],
    [
      'more of a given up answer than its window',
      Array.from({ length: 20 }, () => frame(FRAME.data, 4, long(8000))),
      /nobody asks/,
    ],
    ['a thousand ends of a given up one', Array.from({ length: 9000 }, () => frame(FRAME.end, 4, '\0')), /unasked/],
    ['stuck without end', Array.from({ length: 9000 }, () => frame(FRAME.stuck, 1)), /unasked/],
    ['harakiri without end', Array.from({ length: 9000 }, () => frame(FRAME.harakiri, 1, '\0\0\0\0')), /unasked/],
    ['an unknown frame', [frame(99, 0)], /type 99/],
    ['a frame that only proxies send', [frame(FRAME.request, 1)], /type 2/],
    ['a frame too long', [frameHeader(FRAME.data, 1, 0xffffff)], /frame of 16777215 bytes/],
  ]
  for (const [title, frames, why] of cases) {
    const { worker, link, told, lost } = await open(t)
    const [get, post, put, gone] = [
      exchangeOf('GET', '/1'),
      exchangeOf('POST', '/2'),
      exchangeOf('PUT', '/3', ['Content-Length: 5000']),
      exchangeOf('GET', '/4'),
    ]
    for (const exchange of [get, post, put, gone]) link.send(exchange, false)
    get.client.takesMore = false
    link.sendBody(put, Buffer.alloc(5000))
    link.cancel(gone, false)
    await worker.has(FRAME.abort, 1)
    worker.say(...frames, frame(FRAME.response, post.linkId, responsePrefix(200, 1) + OK))
    while (!told.some(text => text.startsWith('lost'))) await new Promise(resolve => setImmediate(resolve))
    t.match(told, ['linked', why, 'lost GET /1, POST /2, PUT /3'], title)
    t.equal(told.length, 3, `${title}: nothing behind it is believed`)
    t.match(lost[1], { seen: true, replayable: null }, `${title}: the POST may have been done`)
    t.not(lost[2]?.replayable, null, `${title}: the PUT can be sent again`)
    t.match(link, { open: false, end: 'crashed' }, title)
    t.ok(get.client.received.length <= WINDOW_BYTES, `${title}: a client that does not read holds one window at most`)
  }
})

t.test('a hello that never comes is waited for with a bound', async t => {
  const { told, silent } = await openSilent(t)
  silent.link.sweep(silent.openedMs + 59_000)
  t.same(told, [])
  silent.link.sweep(silent.openedMs + 61_000)
  t.match(told, [/^broke: it did not say hello/, 'lost '])
})

t.test('what a worker that keeps its word may do on the way', async t => {
  const { worker, link, told, until } = await open(t)
  const [slow, upload, gone] = [
    exchangeOf('GET', '/slow'),
    exchangeOf('POST', '/upload', ['Content-Length: 1000000']),
    exchangeOf('GET', '/gone'),
  ]
  for (const exchange of [slow, upload, gone]) link.send(exchange, false)
  slow.client.takesMore = false
  while (link.sendBody(upload, Buffer.alloc(50_000)));
  link.cancel(gone, false)
  const window = 'x'.repeat(WINDOW_BYTES - OK.length)
  worker.say(
    frame(FRAME.harakiri, 1, '\0\0\0\0'),
    frame(FRAME.informational, 1, 'HTTP/1.1 103 Early Hints\r\n\r\n'),
    frame(FRAME.seen, 2),
    frame(FRAME.response, 1, responsePrefix(200, 0) + OK + window.slice('HTTP/1.1 103 Early Hints\r\n\r\n'.length)),
    frame(FRAME.response, 3, responsePrefix(200, 0) + OK),
    frame(FRAME.data, 3, window),
    frame(FRAME.end, 3, '\0'),
    creditFrame(2, 150_000),
    frame(FRAME.stuck, 1),
  )
  link.ping(1)
  while (link.lastPongMs === 0) await new Promise(resolve => setImmediate(resolve))
  slow.client.drain()
  await worker.has(FRAME.credit, 1)
  worker.say(frame(FRAME.data, 1, 'x'.repeat(WINDOW_BYTES)), frame(FRAME.end, 1, '\0'))
  await until('responded GET /slow')
  t.same(told, ['linked', 'responded GET /slow'])
  t.equal(upload.bodyWindow, WINDOW_BYTES)
})

t.test('what a worker said before it died counts', async t => {
  const { worker, link, until, told } = await open(t)
  const [answered, post] = [exchangeOf('GET', '/answered'), exchangeOf('POST', '/post')]
  link.send(answered, false)
  link.send(post, false)
  await worker.has(FRAME.request, 2)
  worker.say(frame(FRAME.seen, post.linkId))
  worker.answer(answered.linkId, 'last words')
  worker.die()
  // These writes fail, before the last words were read.
  link.send(exchangeOf('GET', '/too-late'), false)
  link.ping(1)
  await until('lost POST /post, GET /too-late')
  t.same(told, ['linked', 'responded GET /answered', 'lost POST /post, GET /too-late'])
  t.match(post, { seen: true })
})

t.test('credit for the answer goes back as the client takes it', async t => {
  const { worker, link } = await open(t)
  const exchange = exchangeOf('GET', '/')
  link.send(exchange, false)
  await worker.has(FRAME.request, 1)
  const id = exchange.linkId
  const quarter = 'x'.repeat(WINDOW_BYTES / 4)
  worker.say(frame(FRAME.response, id, responsePrefix(200, 0) + quarter))
  const [credit] = await worker.has(FRAME.credit, 1)
  t.equal(credit?.payload.readUInt32LE(0), quarter.length)
  exchange.client.takesMore = false
  for (let count = 0; count < 3; count++) worker.say(frame(FRAME.data, id, quarter))
  link.ping(1)
  await worker.has(FRAME.ping, 1)
  while (exchange.unacknowledgedCredit < 3 * quarter.length) await new Promise(resolve => setImmediate(resolve))
  t.equal(worker.of(FRAME.credit).length, 1, 'a client that takes no more gives no credit')
  exchange.client.drain()
  const [, later] = await worker.has(FRAME.credit, 2)
  t.equal(later?.payload.readUInt32LE(0), 3 * quarter.length)
})

t.test('the body of a request stops at the window and goes on with credit', async t => {
  const { worker, link } = await open(t)
  const exchange = exchangeOf('PUT', '/', ['Content-Length: 1000000'])
  link.send(exchange, false)
  t.equal(link.sendBody(exchange, Buffer.alloc(WINDOW_BYTES - 1)), true)
  t.equal(link.sendBody(exchange, Buffer.alloc(1)), false, 'the window is used up')
  await worker.has(FRAME.data, 2)
  worker.say(creditFrame(exchange.linkId, 1))
  while (exchange.client.resumes === 0) await new Promise(resolve => setImmediate(resolve))
  t.equal(exchange.bodyWindow, 1)
})

/** An upload whose client has more as soon as it may send. */
function uploadOf(link: Link, target: string) {
  const exchange = exchangeOf('PUT', target, ['Content-Length: 1000000000'])
  const upload = { exchange, sentBytes: 0, creditedBytes: 0 }
  const send = () => {
    let mayGoOn = true
    while (mayGoOn) {
      mayGoOn = link.sendBody(exchange, Buffer.alloc(WINDOW_BYTES / 4))
      upload.sentBytes += WINDOW_BYTES / 4
    }
  }
  exchange.client.resumeBody = () => {
    if (exchange.attempt === link || exchange.reader === link) send()
  }
  link.send(exchange, false)
  send()
  return upload
}

/** The worker returns credit for all that was sent to it, whether it has read that or not; resolves once that has come. */
async function returnAll(
  opened: Awaited<ReturnType<typeof open>>,
  uploads: ReturnType<typeof uploadOf>[],
  round: string,
) {
  const { worker, link, until } = opened
  for (const upload of uploads) {
    const bytes = upload.sentBytes - upload.creditedBytes
    upload.creditedBytes += bytes
    if (bytes > 0) worker.say(creditFrame(upload.exchange.linkId, bytes))
  }
  const mark = exchangeOf('GET', `/${round}`)
  link.send(mark, false)
  worker.answer(mark.linkId, '')
  await until(`responded GET /${round}`)
}

t.test('credit of a worker that does not read counts once it reads', async t => {
  const cases: [title: string, uploads: number, begin: (worker: FakeWorker, id: number) => void][] = [
    ['one body', 1, () => {}],
    ['many bodies', 8, () => {}],
    ['bodies that are answered already', 2, (worker, id) => worker.answer(id, '', RESPONSE_FLAG.readsOn)],
  ]
  for (const [title, count, begin] of cases) {
    const opened = await open(t)
    const { worker, link, told } = opened
    worker.stopReading()
    const uploads = Array.from({ length: count }, (_, at) => uploadOf(link, `/upload-${at}`))
    for (const { exchange } of uploads) begin(worker, exchange.linkId)
    for (let round = 0; round < 100; round++) await returnAll(opened, uploads, `${round}`)
    const sentBytes = uploads.reduce((sum, upload) => sum + upload.sentBytes, 0)
    // The windows, and what the kernel takes of a socket that nobody reads.
    t.ok(sentBytes < count * WINDOW_BYTES + 4 * 1024 ** 2, `${title}: ${sentBytes} bytes were read of clients`)
    t.notOk(
      told.some(text => text.startsWith('broke')),
      `${title}: ${told.at(-1)}`,
    )
    worker.readOn()
    const before = uploads.map(upload => upload.sentBytes)
    while (uploads.some((upload, at) => upload.sentBytes === before[at]))
      await new Promise(resolve => setImmediate(resolve))
    t.pass(`${title}: all go on`)
  }
})

t.test('credit that is held is for what was sent, and for exchanges that are there', async t => {
  const opened = await open(t)
  const { worker, link, until } = opened
  worker.stopReading()
  const uploads = Array.from({ length: 8 }, (_, at) => uploadOf(link, `/upload-${at}`))
  for (let round = 0; round < 10; round++) await returnAll(opened, uploads, `${round}`)
  const [released, answered, kept] = uploads as [(typeof uploads)[0], (typeof uploads)[0], (typeof uploads)[0]]
  link.cancel(released!.exchange, false)
  worker.answer(answered!.exchange.linkId, '')
  await until('responded PUT /upload-1')
  const ended = [released!.sentBytes, answered!.sentBytes]
  worker.say(creditFrame(kept!.exchange.linkId, WINDOW_BYTES))
  await until('broke: it returns more credit than it was sent')
  t.same([released!.sentBytes, answered!.sentBytes], ended)
})

t.test('a worker that ends requests unread gets no more of them than a few MB, until it reads', async t => {
  const body = Buffer.alloc(100_000)
  const post = (target: string) => {
    const exchange = exchangeOf('POST', target, [`Content-Length: ${body.length}`])
    exchange.replayable = [body]
    exchange.bodyComplete = true
    return exchange
  }
  const unsent = (target: string) => {
    const exchange = exchangeOf('POST', target, ['Content-Length: 1000000'])
    exchange.replayable = [body]
    return exchange
  }
  const longHead = (target: string) => exchangeOf('GET', target, [`Cookie: ${'c'.repeat(60_000)}`])
  type Opened = Awaited<ReturnType<typeof open>>
  const answer = async ({ worker, until }: Opened, exchange: TestExchange) => {
    worker.answer(exchange.linkId, '')
    await until(`responded ${exchange.title}`)
  }
  const giveUp = async ({ link }: Opened, exchange: TestExchange) => {
    link.cancel(exchange, false)
    await new Promise(resolve => setImmediate(resolve))
  }
  const cases: [title: string, make: typeof post, end: typeof answer][] = [
    ['whole bodies', post, answer],
    ['bodies that have begun', unsent, answer],
    ['long heads', longHead, answer],
    ['requests that their clients give up', post, giveUp],
  ]
  for (const [title, make, end] of cases) {
    const opened = await open(t)
    const { worker, link } = opened
    link.open = true
    worker.stopReading()
    let requests = 0
    for (; link.open && requests < 300; requests++) {
      const exchange = make(`/${requests}`)
      link.send(exchange, false)
      await end(opened, exchange)
    }
    t.ok(requests < 100, `${title}: ${requests} requests`)
    t.not(link.pingSentMs, 0, `${title}: it has to prove that it reads`)
    worker.readOn()
    while (!link.open) await new Promise(resolve => setImmediate(resolve))
    t.equal(worker.of(FRAME.request).length, requests, `${title}: all of them arrive`)
  }
})

t.test(
  'a worker that was held off stays out of rotation where it retires meanwhile, and uploads alone hold nobody off',
  async t => {
    const { worker, link } = await open(t)
    link.open = true
    worker.stopReading()
    const uploads = Array.from({ length: 50 }, (_, at) => uploadOf(link, `/upload-${at}`))
    await new Promise(resolve => setImmediate(resolve))
    t.ok(link.open, 'all that waits is of requests in flight')
    for (const { exchange } of uploads) link.cancel(exchange, false)
    await new Promise(resolve => setImmediate(resolve))
    link.send(exchangeOf('GET', '/after', [`Cookie: ${'c'.repeat(20_000)}`]), false)
    await new Promise(resolve => setImmediate(resolve))
    t.notOk(link.open)
    link.retiring = true
    link.ping(monotonicMs())
    worker.readOn()
    while (link.lastPongMs === 0) await new Promise(resolve => setImmediate(resolve))
    t.notOk(link.open)
  },
)

t.test('1xx answers go to clients that know them, and nothing else goes that way', async t => {
  const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n'
  const cases: [title: string, httpMinor: 0 | 1, bytes: string, expected: string | null][] = [
    ['early hints', 1, hints, hints],
    ['HTTP/1.0', 0, hints, ''],
    ['a final answer', 1, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', null],
    ['a smuggled answer', 1, `${hints}HTTP/1.1 200 OK\r\n\r\n`, null],
    ['101', 1, 'HTTP/1.1 101 Switching Protocols\r\n\r\n', null],
    ['half a head', 1, 'HTTP/1.1 103 Early Hints\r\n', null],
    ['a body', 1, 'HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n', null],
    ['a line that is no field', 1, 'HTTP/1.1 103 Early Hints\r\nHTTP/1.1 200 OK\r\n\r\n', null],
    ['a bare line feed', 1, 'HTTP/1.1 103 Early Hints\r\na: b\nc: d\r\n\r\n', null],
    ['no HTTP', 1, 'hello\r\n\r\n', null],
  ]
  for (const [title, httpMinor, bytes, expected] of cases) {
    const { worker, link, until } = await open(t)
    const exchange = exchangeOf('GET', '/')
    exchange.head.httpMinor = httpMinor
    link.send(exchange, false)
    const id = exchange.linkId
    await worker.has(FRAME.request, 1)
    worker.say(frame(FRAME.informational, id, bytes))
    worker.answer(id, '')
    if (expected === null) {
      await until('bad GET /: it has a malformed interim response')
      t.equal(exchange.client.received, '', `${title}: nothing of it, and nothing behind it`)
      t.equal((await worker.has(FRAME.abort, 1))[0]?.id, id, `${title}: the worker is told`)
    } else {
      await until('responded GET /')
      t.equal(exchange.client.received, `${expected}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`, title)
    }
  }
})

t.test('a head comes first, once, and with the status of a final answer', async t => {
  const head = (status: number, flags = 0) => responsePrefix(status, flags) + OK
  const cases: [title: string, frames: (id: number) => string[], received: string][] = [
    ['data before the head', id => [frame(FRAME.data, id, 'evil')], ''],
    ['an end before the head', id => [frame(FRAME.end, id, '\0')], ''],
    ['two heads', id => [frame(FRAME.response, id, head(200)), frame(FRAME.response, id, head(200))], OK],
    [
      'a whole answer behind a head',
      id => [frame(FRAME.response, id, head(200)), frame(FRAME.response, id, head(200, 1))],
      OK,
    ],
    [
      'hints behind a head',
      id => [frame(FRAME.response, id, head(200)), frame(FRAME.informational, id, 'HTTP/1.1 103 E\r\n\r\n')],
      OK,
    ],
    ['status 99', id => [frame(FRAME.response, id, head(99))], ''],
    ['status 101', id => [frame(FRAME.response, id, head(101))], ''],
    ['status 199', id => [frame(FRAME.response, id, head(199))], ''],
    ['status 1000', id => [frame(FRAME.response, id, head(1000))], ''],
    ['refused by the worker', id => [frame(FRAME.abort, id, 'it has two content-lengths')], ''],
  ]
  for (const [title, frames, received] of cases) {
    const { worker, link, told } = await open(t)
    const exchange = exchangeOf('GET', '/')
    link.send(exchange, false)
    const id = exchange.linkId
    await worker.has(FRAME.request, 1)
    worker.say(...frames(id))
    while (!told.some(text => text.startsWith('bad GET /: it'))) await new Promise(resolve => setImmediate(resolve))
    t.equal(exchange.client.received, received, title)
    t.equal(exchange.attempt, null, `${title}: it is not in flight any more`)
  }
})

/** Frames that a link takes in one turn of its. */
const FRAMES_PER_TURN = 1024
/** The turns that so many frames take, with those that begin where a read of at least 16 KB does. */
const turnsOf = (frames: number, bytes: number) => Math.ceil(frames / FRAMES_PER_TURN) + Math.ceil(bytes / 16_384) + 1

/** Watches how far something gets from one turn of the loop to the next; the longest step. */
function watchSteps(now: () => number): { longest(): number } {
  let last = now()
  let longest = 0
  const look = () => {
    longest = Math.max(longest, now() - last)
    last = now()
    if (isWatching) setImmediate(look)
  }
  let isWatching = true
  setImmediate(look)
  return {
    longest() {
      isWatching = false
      return longest
    },
  }
}

t.test('frames of a single byte', async t => {
  const cases: [title: string, exchanges: number, bytesOfEach: number][] = [
    ['of one response', 1, 20_000],
    ['of many responses in turn', 20, 1000],
  ]
  for (const [title, count, bytes] of cases) {
    const { worker, link, told } = await open(t)
    const exchanges = Array.from({ length: count }, (_, index) => exchangeOf('GET', `/${index}`))
    for (const exchange of exchanges) link.send(exchange, false)
    await worker.has(FRAME.request, count)
    const each = (make: (id: number) => string) => exchanges.map(exchange => make(exchange.linkId)).join('')
    const letter = (index: number) => String.fromCharCode(97 + (index % 23))
    worker.say(each(id => frame(FRAME.response, id, responsePrefix(200, 0) + OK)))
    worker.say(Array.from({ length: bytes }, (_, index) => each(id => frame(FRAME.data, id, letter(index)))).join(''))
    worker.say(each(id => frame(FRAME.end, id, '\0')))
    while (told.filter(text => text.startsWith('responded')).length < count)
      await new Promise(resolve => setImmediate(resolve))
    const expected = OK + Array.from({ length: bytes }, (_, index) => letter(index)).join('')
    const wrong = exchanges.filter(exchange => exchange.client.received !== expected)
    t.equal(wrong.length, 0, `${title}: each client gets all of them, in order`)
    t.ok(exchanges.every(exchange => exchange.sentBytes === expected.length))
    const most = Math.max(...exchanges.map(exchange => exchange.client.writes))
    t.ok(most <= turnsOf(count * bytes, count * bytes * 9), `${title}: in ${most} writes at most`)
  }
})

t.test('interim answers without a word are joined too, and the first 100 is not', async t => {
  const { worker, link, until } = await open(t)
  const exchange = exchangeOf('GET', '/')
  link.send(exchange, false)
  await worker.has(FRAME.request, 1)
  const id = exchange.linkId
  const interim = (status: number) => `HTTP/1.1 ${status} \r\n\r\n`
  const heads = [...Array<string>(3000).fill(interim(102)), interim(100), ...Array<string>(3000).fill(interim(103))]
  worker.say(heads.map(head => frame(FRAME.informational, id, head)).join(''))
  worker.answer(id, 'x')
  await until('responded GET /')
  t.equal(exchange.client.received, `${heads.join('')}HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx`)
  t.ok(exchange.client.writes <= 2 + turnsOf(6001, 6001 * 26), `${exchange.client.writes} writes`)
})

t.test('of interim answers without end those that have room go on, and the answer comes', async t => {
  const { worker, link, until } = await open(t)
  const exchange = exchangeOf('GET', '/')
  link.send(exchange, false)
  await worker.has(FRAME.request, 1)
  const id = exchange.linkId
  const head = `HTTP/1.1 103 E\r\nA: ${'x'.repeat(1000)}\r\n\r\n`
  worker.say(frame(FRAME.informational, id, head).repeat(3000))
  worker.answer(id, 'x')
  await until('responded GET /')
  const passed = exchange.client.received.split(head).length - 1
  t.equal(passed, Math.floor(1024 ** 2 / (head.length + 100)))
  t.match(exchange.client.received, /HTTP\/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx$/)
})

t.test('a flood of short frames of any kind lets others have their turn', async t => {
  const { worker, link, told } = await open(t)
  const exchange = exchangeOf('POST', '/', ['Content-Length: 1000000'])
  link.send(exchange, false)
  link.sendBody(exchange, Buffer.alloc(WINDOW_BYTES - 1))
  await worker.has(FRAME.data, 1)
  const id = exchange.linkId
  worker.say(frame(FRAME.seen, id))
  const steps = watchSteps(() => exchange.bodyWindow)
  const credits = 60_000
  worker.say(
    frame(FRAME.harakiri, id, '\x10\x27\0\0').repeat(2000) + creditFrame(id, 1).repeat(credits),
    frame(FRAME.harakiri, id, '\0\0\0\0').repeat(2000),
  )
  while (exchange.bodyWindow < credits + 1) await new Promise(resolve => setImmediate(resolve))
  const longest = steps.longest()
  t.ok(longest > 0 && longest <= 2 * FRAMES_PER_TURN, `${longest} at most from one turn of the loop to the next`)
  worker.answer(id, '')
  while (!told.some(text => text.startsWith('responded'))) await new Promise(resolve => setImmediate(resolve))
  t.notOk(told.some(text => text.startsWith('broke')))
})

t.test('behind a flood of short frames', async t => {
  const flood = (id: number) =>
    frame(FRAME.response, id, responsePrefix(200, 0) + OK) + frame(FRAME.data, id, 'x').repeat(15_000)
  const whole = OK + 'x'.repeat(15_000)
  const cases: [title: string, then: (id: number) => string, told: string][] = [
    ['an end', id => frame(FRAME.end, id, '\0'), 'responded GET /'],
    ['an abort', id => frame(FRAME.abort, id), 'broken GET /'],
    ['nothing', () => '', 'lost GET /'],
    ['what is no frame', () => '\xff'.repeat(8), 'broke: it sends a frame of 16777215 bytes'],
  ]
  for (const [title, then, expected] of cases) {
    const { worker, link, until } = await open(t)
    const exchange = exchangeOf('GET', '/')
    link.send(exchange, false)
    await worker.has(FRAME.request, 1)
    worker.say(flood(exchange.linkId) + then(exchange.linkId))
    worker.endsAfter()
    await until(expected)
    t.equal(exchange.client.received, whole, `${title}: all that came before it has gone to the client`)
  }
})

t.test('a long piece comes behind the short ones before it', async t => {
  const { worker, link, until } = await open(t)
  const exchange = exchangeOf('GET', '/')
  link.send(exchange, false)
  await worker.has(FRAME.request, 1)
  const id = exchange.linkId
  const pieces = ['a', 'b', 'c'.repeat(5000), 'd', 'e'.repeat(40_000), 'f']
  worker.say(frame(FRAME.response, id, responsePrefix(200, 0) + OK))
  worker.say(pieces.map(piece => frame(FRAME.data, id, piece)).join('') + frame(FRAME.end, id, '\0'))
  await until('responded GET /')
  t.equal(exchange.client.received, OK + pieces.join(''))
})

t.test('joined pieces are no credit before the client has taken them', async t => {
  const { worker, link } = await open(t)
  const exchange = exchangeOf('GET', '/')
  exchange.client.takesMore = false
  link.send(exchange, false)
  await worker.has(FRAME.request, 1)
  worker.say(frame(FRAME.response, exchange.linkId, responsePrefix(200, 0) + OK))
  const bytes = WINDOW_BYTES - OK.length
  worker.say(frame(FRAME.data, exchange.linkId, 'x').repeat(bytes))
  while (exchange.client.received.length < WINDOW_BYTES) await new Promise(resolve => setImmediate(resolve))
  t.equal(exchange.unacknowledgedCredit, WINDOW_BYTES)
  t.equal(worker.of(FRAME.credit).length, 0)
  exchange.client.drain()
  t.equal((await worker.has(FRAME.credit, 1))[0]?.payload.readUInt32LE(0), WINDOW_BYTES)
})

t.test('a response that is given up takes its joined pieces with it', async t => {
  const { worker, link, until } = await open(t)
  const [one, two] = [exchangeOf('GET', '/1'), exchangeOf('GET', '/2')]
  for (const exchange of [one, two]) link.send(exchange, false)
  await worker.has(FRAME.request, 2)
  const id = one.linkId
  // A second head is none: the first one and what came before it have been passed on.
  worker.say(
    frame(FRAME.response, id, responsePrefix(200, 0) + OK) +
      frame(FRAME.data, id, 'x').repeat(10) +
      frame(FRAME.informational, id, 'HTTP/1.1 103 E\r\n\r\n') +
      frame(FRAME.data, id, 'y').repeat(10),
  )
  worker.answer(two.linkId, 'two')
  await until('responded GET /2')
  t.equal(one.joined, '')
  t.equal(one.client.received, OK)
  t.match(two.client.received, /two$/)
})

t.test('a worker that is not there', async t => {
  const worker = await FakeWorker.open(t, 1)
  worker.die()
  const lost = await new Promise<Link>(resolve => {
    const nothing = () => {}
    const events = { linked: nothing, completed: nothing, broke: nothing, freed: nothing, lost: resolve }
    const link = new Link(worker.address, events, responderEvents())
    t.teardown(() => link.dismiss())
  })
  t.equal(lost.open, false)
})
