/** The access log's lines: their form, that none can be forged, and that a rotated file is left for a new one. */

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Client } from '../../../proxy/exchange/client.js'
import { asking, Exchange } from '../../../proxy/exchange/exchange.js'
import type { RequestHead } from '../../../proxy/http/request-head.js'
import { AccessLog } from '../../../proxy/observe/access-log.js'
import { scratchFolder } from '../../supervisor/fixtures/scratch-folder.js'

const HEAD: Partial<RequestHead> = {
  method: 'GET',
  target: '/a?b',
  httpMinor: 1,
  userAgent: '',
  referer: '',
  length: 0,
}

function exchangeOf(head: Partial<RequestHead>, more: Partial<Exchange> = {}): Exchange {
  const exchange = new Exchange({ ...HEAD, ...head } as RequestHead, { address: '192.0.2.1' } as Client, 1000)
  return Object.assign(exchange, { status: 200, sentBytes: 312, ...more })
}

const LINE =
  /^192\.0\.2\.1 - - \[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "([^"]*)" (\d{3}) (\d+) "([^"]*)" "([^"]*)" (\d+\.\d{3}) (\d+|-) (\d+)$/

t.test('one line for one request, which cannot be forged', async t => {
  const cases: [title: string, exchange: Exchange, expected: string[]][] = [
    ['usual', exchangeOf({}), ['GET /a?b HTTP/1.1', '200', '312', '-', '-', '0.003', '-', '0']],
    [
      'by a worker',
      exchangeOf({ httpMinor: 0, userAgent: 'curl/8', referer: 'http://x/' }, { slot: 2, attempts: 3, status: 504 }),
      ['GET /a?b HTTP/1.0', '504', '312', 'http://x/', 'curl/8', '0.003', '2', '3'],
    ],
    ['a quote in the target', exchangeOf({ target: '/"' }), ['GET /\\x22 HTTP/1.1']],
    [
      'a quote in the agent',
      exchangeOf({ userAgent: 'a" 200 "' }),
      ['GET /a?b HTTP/1.1', '200', '312', '-', 'a\\x22 200 \\x22'],
    ],
    ['a backslash', exchangeOf({ userAgent: '\\x22' }), ['GET /a?b HTTP/1.1', '200', '312', '-', '\\x5Cx22']],
    ['a line feed', exchangeOf({ referer: 'a\nb' }), ['GET /a?b HTTP/1.1', '200', '312', 'a\\x0Ab']],
    [
      'an escape sequence',
      exchangeOf({ referer: '\x1b[31m\x7f' }),
      ['GET /a?b HTTP/1.1', '200', '312', '\\x1B[31m\\x7F'],
    ],
    ['latin1', exchangeOf({ userAgent: '\x85\xff' }), ['GET /a?b HTTP/1.1', '200', '312', '-', '\\x85\\xFF']],
    ['an encoded line feed stays encoded', exchangeOf({ target: '/%0a' }), ['GET /%0a HTTP/1.1']],
  ]
  const path = join(scratchFolder(t), 'access.log')
  const log = new AccessLog(path, why => t.fail(why))
  for (const [, exchange] of cases) log.write(exchange, 1003)
  log.writeRefused({ address: '192.0.2.1' }, 400, 30)
  await log.close()
  const lines = readFileSync(path, 'latin1').split('\n')
  t.equal(lines.length, cases.length + 2)
  for (const [index, [title, , expected]] of cases.entries()) {
    t.same(LINE.exec(lines[index] ?? '')?.slice(1, expected.length + 1), expected, title)
  }
  t.match(lines[cases.length], LINE, 'a refused head has the same form')
  t.match(lines[cases.length], / "-" 400 30 "-" "-" 0\.000 - 0$/, 'and nothing of what was sent')
})

t.test('the id at the end, where it is wanted', async t => {
  const path = join(scratchFolder(t), 'access.log')
  const log = new AccessLog(path, why => t.fail(why))
  log.endsWithRequestId = true
  log.write(exchangeOf({}, { requestId: 'abc-1' }), 1003)
  log.write(exchangeOf({}), 1003)
  log.writeRefused({ address: '192.0.2.1' }, 400, 30)
  log.write(exchangeOf({}, { origin: { address: '2001:db8::1', port: 0, encrypted: true } }), 1003)
  const unix = { address: '127.0.0.1', overUnix: true } as Client
  const overUnix = new Exchange(HEAD as RequestHead, unix, 1000)
  log.write(overUnix, 1003)
  log.writeRefused(unix, 400, 30)
  asking(overUnix).origin = { address: '192.0.2.7', port: 0, encrypted: true }
  log.write(overUnix, 1003)
  await log.close()
  const [first, second, refused, foreign, ...others] = readFileSync(path, 'latin1').split('\n')
  t.match(first, / 0\.003 - 0 abc-1$/)
  t.match(second, / 0\.003 - 0 -$/)
  t.match(refused, / 400 30 "-" "-" 0\.000 - 0 -$/)
  t.match(foreign, /^2001:db8::1 - - /, 'and the client is the one that was believed')
  t.match(others[0], /^unix: - - /, 'a client without an address')
  t.match(others[1], /^unix: - - .* 400 /, 'one that was refused')
  t.match(others[2], /^192\.0\.2\.7 - - /, 'a proxy without one, which is believed')
})

/** The file's text once it has some. */
async function written(path: string): Promise<string> {
  while (readFileSync(path).length === 0) await new Promise(resolve => setImmediate(resolve))
  return readFileSync(path, 'latin1')
}

t.test('after a rotation the lines go to a new file', async t => {
  const path = join(scratchFolder(t), 'access.log')
  const log = new AccessLog(path, why => t.fail(why))
  log.write(exchangeOf({ target: '/before' }), 1003)
  renameSync(path, `${path}.1`)
  log.reopen()
  log.write(exchangeOf({ target: '/after' }), 1003)
  await log.close()
  t.match(await written(`${path}.1`), /^[^\n]*"GET \/before [^\n]*\n$/)
  t.match(await written(path), /^[^\n]*"GET \/after [^\n]*\n$/)
})

t.test('a path that cannot be opened', async t => {
  const folder = scratchFolder(t)
  t.throws(
    () => new AccessLog(join(folder, 'no', 'access.log'), () => {}),
    { code: 'log', message: /ENOENT/ },
    'at first',
  )
  const path = join(folder, 'access.log')
  const told: string[] = []
  const log = new AccessLog(path, why => told.push(why))
  renameSync(path, `${path}.1`)
  mkdirSync(path)
  log.reopen()
  log.write(exchangeOf({ target: '/still' }), 1003)
  await log.close()
  t.match(told, [/EISDIR.*not reopened$/], 'again: told')
  t.match(await written(`${path}.1`), /\/still/, 'and the old file is still written to')
})

t.test(
  'a full disk is told once, and the end does not wait for it',
  {
    skip: existsSync('/dev/full') ? false : 'needs /dev/full',
  },
  async t => {
    const told: string[] = []
    const log = new AccessLog('/dev/full', why => told.push(why))
    log.write(exchangeOf({}), 1003)
    await log.close()
    t.match(told, [/ENOSPC.*lines are lost$/])
    t.ok(log.lostBytes > 0, `${log.lostBytes} bytes are owned up to`)
  },
)

t.test('on standard output, which may be the journal, no line has 48 KB', async t => {
  const module = new URL('../../../proxy/observe/access-log.js', import.meta.url).href
  const code = `
    import { AccessLog } from ${JSON.stringify(module)}
    const log = new AccessLog('', console.error)
    const long = '"'.repeat(60_000)
    for (const head of [{ target: '/' + '<'.repeat(60_000) }, { referer: long }, { userAgent: '<0>burning' + long }]) {
      const client = { address: '192.0.2.1' }
      const whole = { method: 'GET', target: '/', httpMinor: 1, referer: '', userAgent: '', ...head }
      log.write({ client, origin: client, head: whole, status: 200, sentBytes: 0, startMs: 0, slot: 0, attempts: 1 }, 1)
    }
    await log.close()`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })
  t.equal(stderr, '')
  const lines = stdout.trimEnd().split('\n')
  t.equal(lines.length, 3)
  for (const line of lines) {
    t.ok(line.length < 48_000, `${line.length} bytes`)
    t.notMatch(line, '<')
    t.match(line, /^192\.0\.2\.1 .*\.\.\..* 0\.001 - 1$/, 'and the fields behind it')
  }
})
