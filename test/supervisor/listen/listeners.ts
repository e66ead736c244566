/** The public sockets: `supervisor/listen/listeners.ts`. */

import { spawn } from 'node:child_process'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { chmodSync, existsSync, lstatSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createConnection, createServer, isIPv6, type ListenOptions, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import { printListenAddress } from '../../../kit/options/values/listen-address.js'
import type { BoundAddress } from '../../../kit/options/values/value-types.js'
import { type Listener, openListeners, printUrl, socketAccess } from '../../../supervisor/listen/listeners.js'
import { NOTHING_PASSED } from '../../../supervisor/listen/socket-activation.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

const folder = mkdtempSync(join(tmpdir(), 'daimyo-listeners-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const isRoot = process.getuid?.() === 0
const BACKLOGS = { backlog: 64, passedBacklog: 64 }

const tcp = (host: string, port = 0): BoundAddress => ({ kind: 'tcp', host, port })
const unix = (name: string): BoundAddress => ({ kind: 'unix', path: join(folder, name) })
const open = (...addresses: BoundAddress[]) =>
  openListeners({ ...BACKLOGS, addresses, mode: 0o660, owner: null, opener: null, passed: NOTHING_PASSED })

/** A server that listens as a proxy does. */
async function serveOn(listener: Listener | ListenOptions): Promise<Server> {
  // Whoever only looks whether somebody listens hangs up at once.
  const server = createServer(socket => socket.on('error', () => {}).end('served'))
  server.listen('url' in listener ? { fd: (listener as Listener).fd } : listener)
  await once(server, 'listening')
  return server
}

async function fetchFrom(url: string): Promise<string> {
  if (url.startsWith('unix:')) return text(createConnection({ path: url.slice(5) }))
  const { hostname, port } = new URL(url)
  return text(createConnection({ host: hostname.replace(/[[\]]/g, ''), port: Number(port) }))
}

const printed: [string, BoundAddress, string, string][] = [
  ['IPv4', tcp('127.0.0.1', 80), '127.0.0.1:80', 'http://127.0.0.1:80'],
  ['IPv6', tcp('::1', 80), '[::1]:80', 'http://[::1]:80'],
  ['unix', { kind: 'unix', path: '/run/x.sock' }, '/run/x.sock', 'unix:/run/x.sock'],
]
for (const [title, address, plain, url] of printed) {
  t.test(`prints ${title}`, t => {
    t.equal(printListenAddress(address), plain)
    t.equal(printUrl(address), url)
    t.end()
  })
}

const served: [string, BoundAddress, RegExp][] = [
  ['IPv4 with a port of its own', tcp('127.0.0.1'), /^http:\/\/127\.0\.0\.1:[1-9]\d*$/],
  ['IPv6', tcp('::1'), /^http:\/\/\[::1\]:[1-9]\d*$/],
  ['a name', tcp('localhost'), /^http:\/\/(127\.0\.0\.1|\[::1\]):[1-9]\d*$/],
  ['every IPv4 address', tcp('0.0.0.0'), /^http:\/\/0\.0\.0\.0:[1-9]\d*$/],
  ['every address', tcp(''), /^http:\/\/(\[::\]|0\.0\.0\.0):[1-9]\d*$/],
  ['a unix socket', unix('a.sock'), /^unix:.*a\.sock$/],
]
for (const [title, address, url] of served) {
  t.test(`a proxy serves ${title}`, async t => {
    const [listener] = await open(address)
    t.match(listener!.url, url)
    const server = await serveOn(listener!)
    t.equal(await fetchFrom(listener!.url), 'served')
    server.close()
  })
}

t.test('a unix socket is 0660 from the first moment and gone after its close', async t => {
  const before = process.umask()
  const [listener] = await open(unix('mode.sock'))
  t.equal(statSync(join(folder, 'mode.sock')).mode & 0o777, 0o660)
  t.equal(process.umask(), before)
  listener!.close()
  t.notOk(existsSync(join(folder, 'mode.sock')))
})

const service = { user: 'www-data', uid: 33, gid: 34 }
const plain = { chmodSocket: null, chownSocket: null, credentials: null }
const access: [
  title: string,
  settings: Partial<Parameters<typeof socketAccess>[0]>,
  mode: number,
  uid: number,
  gid: number,
][] = [
  ['of root alone', {}, 0o660, 0, 0],
  ['of the service', { credentials: service }, 0o660, 33, 34],
  ['as chmod-socket says', { chmodSocket: 0o666, credentials: service }, 0o666, 33, 34],
  ['as chown-socket says', { chownSocket: { uid: 1, gid: 2 }, credentials: service }, 0o660, 1, 2],
  ['chown-socket without a group', { chownSocket: { uid: 1, gid: null }, credentials: service }, 0o660, 1, 34],
  ['chown-socket without anything else', { chmodSocket: 0o600, chownSocket: { uid: 1, gid: null } }, 0o600, 1, 0],
]
for (const [title, settings, mode, uid, gid] of access) {
  t.test(`a unix socket ${title}`, { skip: isRoot ? false : 'needs root' }, async t => {
    const addresses = [unix('owner.sock')]
    const [listener] = await openListeners({
      ...BACKLOGS,
      addresses,
      ...socketAccess({ ...plain, ...settings }),
      passed: NOTHING_PASSED,
    })
    const found = lstatSync(join(folder, 'owner.sock'))
    t.same([found.mode & 0o777, found.uid, found.gid], [mode, uid, gid])
    listener!.close()
  })
}

t.test('a unix socket that may not be given away is closed again', async t => {
  const anybodys = scratchFolder(t)
  chmodSync(anybodys, 0o777)
  if (isRoot) process.seteuid?.(65_534)
  t.teardown(() => {
    if (isRoot) process.seteuid?.(0)
  })
  const addresses = [{ kind: 'unix' as const, path: join(anybodys, 'given.sock') }]
  const refused = openListeners({
    ...BACKLOGS,
    addresses,
    mode: 0o660,
    owner: { uid: 1, gid: 1 },
    opener: null,
    passed: NOTHING_PASSED,
  })
  await t.rejects(refused, { message: /^cannot change the owner of the socket: \/.*EPERM/, exitCode: EXIT.permission })
  t.notOk(existsSync(addresses[0]!.path))
})

t.test('a stale unix socket is replaced', async t => {
  const child = spawn(process.execPath, [
    '-e',
    'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))',
    join(folder, 'stale.sock'),
  ])
  await once(child, 'exit')
  t.ok(existsSync(join(folder, 'stale.sock')), 'left behind')
  const [listener] = await open(unix('stale.sock'))
  listener!.close()
})

t.test('TIME_WAIT does not keep the port', async t => {
  const server = await serveOn({ port: 0, host: '127.0.0.1' })
  const { port } = server.address() as AddressInfo
  // The side that closes first, the server, is left in TIME_WAIT.
  await text(createConnection({ port, host: '127.0.0.1' }))
  server.close()
  await once(server, 'close')
  const [listener] = await open(tcp('127.0.0.1', port))
  const next = await serveOn(listener!)
  t.equal(await fetchFrom(listener!.url), 'served')
  next.close()
})

/** A port that nobody has. */
async function freePort(): Promise<number> {
  const server = await serveOn({ port: 0, host: '::' })
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const twins: [title: string, hosts: string[]][] = [
  ['all of IPv4 and all of IPv6', ['0.0.0.0', '::']],
  ['all of IPv6 and all of IPv4', ['::', '0.0.0.0']],
  ['one of IPv4 and all of IPv6', ['127.0.0.1', '::']],
  ['all of IPv6 and a name', ['::', 'localhost']],
  ['one of each', ['127.0.0.1', '::1']],
]
for (const [title, hosts] of twins) {
  t.test(`two listeners of one port: ${title}`, async t => {
    const port = await freePort()
    const { address } = await lookup('localhost')
    // Where the name is of IPv6 it is one of all.
    const isTaken = hosts.includes('localhost') && isIPv6(address)
    if (isTaken) {
      await t.rejects(open(...hosts.map(host => tcp(host, port))), /localhost/)
      return
    }
    const servers = []
    for (const listener of await open(...hosts.map(host => tcp(host, port)))) servers.push(await serveOn(listener))
    for (const host of ['127.0.0.1', '[::1]']) t.equal(await fetchFrom(`http://${host}:${port}`), 'served', host)
    for (const server of servers) server.close()
  })
}

t.test('all of IPv6 alone is IPv4 too', async t => {
  const [listener] = await open(tcp('::', await freePort()))
  const server = await serveOn(listener!)
  t.equal(await fetchFrom(listener!.url.replace('[::]', '127.0.0.1')), 'served')
  server.close()
})

t.test('beside metrics on IPv4 it is not', async t => {
  const port = await freePort()
  const metrics = await serveOn({ port, host: '127.0.0.1' })
  const others = [tcp('127.0.0.1', port)]
  const options = { ...BACKLOGS, mode: 0o660, owner: null, opener: null, passed: NOTHING_PASSED }
  const [listener] = await openListeners({ ...options, addresses: [tcp('::', port)], others })
  const server = await serveOn(listener!)
  t.equal(await fetchFrom(`http://[::1]:${port}`), 'served')
  for (const each of [metrics, server]) each.close()
})

t.test('addresses that overlap are refused, also where only their names tell', async t => {
  const port = await freePort()
  for (const hosts of [
    ['0.0.0.0', '127.0.0.1'],
    ['::1', '::'],
    ['127.0.0.1', '127.0.0.1'],
    [(await lookup('localhost')).address, 'localhost'],
  ]) {
    const [first, second] = hosts.map(host => tcp(host, port))
    const message = /: the address is in use \(EADDRINUSE\) \(`http = \S+` has it\)/
    await t.rejects(open(first!, second!), { message, exitCode: EXIT.unavailable }, hosts.join(' and '))
    t.equal((await open(first!))[0]?.close(), undefined, 'all are closed again')
  }
})

t.test('what cannot be listened on is refused by name, and the rest is closed again', async t => {
  const taken = await serveOn({ port: 0, host: '127.0.0.1' })
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo
  const live = await serveOn({ path: join(folder, 'live.sock') })
  t.teardown(() => live.close())
  writeFileSync(join(folder, 'file'), 'precious')
  const refused: [string, BoundAddress, RegExp, number][] = [
    ['a port in use', tcp('127.0.0.1', port), /127\.0\.0\.1:\d+: the address is in use/, EXIT.unavailable],
    [
      'an address of another machine',
      tcp('192.0.2.1', 8080),
      /192\.0\.2\.1:8080: this machine does not have/,
      EXIT.unavailable,
    ],
    ['a name that is none', tcp('nowhere.invalid', 80), /nowhere\.invalid:80: /, EXIT.unavailable],
    ['a live unix socket', unix('live.sock'), /live\.sock: another program listens there/, EXIT.unavailable],
    ['a file', unix('file'), /file: exists and is not a socket/, EXIT.unavailable],
    ['a folder that is not there', unix('no/x.sock'), /no\/x\.sock: its folder does not exist/, EXIT.unavailable],
    ['a folder that is none', unix('file/x.sock'), /file\/x\.sock: /, EXIT.unavailable],
    ['a path that is too long', unix('x'.repeat(108)), /\d+ bytes, at most 107/, EXIT.config],
  ]
  for (const [title, address, message, exitCode] of refused) {
    await t.rejects(open(unix('first.sock'), address), { message, exitCode }, title)
    t.notOk(existsSync(join(folder, 'first.sock')), 'nothing is left')
  }
  t.equal(statSync(join(folder, 'file')).size, 8)
  t.equal(await fetchFrom(`unix:${join(folder, 'live.sock')}`), 'served', 'the live one still serves')
})

t.test('a socket in a folder that may not be written is a matter of permission', async t => {
  chmodSync(folder, 0o555)
  if (isRoot) process.seteuid?.(65_534)
  t.teardown(() => {
    if (isRoot) process.seteuid?.(0)
    chmodSync(folder, 0o700)
  })
  await t.rejects(open(unix('x.sock')), { message: /x\.sock: not permitted/, exitCode: EXIT.permission })
})

t.test('sockets of systemd take the place of the same addresses, and are never unlinked', async t => {
  const path = join(folder, 'systemd.sock')
  const servers = [
    await serveOn({ port: 0, host: '127.0.0.1' }),
    await serveOn({ path }),
    await serveOn({ port: 0, host: '::' }),
  ]
  t.teardown(() => servers.map(server => server.close()))
  const [port, , other] = servers.map(server => (server.address() as AddressInfo).port)
  const addresses = [tcp('127.0.0.1'), unix('systemd.sock'), tcp('127.0.0.1', port), { kind: 'passed', name: 'third' }]
  const child = spawn(
    '/bin/sh',
    [
      '-c',
      'LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=first:second:third exec "$@"',
      'sh',
      process.execPath,
      program('print-listeners.js'),
      JSON.stringify(addresses),
    ],
    { stdio: ['ignore', 'pipe', 'inherit', ...servers.map(descriptorOf)] },
  )
  t.match(JSON.parse(await text(child.stdout!)), [
    { url: /^http:\/\/127\.0\.0\.1:/, inherited: false },
    { fd: 4, url: `unix:${path}`, inherited: true },
    { fd: 3, url: `http://127.0.0.1:${port}`, inherited: true },
    { fd: 5, url: `http://[::]:${other}`, inherited: true },
  ])
  t.equal(await fetchFrom(`unix:${path}`), 'served', 'not unlinked')
})

function descriptorOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd
}

function program(name: string): string {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
}
