/** Tests `supervisor/command/get-command.ts` against real servers on ports and sockets. */

import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import type { BoundAddress } from '../../../kit/options/values/value-types.js'
import { addressOf, getCommand } from '../../../supervisor/command/get-command.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

const answer: RequestListener = (request, response) => {
  if (request.url === '/missing') response.statusCode = 404
  if (request.url === '/broken') {
    response.writeHead(200, { 'content-length': '10' }).write('half')
    return void setImmediate(() => response.destroy())
  }
  if (request.url === '/silent') return
  response.setHeader('X-Seen', `${request.method} ${request.headers.host}`)
  response.end(`body of ${request.url}\n`)
}

async function listen(
  t: { teardown(work: () => unknown): unknown },
  where: string | { host: string },
): Promise<BoundAddress> {
  const server = createServer(answer)
  const listening = new Promise<void>(resolve => server.once('listening', resolve))
  if (typeof where === 'string') server.listen(where)
  else server.listen(0, where.host)
  await listening
  t.teardown(() => {
    server.closeAllConnections()
    return new Promise(resolve => server.close(resolve))
  })
  if (typeof where === 'string') return { kind: 'unix', path: where }
  return { kind: 'tcp', host: where.host, port: (server.address() as AddressInfo).port }
}

function keptOutput() {
  const kept = { text: '', stream: new Writable() }
  kept.stream._write = (chunk, _encoding, done) => {
    kept.text += String(chunk)
    done()
  }
  return kept
}

async function get(address: BoundAddress, path: string, { headers = false, timeoutMs = 30_000 } = {}) {
  const output = keptOutput()
  const exitCode = await getCommand(address, { path, opener: null, headers, output: output.stream, timeoutMs })
  return { exitCode, text: output.text }
}

t.test('from a port, a unix socket and a wildcard address', async t => {
  const port = await listen(t, { host: '127.0.0.1' })
  const socket = await listen(t, join(scratchFolder(t), 'http.sock'))
  const wildcard = { ...(await listen(t, { host: '0.0.0.0' })), host: '0.0.0.0' }
  for (const address of [port, socket, wildcard]) {
    t.same(await get(address, '/a?b=%20c'), { exitCode: EXIT.ok, text: 'body of /a?b=%20c\n' })
  }
})

t.test('with status line and headers', async t => {
  const address = await listen(t, { host: '127.0.0.1' })
  const { text } = await get(address, '/', { headers: true })
  t.match(text, /^HTTP\/1\.1 200 OK\r\nX-Seen: GET 127\.0\.0\.1:\d+\r\n([\w-]+: .*\r\n)*\r\nbody of \/\n$/)
})

t.test('a status of 400 and above is a failure, with its body', async t => {
  const address = await listen(t, { host: '127.0.0.1' })
  t.same(await get(address, '/missing'), { exitCode: EXIT.failed, text: 'body of /missing\n' })
})

t.test('what is no answer says why', async t => {
  const folder = scratchFolder(t)
  const address = await listen(t, { host: '127.0.0.1' })
  await t.rejects(get(address, '/broken'), { code: 'no-answer', exitCode: EXIT.unavailable, message: /broke off/ })
  await t.rejects(get(address, '/silent', { timeoutMs: 200 }), { code: 'no-answer', message: /silent for 200 ms/ })
  await t.rejects(get({ kind: 'unix', path: join(folder, 'none') }, '/'), {
    code: 'not-running',
    exitCode: EXIT.unavailable,
  })
  await t.rejects(get({ kind: 'tcp', host: '127.0.0.1', port: 1 }, '/'), {
    code: 'not-running',
    message: /127\.0\.0\.1:1$/,
  })
})

t.test('what cannot be asked for is a usage error', async t => {
  for (const path of ['', 'a', 'http://x/', '/a b', '/ü', '/a\r\nHost: x']) {
    await t.rejects(
      get({ kind: 'tcp', host: '127.0.0.1', port: 1 }, path),
      { code: 'usage', exitCode: EXIT.usage },
      JSON.stringify(path),
    )
  }
})

t.test('a reader that has seen enough is no failure', async t => {
  const address = await listen(t, { host: '127.0.0.1' })
  const closed = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
  })
  closed.on('error', () => {})
  t.equal(await getCommand(address, { path: '/', opener: null, headers: false, output: closed }), EXIT.ok)
})

const urls: [string, BoundAddress][] = [
  ['http://127.0.0.1:8080', { kind: 'tcp', host: '127.0.0.1', port: 8080 }],
  ['http://[::1]:44444', { kind: 'tcp', host: '::1', port: 44444 }],
  ['http://example.org', { kind: 'tcp', host: 'example.org', port: 80 }],
  ['unix:/run/a b.sock', { kind: 'unix', path: '/run/a b.sock' }],
]
for (const [url, expected] of urls) t.same(addressOf(url), expected, url)
