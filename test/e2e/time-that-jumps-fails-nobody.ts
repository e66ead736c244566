/**
 * The wall clock is set by an hour, forward and back; everybody stands still for longer than every deadline, as in a virtual machine that is paused. Both
 * are told once, nobody is killed for it, no request fails, and no cron job runs twice.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import t from 'tap'
import { scratchFolder } from '../supervisor/fixtures/scratch-folder.js'
import { ask, runProgram, skipWithout } from './fixtures/asking.js'
import { failuresAmong, SteadyClient } from './fixtures/steady-client.js'
import { until, WatchedSite } from './fixtures/watched-site.js'

const everyMs = 1000 / 32
const HOUR_MS = 3_600_000
/** Longer than each of the limits, and long enough to be told of. */
const STILL_MS = 2400

t.test('a clock that is set', await skipWithout('faketime', 'faketime'), async t => {
  const clock = `${scratchFolder(t)}/clock`
  const set = (offset: string) => {
    writeFileSync(`${clock}.new`, offset)
    renameSync(`${clock}.new`, clock)
  }
  set('+0')
  const { out } = await runProgram('faketime', ['-m', '-f', '+0', 'env'])
  const environment = {
    LD_PRELOAD: /^LD_PRELOAD=(.*)$/m.exec(out)?.[1] ?? '',
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    TZ: 'UTC',
  }
  const soon = new Date(Date.now() + HOUR_MS / 2)
  const times = `${soon.getUTCMinutes()} ${soon.getUTCHours()} -1 -1 -1`
  const lines = ['processes = 2', 'mount = /api', 'static-map = /=%dpublic', `cron = ${times} echo ran >> %dran`]
  const site = new WatchedSite(t, lines, { environment })
  mkdirSync(site.path('public'))
  writeFileSync(site.path('public/a.txt'), 'a')
  const running = await site.serve()
  const { sinceMs } = await site.status()
  const pids = await pidsOf(site)
  const client = new SteadyClient(t, running.url, everyMs, number => ({ path: number % 2 === 0 ? '/api' : '/a.txt' }))
  const steps = (direction: string) =>
    running.out().match(new RegExp(` clock-stepped stepMs=3(600|599)\\d{3} direction=${direction}$`, 'gm'))?.length ?? 0
  const dated = async (path: string) => Date.parse(String((await ask(running.url, path)).headers.date)) - Date.now()

  for (const [offset, direction, offMs] of [
    ['+3600', 'forward', HOUR_MS],
    ['+0', 'backward', 0],
  ] as const) {
    set(offset)
    await until(`a step ${direction} is told`, () => steps(direction) === 1)
    for (const path of ['/api', '/a.txt'])
      await until(`Date of ${path} follows`, async () => Math.abs((await dated(path)) - offMs) < 1500, 1500)
    await until('the job that was jumped over has run', () => existsSync(site.path('ran')))
  }
  set('+3600')
  await until('the second step forward is told', () => steps('forward') === 2)
  t.ok(Math.abs((await site.status()).sinceMs - sinceMs - HOUR_MS) < 1000, 'it is as old as before')
  t.match((await site.run('top', site.ini)).out, /LAST EVENTS[\s\S]* clock-stepped .*direction=backward/)
  t.equal(running.out().match(/ cron-start /g)?.length, 1, 'no job runs twice')
  t.equal(readFileSync(site.path('ran'), 'utf8'), 'ran\n')
  t.same(failuresAmong(await client.stop()), [])
  t.same(await pidsOf(site), pids)
  t.equal(running.out().match(/ (clock-stepped|stood-still) /g)?.length, 3)
  t.match(await site.end(running), { code: 0 })
})

const app = `
require('node:http').createServer((request, response) => {
  setTimeout(() => response.end(process.pid + ''), request.url === '/api/slow' ? 300 : 0)
}).listen(3000)
`

t.test('everybody stands still', async t => {
  const limits = ['harakiri = 2', 'http-header-timeout = 2', 'http-keepalive = 2']
  const lines = ['processes = 2', 'mount = /api', 'static-map = /=%dpublic', ...limits]
  const site = new WatchedSite(t, lines, { app })
  mkdirSync(site.path('public'))
  writeFileSync(site.path('public/a.txt'), 'before')
  const running = await site.serve()
  const pids = await pidsOf(site)
  const client = new SteadyClient(t, running.url, everyMs, number => ({
    path: number % 2 === 0 ? '/api/slow' : '/api',
  }))
  const idle = new Line(t, running.url)
  idle.say('GET /api HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('all kinds of requests are answered', () => idle.answers === 1 && client.replies.length > 12)
  const halfway = new Line(t, running.url)
  halfway.say('GET /api HTTP/1.1\r\nHost: a\r\n')
  t.equal((await ask(running.url, '/a.txt')).body, 'before')

  const processes = site.processes()
  const isJudge = (line: string) => /daimyo: (proxy|master)/.test(line)
  const endMs = performance.now() + STILL_MS
  for (const line of processes) process.kill(Number.parseInt(line, 10), 'SIGSTOP')
  writeFileSync(site.path('public/a.txt'), 'meanwhile')
  const file = ask(running.url, '/a.txt')
  await until('all deadlines have passed', () => performance.now() > endMs)
  // Who judges wakes up before those who are judged.
  for (const line of [...processes.filter(isJudge), ...processes]) process.kill(Number.parseInt(line, 10), 'SIGCONT')
  // A master that was stopped in the middle of a turn cannot tell this from a system call that takes long.
  await until('it is told', () => / stood-still stillMs=\d{4,} why=(no-turn|kernel-wait)$/m.test(running.out()))
  idle.say('GET /api HTTP/1.1\r\nHost: a\r\n\r\n')
  halfway.say('\r\n')
  await until('both are answered', () => idle.answers === 2 && halfway.answers === 1)
  t.equal((await file).body, 'meanwhile', 'what is remembered has aged')
  t.same(failuresAmong(await client.stop()), [])
  t.same(await pidsOf(site), pids, 'nobody was killed')
  const told = / (stood-still|clock-stepped|worker-exit|worker-killed|worker-stopping|proxy-exit|request-harakiri) /g
  t.same(running.out().match(told), [' stood-still '], 'one event')
  t.match(await site.end(running), { code: 0 })
})

/** A connection that says what it is told to, and counts the answers with status 200. */
class Line {
  readonly #socket
  #text = ''

  constructor(t: { teardown(work: () => unknown): unknown }, url: string) {
    const { hostname: host, port } = new URL(url)
    this.#socket = connect({ host, port: Number(port) }).setEncoding('latin1')
    this.#socket.on('data', (text: string) => {
      this.#text += text
    })
    this.#socket.on('error', () => {})
    t.teardown(() => this.#socket.destroy())
  }

  say(text: string): void {
    this.#socket.write(text)
  }

  get answers(): number {
    return this.#text.match(/HTTP\/1\.1 200 /g)?.length ?? 0
  }
}

async function pidsOf(site: WatchedSite): Promise<(number | null)[]> {
  return (await site.status()).workers.map(({ pid }) => pid)
}
