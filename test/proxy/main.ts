/** `proxy/main.ts` as a process, with a master that is played by hand: what its end does to the workers that it is linked with. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Channel } from '../../kit/channel/channel.js'
import type { ProxySettings, ProxyToMaster } from '../../kit/channel/messages.js'
import { FRAME, frame, responsePrefix } from '../../kit/link/frames.js'
import { FIRST_ARGUMENTS, PROXY_ENTRY } from '../../supervisor/child/child-programs.js'
import { FIRST_DESCRIPTOR } from '../../supervisor/child/spawn-child.js'
import { startPiped, testPipes } from '../supervisor/fixtures/test-pipes.js'
import { FakeWorker } from './fixtures/fake-worker.js'
import { RawClient, request } from './fixtures/raw-client.js'
import { SETTINGS } from './fixtures/rig.js'

interface Started {
  proxy: ChildProcess
  stderr: Socket
  /** What the master reads of its channel. */
  from: Socket
  channel: Channel
  /** A process that a link says is its worker. */
  worker: ChildProcess
  link: FakeWorker
  port: number
  told: ProxyToMaster[]
}

async function startLinked(t: Test, settings: Partial<ProxySettings> = {}): Promise<Started> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const { fd } = (listener as unknown as { _handle: { fd: number } })._handle
  const args = [...FIRST_ARGUMENTS, PROXY_ENTRY, 'daimyo: proxy 1']
  const program = { program: process.execPath, args, env: { ...process.env } as Record<string, string>, cwd: '/' }
  const stdio = ['ignore', 'inherit', 'from-child', 'to-child', 'from-child', fd] as const
  const { child: proxy, streams } = await startPiped(testPipes(t), program, stdio)
  const [, , stderr, to, from] = streams as Socket[]
  listener.close()
  const worker = spawn(process.execPath, ['-e', `process.on('message', () => process.send('here'))`], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  t.teardown(() => {
    proxy.kill('SIGKILL')
    worker.kill('SIGKILL')
  })
  const link = await FakeWorker.open(t, 1)
  const heard = new Map<string, () => void>()
  const hears = (type: ProxyToMaster['type']) => new Promise<void>(resolve => heard.set(type, resolve))
  const told: ProxyToMaster[] = []
  const channel = new Channel(
    { from: from!, to: to! },
    {
      mostBytes: Number.POSITIVE_INFINITY,
      message: message => {
        told.push(message as ProxyToMaster)
        heard.get((message as ProxyToMaster).type)?.()
        return true
      },
      closed: () => {},
    },
  )
  const listening = hears('listening')
  const listeners = [{ fd: FIRST_DESCRIPTOR, url: 'http://127.0.0.1', backlog: 10 }]
  channel.send({ type: 'configure', proxyId: 1, listeners, settings: { ...SETTINGS, ...settings } })
  await listening
  const linked = hears('worker-linked')
  channel.send({ type: 'worker-ready', worker: { ...link.address, pid: worker.pid } })
  await linked
  return { proxy, stderr: stderr!, from: from!, channel, worker, link, port, told }
}

t.test('a proxy whose master does not read ends, and leaves the workers to the next one', async t => {
  const { proxy, stderr, from, channel, worker } = await startLinked(t)
  let errors = ''
  stderr.on('data', chunk => {
    errors += chunk
  })
  from.pause()
  // It answers each with the same number: more than it lets wait.
  const number = 'x'.repeat(2e6)
  const ended = Promise.all([once(proxy, 'exit'), once(stderr, 'end')])
  for (let left = 40; left > 0; left--) {
    await new Promise<void>(sent => channel.send({ type: 'sync', number }, Number.POSITIVE_INFINITY, sent))
  }
  const [exit] = await ended
  t.same(exit, [70, null])
  t.match(errors, /does not read/)
  // A signal may be on its way: only an answer shows that it lives.
  worker.send('there?')
  const answer = await Promise.race([once(worker, 'message'), once(worker, 'exit')])
  t.same(answer[0], 'here', 'the worker lives')
})

t.test('a proxy whose master died kills the workers that are linked', async t => {
  const { proxy, channel, worker } = await startLinked(t)
  const gone = once(worker, 'exit')
  const ended = once(proxy, 'exit')
  channel.destroy()
  t.same(await ended, [0, null])
  t.same(await gone, [null, 'SIGKILL'])
})

t.test('what is cut at the end of the mercy is told to its clients, logged and counted', async t => {
  const path = join(t.testdir(), 'access.log')
  const settings = { accessLog: { path }, workerConnections: 4 }
  const { proxy, from, channel, link, port, told } = await startLinked(t, settings)
  const asks = async (target: string, method = 'GET', fields?: string[]) => {
    const client = await RawClient.open(port)
    t.teardown(() => client.socket.destroy())
    client.send(request(method, target, fields))
    return client
  }
  const tunnels = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => socket.write('HTTP/1.1 101 Go on\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'))
  }).listen(link.address.tunnelPath)
  t.teardown(() => tunnels.close())
  const tunnel = await asks('/tunnel', 'GET', ['Connection: Upgrade', 'Upgrade: websocket'])
  t.match((await tunnel.bytes(12)).toString(), /^HTTP\/1.1 101/)
  const silent = await asks('/silent')
  await link.has(FRAME.request, 1)
  const posted = await asks('/posted', 'POST', ['Content-Length: 5'])
  await link.has(FRAME.request, 2)
  const begun = await asks('/begun')
  const id = (await link.has(FRAME.request, 3))[2]?.id ?? 0
  const head = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n'
  link.say(frame(FRAME.response, id, `${responsePrefix(200, 0)}${head}half`))
  t.match((await begun.bytes(head.length + 4)).toString(), /half$/)
  const waits = await asks('/waits')
  const ended = Promise.all([once(proxy, 'exit'), once(from, 'close')])
  // The last one has been read as soon as the one behind it is: a proxy that drains reads what came before.
  channel.send({ type: 'drain', mercyMs: 300 })
  for (const [client, expected, says] of [
    [silent, 504, /the server stopped before the application had responded/],
    [posted, 504, /the server stopped before the application had responded/],
    [waits, 503, /the server stops, and nobody is left/],
  ] as const) {
    const { status, fields, body } = await client.answer()
    t.match([status, fields.connection, body.toString()], [expected, 'close', says])
  }
  t.equal(await begun.rest(), '', 'no more of it')
  t.match(await ended, [[0, null]])
  const lines = readFileSync(path, 'latin1').trimEnd().split('\n')
  const outcomes = lines.map(line =>
    line
      .match(/"([A-Z]+ \S+) HTTP\/1.1" (\d+)/)
      ?.slice(1)
      .join(' '),
  )
  t.same(outcomes.toSorted(), [
    'GET /begun 200',
    'GET /silent 504',
    'GET /tunnel 101',
    'GET /waits 503',
    'POST /posted 504',
  ])
  const last = told.findLast(message => message.type === 'metrics')
  const sum = (name: string) =>
    last?.families.find(family => family.name === name)?.values.reduce((total, { value }) => total + value, 0)
  t.equal(sum('daimyo_requests_total'), 5, 'counted before the end')
  const errors = last?.families.find(({ name }) => name === 'daimyo_error_answers_total')?.values
  t.same(errors, [
    { labels: { reason: 'stopping' }, value: 1 },
    { labels: { reason: 'cut-by-stop' }, value: 3 },
  ])
  t.equal(sum('daimyo_limits_total'), 3, 'by reload-mercy')
})
