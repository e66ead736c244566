/**
 * The undocumented doors of `node:http`, on whatever version of Node runs this: that each still opens what it is thought to open.
 */

import { createServer, IncomingMessage, type Server, ServerResponse } from 'node:http'
import t from 'tap'
import {
  assignSocket,
  closesConnection,
  completeRequest,
  detachSocket,
  dumpUnread,
  emitClose,
  NodeInternals,
  printedHead,
} from '../../../../app/host/request/node-internals.js'
import { VirtualSocket } from '../../../../app/host/request/virtual-socket.js'
import type { WireRequest } from '../../../../kit/link/frames.js'

const WIRE: WireRequest = {
  method: 'PUT',
  target: '/a?b',
  flags: 0,
  clientAddress: '1.2.3.4',
  clientPort: 5,
  rawHeaders: [],
}

function open(server: Server = createServer(), wire: Partial<WireRequest> = {}, http10 = false) {
  let takes = true
  const owner = {
    take: () => takes,
    wantsBody: () => {},
    // Node 26 looks at what waits, the others at what `write` returned.
    get waitingBytes() {
      return takes ? 0 : 1024 * 1024
    },
    socketDestroyed: (gone: () => void) => process.nextTick(gone),
    harakiri: () => {},
    timedOut: () => {},
  }
  const whole = { ...WIRE, ...wire }
  const internals = new NodeInternals(server)
  const socket = new VirtualSocket(owner, whole, server)
  const request = internals.createRequest(socket, whole, http10)
  const response = internals.createResponse(request)
  assignSocket(response, socket)
  const refuse = () => {
    takes = false
  }
  return { internals, socket, request, response, refuse }
}

t.test('a request is what the wire says', async t => {
  const { request, socket } = open(undefined, { rawHeaders: ['Host', 'a', 'X-A', '1', 'x-a', '2', 'Set-Cookie', 'c'] })
  t.match(request, {
    method: 'PUT',
    url: '/a?b',
    httpVersion: '1.1',
    httpVersionMajor: 1,
    httpVersionMinor: 1,
    complete: false,
  })
  t.same(request.headers, { host: 'a', 'x-a': '1, 2', 'set-cookie': ['c'] })
  t.same(request.rawHeaders, ['Host', 'a', 'X-A', '1', 'x-a', '2', 'Set-Cookie', 'c'])
  t.equal(request.socket, socket as unknown)
  t.match(open(undefined, {}, true).request, { httpVersion: '1.0', httpVersionMinor: 0 })
})

t.test('repeated fields are joined where the server wants it', async t => {
  const rawHeaders = ['Age', '1', 'Age', '2']
  t.equal(open(createServer(), { rawHeaders }).request.headers.age, '1')
  t.equal(open(createServer({ joinDuplicateHeaders: true }), { rawHeaders }).request.headers.age, '1, 2')
})

t.test("the application's own message classes are used", async t => {
  class OwnRequest extends IncomingMessage {}
  class OwnResponse extends ServerResponse {}
  const own = open(createServer({ IncomingMessage: OwnRequest, ServerResponse: OwnResponse }) as unknown as Server)
  t.ok(own.request instanceof OwnRequest && own.response instanceof OwnResponse)
  const usual = open()
  t.ok(usual.request instanceof IncomingMessage && usual.response instanceof ServerResponse)
})

t.test('trailers', async t => {
  const { request } = open()
  completeRequest(request, ['X-Sum', '1', 'x-sum', '2'])
  t.equal(request.complete, true)
  t.same({ ...request.trailers }, { 'x-sum': '1, 2' })
  t.same(request.rawTrailers, ['X-Sum', '1', 'x-sum', '2'])
  t.same(request.headers, {}, 'they are no headers')
  const without = open().request
  completeRequest(without, [])
  t.same([without.complete, { ...without.trailers }], [true, {}])
})

t.test('the head as it was printed', async t => {
  const { response } = open()
  response.writeHead(404, 'Nothing', { 'X-Word': 'one' }).end('abc')
  t.match(printedHead(response), /^HTTP\/1\.1 404 Nothing\r\nX-Word: one\r\n[\s\S]*\r\n\r\n$/)
})

t.test('whose end is the end of the connection', async t => {
  const cases: [title: string, make: (response: ServerResponse) => void, expected: boolean][] = [
    ['usual', response => void response.end('a'), false],
    ['the client wants it', response => void Object.assign(response, { shouldKeepAlive: false }).end('a'), true],
    ['the application wants it', response => void response.writeHead(200, { Connection: 'close' }).end('a'), true],
    [
      'no length and no chunks',
      response => {
        response.useChunkedEncodingByDefault = false
        response.write('a')
        response.end()
      },
      true,
    ],
  ]
  for (const [title, make, expected] of cases) {
    const { response } = open()
    make(response)
    t.equal(closesConnection(response), expected, title)
  }
})

t.test('a refused write, and that it may go on', async t => {
  const { internals, response, refuse } = open()
  let drains = 0
  response.on('drain', () => (drains += 1))
  internals.drain(response)
  t.equal(drains, 0, 'nobody waits')
  refuse()
  t.equal(response.write('a'), false)
  t.equal(response.writableNeedDrain, true)
  internals.drain(response)
  t.equal(response.writableNeedDrain, false)
  t.equal(drains, 1)
  internals.drain(response)
  t.equal(drains, 1)
})

t.test('the end of a response', async t => {
  const { response, socket } = open()
  let closes = 0
  response.on('close', () => (closes += 1))
  t.equal(response.socket, socket as unknown)
  detachSocket(response, socket)
  t.equal(response.socket, null)
  t.equal(socket.listenerCount('close'), 0)
  emitClose(response)
  emitClose(response)
  t.equal(closes, 1)
  t.match(response, { destroyed: true, closed: true })
})

t.test('an unread body runs away, one that is read does not', async t => {
  const unread = open().request
  unread.push('abc')
  completeRequest(unread, [])
  const ended = new Promise(resolve => unread.on('end', resolve))
  dumpUnread(unread)
  await ended
  const { request } = open()
  request.push('abc')
  completeRequest(request, [])
  t.equal(String(request.read(1)), 'a')
  dumpUnread(request)
  t.equal(String(request.read()), 'bc')
})
