/**
 * While others guess passwords without end, a new one each time, the right password gets the metrics on both doors, also
 * when nothing was verified before, and is never told that it is wrong; all other requests are served as ever.
 */

import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { ask, runProgram } from './fixtures/asking.js'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { farmLines, timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

const program = fileURLToPath(new URL('../../supervisor/daimyo.js', import.meta.url))
const password = 'open sesame'
const basic = (secret: string) => ({ authorization: `Basic ${Buffer.from(`ali:${secret}`).toString('base64')}` })
const { out } = await runProgram(process.execPath, [program, 'hash-password'], `${password}\n`)
const lines = [...farmLines, 'metrics = 127.0.0.1:0', 'metrics-path = /metrics', `metrics-auth = ali:${out.trim()}`]
const expected = [/ proxy-exit .*signal=SIGKILL why=died/]
/** Scrapes that may be told to come back; a check takes a tenth of a second, more where others need the processors too. */
const patience = 8
const slowestMs = 1000 * timeFactor

t.test('a flood of guesses on both doors', async t => {
  const site = new WatchedSite(t, lines, { expected })
  const running = await site.serve()
  const doors = [new URL('/metrics', running.metricsUrl).href, new URL('/metrics', running.url).href]
  const guessers = doors.map(url => new Guessers(t, url))
  await until('they guess', () => guessers.every(({ guessed }) => guessed > 200))
  const client = new SteadyClient(t, running.url, 50, () => ({ path: '/api/v1/whoami' }))
  for (const url of doors) await getIn(t, url, 'nothing is verified yet')
  for (const url of doors) {
    for (let scrape = 0; scrape < 5; scrape++) t.equal((await get(url)).status, 200, 'known by now')
  }
  const replies = await client.stop()
  t.same(failuresAmong(replies), [], 'nobody else failed')
  const tookMs = replies.map(({ sentMs, endedMs }) => endedMs - sentMs).sort((a, b) => a - b)
  const p99 = tookMs[Math.floor(tookMs.length * 0.99)] ?? 0
  t.ok(p99 < slowestMs, `p99 of ${replies.length} other requests: ${Math.round(p99)} ms`)

  const [proxy] = (await site.status()).proxies
  process.kill(proxy?.pid ?? 0, 'SIGKILL')
  await until('another proxy answers', async () => {
    const [next] = (await site.status()).proxies
    return next?.pid !== proxy?.pid && (await ask(running.url, '/api/v1/whoami')).status === 200
  })
  await getIn(t, doors[1] ?? '', 'after a proxy was restarted')
  for (const one of guessers) {
    await one.stop()
    t.notOk(one.statuses.has(200), 'no guess got in')
    const known = [...one.statuses].filter(([status]) => ![0, 401, 503].includes(status))
    t.same(known, [], `a guess is wrong, or has to wait: ${JSON.stringify([...one.statuses])}`)
  }
  t.match(await site.end(running), { code: 0 })
})

function get(url: string) {
  return ask(url, new URL(url).pathname, { headers: basic(password) })
}

/** The right password gets in after a few scrapes; until then it is told when to come back. */
async function getIn(t: Test, url: string, when: string): Promise<void> {
  const answers = [await get(url)]
  while (answers.at(-1)?.status !== 200 && answers.length < patience) answers.push(await get(url))
  t.equal(answers.at(-1)?.status, 200, `${url}: ${when}: ${answers.length} scrapes`)
  for (const { status, headers } of answers.slice(0, -1)) {
    t.match({ status, headers }, { status: 503, headers: { 'retry-after': /^\d+$/ } }, 'never 401')
  }
}

/** Guess all the time, over new connections; what a connection's end costs them is their own. */
class Guessers {
  readonly statuses = new Map<number, number>()
  guessed = 0
  #isOver = false
  readonly #ended: Promise<unknown>

  constructor(t: Test, url: string) {
    this.#ended = Promise.all(Array.from({ length: 25 }, () => this.#guess(url)))
    t.teardown(() => this.stop())
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#ended
  }

  async #guess(url: string): Promise<void> {
    while (!this.#isOver) {
      this.guessed += 1
      const asked = ask(url, new URL(url).pathname, { headers: basic(`guess ${this.guessed}`) })
      const status = await asked.then(
        answer => answer.status,
        () => 0,
      )
      this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1)
    }
  }
}
