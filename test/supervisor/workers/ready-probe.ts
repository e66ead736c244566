/** What a new worker is asked: `supervisor/workers/ready-probe.ts`. */

import { createServer, type RequestListener } from 'node:http'
import { createServer as createRawServer, type Server } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ReadyProbe } from '../../../supervisor/workers/ready-probe.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

const check = { method: 'GET', path: '/ready', statuses: [200, 299] } as const

interface Asked {
  probe: ReadyProbe
  passed: Promise<void>
  failed: Promise<string>
}

function ask(t: Test, path: string): Asked {
  const hooks = { passed: () => {}, failed: (_why: string) => {} }
  const passed = new Promise<void>(resolve => {
    hooks.passed = resolve
  })
  const failed = new Promise<string>(resolve => {
    hooks.failed = resolve
  })
  const probe = new ReadyProbe({ ...check, statuses: [200, 299] }, path, null, hooks)
  t.teardown(() => probe.stop())
  return { probe, passed, failed }
}

async function listening(t: Test, server: Server): Promise<string> {
  const path = join(scratchFolder(t), 'worker.sock')
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.teardown(() => void server.close())
  return path
}

const answers = (t: Test, answer: RequestListener) => listening(t, createServer(answer))

t.test('asks again until the status is right', async t => {
  const heads: unknown[] = []
  const path = await answers(t, ({ method, url, headers }, response) => {
    heads.push([method, url, headers.host])
    response.writeHead(heads.length < 3 ? 503 : 204).end()
  })
  const { passed, failed } = ask(t, path)
  t.equal(await failed, 'GET /ready: 503 Service Unavailable', 'the first failure is told')
  await passed
  t.same(heads, Array(3).fill(['GET', '/ready', 'localhost']))
})

const failures: [title: string, answer: RequestListener, expected: RegExp][] = [
  [
    'the first line of the body, and no more',
    (_request, response) => response.writeHead(500).end('\n\n  no datab\u00e4se \x1b[31mtoday\r\nat app.js:1'),
    /^GET \/ready: 500 Internal Server Error: no datab\u00e4se \[31mtoday$/,
  ],
  ['a redirect is none', (_request, response) => response.writeHead(302).end(), /: 302 Found$/],
  [
    'an endless body is cut',
    (_request, response) => {
      response.on('error', () => {}).writeHead(500)
      const timer = setInterval(() => response.write('x'.repeat(3000)), 1)
      response.on('close', () => clearInterval(timer))
    },
    /: 500 Internal Server Error: x{200}$/,
  ],
  [
    'interim responses without end',
    (_request, response) => {
      const timer = setInterval(() => response.writeProcessing(), 1)
      response.on('close', () => clearInterval(timer))
    },
    /over 16 interim responses$/,
  ],
  ['an end in place of an answer', request => request.socket.destroy(), /socket hang up/],
]
for (const [title, answer, expected] of failures) {
  t.test(title, async t => {
    const { failed, probe } = ask(t, await answers(t, answer))
    t.match(await failed, expected)
    t.match(probe.lastFailure, expected)
  })
}

t.test('nobody listens', async t => {
  t.match(await ask(t, join(scratchFolder(t), 'none.sock')).failed, /ENOENT/)
})

t.test('it says so when there was no answer yet, and is silent once it was stopped', async t => {
  let asked = () => {}
  const wasAsked = new Promise<void>(resolve => {
    asked = resolve
  })
  let closed = () => {}
  const wasClosed = new Promise<void>(resolve => {
    closed = resolve
  })
  const path = await listening(
    t,
    createRawServer(socket => {
      socket.on('error', () => {}).on('close', () => closed())
      asked()
    }),
  )
  let told = 0
  const probe = new ReadyProbe({ ...check, statuses: [200, 299] }, path, null, {
    passed: () => told++,
    failed: () => told++,
  })
  await wasAsked
  t.equal(probe.lastFailure, 'GET /ready: no answer')
  probe.stop()
  await wasClosed
  t.equal(told, 0)
})
