/**
 * A program that makes its processes children of the master (clone(2) with CLONE_PARENT), and has them stop and go on without end, does not keep the master from an answer, an order and its
 * end: the processes are killed, and the log says so.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { ask } from './fixtures/asking.js'
import { nativeStorm, STORM_SIZE } from './fixtures/native-storm.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(240_000 * timeFactor)

const skip = process.arch !== 'x64' && 'a machine whose code is not known here'

const app = `
require('node:http').createServer((request, response) => {
  let why = ''
  if (request.url === '/storm') try { process.dlopen({ exports: {} }, __dirname + '/storm.node') } catch (error) { why = error.message }
  response.end(why)
}).listen(3000)`

t.test('a storm of strange children', { skip }, async t => {
  const site = new WatchedSite(t, ['processes = 4'], { app })
  writeFileSync(site.path('storm.node'), nativeStorm())
  const running = await site.serve()
  const children = () => readFileSync(`/proc/${running.pid}/task/${running.pid}/children`, 'utf8').trim().split(' ')
  const own = new Set(children())
  const strange = () => children().filter(pid => !own.has(pid) && !/^State:\tZ/m.test(statusOf(pid)))
  t.match(await ask(running.url, '/storm'), { body: /did not self-register/ }, 'the addon has been loaded')

  await until('they are killed', () => /strange-children-killed/.test(running.out()))
  t.match(running.out(), new RegExp(` strange-children-killed count=${STORM_SIZE} name=".*" stillMs=\\d+$`, 'm'))
  t.same(strange(), [])
  t.equal((await site.untilReady()).workers.length, 4, 'and nobody else')
  for (const pid of own) t.notMatch(statusOf(pid), /^State:\tZ/m)

  t.match(await ask(running.url, '/storm'), { status: 200 })
  const stormers = strange()
  const sinceMs = performance.now()
  t.match(await site.end(running), { code: 0 })
  t.ok(performance.now() - sinceMs < 15_000 * timeFactor, 'a stop does not wait for them either')
  // One that is quick may be over before they are.
  const left = site.processes().map(line => Number.parseInt(line, 10))
  for (const pid of left) if (stormers.includes(String(pid))) process.kill(pid, 'SIGKILL')
})

function statusOf(pid: string): string {
  return readFileSync(`/proc/${pid}/status`, 'utf8')
}
