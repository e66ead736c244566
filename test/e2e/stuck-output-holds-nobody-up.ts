/**
 * Nobody reads what the tree prints: its standard output is a pipe, a socket or a named pipe that is full. Requests are answered, a reload and a stop take as
 * long as they take otherwise.
 */

import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { ownCommand } from '../supervisor/fixtures/reachable-program.js'
import { scratchFolder } from '../supervisor/fixtures/scratch-folder.js'
import { ask } from './fixtures/asking.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)
// Most of it is waiting.
t.jobs = 3

/** Prints more than any pipe holds, and what its master may keep. */
const app = `
const line = 'x'.repeat(999) + '\\n'
require('node:http').createServer((request, response) => {
  if (request.url === '/print') for (let count = 0; count < 3000; count++) process.stdout.write(line)
  response.end(String(process.pid))
}).listen(1)`

/** A named pipe that somebody holds open and does not read. */
function unreadPipe(t: Test): string {
  const path = join(scratchFolder(t), 'pipe')
  spawnSync('mkfifo', [path])
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  t.teardown(() => closeSync(reader))
  return path
}

const kinds: [title: string, make: (t: Test) => { command?: readonly string[]; lines?: string[] }][] = [
  ['a pipe', t => ({ command: ['sh', '-c', `exec "$@" >${unreadPipe(t)}`, 'sh', ...ownCommand] })],
  ['a socket', () => ({})],
  ['logto, a pipe', t => ({ lines: [`logto = ${unreadPipe(t)}`] })],
]
for (const [title, make] of kinds) {
  t.test(title, { buffered: true }, async t => {
    const { command, lines = [] } = make(t)
    // Some seconds beside busy neighbours; whoever waits for a reader waits for ever.
    const longestMs = 20_000 * timeFactor
    const site = new WatchedSite(t, ['processes = 1', ...lines], { app, ...(command ? { command } : {}) })
    const running = site.spawn(site.ini)
    if (title === 'a socket') running.child.stdout?.pause()
    const isUp = async () => {
      const { workers, proxies } = await site.status()
      return workers[0]?.phase === 'ready' && proxies[0]?.phase === 'listening'
    }
    await until('it serves', isUp)
    const [url = ''] = (await site.status()).urls
    const before = (await ask(url, '/print')).body
    for (const number of [1, 2, 3]) t.equal((await ask(url, `/${number}`)).body, before)

    let sinceMs = performance.now()
    const passedMs = () => performance.now() - sinceMs
    t.match(await site.run('reload', site.ini), { code: EXIT.ok })
    t.ok(passedMs() < longestMs, `reloaded in ${Math.round(passedMs())} ms`)
    t.not((await ask(url, '/')).body, before)

    sinceMs = performance.now()
    t.match(await site.run('stop', site.ini), { code: EXIT.ok })
    running.child.stdout?.resume()
    // A socket cannot be opened once more: there the end is by force.
    t.equal((await running.ended).code, title === 'a socket' ? null : EXIT.ok)
    t.ok(passedMs() < longestMs, `stopped in ${Math.round(passedMs())} ms`)
  })
}
