/** With `metrics-auth` the metrics are for those who know the password, on their own listener and through the proxy alike. */

import { fileURLToPath } from 'node:url'
import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { ask, runProgram } from './fixtures/asking.js'
import { farmLines, until, WatchedSite } from './fixtures/watched-site.js'

const program = fileURLToPath(new URL('../../supervisor/daimyo.js', import.meta.url))
const password = 'rice: 稲 and "more"'
const basic = (user: string, secret: string) => `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`

/** The hash as an operator makes it: through standard input. */
async function hashPassword(secret: string): Promise<string> {
  const { code, out, err } = await runProgram(process.execPath, [program, 'hash-password'], `${secret}\n`)
  t.same([code, err], [0, ''], 'hash-password')
  return out.trim()
}

const hash = await hashPassword(password)
t.notOk(hash.includes(password), 'the hash does not tell the password')
t.match(hash, /^\S{40,}$/, 'one line, which fits into an INI')

const refused: [title: string, authorization: string | undefined][] = [
  ['nothing', undefined],
  ['a wrong password', basic('prometheus', 'rice')],
  ['an empty password', basic('prometheus', '')],
  ['a wrong user', basic('prometheu', password)],
  ['the hash itself', basic('prometheus', hash)],
  ['another scheme', basic('prometheus', password).replace('Basic', 'Bearer')],
  ['what is not base64', 'Basic ****'],
]

t.test('both doors', async t => {
  const lines = [
    ...farmLines,
    'metrics = 127.0.0.1:0',
    'metrics-path = /api/v1/metrics',
    `metrics-auth = prometheus:${hash}`,
  ]
  const site = new WatchedSite(t, lines)
  const running = await site.serve()
  const doors: [title: string, url: string, path: string][] = [
    ['its own listener', new URL(running.metricsUrl).origin, '/metrics'],
    ['the proxy', running.url, '/api/v1/metrics'],
  ]
  for (const [door, url, path] of doors) {
    for (const [title, authorization] of refused) {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
      const answer = await ask(url, path, { headers })
      t.match(answer, { status: 401, headers: { 'www-authenticate': /^Basic realm=/i } }, `${door}: ${title}`)
      t.notMatch(answer.body, /daimyo_|farm_/, `${door}: ${title}: no metric`)
    }
    const headers = { authorization: basic('prometheus', password) }
    const answer = await ask(url, path, { headers })
    t.match(
      answer,
      { status: 200, headers: { 'content-type': /^text\/plain; version=0\.0\.4/ } },
      `${door}: the password`,
    )
    t.match(answer.body, /^daimyo_build_info\{.*\} 1$/m)
    await until(`${door}: the application’s own metrics`, async () =>
      /^farm_/m.test((await ask(url, path, { headers })).body),
    )
  }
  const { origin } = new URL(running.metricsUrl)
  const headers = { authorization: basic('prometheus', password) }
  t.match(await ask(origin, '/nothing', { headers }), { status: 404 }, 'nothing else is there')
  for (const text of [running.out(), running.err(), (await site.run('check', site.ini)).out]) {
    t.notOk(text.includes(hash), 'the hash is not printed')
  }
  t.match(await site.end(running), { code: 0 })
})

t.test('a password instead of its hash is refused, and not repeated', async t => {
  const site = new WatchedSite(t, [...farmLines, 'metrics = 127.0.0.1:0', 'metrics-auth = prometheus:geheim'])
  const { code, out, err } = await site.run(site.ini)
  t.equal(code, EXIT.config)
  t.match(err, /site\.ini:\d+: metrics-auth: .*hash-password/)
  t.notMatch(out + err, 'geheim')
})

t.test('without it they are open', async t => {
  const site = new WatchedSite(t, [...farmLines, 'metrics = 127.0.0.1:0', 'metrics-path = /api/v1/metrics'])
  const running = await site.serve()
  t.match(await ask(new URL(running.metricsUrl).origin, '/metrics'), { status: 200 })
  t.match(await ask(running.url, '/api/v1/metrics'), { status: 200 })
  t.match(await site.end(running), { code: 0 })
})
