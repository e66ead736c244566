import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask, freePorts } from '../../../bench/ask.js'
import { findExecutable } from '../../../bench/program.js'
import { makeFolder, SITE_FILES } from '../../../bench/site.js'
import { caddy, caddyfile } from '../../../bench/stacks/caddy.js'
import { cluster } from '../../../bench/stacks/cluster.js'
import { haproxy, haproxyConf } from '../../../bench/stacks/haproxy.js'
import { type RunningStack, type Stack, startStack } from '../../../bench/stacks/stack.js'

const calm = new AbortController().signal
const bed = { folder: '/bed', port: 8080, sparePort: 8081, app: '/app.js', siteFolder: '/bed/site' }
/** Its response tells which worker it is, and which forwarded fields it got. */
const app = `require('http').createServer((request, response) => {
  const fields = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'].map(name => request.headers[name])
  response.setHeader('x-worker', process.pid)
  response.setHeader('x-fields', fields.join(' '))
  request.pipe(response)
}).listen(process.env.PORT, process.env.HOST)`

/**
 * Not a skip, which CI counts as a failure: as in the bench itself, a peer that is not installed is left out with a line
 * that says so.
 */
function isLeftOut(t: Test, stack: Stack): boolean {
  const missing = stack.missing()
  if (missing !== null) t.comment(`left out: ${missing}`)
  return missing !== null
}

async function start(t: Test, stack: Stack): Promise<{ running: RunningStack; folder: string }> {
  const { folder, siteFolder } = makeFolder()
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'app.cjs'), app)
  const [port = 0, sparePort = 0] = await freePorts(2)
  const own = { folder: join(folder, '0'), port, sparePort, app: join(folder, 'app.cjs'), siteFolder }
  const running = await startStack(stack, own, calm)
  t.teardown(() => running.stop())
  return { running, folder: own.folder }
}

const peers: [stack: Stack, fields: RegExp, accessLog: string | null][] = [
  [haproxy, /^127\.0\.0\.1 http 127\.0\.0\.1:\d+$/, 'haproxy.log'],
  [caddy, /^127\.0\.0\.1 http 127\.0\.0\.1:\d+$/, 'access.log'],
  [cluster, /^ *$/, null],
]
for (const [stack, fields, accessLog] of peers) {
  t.test(`${stack.name} uses both workers, and leaves no process`, async t => {
    if (isLeftOut(t, stack)) return
    const { running, folder } = await start(t, stack)
    const workers = new Set<unknown>()
    for (let turn = 0; turn < 4; turn++) {
      const url = `${running.url}/api/v1/echo`
      const { status, headers, bodyBytes } = await ask({ url, method: 'POST', body: 'x'.repeat(4096) }, calm)
      t.strictSame([status, bodyBytes], [200, 4096])
      t.match(String(headers['x-fields']), fields)
      workers.add(headers['x-worker'])
    }
    t.equal(workers.size, 2)
    t.equal(running.isPeer, true)
    t.strictSame(await running.stop(), [])
    if (accessLog !== null)
      t.match(readFileSync(join(folder, accessLog), 'utf8').match(/\/api\/v1\/echo/g), { length: 4 }, 'access log')
  })
}

t.test('Caddy serves the files', async t => {
  if (isLeftOut(t, caddy)) return
  const { running } = await start(t, caddy)
  const answer = await ask({ url: `${running.url}/static/1k.txt` }, calm)
  t.match(answer, { status: 200, bodyBytes: SITE_FILES['1k.txt'], headers: { etag: /./ } })
})

t.test('node:cluster ends when a worker ends unasked', async t => {
  const { folder, siteFolder } = makeFolder()
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'app.cjs'), 'process.exit(7)')
  const [port = 0] = await freePorts(1)
  const own = { folder: join(folder, '0'), port, sparePort: 0, app: join(folder, 'app.cjs'), siteFolder }
  await t.rejects(startStack(cluster, own, calm), { message: /ended with code 1\na worker ended with 7/ })
})

t.test('configurations', t => {
  const cases: [string, string, string[]][] = [
    [
      'HAProxy',
      haproxyConf(bed),
      ['mode http', 'nbthread 2', 'bind 127.0.0.1:8080\n', 'worker-2 unix@/bed/worker-2.sock', 'http-reuse always'],
    ],
    [
      'Caddy',
      caddyfile(bed, '2.6.2'),
      [
        'bind 127.0.0.1\n',
        '\tbuffer_requests\n',
        'admin off',
        'unix//bed/worker-1.sock unix//bed/worker-2.sock {',
        'root * /bed/site\n',
      ],
    ],
  ]
  for (const version of ['2.6.3', '2.10.0']) t.match(caddyfile(bed, version), '\trequest_buffers 64KB\n', version)
  for (const [title, text, parts] of cases) for (const part of parts) t.match(text, part, `${title}: ${part.trim()}`)
  t.end()
})

t.test('HAProxy has no warning', async t => {
  if (isLeftOut(t, haproxy)) return
  const path = join(t.testdir(), 'haproxy.cfg')
  writeFileSync(path, haproxyConf(bed))
  const { status, stdout, stderr } = spawnSync(findExecutable('haproxy') ?? '', ['-c', '-f', path], {
    encoding: 'utf8',
  })
  t.equal(status, 0, stderr)
  t.notMatch(stdout + stderr, /\[(WARNING|ALERT)\]/)
})
