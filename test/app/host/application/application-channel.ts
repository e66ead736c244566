/** `process.send` and its kin as an application has them: `app/host/application/application-channel.ts`. */

import { EventEmitter } from 'node:events'
import t from 'tap'
import { ApplicationChannel } from '../../../../app/host/application/application-channel.js'

type Given = EventEmitter &
  Partial<Pick<NodeJS.Process, 'connected' | 'disconnect'>> & {
    send?(message: unknown, ...rest: unknown[]): boolean
    channel?: { ref(): void; unref(): void } | null
  }

/** A process, and the channel that it was given. */
function open() {
  const host: Given = new EventEmitter()
  const channel = new ApplicationChannel(host as unknown as NodeJS.Process)
  channel.install()
  const heard: string[] = []
  for (const event of ['disconnect', 'error']) host.on(event, () => heard.push(event))
  return { host, channel, heard }
}

const nextTick = () => new Promise(resolve => setImmediate(resolve))

t.test('it takes what Node’s takes, and calls back', async t => {
  const messages: [title: string, message: unknown][] = [
    ['a word', 'ready'],
    ['an object', { type: 'process:msg', data: {} }],
    ['a number', 5],
    ['a boolean', false],
    ['null', null],
    ['what JSON does not know', { big: 5n }],
  ]
  for (const [title, message] of messages) {
    const { host } = open()
    for (const rest of [[], [undefined, {}], [{}]]) {
      const error = await new Promise(resolve => t.equal(host.send?.(message, ...rest, resolve), true, title))
      t.equal(error, null)
    }
    t.equal(host.send?.(message), true, 'without a callback')
  }
})

t.test('what is no message is refused as in Node', async t => {
  const { host } = open()
  t.throws(() => host.send?.(undefined), { name: 'TypeError', code: 'ERR_MISSING_ARGS' })
  for (const message of [() => {}, Symbol('s'), 5n])
    t.throws(() => host.send?.(message), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
})

t.test('ready is heard, and nothing else is taken for it', async t => {
  const { host, channel } = open()
  let isReady = false
  void channel.ready.then(() => {
    isReady = true
  })
  for (const other of ['Ready', { type: 'ready' }, ['ready'], true]) host.send?.(other)
  await nextTick()
  t.equal(isReady, false)
  host.send?.('ready')
  await nextTick()
  t.equal(isReady, true)
  host.send?.('ready')
})

t.test('shutdown goes to whoever listens', async t => {
  const { host, channel } = open()
  t.equal(channel.isListenedTo, false)
  channel.tellShutdown()
  const got: unknown[][] = []
  host.on('message', (...args) => got.push(args))
  t.equal(channel.isListenedTo, true)
  channel.tellShutdown()
  t.same(got, [['shutdown', undefined]])
})

t.test('it can be given up, and nothing comes through then', async t => {
  const { host, channel, heard } = open()
  host.on('message', () => t.fail('a message'))
  t.equal(host.connected, true)
  host.channel?.unref()
  host.channel?.ref()
  host.disconnect?.()
  t.match(host, { connected: false, channel: null })
  t.same(heard, [], 'not at once')
  await nextTick()
  t.same(heard, ['disconnect'])
  t.equal(host.send?.('ready'), false)
  t.match(await new Promise(resolve => host.send?.('ready', resolve)), { code: 'ERR_IPC_CHANNEL_CLOSED' })
  host.disconnect?.()
  t.equal(channel.isListenedTo, false)
  channel.tellShutdown()
  await nextTick()
  t.same(heard, ['disconnect'], 'once')
})

t.test('an application may put its own in their places', async t => {
  const { host } = open()
  Object.assign(host, { send: () => true, connected: false, disconnect: null, channel: undefined })
  t.match(host, { connected: false, disconnect: null })
})
