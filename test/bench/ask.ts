import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask, freePorts, waitUntilAnswers } from '../../bench/ask.js'

const calm = new AbortController().signal
const running = (): null => null

async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

t.test('ask', async t => {
  const url = await serve(t, async (request, response) => {
    const body = await request.setEncoding('utf8').toArray()
    response.writeHead(201, { etag: '"1"' }).end(`${request.method} ${request.headers['x-test']} ${body.join('')}`)
  })
  const answer = await ask({ url, method: 'POST', headers: { 'x-test': 'yes' }, body: 'body' }, calm)
  t.match(answer, { status: 201, bodyBytes: 'POST yes body'.length, headers: { etag: '"1"' } })
})

t.test('ask on a unix socket', async t => {
  const socketPath = join(t.testdir(), 's')
  const server = createServer((_, response) => response.end('four')).listen(socketPath)
  t.teardown(() => server.close())
  await once(server, 'listening')
  t.match(await ask({ url: 'http://localhost/', socketPath }, calm), { status: 200, bodyBytes: 4 })
})

t.test('ask rejects an answer that is cut off', async t => {
  const url = await serve(t, (_, response) => {
    response.writeHead(200, { 'content-length': 10 }).write('half')
    response.once('drain', () => response.destroy())
    setImmediate(() => response.destroy())
  })
  await t.rejects(ask({ url }, calm))
})

t.test('waitUntilAnswers waits for a 200', async t => {
  let requests = 0
  const url = await serve(t, (_, response) => response.writeHead(++requests < 3 ? 503 : 200).end())
  await waitUntilAnswers({ url }, running, 5000, calm)
  t.equal(requests, 3)
})

t.test('waitUntilAnswers gives up', async t => {
  const url = await serve(t, (_, response) => response.writeHead(404).end())
  const stop = new AbortController()
  const waiting = waitUntilAnswers({ url }, running, 5000, stop.signal)
  stop.abort(new Error('told to stop'))
  await t.rejects(waiting, 'when it is aborted')
  await t.rejects(
    waitUntilAnswers({ url }, () => 'code 1', 5000, calm),
    { message: /the program ended with code 1/ },
    'when the program is gone',
  )
  await t.rejects(
    waitUntilAnswers({ url }, running, 0, calm),
    { message: /none within 0 ms, last: status 404/ },
    'at the deadline',
  )
})

t.test('freePorts are different and can be listened on', async t => {
  const ports = await freePorts(4)
  t.equal(new Set(ports).size, 4)
  for (const port of ports) {
    const server = createTcpServer().listen(port, '127.0.0.1')
    await once(server, 'listening')
    await once(server.close(), 'close')
  }
})
