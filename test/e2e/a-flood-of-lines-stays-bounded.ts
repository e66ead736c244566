/** An application that prints without end neither stops the master, nor makes it grow, nor fills the disk; nobody else waits for it. */

import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import t from 'tap'
import { ask } from './fixtures/asking.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

const LINE_BYTES = 1024
const LINES = Number(process.env.FLOOD_LINES ?? 64 * 1024)
const MAX_BYTES = 4 * 1024 * 1024
const BACKUPS = 2

const app = `
const line = 'x'.repeat(${LINE_BYTES - 1}) + '\\n'
let left = ${LINES}
const print = () => {
  for (let count = 0; count < 64 && left > 0; count++, left--) process.stdout.write(line)
  if (left > 0) setImmediate(print)
}
require('node:http').createServer((request, response) => {
  if (request.url === '/flood') print()
  response.end(String(left))
}).listen(3000)
`

function rssBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1024
}

t.test(`${LINES} lines of ${LINE_BYTES} bytes`, async t => {
  const lines = [
    'mount = /',
    `log-maxsize = ${MAX_BYTES}`,
    `log-backups = ${BACKUPS}`,
    'logto = %dlog/site.log',
    'processes = 1',
  ]
  const site = new WatchedSite(t, lines, { app })
  mkdirSync(site.path('log'))
  const running = await site.serve()
  const before = rssBytes(running.pid)
  const largest = { rss: 0, disk: 0 }
  /** Looks, and says how many files there are. */
  const look = (): number => {
    const names = readdirSync(site.path('log'))
    const sizes = names.map(name => statSync(site.path(`log/${name}`), { throwIfNoEntry: false })?.size ?? 0)
    largest.disk = Math.max(
      largest.disk,
      sizes.reduce((sum, size) => sum + size, 0),
    )
    largest.rss = Math.max(largest.rss, rssBytes(running.pid))
    return names.length
  }
  await ask(running.url, '/flood')
  await until('the flood is over', async () => {
    look()
    const { status, body } = await ask(running.url, '/left')
    t.equal(status, 200, 'it answers all the time')
    return body === '0'
  })
  // The application may be through before anybody has looked at what it printed last.
  await until('all backups are there', async () => look() === BACKUPS + 1)
  t.ok(largest.rss - before < 64 * 1024 * 1024, `the master grew by ${largest.rss - before} bytes`)
  // What was printed between two looks comes on top, and what waits to be written.
  const bound = (BACKUPS + 1) * MAX_BYTES * (1 + 1 / 8) + 4 * 1024 * 1024
  t.ok(largest.disk > MAX_BYTES && largest.disk < bound, `${largest.disk} bytes of log at the most`)
  t.match(await site.end(running), { code: 0 })
})
