/**
 * Applications that know nothing of daimyo answer through the proxy, each as it was written: bare `node:http` in both module systems,
 * exported listeners, servers, fetch objects and Promises of them, Express, Fastify, Koa and Hono.
 */

import { basename, join } from 'node:path'
import t from 'tap'
import { ask, runProgram, skipWithout } from './fixtures/asking.js'
import { topFolder, WatchedSite } from './fixtures/watched-site.js'

const curl = await skipWithout('curl', 'curl')
/** What Node 20 says of an ES module without a type: a note, not an error. */
const typelessModule = /Module type of|^To eliminate this warning|^\(Use .*--trace-warnings/

/** Files in `test/applications/`; each calls itself as its file is called. */
const applications = [
  'cjs-listen.cjs',
  'cjs-require-main.cjs',
  'cjs-export-function.cjs',
  'cjs-export-server.cjs',
  'cjs-compiled-default.cjs',
  'listens-later.cjs',
  'exports-and-listens-later.cjs',
  'own-extra-tcp-server.cjs',
  'promise-of-listener.cjs',
  'esm-listen.mjs',
  'esm-default-fetch.mjs',
  'promise-of-fetch.mjs',
  'untyped/syntax-commonjs.js',
  'untyped/syntax-module.js',
  'untyped/bin/www',
  'express.cjs',
  'fastify.mjs',
  'koa.mjs',
  'hono.mjs',
]

for (const file of applications) {
  t.test(file, async t => {
    const lines = [`app = ${join(topFolder, 'test/applications', file)}`]
    const site = new WatchedSite(t, lines, { expected: [typelessModule] })
    const running = await site.serve()
    const framework = file === 'untyped/bin/www' ? 'bin-www' : basename(file).replace(/\..*/, '')

    const hello = await ask(running.url, '/hello')
    t.match(hello, { status: 200, headers: { 'content-type': /^application\/json/ } })
    t.same(JSON.parse(hello.body), { hello: 'world', framework }, 'GET /hello')

    const body = 'rice\n'.repeat(40_000)
    const type = { 'content-type': 'application/octet-stream' }
    const echo = await ask(running.url, '/echo', { method: 'POST', body, headers: type })
    t.same([echo.status, echo.body === body], [200, true], 'POST /echo sends 200 KB back')

    const forged = { host: 'rice.example:8080', 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https' }
    const seen: unknown = JSON.parse((await ask(running.url, '/headers', { headers: forged })).body)
    t.match(
      seen,
      {
        host: 'rice.example:8080',
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-proto': 'http',
        'x-forwarded-host': 'rice.example:8080',
      },
      'the Host is unchanged, and who asks is told by the proxy alone',
    )
    t.match(await ask(running.url, '/stream'), { status: 200, body: 'one two three' }, 'GET /stream')
    t.match(await ask(running.url, '/nothing'), { status: 404 }, 'what is not there is the application’s own 404')

    await t.test('curl asks the worker itself', curl, async t => {
      const [worker] = (await site.status()).workers
      const direct = await runProgram('curl', ['-sS', '--unix-socket', worker?.socketPath ?? '', 'http://worker/hello'])
      t.same(direct, { code: 0, out: hello.body, err: '' })
    })
    t.match(await site.end(running), { code: 0 })
  })
}
