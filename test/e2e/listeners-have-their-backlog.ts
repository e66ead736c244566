/**
 * `listen` reaches the kernel: what ss(8) says of the listening sockets themselves, of TCP and of unix sockets, of one proxy and of several. A socket that
 * systemd opened keeps its own, unless the INI sets `listen`.
 */

import { readFileSync } from 'node:fs'
import t from 'tap'
import { ownCommand } from '../supervisor/fixtures/reachable-program.js'
import { runProgram, skipWithout } from './fixtures/asking.js'
import { timeFactor, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

const most = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'))

/** Of each listening socket its backlog, by its port or path. */
async function backlogs(): Promise<Map<string, number>> {
  const { out } = await runProgram('ss', ['-Hlntx'])
  const rows = out.split('\n').map(line => line.trim().split(/\s+/))
  // Kind, state, waiting, backlog, address; without a kind where only one is asked for.
  return new Map(rows.map(([, , , backlog, address]) => [address ?? '', Number(backlog)]))
}

const addressOf = (url: string) => url.replace(/^(http:\/\/|unix:)/, '')

/** Starts the program as systemd does, with one socket that listens already; its backlog is the kernel's most. */
const passing = `
const { createServer } = require('node:net')
const { spawn } = require('node:child_process')
const server = createServer().listen({ host: '127.0.0.1', port: 0, backlog: 60000 }, () => {
  const script = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
  const child = spawn('sh', ['-c', script, 'sh', ...process.argv.slice(1)], { stdio: ['ignore', 1, 2, server._handle] })
  child.on('exit', code => process.exit(code))
  server.close()
})`
const underSystemd = [process.execPath, '-e', passing, ...ownCommand]

const cases: [title: string, lines: string[], isPassed: boolean, expected: number][] = [
  ['more than the default, two proxies', ['listen = 3000', 'http-processes = 2'], false, 3000],
  ['a socket of systemd', ['http = fd://3'], true, most],
  ['a socket of systemd, and listen', ['http = fd://3', 'listen = 99'], true, 99],
]
t.test('ss', await skipWithout('ss', 'iproute2'), async t => {
  for (const [title, lines, isPassed, expected] of cases) {
    const sockets = isPassed ? [] : ['http = 127.0.0.1:0', 'http = %dhttp.sock']
    const site = new WatchedSite(t, [...sockets, ...lines], isPassed ? { command: underSystemd } : {})
    const running = await site.serve()
    const found = await backlogs()
    for (const url of (await site.status()).urls) {
      t.equal(found.get(addressOf(url)), Math.min(expected, most), `${title}: ${url}`)
    }
    process.kill(site.masterPid() ?? 0, 'SIGTERM')
    await running.ended
  }
})
