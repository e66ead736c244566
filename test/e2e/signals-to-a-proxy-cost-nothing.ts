/** Signals are the master's to act on: one that reaches the proxy too, as `systemctl kill` sends it to all processes of a unit, ends nothing and opens nothing. */

import { writeFileSync } from 'node:fs'
import t from 'tap'
import { ask, open } from './fixtures/asking.js'
import { until, WatchedSite } from './fixtures/watched-site.js'

const app = `
const { existsSync } = require('node:fs')
require('node:http').createServer((request, response) => {
  if (request.url !== '/wait') return response.end('rice')
  response.write('wait ')
  const timer = setInterval(() => existsSync(__dirname + '/go') && response.end('done'), 10)
  response.on('close', () => clearInterval(timer))
}).listen(3000)
`
const signals = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGUSR1',
  'SIGUSR2',
] as const

t.test('each of them', async t => {
  const site = new WatchedSite(t, ['processes = 1'], { app })
  const running = await site.serve()
  const pid = (await site.status()).proxies[0]?.pid ?? 0
  const answer = await open(running.url, '/wait')
  for (const signal of signals) {
    process.kill(pid, signal)
    const told = new RegExp(` signal-ignored proxy=1 pid=${pid} signal=${signal}$`, 'm')
    await until(`${signal} is ignored`, () => told.test(running.out()))
    t.match(await ask(running.url, '/'), { status: 200, body: 'rice' }, signal)
  }
  t.notMatch(running.err(), /Debugger listening/)
  writeFileSync(site.path('go'), '')
  let body = ''
  for await (const chunk of answer) body += chunk
  t.equal(body, 'wait done', 'what was in flight all the time')
  t.match((await site.status()).proxies, [{ pid, phase: 'listening' }])
  t.match(await site.end(running), { code: 0 })
})
