/**
 * What a running site shows to other users of its machine, and to its clients: the modes of all sockets, nothing secret in any command line, environment
 * or log, no log line that a client has written, metrics that no client can make grow, and no door to the master through the front.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ask, runProgram, sendBytes } from './fixtures/asking.js'
import { scrape, sumOf } from './fixtures/metrics-page.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

const program = fileURLToPath(new URL('../../supervisor/daimyo.js', import.meta.url))
const environmentSecret = 'paddy-4711'
const hash = (await runProgram(process.execPath, [program, 'hash-password'], 'granary\n')).out.trim()

const app = `
require('node:http').createServer((request, response) => {
  if (request.url.startsWith('/wait')) return
  response.writeHead(request.url === '/' ? 200 : 404).end(process.env.SECRET)
}).listen(3000)`

const lines = [
  'processes = 2',
  `env = SECRET=${environmentSecret}`,
  'http = 127.0.0.1:0',
  'http = %dhttp.sock',
  'harakiri = 1',
]
const site = new WatchedSite(t, lines, { app, expected: [/ request-harakiri /] })
// On the command line, where a password should not be: the master takes it from everybody's sight.
const running = await site.serve(site.ini, `--metrics-auth=prometheus:${hash}`, '--metrics=127.0.0.1:0')

const modeOf = (path: string) => (statSync(path).mode & 0o7777).toString(8)

t.test('modes', async t => {
  t.equal((await ask(running.url, '/')).body, environmentSecret)
  t.equal(modeOf(site.path('run')), '710')
  t.equal(modeOf(site.path('http.sock')), '660')
  const expected: [RegExp, string][] = [
    [/workers$/, '750'],
    [/control\.sock$/, '600'],
    [/worker-\d\.sock$/, '660'],
    [/worker-\d\.(link|tunnel|watch)$/, '600'],
    [/master\.pid$/, '644'],
  ]
  const names = ['run', 'run/workers'].flatMap(folder => readdirSync(site.path(folder)).map(name => join(folder, name)))
  t.equal(names.length, 3 + 2 * 4, names.join(' '))
  for (const name of names) {
    const mode = expected.find(([pattern]) => pattern.test(name))?.[1]
    t.equal(modeOf(site.path(name)), mode, name)
  }
})

t.test('command lines and environments', async t => {
  const { pid, workers, proxies } = await site.status()
  const pids = [pid, ...workers.map(worker => worker.pid), ...proxies.map(proxy => proxy.pid)]
  t.equal(pids.length, site.processes().length)
  const workerPids = workers.map(worker => worker.pid)
  for (const each of pids) {
    const commandLine = readFileSync(`/proc/${each}/cmdline`, 'latin1')
    const environment = readFileSync(`/proc/${each}/environ`, 'latin1')
    t.match(commandLine, /daimyo: (master|proxy|worker)/)
    t.notOk(commandLine.includes(environmentSecret) || commandLine.includes(hash), `${each}: ${commandLine}`)
    t.notOk(environment.includes(hash), `${each}: the hash is in no environment`)
    t.equal(environment.includes(environmentSecret), workerPids.includes(each), `${each}: env is for the workers alone`)
  }
})

/** What would forge a line where it stood in one as it came. */
const forged = '2026-01-01T00:00:00.000Z worker-ready slot=99'

t.test('log lines', async t => {
  const escaped = forged.replaceAll(' ', '%20')
  const heads = [
    `GET /%0a${escaped} HTTP/1.1\r\nHost: a`,
    `GET /%0d%0a${escaped}%1b[2J HTTP/1.1\r\nHost: a`,
    `GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: "\x1b[2J" ${forged}`,
    `GET / HTTP/1.1\r\nHost: a\r\nReferer: \\" 200 0 "-" ${forged}\xff`,
    `GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: ${forged}`,
    `GET /\n${escaped} HTTP/1.1\r\nHost: a`,
  ]
  for (const head of heads) await sendBytes(running.url, `${head}\r\nConnection: close\r\n\r\n`)
  t.match(await ask(running.url, `/wait%0a${escaped}%1b`), { status: 504 })
  await ask(running.url, '/last')
  await until('all are written', () => /"GET \/last /.test(running.out()))
  await until('the late one is told', () => / request-harakiri /.test(running.out()))
  const text = running.out()
  const ofWorkers = text.split('\n').filter(line => line.startsWith('20') && line.includes(' worker-ready '))
  t.equal(ofWorkers.length, 2, 'the two that there are')
  t.notMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\uffff]/, 'nothing that is not printable')
  const quoted = '"[^"]*"'
  const accessLine = new RegExp(
    `^\\S+ - - \\[[^\\]]+\\] ${quoted} \\d{3} \\d+ ${quoted} ${quoted} \\d+\\.\\d{3} \\S+ \\d+$`,
  )
  const accessLines = text.split('\n').filter(line => line.includes(' - - ['))
  t.ok(accessLines.length >= heads.length, `${accessLines.length} access lines`)
  t.same(
    accessLines.filter(line => !accessLine.test(line)),
    [],
    'none of which has more fields than it should',
  )
  t.match(text, /^\S+ request-harakiri proxy=1 pid=\d+ request="GET \/wait%0a/m)
  t.notOk(text.includes(environmentSecret) || text.includes(hash), 'no secret')
})

t.test('metrics do not grow with the paths that clients think of', async t => {
  const auth = { authorization: `Basic ${Buffer.from('prometheus:granary').toString('base64')}` }
  const page = async () => (await ask(running.metricsUrl, '/metrics', { headers: auth })).body
  await t.rejects(scrape(running.metricsUrl), /401/, 'they are behind their password')
  const seen = (text: string) => sumOf(text, 'daimyo_requests_total') ?? 0
  await ask(running.url, '/first')
  let before = ''
  await until('they know of what was before', async () => {
    before = await page()
    return seen(before) > 0
  })
  // Unknown methods are refused, and have no row either.
  t.match(await ask(running.url, '/', { method: 'HARVEST' }), { status: 501 })
  const count = 100
  for (let at = 0; at < count; at++) await ask(running.url, `/rice-${at}`, { method: at % 2 === 0 ? 'GET' : 'PUT' })
  const after = seen(before) + count
  let text = ''
  await until('all are counted', async () => {
    text = await page()
    return seen(text) >= after
  })
  t.notMatch(text, /rice-|HARVEST/)
  const rows = (of: string) => of.split('\n').filter(line => line.startsWith('daimyo_requests_total')).length
  t.ok(rows(text) <= rows(before) + 4, `${rows(before)} rows before, ${rows(text)} behind ${count} requests`)
})

t.test('the front leads to the application alone', async t => {
  for (const path of ['/metrics', '/status', '/server-status', '/_daimyo', '/control', '/run/control.sock']) {
    t.match(await ask(running.url, path), { status: 404, body: environmentSecret }, path)
  }
})

t.test('it stops', async t => t.match(await site.end(running), { code: 0 }))
