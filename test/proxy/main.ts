/** `proxy/main.ts` as a process, with a master that is played by hand: what its end does to the workers that it is linked with. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { CHANNEL_DESCRIPTOR, Channel } from '../../kit/channel.js'
import type { ProxyToMaster } from '../../kit/messages.js'
import { FIRST_ARGUMENTS, PROXY_ENTRY } from '../../supervisor/child-programs.js'
import { FIRST_DESCRIPTOR } from '../../supervisor/spawn-child.js'
import { FakeWorker } from './fixtures/fake-worker.js'
import { SETTINGS } from './fixtures/rig.js'

interface Started {
  proxy: ChildProcess
  /** The master's end. */
  socket: Socket
  channel: Channel
  /** A process that a link says is its worker. */
  worker: ChildProcess
}

async function startLinked(t: Test): Promise<Started> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { fd } = (listener as unknown as { _handle: { fd: number } })._handle
  const args = [...FIRST_ARGUMENTS, PROXY_ENTRY, 'daimyo: proxy 1']
  const proxy = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'pipe', 'pipe', fd] })
  listener.close()
  const worker = spawn(process.execPath, ['-e', `process.on('message', () => process.send('here'))`], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  t.teardown(() => {
    proxy.kill('SIGKILL')
    worker.kill('SIGKILL')
  })
  const link = await FakeWorker.open(t, 1)
  const socket = proxy.stdio[CHANNEL_DESCRIPTOR] as Socket
  const heard = new Map<string, () => void>()
  const told = (type: ProxyToMaster['type']) => new Promise<void>(resolve => heard.set(type, resolve))
  const channel = new Channel(socket, {
    mostBytes: Number.POSITIVE_INFINITY,
    message: message => {
      heard.get((message as ProxyToMaster).type)?.()
      return true
    },
    closed: () => {},
  })
  const listening = told('listening')
  const listeners = [{ fd: FIRST_DESCRIPTOR, url: 'http://127.0.0.1', backlog: 10 }]
  channel.send({ type: 'configure', proxyId: 1, listeners, settings: SETTINGS })
  await listening
  const linked = told('worker-linked')
  channel.send({ type: 'worker-ready', worker: { ...link.address, pid: worker.pid } })
  await linked
  return { proxy, socket, channel, worker }
}

t.test('a proxy whose master does not read ends, and leaves the workers to the next one', async t => {
  const { proxy, socket, channel, worker } = await startLinked(t)
  let errors = ''
  proxy.stderr?.on('data', chunk => {
    errors += chunk
  })
  socket.pause()
  // It answers each with the same number: more than it lets wait.
  const number = 'x'.repeat(2e6)
  const ended = Promise.all([once(proxy, 'exit'), once(proxy.stderr as Readable, 'end')])
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
