/** Tests `app/host/listen/take-over.ts`: the first HTTP server listens on our socket and never notices, all others are left alone. */

import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { chmod } from 'node:fs/promises'
import { createServer, Server as HttpServer, type RequestListener } from 'node:http'
import { createSecureServer } from 'node:http2'
import { createServer as createSecure } from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import tls from 'node:tls'
import t, { type Test } from 'tap'
import { askedAddress } from '../../../../app/host/listen/asked-address.js'
import { type SiteRemark, type TakeOverOptions, takeOverListen } from '../../../../app/host/listen/take-over.js'
import { NO_PORT, UNCHOSEN_PORT } from '../../../../kit/channel/messages.js'
import { scratchFolder } from '../../../supervisor/fixtures/scratch-folder.js'
import { ask } from '../../fixtures/program.js'

/** A take-over for one test, undone after it; `listening` closes what it listens with. `port` is PORT meanwhile. */
function takeOver(t: Test, { port, ...options }: TakeOverOptions & { port?: string } = {}) {
  const { listen } = net.Server.prototype
  const socketPath = join(scratchFolder(t), 's')
  const remarks: SiteRemark[] = []
  const taken = takeOverListen(socketPath, { remark: remark => void remarks.push(remark), ...options })
  const { server } = taken
  const before = process.env.PORT
  if (port !== undefined) process.env.PORT = port
  t.teardown(() => {
    net.Server.prototype.listen = listen
    if (before === undefined) delete process.env.PORT
    else process.env.PORT = before
  })
  const call = (listening: net.Server, ...args: unknown[]) => {
    t.teardown(() => listening.close())
    return Reflect.apply(listening.listen, listening, args) as net.Server
  }
  return { socketPath, server, call, taken, remarks }
}

const hello: RequestListener = (_request, response) => response.end('hello')
const tcp = (address: string, port: number) => ({ address, family: net.isIP(address) === 6 ? 'IPv6' : 'IPv4', port })
const aborted = new AbortController()

const accepted: [string, unknown[], unknown][] = [
  ['no arguments', [], tcp('::', UNCHOSEN_PORT)],
  ['only a callback', ['CALLBACK'], tcp('::', UNCHOSEN_PORT)],
  ['null', [null], tcp('::', UNCHOSEN_PORT)],
  ['undefined, as of an unset PORT', [undefined, 'CALLBACK'], tcp('::', UNCHOSEN_PORT)],
  ['a port', [3000], tcp('::', 3000)],
  ['port 0', [0, 'CALLBACK'], tcp('::', UNCHOSEN_PORT)],
  ['a string port, as of PORT', ['3000', 'CALLBACK'], tcp('::', 3000)],
  ['the largest port', [65535], tcp('::', 65535)],
  ['port and host', [3000, '0.0.0.0', 'CALLBACK'], tcp('0.0.0.0', 3000)],
  ['port, host, backlog and callback', [3000, '127.0.0.1', 128, 'CALLBACK'], tcp('127.0.0.1', 3000)],
  ['port, backlog and callback', [3000, 128, 'CALLBACK'], tcp('::', 3000)],
  ['port and a host that is a name', [3000, 'localhost'], tcp('127.0.0.1', 3000)],
  ['an IPv6 host', ['3000', '::1'], tcp('::1', 3000)],
  ['an object', [{ port: 3000, host: '127.0.0.1', backlog: 5, exclusive: true }, 'CALLBACK'], tcp('127.0.0.1', 3000)],
  ['an object with an undefined port', [{ port: undefined, host: '::1' }], tcp('::1', UNCHOSEN_PORT)],
  ['an object with a string port', [{ port: '3000' }], tcp('::', 3000)],
  ['an object with a signal', [{ port: 3000, signal: aborted.signal }], tcp('::', 3000)],
  ['an object with port and path: the port counts', [{ port: 3000, path: '/nowhere' }], tcp('::', 3000)],
  ['a path', ['/nowhere/app.sock', 'CALLBACK'], '/nowhere/app.sock'],
  ['a path and a backlog', ['/nowhere/app.sock', 128, 'CALLBACK'], '/nowhere/app.sock'],
  ['an object with a path', [{ path: '/nowhere/app.sock', writableAll: true }], '/nowhere/app.sock'],
  ['a descriptor, as of socket activation', [{ fd: 3 }, 'CALLBACK'], tcp('::', UNCHOSEN_PORT)],
]

t.test('whatever it asks for, it listens on our socket and is told what it asked for', async t => {
  for (const [title, args, expected] of accepted) {
    await t.test(title, async t => {
      const { socketPath, server, call } = takeOver(t)
      const application = createServer(hello)
      let calls = 0
      const callback = () => {
        calls++
      }
      const listening = once(application, 'listening')
      t.equal(application.address(), null, 'no address before')
      t.equal(call(application, ...args.map(value => (value === 'CALLBACK' ? callback : value))), application, 'chains')
      t.equal(calls, 0, 'the callback comes later')
      await listening
      t.equal(calls, args.includes('CALLBACK') ? 1 : 0)
      t.strictSame(application.address(), expected)
      t.equal(await server, application)
      t.match(await ask({ socketPath, path: '/' }), { status: 200, text: 'hello' })
      await new Promise(resolve => application.close(resolve))
      t.equal(application.address(), null, 'no address after')
    })
  }
})

const refused: [string, unknown[], string][] = [
  ['a port too large', [65536], 'ERR_SOCKET_BAD_PORT'],
  ['a negative port', [-1], 'ERR_SOCKET_BAD_PORT'],
  ['a broken port', [3000.5], 'ERR_SOCKET_BAD_PORT'],
  ['no number', [Number.NaN], 'ERR_SOCKET_BAD_PORT'],
  ['an empty string', [''], 'ERR_SOCKET_BAD_PORT'],
  ['a blank string', [' '], 'ERR_SOCKET_BAD_PORT'],
  ['an object with an empty port', [{ port: '' }], 'ERR_SOCKET_BAD_PORT'],
  ['a boolean', [true], 'ERR_INVALID_ARG_VALUE'],
  ['an empty object', [{}], 'ERR_INVALID_ARG_VALUE'],
  ['only a host', [{ host: '127.0.0.1' }], 'ERR_INVALID_ARG_VALUE'],
  ['a negative descriptor', [{ fd: -1 }], 'ERR_INVALID_ARG_VALUE'],
]

t.test('what Node refuses is refused by Node, and nothing is taken over', async t => {
  for (const [title, args, code] of refused) {
    await t.test(title, async t => {
      const { socketPath, server, call } = takeOver(t)
      t.throws(() => call(createServer(), ...args), { code })
      t.equal(askedAddress(args), null)
      t.equal(existsSync(socketPath), false)
      const application = createServer(hello)
      call(application, 3000)
      t.equal(await server, application, 'the next one that listens is taken over')
    })
  }
})

t.test('the same server listens twice', async t => {
  const { call } = takeOver(t)
  const application = createServer(hello)
  call(application, 3000)
  t.throws(() => call(application, 3001), { code: 'ERR_SERVER_ALREADY_LISTEN' }, 'at once')
  await once(application, 'listening')
  t.throws(() => call(application, 3001), { code: 'ERR_SERVER_ALREADY_LISTEN' }, 'later')
  t.strictSame(application.address(), tcp('::', 3000))
})

t.test('a server that was closed listens on our socket again', async t => {
  const { socketPath, call } = takeOver(t)
  const application = createServer(hello)
  call(application, 3000)
  await once(application, 'listening')
  await new Promise(resolve => application.close(resolve))
  call(application, 4000)
  await once(application, 'listening')
  t.strictSame(application.address(), tcp('::', 4000))
  t.match(await ask({ socketPath, path: '/' }), { text: 'hello' })
})

for (const [title, port] of [
  ['without a PORT', undefined],
  ['on PORT', '3000'],
  ['beside a PORT', '4000'],
] as const) {
  t.test(`a site ${title} that is closed when it is asked for is told when it listens again, each time`, async t => {
    const { call, taken } = takeOver(t, { port, portMs: 60_000 })
    const server = createServer(hello)
    call(server, 3000)
    await once(server, 'listening')
    server.close()
    t.ok(taken.settle())
    t.equal(await taken.server, server)
    for (let time = 0; time < 2; time++) {
      t.equal(taken.openServer, null)
      const again = new Promise(resolve => {
        taken.onReplaced = resolve
      })
      call(server, 3000)
      t.equal(await again, server)
      t.equal(taken.openServer, server)
      server.close()
    }
  })
}

t.test('a signal that was passed closes it', async t => {
  const { socketPath, call } = takeOver(t)
  const control = new AbortController()
  const application = createServer(hello)
  call(application, { port: 3000, signal: control.signal })
  await once(application, 'listening')
  control.abort()
  await once(application, 'close')
  t.equal(existsSync(socketPath), false)
})

t.test('a class of its own that extends http.Server is taken over', async t => {
  const { server, call } = takeOver(t)
  class Farm extends HttpServer {}
  const farm = new Farm()
  call(farm, 3000)
  t.equal(await server, farm)
})

const others: [string, () => net.Server][] = [
  ['net', () => net.createServer()],
  ['tls', () => tls.createServer()],
  ['http2', () => createSecureServer() as unknown as net.Server],
]

t.test('servers of other kinds get what they ask for', async t => {
  for (const [title, create] of others) {
    await t.test(title, async t => {
      const { socketPath, server, call } = takeOver(t)
      const other = create()
      call(other, 0, '127.0.0.1')
      await once(other, 'listening')
      t.match(other.address(), { address: '127.0.0.1', family: 'IPv4' })
      t.not((other.address() as net.AddressInfo).port, UNCHOSEN_PORT)
      t.equal(existsSync(socketPath), false)
      const application = createServer(hello)
      call(application, 3000)
      t.equal(await server, application)
    })
  }
})

t.test('a later HTTP server gets what it asks for', async t => {
  const { socketPath, call } = takeOver(t)
  call(createServer(hello), 3000)
  const later = createServer((_request, response) => response.end('later'))
  call(later, 0, '127.0.0.1')
  await once(later, 'listening')
  const { port } = later.address() as net.AddressInfo
  t.match(await ask({ host: '127.0.0.1', port, path: '/' }), { text: 'later' })
  t.match(await ask({ socketPath, path: '/' }), { text: 'hello' })
})

t.test('a later HTTP server with the same request listener gets no door of its own', async t => {
  const { socketPath, call } = takeOver(t)
  call(createServer(hello), 3000, '127.0.0.1')
  const again = createServer(hello)
  call(again, 0, '::1')
  await once(again, 'listening')
  t.strictSame(again.address(), tcp('::1', UNCHOSEN_PORT))
  t.equal(existsSync(`${socketPath}+`), false)
  await t.rejects(ask({ host: '::1', port: UNCHOSEN_PORT, path: '/' }))
  t.match(await ask({ socketPath, path: '/' }), { text: 'hello' })
})

t.test('a unix path that is asked for is there when it listens, and gone when it has closed', async t => {
  const doings: [title: string, work: (path: string, t: Test) => unknown][] = [
    ['chmodSync', path => chmodSync(path, 0o600)],
    ['chownSync', path => chownSync(path, process.getuid!(), process.getgid!())],
    ['promises.chmod', path => chmod(path, 0o666)],
    ['statSync', (path, t) => t.ok(statSync(path).isSocket())],
    ['it asks itself', async (path, t) => t.match(await ask({ socketPath: path, path: '/' }), { text: 'hello' })],
  ]
  for (const [title, work] of doings) {
    await t.test(title, async t => {
      const { socketPath, call } = takeOver(t)
      const path = `${socketPath}.asked`
      const application = createServer(hello)
      await new Promise<void>((resolve, reject) => {
        const callback = async () => {
          await work(path, t)
          resolve()
        }
        call(application, { path }, () => void callback().catch(reject))
      })
      await new Promise(resolve => application.close(resolve))
      t.throws(() => lstatSync(path), { code: 'ENOENT' })
    })
  }
})

t.test('workers share such a path: the last one has it, and only who has it takes it away', async t => {
  const { socketPath, call } = takeOver(t)
  const path = `${socketPath}.asked`
  const earlier = `${socketPath}.earlier`
  symlinkSync(earlier, path)
  const application = createServer(hello)
  call(application, path)
  t.equal(readlinkSync(path), socketPath, 'that of one that is gone is taken over')
  await once(application, 'listening')
  const later = `${socketPath}.later`
  rmSync(path)
  symlinkSync(later, path)
  await new Promise(resolve => application.close(resolve))
  t.equal(readlinkSync(path), later)
})

t.test('what others have at such a path stays, and where none can be it listens all the same', async t => {
  const scenes: [title: string, prepare: (path: string) => void, read: (path: string) => string, expected: string][] = [
    ['a file', path => writeFileSync(path, 'mine'), path => readFileSync(path, 'utf8'), 'mine'],
    ['a link of others', path => symlinkSync('/srv/app.sock', path), readlinkSync, '/srv/app.sock'],
  ]
  for (const [title, prepare, read, expected] of scenes) {
    await t.test(title, async t => {
      const { socketPath, call } = takeOver(t)
      const path = `${socketPath}.asked`
      prepare(path)
      const application = createServer(hello)
      call(application, path)
      await once(application, 'listening')
      await new Promise(resolve => application.close(resolve))
      t.equal(read(path), expected)
    })
  }
  for (const path of ['/nowhere/app.sock', '\0abstract']) {
    await t.test(JSON.stringify(path), async t => {
      const { call } = takeOver(t)
      const application = createServer(hello)
      call(application, path)
      await once(application, 'listening')
      t.equal(application.address(), path)
    })
  }
})

t.test('a socket that cannot be opened', async t => {
  const { socketPath, server, call } = takeOver(t)
  writeFileSync(socketPath, '')
  const application = createServer(hello)
  const failed = once(application, 'error')
  call(application, 3000)
  await t.rejects(server, { code: 'EADDRINUSE' })
  t.match((await failed)[0], { code: 'EADDRINUSE' }, 'the application is told, as in Node')
  t.equal(application.address(), null)
})

/** Longer than any test: what happens before it does is not for its passing. */
const NEVER_MS = 3_600_000
const admin: RequestListener = (_request, response) => response.end('admin')

/** A port that nobody has: the kernel gave it a moment ago. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Counts the events of one name that an application sees. */
function counting(server: net.Server, event: string): { count: number } {
  const seen = { count: 0 }
  server.on(event, () => {
    seen.count += 1
  })
  return seen
}

t.test('the server on PORT is the site, whatever listened before', async t => {
  const cases: [title: string, first: (port: number) => unknown[], second: unknown[]][] = [
    ['a port in the same turn', port => [port, '127.0.0.1'], ['3000']],
    ['any address', port => [port], [{ port: 3000, host: '0.0.0.0' }]],
    ['a host that is looked up', port => [port, 'localhost'], [3000, 'localhost']],
  ]
  for (const [title, first, second] of cases) {
    for (const isLater of [false, true]) {
      await t.test(`${title}${isLater ? ', later' : ''}`, async t => {
        const port = await freePort()
        const { socketPath, server, call, taken, remarks } = takeOver(t, { port: '3000', portMs: NEVER_MS })
        const monitor = createServer(admin)
        const seen = counting(monitor, 'listening')
        let calls = 0
        call(monitor, ...first(port), () => {
          calls += 1
        })
        if (isLater) await once(monitor, 'listening')
        t.equal(taken.isAsked, true)
        const application = createServer(hello)
        call(application, ...second)
        t.equal(await server, application)
        // Of a listening that is not told anew there is no event.
        while (monitor.address() === null) await nextTurn()
        t.match(await ask({ socketPath, path: '/' }), { text: 'hello' })
        t.match(await ask({ host: 'localhost', port, path: '/' }), { text: 'admin' }, 'the first has what it asked for')
        t.same([seen.count, calls], [1, 1], 'it was told once')
        t.same([remarks, taken.ignoresPort], [[], false])
      })
    }
  }
})

t.test('PORT may be a path', async t => {
  const { server, call } = takeOver(t, { port: '/run/site.sock', portMs: NEVER_MS })
  const application = createServer(hello)
  call(createServer(admin), 0, '127.0.0.1')
  call(application, '/run/site.sock')
  t.equal(await server, application)
})

t.test('nobody on PORT: the first is the site once nothing more can come, and both are named', async t => {
  const { socketPath, server, call, taken, remarks } = takeOver(t, { port: '8080', portMs: NEVER_MS })
  const application = createServer(hello)
  call(application, 3000)
  const monitor = createServer(admin)
  call(monitor, 0, '127.0.0.1')
  await once(monitor, 'listening')
  t.same(remarks, [], 'it is not known yet')
  t.equal(taken.settle(), true)
  t.equal(await server, application)
  t.same(remarks, [{ isLate: false, site: ':::3000', other: '127.0.0.1:0' }])
  t.equal(taken.ignoresPort, true)
  t.match(await ask({ socketPath, path: '/' }), { text: 'hello' })
})

t.test('without a PORT the first is the site at once, and a second one is remarked upon', async t => {
  const { server, call, remarks } = takeOver(t)
  const application = createServer(hello)
  call(application, 3000)
  t.equal(await server, application)
  const monitor = createServer(admin)
  call(monitor, 0, '127.0.0.1')
  await once(monitor, 'listening')
  t.same(remarks, [{ isLate: false, site: ':::3000', other: '127.0.0.1:0' }])
})

t.test('one that has loaded is waited for no longer than it was said', async t => {
  const { server, call, taken } = takeOver(t, { port: '8080', portMs: 1 })
  // The wait itself keeps no process alive.
  const busy = setInterval(() => {}, NEVER_MS)
  t.teardown(() => clearInterval(busy))
  const application = createServer(hello)
  call(application, 3000)
  taken.loaded()
  t.equal(await server, application)
})

t.test('the one on PORT takes over from one that serves already', async t => {
  const port = await freePort()
  const { socketPath, server, call, taken, remarks } = takeOver(t, { port: '3000', portMs: NEVER_MS })
  const monitor = createServer(admin)
  call(monitor, port, '127.0.0.1')
  taken.settle()
  t.equal(await server, monitor)
  const replaced = new Promise(resolve => {
    taken.onReplaced = resolve
  })
  const application = createServer(hello)
  call(application, 3000)
  t.equal(await replaced, application)
  t.match(await ask({ socketPath, path: '/' }), { text: 'hello' })
  t.match(await ask({ host: '127.0.0.1', port, path: '/' }), { text: 'admin' })
  t.same(remarks, [{ isLate: true, site: '3000', other: `127.0.0.1:${port}` }])
})

t.test('app-port is the site, and nothing else is', async t => {
  const cases: [title: string, appPort: string, args: unknown[]][] = [
    ['a port', '3000', [3000]],
    ['port 0', '0', []],
    ['a path', '/run/site.sock', ['/run/site.sock']],
  ]
  for (const [title, appPort, args] of cases) {
    await t.test(title, async t => {
      const port = await freePort()
      const { server, call, taken, remarks } = takeOver(t, { port: '3001', appPort })
      const monitor = createServer(admin)
      call(monitor, port, '127.0.0.1')
      await once(monitor, 'listening')
      t.same([taken.isAsked, taken.settle()], [false, false])
      t.match(taken.others, [/^HTTP on 127\.0\.0\.1:\d+$/])
      const application = createServer(hello)
      call(application, ...args)
      t.equal(await server, application)
      t.same(remarks, [])
    })
  }
})

t.test('a server that keeps no process alive is not what a process is for', async t => {
  await t.test('as an exporter of metrics has it', async t => {
    const { server, call, remarks } = takeOver(t)
    const exporter = createServer(admin).unref()
    call(exporter, 0, '127.0.0.1')
    await once(exporter, 'listening')
    const application = createServer(hello)
    call(application, 3000)
    t.equal(await server, application)
    t.same(remarks, [])
  })
  await t.test('told so when it listens', async t => {
    const { server, call, taken } = takeOver(t, { port: '8080', portMs: NEVER_MS })
    const exporter = createServer(admin)
    call(exporter, await freePort(), '127.0.0.1').unref()
    t.equal(taken.settle(), false)
    const application = createServer(hello)
    call(application, 3000)
    t.equal(taken.settle(), true)
    t.equal(await server, application)
  })
  for (const portMs of [NEVER_MS, 0]) {
    await t.test(`told so when it listens, and the next one is not on PORT either; ${portMs} ms`, async t => {
      const { server, call, taken } = takeOver(t, { port: '8080', portMs })
      const port = await freePort()
      const exporter = createServer(admin)
      call(exporter, port, '127.0.0.1').unref()
      await nextTurn()
      const application = createServer(hello)
      call(application, 3000)
      await nextTurn()
      t.equal(taken.settle(), true)
      t.equal(await server, application)
      t.match(await ask({ host: '127.0.0.1', port, path: '/' }), { text: 'admin' })
    })
  }
  await t.test('unless it is on PORT', async t => {
    const { server, call } = takeOver(t, { port: '3000' })
    const application = createServer(hello).unref()
    call(application, 3000)
    t.equal(await server, application)
  })
})

t.test('a server that is closed leaves its place to the next one', async t => {
  const cases: [title: string, options: TakeOverOptions & { port?: string }][] = [
    ['without PORT', {}],
    ['on PORT', { port: '3000' }],
    ['not on PORT, which is waited for', { port: '8080', portMs: NEVER_MS }],
    ['not on PORT, which nobody waits for', { port: '8080' }],
    ['on app-port', { appPort: '3000' }],
  ]
  for (const [title, options] of cases) {
    await t.test(title, async t => {
      const { socketPath, call, taken } = takeOver(t, options)
      const waits = createServer(hello)
      call(waits, 3000)
      await once(waits, 'listening')
      waits.close()
      await once(waits, 'close')
      const replaced = new Promise(resolve => {
        taken.onReplaced = resolve
      })
      const application = createServer(hello)
      call(application, 3000)
      t.strictSame(application.address(), tcp('::', 3000), 'it has not opened the port')
      taken.settle()
      t.equal(await replaced, application)
      t.match(await ask({ socketPath, path: '/' }), { text: 'hello' })
    })
  }
})

t.test('another server at the address of the site is refused as by the kernel', async t => {
  const cases: [first: unknown[], second: unknown[], address: string, port: number | undefined][] = [
    [[3000], [3000], '::', 3000],
    [[3000], [3000, '0.0.0.0'], '0.0.0.0', 3000],
    [[3000, '127.0.0.1'], [{ port: 3000 }], '::', 3000],
    [['/run/site.sock'], ['/run/site.sock'], '/run/site.sock', undefined],
  ]
  for (const [first, second, address, port] of cases) {
    await t.test(`${first} ${JSON.stringify(second)}`, async t => {
      const { server, call, remarks } = takeOver(t)
      const application = createServer(hello)
      call(application, ...first)
      await server
      const refused = createServer(admin)
      call(refused, ...second)
      const [error] = await once(refused, 'error')
      t.match(error, { code: 'EADDRINUSE', errno: -98, syscall: 'listen', address, port })
      t.equal(refused.listening, false)
      t.same(remarks, [])
    })
  }
  await t.test('each host of the same port is a place of its own, and so is each port 0', async t => {
    const { server, call } = takeOver(t)
    const port = await freePort()
    call(createServer(hello), port, '127.0.0.2')
    await server
    for (const args of [
      [port, '127.0.0.1'],
      [0, '127.0.0.2'],
    ]) {
      const other = createServer(admin)
      call(other, ...args)
      await once(other, 'listening')
    }
  })
})

t.test(
  'whoever looks whether PORT is free finds it free, and the port of clients is not taken from the proxies',
  async t => {
    const port = await freePort()
    for (const options of [{ port: String(port), portMs: NEVER_MS }, { appPort: String(port) }]) {
      const { server, call, taken } = takeOver(t, options)
      const probe = net.createServer()
      call(probe, port)
      await once(probe, 'listening')
      await t.rejects(ask({ host: 'localhost', port, path: '/' }), { code: 'ECONNREFUSED' })
      t.match(taken.others, [`TCP on :::${port}`])
      probe.close()
      await once(probe, 'close')
      const application = createServer(hello)
      call(application, port)
      t.equal(await server, application)
      const late = net.createServer()
      call(late, port)
      t.match((await once(late, 'error'))[0], { code: 'EADDRINUSE' })
    }
  },
)

t.test('port 0 is not the PORT of an application whose clients have none', async t => {
  const { server, call } = takeOver(t, { port: String(NO_PORT), portMs: NEVER_MS })
  call(createServer(admin), 0, '127.0.0.1')
  const application = createServer(hello)
  call(application, NO_PORT)
  t.equal(await server, application)
})

t.test('the request listener of an https server is served', async t => {
  const secure: [string, () => net.Server][] = [
    ['https', () => createSecure({}, hello)],
    [
      'HTTP/2 that allows HTTP/1.1',
      () => createSecureServer({ allowHTTP1: true }, hello as never) as unknown as net.Server,
    ],
  ]
  for (const [title, create] of secure) {
    await t.test(title, async t => {
      const { socketPath, server, call } = takeOver(t)
      const application = create()
      call(application, 3443)
      await once(application, 'listening')
      const plain = await server
      t.strictSame(application.address(), tcp('::', 3443), 'it is told what it asked for')
      t.match(await ask({ socketPath, path: '/' }), { status: 200, text: 'hello' })
      t.equal(plain.listenerCount('request'), 1, 'its listeners are those of the plain one')
      const closed = once(application, 'close')
      application.close()
      await closed
      t.equal(plain.listening, false)
    })
  }
})

t.test('an https server beside the http one, with the same listener, opens no port', async t => {
  const { socketPath, server, call } = takeOver(t)
  const application = createServer(hello)
  call(application, 3000)
  const secure = createSecure({}, hello)
  call(secure, 3443)
  await once(secure, 'listening')
  t.strictSame(secure.address(), tcp('::', 3443))
  t.equal(await server, application)
  t.match(await ask({ socketPath, path: '/' }), { text: 'hello' })
})

t.test('a port that another worker has is explained', async t => {
  const kinds: [string, () => net.Server][] = [
    ['http', () => createServer(admin)],
    ['tcp', () => net.createServer()],
    ['tls', () => tls.createServer()],
  ]
  const { call } = takeOver(t)
  call(createServer(hello), 3000)
  const holder = net.createServer()
  call(holder, 0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as net.AddressInfo
  for (const [title, create] of kinds) {
    const other = create()
    const failed = once(other, 'error')
    call(other, port, '127.0.0.1')
    const [error] = await failed
    t.match(
      error,
      { code: 'EADDRINUSE', message: /^listen EADDRINUSE: .*every worker of daimyo opens it by itself/ },
      title,
    )
    t.match(error.stack, /^Error: listen EADDRINUSE: .*every worker of daimyo.*\n +at /, `${title}: its stack too`)
  }
})
