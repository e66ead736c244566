/** `start`, `status`, `get`, `reload` and `stop` run a site in the background and tell the truth by their exit status. */

import { existsSync, readdirSync, statSync } from 'node:fs'
import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import type { StatusReport } from '../../supervisor/control/control-protocol.js'
import { ask } from './fixtures/asking.js'
import { farmLines, WatchedSite } from './fixtures/watched-site.js'

t.test('one life from start to stop', async t => {
  const site = new WatchedSite(t, farmLines)

  const started = await site.run('start', 'site.ini')
  t.match(started, { code: 0, out: /^daimyo .* runs with pid \d+\n(.*\n)* {2}log +logs\/daimyo\.log\n/ })
  const pid = Number(/pid (\d+)/.exec(started.out)?.[1])
  t.equal(Number(site.read('logs/daimyo.pid')), pid, 'the pid file')
  t.match(site.read('logs/daimyo.log'), /master-ready/, 'the log')
  t.equal(statSync(site.path('logs/daimyo.log')).mode & 0o007, 0, 'which is not for everybody')
  const again = await site.run('start', 'site.ini')
  t.match(
    again,
    { code: EXIT.unavailable, out: '', err: new RegExp(`already runs with pid ${pid}`) },
    'a second start is refused',
  )

  const report = await site.untilReady()
  t.equal(site.processes().length, 4, 'master, proxy and two workers')
  const table = await site.run('status', 'site.ini')
  t.match(table, { code: 0, err: '' })
  t.match(table.out, new RegExp(`pid ${pid}, 2 of 2 workers ready, generation 1`))
  t.match(table.out, /^SLOT +PID +PHASE +GEN +REQUESTS +IN FLIGHT +RSS +CPU .*SINCE/m)
  for (const worker of report.workers)
    t.match(table.out, new RegExp(`^ +${worker.slot} +${worker.pid} +ready +1 `, 'm'))
  const json = JSON.parse((await site.run('status', 'site.ini', '--json')).out) as StatusReport
  t.same(
    json.workers.map(worker => worker.pid),
    report.workers.map(worker => worker.pid),
    'the same as JSON',
  )

  t.match(await site.run('get', '/api/v1/_about', 'site.ini'), { code: 0, out: /^\{"name":"farm","version":/ })
  t.match(await site.run('get', '-i', '/style.css', 'site.ini'), { code: 0, out: /^HTTP\/1\.1 200 OK\r\n/ })
  t.match(await site.run('get', '/api/v1/nothing', 'site.ini'), { code: EXIT.failed, out: /no such endpoint/ })

  t.match(await site.run('reload', 'site.ini'), { code: 0, out: /reloaded\n$/, err: '' })
  const after = await site.untilReady()
  t.ok(
    after.workers.every(worker => worker.generation === 2),
    'all workers are new',
  )
  t.same(after.pid, pid, 'the master is the same')

  t.match(await site.run('stop', 'site.ini'), { code: 0, out: /stopped: pid \d+\n$/, err: '' })
  t.same(site.processes(), [], 'it is gone when stop has ended')
  t.notOk(existsSync(site.path('logs/daimyo.pid')), 'and so is its pid file')
  t.match(await site.run('status', 'site.ini'), { code: EXIT.unavailable }, 'status of nothing')
})

t.test('each start keeps the log of the one before', async t => {
  const site = new WatchedSite(t)
  const backups = () =>
    readdirSync(site.path('logs')).filter(name => /^daimyo\.log\.\d{4}-\d\d-\d\dT[\d-]{8}/.test(name))
  for (const expected of [0, 1, 2]) {
    const { code, out } = await site.run('start', site.ini)
    t.equal(code, 0)
    const pid = /pid (\d+)/.exec(out)?.[1] ?? ''
    t.equal(backups().length, expected, `${expected} backups`)
    await site.untilReady()
    t.match(await site.run('stop', site.ini), { code: 0 })
    t.match(site.read('logs/daimyo.log'), /worker-start .*(.|\n)*master-stopped/)
    t.ok(
      pid !== '' && !backups().some(name => site.read(`logs/${name}`).includes(`pid=${pid} `)),
      'its own log is not among them',
    )
  }
})

t.test('a reload that fails says so, and the old code serves on', async t => {
  const site = new WatchedSite(t, ['processes = 2'], {
    expected: [/reload|no rice|worker-load-failed|worker-exit|^\s+at /],
  })
  await site.run('start', site.ini)
  const { urls } = await site.untilReady()
  site.writeApp(`throw new Error('no rice')`)
  const reload = await site.run('reload', site.ini)
  t.equal(reload.code, EXIT.failed)
  t.match(reload.err, /^daimyo: reload failed: .*no rice/m)
  t.match(reload.err, /at .*app\.cjs:1/, 'with the application’s own stack')
  t.match(await ask(urls[0] ?? '', '/'), { status: 200 })
  const tries = site.read('logs/daimyo.log').match(/worker-start .* generation=2 /g)
  t.equal(tries?.length, 1, 'the new code was tried once')
  const { workers } = await site.untilReady()
  t.ok(workers.every(worker => worker.generation === 1))
  t.match(await site.run('stop', site.ini), { code: 0 })
})
