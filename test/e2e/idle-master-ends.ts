/** `die-on-idle` under socket activation: the master ends with 0 when there is nothing to do, and the socket stays with whoever opened it. */

import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Site } from '../supervisor/fixtures/daimyo-program.js'
import { runProgram, skipWithout } from './fixtures/asking.js'
import { timeFactor, until } from './fixtures/watched-site.js'

const activator = 'systemd-socket-activate'
const program = fileURLToPath(new URL('../../supervisor/daimyo.js', import.meta.url))

t.setTimeout(300_000 * timeFactor)

/** The status of one answer through a unix socket. */
function statusOf(socketPath: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path: '/', agent: false }, answer => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0))
    })
    sent.on('error', reject).end()
  })
}

t.test('with a socket of systemd', await skipWithout(activator, 'systemd'), async t => {
  const site = new Site(t)
  const socket = site.path('site.sock')
  const lines = ['[uwsgi]', 'app = %dapp.cjs', `http = ${socket}`, 'metrics = false', 'run-dir = %drun']
  writeFileSync(site.ini, `${[...lines, 'idle = 1', 'die-on-idle = true'].join('\n')}\n`)
  const ended = runProgram(activator, ['-l', socket, process.execPath, program, site.ini])
  let status = 0
  await until('the first client is answered', async () => {
    status = await statusOf(socket)
    return true
  })
  t.equal(status, 200)
  const { code, out, err } = await ended
  t.equal(code, 0, err)
  t.match(out, / master-stopped why=idle/)
  t.equal(site.masterPid(), null, 'nothing is left')
})

t.test('without one', async t => {
  const site = new Site(t, ['idle = 1', 'die-on-idle = true'])
  t.match(await site.run(site.ini), {
    code: 78,
    err: /die-on-idle: received http:.*, which systemd did not open: accepted/,
  })
})
