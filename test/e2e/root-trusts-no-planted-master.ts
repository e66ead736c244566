/**
 * The commands of root and the socket that answers them: under a root master with `uid` nobody else can put one into
 * the run folder; what another user serves is asked as that user, said to be that user's word, and neither moves the
 * cursor of root's terminal, nor crashes a command, nor turns its order to another master. Needs root; skipped without.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import type { StatusReport } from '../../supervisor/control/control-protocol.js'
import { asServiceUser } from '../../supervisor/user/service-user.js'
import { report } from '../supervisor/fixtures/fake-master.js'
import { ask } from './fixtures/asking.js'
import { WatchedSite } from './fixtures/watched-site.js'

const skip = process.getuid?.() !== 0 && 'needs root'
const service = { user: 'www-data', uid: 33, gid: 33 }
const EVIL = '\u001b]0;owned\u0007\u001b[2J\u202e'

type TestEnd = { teardown(work: () => unknown): unknown }

/** A site whose run folder, in the form of an earlier version, belongs to www-data. */
function earlierSite(t: TestEnd): WatchedSite {
  const site = new WatchedSite(t, ['processes = 1', 'uid = www-data'], {
    app: `require('node:http').createServer((request, response) => response.end('served')).listen(3000)`,
  })
  chmodSync(site.folder, 0o755)
  mkdirSync(site.path('run'), { mode: 0o750 })
  chownSync(site.path('run'), service.uid, service.gid)
  return site
}

/** A process of www-data that answers every request with these lines. `before`: code that runs first, of the request. */
async function impostor(t: TestEnd, path: string, lines: readonly object[], before = ''): Promise<void> {
  const program = `
    const lines = ${JSON.stringify(lines.map(line => `${JSON.stringify(line)}\n`).join(''))}
    require('node:net').createServer(socket => {
      socket.on('error', () => {})
      socket.once('data', request => {
        ${before}
        socket.end(lines)
      })
    }).listen(${JSON.stringify(path)}, () => process.stdout.write('up'))`
  const child = spawn(process.execPath, ['-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: '/',
    uid: service.uid,
    gid: service.gid,
  })
  t.teardown(async () => {
    rmSync(path, { force: true })
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  await once(child.stdout, 'data')
}

t.test('the user of the service can put nothing beside the master’s socket', { skip }, async t => {
  const site = earlierSite(t)
  const running = await site.serve()
  const run = site.path('run')
  t.same([lstatSync(run).uid, lstatSync(run).gid], [0, service.gid])
  t.equal(lstatSync(join(run, 'workers')).uid, service.uid)
  for (const name of ['control.sock.new', 'master.pid.1.new', 'other'])
    t.throws(() => asServiceUser(service, () => writeFileSync(join(run, name), '')), { code: 'EACCES' }, name)
  t.equal((await ask(running.url, '/')).body, 'served')
  const [worker] = (await site.status()).workers
  t.equal(dirname(worker?.socketPath ?? ''), join(run, 'workers'))
  t.match(await site.run('reload', site.ini), { code: EXIT.ok, err: '' })
  t.match(await site.end(running), { code: 0 })
})

t.test('what the dead left or others planted neither blocks nor delays a start', { skip }, async t => {
  const site = earlierSite(t)
  const run = site.path('run')
  asServiceUser(service, () => {
    writeFileSync(join(run, 'master.pid'), '1 \n')
    for (let pid = 1; pid < 600; pid++) symlinkSync('/dev/null', join(run, `master.pid.${pid}.new`))
  })
  const running = await site.serve()
  t.same(readdirSync(run).sort(), ['control.sock', 'master.pid', 'workers'])
  t.match(await site.end(running), { code: 0 })
})

for (const [title, isOurIni] of [
  ['the INI', true],
  ['another INI', false],
] as const) {
  t.test(
    `an answer of another user’s process with ${title} is said to be so, and does nothing to the terminal`,
    { skip },
    async t => {
      const site = earlierSite(t)
      const path = site.path('run/control.sock')
      const status = {
        ...report,
        version: EVIL,
        urls: [`http://127.0.0.1:1/${EVIL}`],
        iniPath: isOurIni ? site.ini : `${EVIL}\ndaimyo: all is well`,
      }
      await impostor(t, path, [
        { type: 'progress', text: `${EVIL}\nreloaded` },
        { type: 'done', ok: true, status },
      ])
      for (const command of [
        ['status'],
        ['status', '--json'],
        ['reload'],
        ['stop'],
        ['pause'],
        ['get', '/'],
        ['top'],
      ]) {
        const { out, err } = await site.run(...command, site.ini)
        t.notMatch(out + err, /[\u001b\u0007\u202e]/, command.join(' '))
        t.notMatch(out + err, /^ *daimyo: all is well/m, command.join(' '))
        const said = isOurIni
          ? /^daimyo: what follows is said by a process of www-data: \//m
          : /said by a process of www-data: \//
        if (command[0] !== 'top') t.match(err, said)
      }
    },
  )
}

t.test('a report with wrong types is no answer, not a crash', { skip }, async t => {
  const site = earlierSite(t)
  const status = { ...report, urls: 5, workers: [{ why: { toString: 1 } }] }
  await impostor(t, site.path('run/control.sock'), [{ type: 'done', ok: true, status }])
  for (const command of ['status', 'top', 'reload', 'stop']) {
    const { code, err } = await site.run(command, site.ini)
    t.equal(code, EXIT.unavailable, command)
    t.match(err, /^daimyo: no answer from daimyo: .*: this is not a daimyo/, command)
  }
})

t.test('a link in place of the socket leads root to nobody', { skip }, async t => {
  const site = earlierSite(t)
  let asked = 0
  const server = createServer(socket => {
    asked++
    socket.destroy()
  })
  const roots = site.path('roots.sock')
  await new Promise<void>(resolve => server.listen(roots, resolve))
  t.teardown(() => new Promise(resolve => server.close(resolve)))
  asServiceUser(service, () => symlinkSync(roots, site.path('run/control.sock')))
  for (const command of ['status', 'stop']) t.match(await site.run(command, site.ini), { code: EXIT.unavailable })
  t.equal(asked, 0)
})

/** What an order would change. */
function stateOf({ pid, generation, wanted, paused, stopping, workers }: StatusReport): object {
  return { pid, generation, wanted, paused, stopping, workers: workers.map(worker => worker.pid) }
}

/** `early`: the link leads to root's master before the first question; otherwise from the first answer on. */
for (const [title, early] of [
  ['turned before the first answer', false],
  ['turned before the first question', true],
] as const) {
  t.test(`a run folder that is a link, ${title}, leads no order of root to another master`, { skip }, async t => {
    const site = earlierSite(t)
    const running = await site.serve()
    const before = await site.status()
    const own = site.path('own')
    mkdirSync(own)
    chownSync(own, service.uid, service.gid)
    const [ini, link, next, asked] = ['own.ini', 'A', 'next', 'asked'].map(name => join(own, name)) as [
      string,
      string,
      string,
      string,
    ]
    const turn = (target: string) =>
      asServiceUser(service, () => {
        symlinkSync(target, next)
        renameSync(next, link)
      })
    asServiceUser(service, () => {
      mkdirSync(join(own, 'real'))
      writeFileSync(ini, `[uwsgi]\nhttp = 127.0.0.1:0\napp = ${join(own, 'app.js')}\nrun-dir = ${link}\n`)
      writeFileSync(join(own, 'app.js'), '')
    })
    // No process has this pid.
    const status = { ...report, pid: 2 ** 22 + 1, iniPath: ini }
    const turning = `
      const { appendFileSync, renameSync, symlinkSync } = require('node:fs')
      appendFileSync(${JSON.stringify(asked)}, request)
      symlinkSync(${JSON.stringify(site.path('run'))}, ${JSON.stringify(next)})
      renameSync(${JSON.stringify(next)}, ${JSON.stringify(link)})`
    await impostor(t, join(own, 'real/control.sock'), [{ type: 'done', ok: true, status }], turning)
    for (const order of [['pause'], ['scale', '2'], ['restart-worker', '1'], ['reload'], ['stop']]) {
      turn(early ? site.path('run') : 'real')
      rmSync(asked, { force: true })
      const { code, err } = await site.run(...order, ini)
      if (early) {
        t.equal(code, EXIT.unavailable, order.join(' '))
        t.match(err, /runs another INI/, order.join(' '))
      } else {
        t.equal(code, EXIT.ok, order.join(' '))
        t.match(err, /^daimyo: what follows is said by a process of www-data: \//m, order.join(' '))
        const commands = site.read('own/asked').trim().split('\n')
        t.same(
          commands.map(line => JSON.parse(line).command),
          ['status', order[0]],
        )
      }
      t.same(stateOf(await site.status()), stateOf(before), `${order.join(' ')} changed nothing`)
    }
    t.match(await site.end(running), { code: 0 })
  })
}
