/**
 * Tests `app/host/application/load-application.ts` and `fetch-listener.ts`: each application of `test/applications/` is loaded into a process
 * of its own as a worker loads it, and asked over the unix socket.
 */

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { describeExport, isModule } from '../../../../app/host/application/load-application.js'
import { UNCHOSEN_PORT } from '../../../../kit/channel/messages.js'

import { scratchFolder } from '../../../supervisor/fixtures/scratch-folder.js'
import { ask, DEADLINE_MS, startProgram, topFolder } from '../../fixtures/program.js'

const applications = join(topFolder, 'test/applications')
const host = fileURLToPath(new URL('../../../../app/host', import.meta.url))

interface Loaded {
  listening?: unknown
  failed?: { name: string; code?: string; message: string; stack: string }
}

/** Starts loading `name`; `loaded` is what came of it. */
function load(t: Test, name: string, env: Record<string, string> = {}, args: string[] = []) {
  const socketPath = join(scratchFolder(t), 's')
  const path = resolve(applications, name)
  const program = startProgram(t, [join(applications, 'load.mjs'), host, socketPath, path, ...args], env)
  const loaded = once(program.child, 'message', { signal: AbortSignal.timeout(DEADLINE_MS) }).then(
    ([message]) => message as Loaded,
  )
  // A test that waits for the end of the process does not ask.
  loaded.catch(() => {})
  return { ...program, socketPath, path, loaded }
}

const chosen = { address: '::', family: 'IPv6', port: UNCHOSEN_PORT }
const port3000 = { address: '::', family: 'IPv6', port: 3000 }

/** File, the name that it gives itself, what its server says to be its address. */
const served: [string, string, unknown][] = [
  ['cjs-listen.cjs', 'cjs-listen', { address: '127.0.0.1', family: 'IPv4', port: 3000 }],
  ['cjs-require-main.cjs', 'cjs-require-main', port3000],
  ['cjs-export-function.cjs', 'cjs-export-function', chosen],
  ['cjs-export-server.cjs', 'cjs-export-server', chosen],
  ['cjs-compiled-default.cjs', 'cjs-compiled-default', chosen],
  ['esm-listen.mjs', 'esm-listen', { address: '::1', family: 'IPv6', port: UNCHOSEN_PORT }],
  ['esm-default-fetch.mjs', 'esm-default-fetch', chosen],
  ['promise-of-listener.cjs', 'promise-of-listener', chosen],
  ['promise-of-fetch.mjs', 'promise-of-fetch', chosen],
  ['listens-later.cjs', 'listens-later', port3000],
  ['own-extra-tcp-server.cjs', 'own-extra-tcp-server', port3000],
  ['untyped/syntax-commonjs.js', 'syntax-commonjs', chosen],
  ['untyped/syntax-module.js', 'syntax-module', chosen],
  ['untyped/bin/www', 'bin-www', port3000],
  ['express.cjs', 'express', port3000],
  ['fastify.mjs', 'fastify', { address: '127.0.0.1', family: 'IPv4', port: 3000 }],
  ['koa.mjs', 'koa', { address: '127.0.0.1', family: 'IPv4', port: 3000 }],
  ['hono.mjs', 'hono', chosen],
]

t.test('each kind of application is served', async t => {
  for (const [file, framework, address] of served) {
    await t.test(file, async t => {
      const { loaded, socketPath } = load(t, file)
      t.strictSame(await loaded, { listening: address })
      const hello = await ask({ socketPath, path: '/hello' })
      t.match(hello, { status: 200, headers: { 'content-type': /json/ } })
      t.strictSame(JSON.parse(hello.text), { hello: 'world', framework })
      const body = 'rice '.repeat(50_000)
      t.equal((await ask({ socketPath, path: '/echo', method: 'POST', body, headers: plain })).text, body, 'echo')
      const headers = await ask({ socketPath, path: '/headers', headers: { 'X-Rice': 'white' } })
      t.match(JSON.parse(headers.text), { 'x-rice': 'white' })
      const stream = await ask({ socketPath, path: '/stream' })
      t.match(stream, { text: 'one two three', headers: { 'transfer-encoding': 'chunked' } })
    })
  }
})

const plain = { 'content-type': 'text/plain' }

t.test('express with JSON bodies and static files', async t => {
  const { loaded, socketPath } = load(t, 'express.cjs')
  await loaded
  const body = '{"rice":[1,2]}'
  const json = await ask({
    socketPath,
    path: '/json',
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  })
  t.strictSame(JSON.parse(json.text), { received: { rice: [1, 2] } })
  const file = await ask({ socketPath, path: '/files/rice.txt' })
  t.match(file, { status: 200, text: 'rice\n', headers: { 'content-type': /^text\/plain/, etag: /./ } })
  t.match(await ask({ socketPath, path: '/files/nothing.txt' }), { status: 404 })
})

t.test('a server of its own on TCP keeps its port', async t => {
  const { loaded, socketPath } = load(t, 'own-extra-tcp-server.cjs')
  await loaded
  const { port } = JSON.parse((await ask({ socketPath, path: '/extra' })).text)
  const extra = connect(port, '127.0.0.1').setEncoding('utf8')
  t.strictSame(await once(extra, 'data', { signal: AbortSignal.timeout(DEADLINE_MS) }), ['extra'])
  extra.destroy()
})

t.test('an application that is exported and listens later too has one door', async t => {
  const one = load(t, 'exports-and-listens-later.cjs')
  const two = load(t, 'exports-and-listens-later.cjs')
  t.strictSame([await one.loaded, await two.loaded], [{ listening: chosen }, { listening: chosen }])
  for (const { printed, socketPath } of [one, two]) {
    const [, address] = await printed(/second address (.*)\n/)
    t.strictSame(JSON.parse(address ?? ''), port3000, 'neither fails with EADDRINUSE')
    t.match(await ask({ socketPath, path: '/hello' }), { status: 200 })
  }
})

/** Writes an application and loads it, with a PORT and much time to wait for it. */
function loadWritten(t: Test, source: string, env: Record<string, string> = {}, args: string[] = []) {
  const path = join(scratchFolder(t), 'site.mjs')
  writeFileSync(path, `import { createServer } from 'node:http'\n${source}`)
  return load(t, path, { PORT: '3000', PORT_MS: '3600000', ...env }, args)
}

const monitor = `createServer((q, s) => s.end('admin')).listen(0, '127.0.0.1')`
const site = (listen: string) => `createServer((q, s) => s.end('site')).listen(${listen})`

t.test('of two servers the one on PORT is served', async t => {
  const cases: [title: string, source: string][] = [
    ['at once', `${monitor}\n${site('process.env.PORT')}`],
    [
      'after a wait at the top',
      `${monitor}\nawait (await import('node:timers/promises')).setTimeout(50)\n${site('+process.env.PORT')}`,
    ],
    ['long after the file has run', `${monitor}\nsetTimeout(() => ${site('process.env.PORT')}, 50)`],
    ['when the first one listens', `${monitor}.once('listening', () => ${site('process.env.PORT')})`],
    ['on a PORT of its own', `process.env.PORT = '4000'\n${monitor}\nsetTimeout(() => ${site('4000')}, 50)`],
  ]
  for (const [title, source] of cases) {
    await t.test(title, async t => {
      const { loaded, socketPath } = loadWritten(t, source)
      t.match(await loaded, { listening: { port: title === 'on a PORT of its own' ? 4000 : 3000 } })
      t.match(await ask({ socketPath, path: '/' }), { text: 'site' })
    })
  }
})

t.test('where nothing more can come, nobody waits for PORT', async t => {
  const told = `process.on('beforeExit', () => console.log('beforeExit'))`
  const secure = `;(await import('node:https')).createServer({}, (q, s) => s.end('site')).listen(4000)`
  for (const source of [site('4000'), secure]) {
    const { loaded, socketPath, child, printed } = loadWritten(t, `${told}\n${source}`)
    t.same((await loaded).failed, undefined)
    t.match(await ask({ socketPath, path: '/' }), { text: 'site' })
    child.kill('SIGTERM')
    await t.rejects(printed(/beforeExit/), 'and the application is not told that its loop was dry')
  }
})

t.test('its words are those of the command line', async t => {
  const { loaded, printed, path } = loadWritten(
    t,
    `console.log(JSON.stringify(process.argv.slice(1)))\n${site('3000')}`,
    {},
    ['start', 'my shop'],
  )
  await loaded
  const [line] = await printed(/^\[.*\]$/m)
  t.strictSame(JSON.parse(line), [path, 'start', 'my shop'])
})

t.test('one that is not served says what it listens with', async t => {
  const { loaded } = loadWritten(t, `import net from 'node:net'\nnet.createServer().listen(0, '127.0.0.1').unref()`)
  t.match(await loaded, {
    failed: { message: /nothing in it can listen any more; it listens with TCP on 127\.0\.0\.1:0; accepted/ },
  })
})

const failing: [string, string, { name: string; code?: string; message: RegExp; stack: RegExp }][] = [
  [
    'it throws',
    'throws-at-load.cjs',
    {
      name: 'TypeError',
      message: /^no licence for rice$/,
      stack: /^TypeError: no licence for rice\n +at readLicence \(.*throws-at-load\.cjs:4:9\)/,
    },
  ],
  [
    'its Promise fails',
    'rejected-promise.cjs',
    { name: 'Error', message: /^no granary at 127\.0\.0\.1$/, stack: /\n +at connect \(.*rejected-promise\.cjs:6:9\)/ },
  ],
  [
    'it is not there',
    'no-such-file.cjs',
    { name: 'Error', code: 'MODULE_NOT_FOUND', message: /no-such-file\.cjs/, stack: /./ },
  ],
  [
    'it is not there, as a module',
    'no-such-file.mjs',
    { name: 'Error', code: 'ERR_MODULE_NOT_FOUND', message: /no-such-file\.mjs/, stack: /./ },
  ],
  [
    'it exports an object that cannot be served',
    'exports-nonsense.cjs',
    {
      name: 'Failure',
      code: 'application-unusable',
      message: /exports-nonsense\.cjs: it exports an object with start, stop, .*accepted is/,
      stack: /./,
    },
  ],
  [
    'it exports a Promise of something that cannot be served',
    'exports-nonsense-later.mjs',
    {
      name: 'Failure',
      code: 'application-unusable',
      message: /exports a Promise of nothing that can be served, .*accepted is/,
      stack: /./,
    },
  ],
  [
    'it exports a class',
    'exports-class.mjs',
    { name: 'Failure', code: 'application-unusable', message: /exports class Farm, .*accepted is/, stack: /./ },
  ],
  [
    'it waits for nothing',
    'awaits-forever.mjs',
    {
      name: 'Failure',
      code: 'application-unusable',
      message: /it has not finished loading, .*accepted is/,
      stack: /./,
    },
  ],
]

t.test('an application that cannot be served says why', async t => {
  for (const [title, file, expected] of failing) {
    await t.test(title, async t => {
      const { loaded, ended } = load(t, file)
      t.match(await loaded, { failed: expected })
      t.strictSame(await ended, { code: 1, signal: null })
    })
  }
})

t.test('a syntax error in a module says where it is', async t => {
  const folder = scratchFolder(t)
  const path = join(folder, 'farm.mjs')
  writeFileSync(path, "import './wrong.mjs'\n")
  writeFileSync(join(folder, 'wrong.mjs'), 'const field = 1\nconst rice = ;\n')
  const { failed } = await load(t, path).loaded
  t.match(failed, { name: 'SyntaxError', stack: /^file:.*wrong\.mjs:2\nconst rice = ;\n +\^\n\nSyntaxError: / })
})

t.test('an application that fails after it listens dies of its own error', async t => {
  const { ended, complained } = load(t, 'throws-after-listening.mjs')
  t.strictSame(await ended, { code: 1, signal: null })
  await complained(/TypeError: the rest is missing\n +at .*throws-after-listening\.mjs:9:7/)
})

t.test('an application that ends its process ends it', async t => {
  const { ended } = load(t, 'exits-at-load.cjs')
  t.strictSame(await ended, { code: 3, signal: null })
})

t.test('an application that works on without listening is waited for', async t => {
  const { child, loaded, printed } = load(t, 'never-listens.cjs')
  const first = Promise.race([loaded, printed(/(working\n){5}/)])
  t.ok(Array.isArray(await first), 'nothing came of it in five turns of its work')
  t.equal(child.exitCode, null)
})

t.test('a fetch function', async t => {
  const { loaded, socketPath, complained } = load(t, 'fetch-waits.mjs')
  await loaded
  await t.test('sees its client leave', async t => {
    const waiting = request({ socketPath, path: '/wait', agent: false })
    waiting.on('error', () => {}) // ECONNRESET of our own `destroy`
    const [socket] = await once(waiting.end(), 'socket')
    if (socket.connecting) await once(socket, 'connect')
    // An answer to a later request shows that this one was read.
    await ask({ socketPath, path: '/left' })
    waiting.destroy()
    for (let left = 0; left === 0; ) left = JSON.parse((await ask({ socketPath, path: '/left' })).text).left
    t.pass('its signal aborted')
  })
  await t.test('throws: 500, and the stack on standard error', async t => {
    t.match(await ask({ socketPath, path: '/throw' }), { status: 500, text: 'Internal Server Error\n' })
    await complained(/Error: thrown by fetch\n +at .*fetch-waits\.mjs/)
  })
  await t.test('sees the global objects of Node', async t => {
    const { text } = await ask({ socketPath, path: '/globals' })
    t.strictSame(JSON.parse(text), { same: true, request: true })
  })
  await t.test('is not called for a Host that makes no URL', async t => {
    t.match(await ask({ socketPath, path: '/globals', headers: { host: 'a b' } }), {
      status: 400,
      text: 'Bad Request\n',
    })
  })
})

const kinds: [string, string, boolean][] = [
  ['.mjs', 'esm-listen.mjs', true],
  ['.cjs', 'cjs-listen.cjs', false],
  ['.js below "type": "module"', 'any.js', true],
  ['.js without a type, CommonJS by syntax', 'untyped/syntax-commonjs.js', false],
  ['.js without a type, a module by syntax', 'untyped/syntax-module.js', true],
  ['no extension, no type', 'untyped/bin/www', false],
  ['any other extension', 'any.node', false],
]

t.test('module or CommonJS', async t => {
  for (const [title, file, expected] of kinds) t.equal(isModule(join(applications, file)), expected, title)
})

class Farm {}
const exports: [string, unknown, string][] = [
  ['undefined', undefined, 'undefined'],
  ['null', null, 'null'],
  ['a number', 42, 'a number'],
  ['an empty object', {}, 'nothing'],
  ['an object', { a: 1, b: 2 }, 'an object with a, b'],
  [
    'a large object',
    Object.fromEntries('abcdefghi'.split('').map(name => [name, 1])),
    'an object with a, b, c, d, e, f, g, h, …',
  ],
  ['an array', ['x'], 'an array with 0'],
  ['a class', Farm, 'class Farm'],
  ['a function', describeExport, 'function describeExport'],
  ['a Promise', new Promise(() => {}), 'a Promise of nothing that can be served'],
  [
    'a module',
    await import('../../../../app/host/listen/server-kind.js'),
    'a module with KIND_NAMES, kindOf, plainServerOf',
  ],
]

t.test('an export in words', async t => {
  for (const [title, value, expected] of exports) t.equal(describeExport(value), expected, title)
})
