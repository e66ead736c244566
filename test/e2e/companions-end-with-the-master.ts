/** Daemons, cron jobs and hooks belong to the tree: they run as the service, their lines stand in the log, and nothing of them outlives the master. */

import t from 'tap'
import { until, WatchedSite } from './fixtures/watched-site.js'

const lines = [
  'processes = 1',
  'chdir = %d',
  'attach-daemon = echo up as `id -u`; sleep 1000 & sleep 1000',
  `attach-daemon2 = cmd=trap 'echo good bye; exit 0' INT; echo waiting; while :; do sleep 0.05; done,stopsignal=2`,
  'exec-pre-app = echo migrated; echo 1 >> migrations',
  'cron = -1 -1 -1 -1 -1 true',
]

/** It has no trap. */
const expected = [/daemon-exit name=echo pid=\d+ signal=SIGTERM why=stop$/]

t.test('a stop ends them in order', async t => {
  const site = new WatchedSite(t, [...lines, 'exec-as-user-atexit = echo last of all'], { expected })
  const running = await site.serve()
  await running.seen(/^\[echo\] up as \d+$/m)
  await running.seen(/^\[trap\] waiting$/m)
  t.match(running.out(), /^\[exec-pre-app\] migrated$/m)
  t.match(await site.run('reload', site.ini), { code: 0 })
  t.equal(site.read('migrations'), '1\n1\n', 'once for each generation')
  t.match(await site.end(running), { code: 0 })
  t.match(
    running.out(),
    /worker-exit[\s\S]*\[exec-as-user-atexit\] last of all[\s\S]*\[trap\] good bye[\s\S]*master-stopped/,
  )
})

t.test('a master that is killed takes them along', async t => {
  const site = new WatchedSite(t, lines, { expected })
  const running = await site.serve()
  await running.seen(/^\[echo\] up as \d+$/m)
  await running.seen(/^\[trap\] waiting$/m)
  t.ok(site.processes().filter(line => /sleep 1000/.test(line)).length >= 2)
  process.kill(running.pid, 'SIGKILL')
  await until('no process is left', () => site.processes().length === 0, 3000)
  t.match(await running.ended, { code: null })
  const next = await site.serve()
  t.match(await site.end(next), { code: 0 }, 'and the next one finds no obstacle')
})

t.test('a migration that fails keeps the program from starting, and names its lines', async t => {
  const site = new WatchedSite(t, ['exec-pre-app = echo no such table >&2; exit 4'], { expected: [/./] })
  const { code, err } = await site.run(site.ini)
  t.equal(code, 69)
  t.match(err, /cannot start: exec-pre-app: .*it ended with code 4\n {4}no such table/)
})
