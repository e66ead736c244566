/** What `/metrics` prints is what Prometheus reads: promtool finds nothing to say, whatever has happened before. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask, runProgram, sendBytes, skipWithout } from './fixtures/asking.js'
import { scrape } from './fixtures/metrics-page.js'
import { farmLines, topFolder, until, WatchedSite } from './fixtures/watched-site.js'

/** Something of each kind that is counted. */
const asked: [path: string, status: number][] = [
  ['/', 200],
  ['/nothing', 404],
  ['/api/v1/_about', 200],
  ['/api/v1/nothing', 404],
  ['/api/v1/sleep?ms=60000', 504],
  ['/api/v1/stream?bytes=300000', 200],
  ['/api/v1/metrics', 200],
]
const expected = [/ request-harakiri /, / worker-exit .*signal=SIGKILL why=died/]

t.test('promtool check metrics', await skipWithout('promtool', 'prometheus'), async t => {
  const lines = [...farmLines, 'metrics = 127.0.0.1:0', 'metrics-path = /api/v1/metrics', 'harakiri = 1']
  const site = new WatchedSite(t, lines, { expected })
  const running = await site.serve()
  await until('the application has told its own', async () => (await scrape(running.metricsUrl)).includes('farm_info'))
  await t.test('just started', t => check(t, running.metricsUrl))

  for (const [path, status] of asked) t.equal((await ask(running.url, path)).status, status, path)
  t.match(await sendBytes(running.url, 'GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'), /^HTTP\/1\.1 400 /)
  process.kill((await site.status()).workers[0]?.pid ?? 0, 'SIGKILL')
  t.match(await site.run('reload', site.ini), { code: 0 })
  await until('the proxy has told its counts', async () => / 504|"504|5xx/.test(await scrape(running.metricsUrl)))
  await t.test('after a busy life', t => check(t, running.metricsUrl))
  await t.test('through the proxy', t => check(t, new URL('/api/v1/metrics', running.url).href))
  const page = await scrape(running.metricsUrl)
  const names = readFileSync(join(topFolder, 'app/farm/static/app.js'), 'utf8').match(/\bdaimyo_\w+/g) ?? []
  t.same(
    names.filter(name => !new RegExp(`^${name}[ {]`, 'm').test(page)),
    [],
    'what the sample page reads is there',
  )
  t.match(await site.end(running), { code: 0 })
})

async function check(t: Test, url: string): Promise<void> {
  const page = await scrape(url)
  t.match(page, /^daimyo_build_info\{.*\} 1$/m)
  t.match(page, /^farm_info\{.*\} 1$/m, 'gauges are there, also just after a reload')
  t.same(await runProgram('promtool', ['check', 'metrics'], page), { code: 0, out: '', err: '' })
}
