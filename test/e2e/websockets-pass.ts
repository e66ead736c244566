/** WebSockets pass through the proxy to an unmodified application, whatever runs beside them, and end in time when their worker is replaced. */

import { once } from 'node:events'
import t from 'tap'
import { type RawData, WebSocket } from 'ws'
import { RawClient, request } from '../proxy/fixtures/raw-client.js'
import { ask } from './fixtures/asking.js'
import { farmLines, timeFactor, WatchedSite } from './fixtures/watched-site.js'

/** Longer than any reload takes: what happens within it does not depend on the machine. */
const endless = ['ws-mercy = 3600', 'reload-mercy = 120']
const mercyMs = 1000
const site = new WatchedSite(t, [...farmLines, ...endless])
const running = await site.serve()

async function openWebSocket(protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(`${running.url.replace('http', 'ws')}/api/v1/ws`, protocols)
  await once(socket, 'open')
  return socket
}

/** The next message: its bytes, and whether they are binary. */
async function nextMessage(socket: WebSocket): Promise<[Buffer, boolean]> {
  const [data, isBinary] = (await once(socket, 'message')) as [RawData, boolean]
  return [data as Buffer, isBinary]
}

async function closed(socket: WebSocket): Promise<[number, string]> {
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer]
  return [code, reason.toString()]
}

const messages: [title: string, message: string | Buffer][] = [
  ['a text', 'rice, row by row'],
  ['an empty text', ''],
  ['a text beyond ASCII', '稲 🌾'],
  ['bytes', Buffer.from([0, 255, 10, 13, 128])],
  ['one megabyte', Buffer.alloc(1 << 20, 'rice')],
]
t.test('what is sent comes back', async t => {
  const socket = await openWebSocket()
  for (const [title, message] of messages) {
    const answer = nextMessage(socket)
    socket.send(message)
    const [bytes, isBinary] = await answer
    t.ok(bytes.equals(Buffer.from(message)), title)
    t.equal(isBinary, typeof message !== 'string', `${title}: its type`)
  }
  const end = closed(socket)
  socket.close(4321, 'harvest over')
  t.same(await end, [4321, 'harvest over'], 'the close code comes back')
})

t.test('a message that is too large ends it with the application’s own code', async t => {
  const socket = await openWebSocket()
  const end = closed(socket)
  socket.send(Buffer.alloc((1 << 20) + 1))
  t.match(await end, [1009])
})

t.test('requests that run beside it do not disturb it', async t => {
  const sockets = await Promise.all(Array.from({ length: 8 }, () => openWebSocket()))
  for (let round = 0; round < 10; round++) {
    const answers = sockets.map(nextMessage)
    for (const [at, socket] of sockets.entries()) socket.send(`${at}.${round}`)
    const asked = await Promise.all(Array.from({ length: 8 }, () => ask(running.url, '/api/v1/_about')))
    t.ok(
      asked.every(({ status }) => status === 200),
      `round ${round}: all requests`,
    )
    const texts = (await Promise.all(answers)).map(([bytes]) => bytes.toString())
    t.same(
      texts,
      sockets.map((_, at) => `${at}.${round}`),
      `round ${round}: all messages`,
    )
  }
  for (const socket of sockets) {
    const end = closed(socket)
    socket.close(1000)
    t.match(await end, [1000])
  }
})

const handshake = async (lines: string[]) => {
  const client = await RawClient.open(Number(new URL(running.url).port))
  client.send(request('GET', '/api/v1/ws', ['Connection: Upgrade', ...lines]))
  const { head } = await client.answer()
  client.socket.destroy()
  return head
}
const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
const refused: [title: string, lines: string[], expected: RegExp][] = [
  ['a version that nobody has', ['Upgrade: websocket', key, 'Sec-WebSocket-Version: 99'], /^HTTP\/1\.1 400 /],
  ['no key', ['Upgrade: websocket', 'Sec-WebSocket-Version: 13'], /^HTTP\/1\.1 400 /],
]
for (const [title, lines, expected] of refused) {
  t.test(`refused by the application: ${title}`, async t => t.match(await handshake(lines), expected))
}
t.test('refused by the application: no upgrade at all', async t => {
  t.match(await ask(running.url, '/api/v1/ws'), { status: 426 })
})

t.test('a reload does not wait for it, and new ones work all the time', async t => {
  const socket = await openWebSocket()
  // For the workers of the next generation.
  site.writeIni([...farmLines, ...endless, `ws-mercy = ${mercyMs / 1000}`])
  let isReloading = true
  const reload = site.run('reload', site.ini).finally(() => {
    isReloading = false
  })
  let echoes = 0
  while (isReloading) {
    const fresh = await openWebSocket()
    const answer = nextMessage(fresh)
    fresh.send('new rice')
    if ((await answer)[0].toString() === 'new rice') echoes++
    fresh.terminate()
  }
  t.match(await reload, { code: 0 })
  t.ok(echoes > 0, `${echoes} new ones meanwhile`)
  t.equal(socket.readyState, WebSocket.OPEN, 'the reload did not wait for it')
  const answer = nextMessage(socket)
  socket.send('old rice')
  t.equal((await answer)[0].toString(), 'old rice', 'it works on')
  const end = closed(socket)
  socket.close(1000)
  t.match(await end, [1000])
  const { workers } = await site.untilReady()
  t.same([...new Set(workers.map(({ generation }) => generation))], [2], 'no worker of before is left')
})

t.test('when its mercy is over it is told to come back', async t => {
  const end = closed(await openWebSocket())
  const sinceMs = performance.now()
  t.match(await site.run('reload', site.ini), { code: 0 })
  t.same(await end, [1012, 'service restart'])
  const ms = Math.round(performance.now() - sinceMs)
  t.ok(ms >= 0.7 * mercyMs, `ended after ${ms} ms`)
  await site.untilReady()
})

t.test('a stop says that the server goes away', async t => {
  const end = closed(await openWebSocket())
  const sinceMs = performance.now()
  t.match(await site.end(running), { code: 0 })
  t.ok(performance.now() - sinceMs < 60_000 * timeFactor, 'reload-mercy is for sockets that do not answer')
  t.same(await end, [1001, 'server stops'])
})
