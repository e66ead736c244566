/** The socket that an application sees: what it says of the client, and that its doings reach its owner. */

import { createServer } from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { mock } from 'node:test'
import t from 'tap'
import { VirtualSocket, type VirtualSocketOwner } from '../../../../app/host/request/virtual-socket.js'
import { REQUEST_FLAG, type WireRequest } from '../../../../kit/link/frames.js'

const WIRE: WireRequest = {
  method: 'GET',
  target: '/',
  flags: 0,
  clientAddress: '192.0.2.1',
  clientPort: 5,
  rawHeaders: [],
}

/** A socket, and what its owner was told. */
function open(wire: Partial<WireRequest> = {}, takes = true) {
  const told: string[] = []
  const owner: VirtualSocketOwner = {
    take: (chunk, encoding, callback) => {
      told.push(`take ${chunk} ${encoding}`)
      if (callback) process.nextTick(callback)
      return takes
    },
    wantsBody: () => void told.push('wants body'),
    waitingBytes: 5,
    socketDestroyed: gone => {
      told.push('destroyed')
      process.nextTick(gone)
    },
    harakiri: ms => void told.push(`harakiri ${ms}`),
    timedOut: () => void told.push('timed out'),
  }
  return { told, socket: new VirtualSocket(owner, { ...WIRE, ...wire }, createServer()) }
}

t.test('says who the client is', async t => {
  const cases: [title: string, wire: Partial<WireRequest>, expected: object][] = [
    ['IPv4', {}, { remoteAddress: '192.0.2.1', remotePort: 5, remoteFamily: 'IPv4', encrypted: false }],
    ['IPv6', { clientAddress: '2001:db8::1' }, { remoteAddress: '2001:db8::1', remoteFamily: 'IPv6' }],
    ['TLS', { flags: REQUEST_FLAG.encrypted | REQUEST_FLAG.body }, { encrypted: true }],
    [
      'none of the others',
      { flags: REQUEST_FLAG.body | REQUEST_FLAG.close | REQUEST_FLAG.http10 },
      { encrypted: false },
    ],
  ]
  for (const [title, wire, expected] of cases) t.match(open(wire).socket, expected, title)
  const { socket } = open()
  t.ok(socket instanceof Duplex)
  t.match(socket, {
    connecting: false,
    pending: false,
    readyState: 'open',
    localAddress: undefined,
    localPort: undefined,
  })
})

t.test('writes go to the owner, who says whether there may be more', async t => {
  const { socket, told } = open()
  t.equal(socket.write('a'), true)
  t.equal(socket.write(Buffer.from('b'), 'utf8'), true)
  t.equal(socket.write(new Uint8Array([99])), true)
  await new Promise<void>(resolve => socket.write('d', 'latin1', () => resolve()))
  await new Promise<void>(resolve => socket.write('e', () => resolve()))
  t.same(told, ['take a utf8', 'take b utf8', 'take c utf8', 'take d latin1', 'take e utf8'])
  t.equal(socket.bytesWritten, 5)
  t.equal(open({}, false).socket.write('x'), false)
})

t.test('after its end nothing is taken, and the writer is told', async t => {
  const { socket, told } = open()
  const closed = new Promise(resolve => socket.on('close', resolve))
  socket.end('last')
  t.equal(socket.write('more'), false)
  const error = await new Promise<Error | null | undefined>(resolve => socket.write('more', resolve))
  t.match(error, Error)
  await closed
  t.same(told, ['take last utf8', 'destroyed'])
  t.match(socket, { destroyed: true, readyState: 'closed', writable: false })
})

t.test('an error without a listener ends nothing but the socket', async t => {
  const cases: [title: string, listens: boolean][] = [
    ['nobody listens', false],
    ['somebody listens', true],
  ]
  for (const [title, listens] of cases) {
    const { socket, told } = open()
    const errors: string[] = []
    if (listens) socket.on('error', error => errors.push(error.message))
    const closed = new Promise(resolve => socket.on('close', resolve))
    socket.destroy(new Error('why'))
    await closed
    t.same(told, ['destroyed'], title)
    t.same(errors, listens ? ['why'] : [], title)
  }
})

t.test('resuming it asks for more of the body', async t => {
  const { socket, told } = open()
  socket.resume()
  t.equal(socket.pause(), socket)
  t.same(told, ['wants body'])
  socket.received(10)
  t.equal(socket.bytesRead, 10)
})

t.test('time-outs', async t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => {
    mock.timers.reset()
    syncBuiltinESMExports()
  })
  // What was imported from node:timers is mocked, too.
  syncBuiltinESMExports()
  const { socket, told } = open()
  const listener = () => {}
  socket.setTimeout(10, listener)
  t.equal(socket.timeout, 10)
  t.equal(socket.listenerCount('timeout'), 1)
  socket.setTimeout(0, listener)
  t.equal(socket.listenerCount('timeout'), 0)
  mock.timers.tick(20)
  t.same(told, [], 'taken back')
  socket.setTimeout(10)
  mock.timers.tick(9)
  t.same(told, [])
  mock.timers.tick(1)
  t.same(told, ['timed out'])
  socket.setTimeout(10)
  socket.destroy()
  mock.timers.tick(20)
  t.same(told, ['timed out', 'destroyed'], 'none after the end')
})

/** Names that objects like `socket` have, by themselves or by their class, but for what is inherited by all objects. */
function namesOf(socket: object): string[] {
  const names = new Set<string>()
  for (let from: object = socket; from !== Object.prototype; from = Object.getPrototypeOf(from)) {
    for (const name of Object.getOwnPropertyNames(from)) names.add(name)
  }
  return [...names].sort()
}

/** What comes of `socket[name] = value`, in the strict mode of modules. */
function assigned(socket: object, name: string, value: unknown): 'refused' | 'kept' | 'ignored' {
  const target = socket as Record<string, unknown>
  try {
    target[name] = value
  } catch {
    return 'refused'
  }
  return target[name] === value ? 'kept' : 'ignored'
}

t.test('whatever can be assigned on a socket of Node’s can be here', async t => {
  const told = [
    'encrypted',
    'timeout',
    'connecting',
    'server',
    'parser',
    '_httpMessage',
    '_handle',
    'authorized',
    'user',
  ]
  for (const name of new Set([...namesOf(new Socket()), ...told])) {
    for (const value of [true, 5, null, () => {}]) {
      const bare = new Socket()
      const outcome = assigned(bare, name, value)
      // A state that is taken away is made anew (`lazy-duplex.ts`).
      if (value === null && /^_(readable|writable)State$/.test(name)) continue
      // A socket of ours may let more be assigned.
      if (outcome !== 'refused') t.equal(assigned(open().socket, name, value), outcome, `${name} = ${value}`)
    }
  }
})

t.test('what was assigned is read, and is a property of that socket alone', async t => {
  const cases: [name: 'encrypted' | 'connecting' | 'timeout', value: unknown][] = [
    ['encrypted', true],
    ['connecting', true],
    ['timeout', 5000],
  ]
  for (const [name, value] of cases) {
    const { socket } = open()
    Object.assign(socket, { [name]: value })
    t.equal(socket[name], value, name)
    t.not(open().socket[name], value, `${name} of another one`)
  }
  const { socket } = open({ flags: REQUEST_FLAG.encrypted })
  socket.encrypted = false
  t.equal(socket.encrypted, false)
  Object.defineProperty(socket, 'remoteAddress', { value: '192.0.2.7' })
  t.equal(socket.remoteAddress, '192.0.2.7')
})

t.test('it has what the documented interface of a socket has, of the same type', async t => {
  const bare = new Socket()
  const { socket } = open()
  const kinds = (of: object) => {
    const documented = namesOf(bare).filter(name => !name.startsWith('_'))
    return Object.fromEntries(documented.map(name => [name, typeof (of as Record<string, unknown>)[name]]))
  }
  // Of a socket that is not connected Node does not know these.
  const connected = { remoteAddress: 'string', remotePort: 'number', remoteFamily: 'string', bufferSize: 'number' }
  t.same({ ...kinds(socket) }, { ...kinds(bare), ...connected })
})

t.test('what cannot be done to a connected socket ends it, as in Node', async t => {
  const { socket } = open()
  const failed = new Promise(resolve => socket.on('error', resolve))
  t.equal(socket.connect(), socket)
  t.match(await failed, { code: 'EISCONN' })
  t.match(open().socket.address(), {})
})

t.test('what sockets have and this one does not need is there', async t => {
  const { socket } = open()
  for (const name of ['setKeepAlive', 'setNoDelay', 'setTypeOfService', 'ref', 'unref'] as const)
    t.equal(socket[name](), socket, name)
  socket.cork()
  socket.uncork()
  t.equal(socket.writableCorked, 0)
  t.equal(socket.bufferSize, 5)
  t.equal(socket.getTypeOfService(), 0)
  socket.destroySoon()
  t.equal(socket.destroyed, true)
})
