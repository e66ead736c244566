/**
 * Started as root with `uid`, only the master stays root: proxies and workers are that user, in that user's groups and no others, and
 * what they need to open is theirs. Needs root; skipped without.
 */

import { chmodSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { ask, runProgram } from './fixtures/asking.js'
import { until, WatchedSite } from './fixtures/watched-site.js'

/** Tells who it is, and whether it could take root's place again. */
const app = `
const attempt = () => { try { process.setuid(0); return 'root again' } catch (error) { return error.code } }
const identity = () => ({ uid: process.getuid(), gid: process.getgid(), groups: process.getgroups(), again: attempt() })
const atLoad = identity()
require('node:http').createServer((request, response) => response.end(JSON.stringify({ atLoad, now: identity() }))).listen(3000)
`

interface Identity {
  uid: string[]
  gid: string[]
  groups: string[]
}

/** Real, effective, saved and file system ids of a process. */
function identityOf(pid: number | null): Identity {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const ids = (name: string) =>
    new RegExp(`^${name}:[ \\t]*(.*)$`, 'm')
      .exec(status)?.[1]
      ?.split(/\s+/)
      .filter(id => id !== '') ?? []
  return { uid: ids('Uid'), gid: ids('Gid'), groups: ids('Groups') }
}

/** What `id` of coreutils knows about a user, as numbers. */
async function accountOf(name: string): Promise<{ uid: string; gid: string; groups: string[] }> {
  const id = async (flag: string) => (await runProgram('id', [flag, name])).out.trim()
  return { uid: await id('-u'), gid: await id('-g'), groups: (await id('-G')).split(' ').toSorted() }
}

const notRoot = process.getuid?.() !== 0 && 'needs root'
const four = (id: string) => [id, id, id, id]

t.test('proxies and workers are the user', { skip: notRoot }, async t => {
  const nobody = await accountOf('nobody')
  const site = new WatchedSite(t, ['processes = 2', 'uid = nobody', 'logto = %dsite.log', 'pidfile = %dsite.pid'], {
    app,
  })
  chmodSync(site.folder, 0o755)
  const running = await site.serve()
  const { pid, workers, proxies } = await site.status()
  t.same(identityOf(pid).uid, four('0'), 'the master is root')
  for (const process of [...workers, ...proxies]) {
    const { uid, gid, groups } = identityOf(process.pid)
    t.same([uid, gid], [four(nobody.uid), four(nobody.gid)], `pid ${process.pid}: uid and gid`)
    t.same(groups.toSorted(), nobody.groups, `pid ${process.pid}: groups`)
  }

  const told = JSON.parse((await ask(running.url, '/')).body)
  const expected = { uid: Number(nobody.uid), gid: Number(nobody.gid), again: 'EPERM' }
  t.match(told, { atLoad: expected, now: expected }, 'the application never saw root and cannot become it')

  const owned = (path: string) => {
    const { uid, gid, mode } = statSync(path)
    return { uid: String(uid), gid: String(gid), others: mode & 0o007 }
  }
  const theirs = { uid: nobody.uid, gid: nobody.gid, others: 0 }
  for (const { socketPath } of workers) t.same(owned(socketPath), theirs, 'a worker’s socket')
  t.same(owned(site.path('site.log')), theirs, 'the log')
  t.match(owned(site.path('run')), { others: 0 }, 'the run folder is not for everybody')
  t.equal(statSync(site.path('run/control.sock')).mode & 0o777, 0o600, 'the control socket is the master’s own')
  t.match(await site.end(running), { code: 0 })
})

t.test('a respawned worker is the user too, and the logs are reopened as that user', { skip: notRoot }, async t => {
  const nobody = await accountOf('nobody')
  const lines = ['processes = 1', 'uid = nobody', 'logto = %dsite.log']
  const site = new WatchedSite(t, lines, { app, expected: [/signal=SIGKILL/] })
  chmodSync(site.folder, 0o755)
  const running = await site.serve()
  const [first] = (await site.status()).workers
  process.kill(first?.pid ?? 0, 'SIGKILL')
  await until('another worker', async () => (await site.untilReady()).workers[0]?.pid !== first?.pid)
  const [second] = (await site.status()).workers
  t.same(identityOf(second?.pid ?? 0).uid, four(nobody.uid))
  process.kill(running.pid, 'SIGUSR1')
  await until('an access line', async () => {
    await ask(running.url, '/again')
    return site.read('site.log').includes('GET /again')
  })
  t.match(await site.end(running), { code: 0 })
})

t.test('a group and supplementary groups', { skip: notRoot }, async t => {
  const account = await accountOf('www-data')
  const other = await accountOf('nobody')
  const site = new WatchedSite(t, ['processes = 1', 'uid = www-data', `gid = ${other.gid}`], { app })
  chmodSync(site.folder, 0o755)
  const running = await site.serve()
  const [worker] = (await site.status()).workers
  const { uid, gid, groups } = identityOf(worker?.pid ?? 0)
  t.same([uid, gid], [four(account.uid), four(other.gid)])
  t.notOk(groups.includes('0'), 'root’s groups are gone')
  t.match(await site.end(running), { code: 0 })
})

t.test('what the user planted as a log is not written to by root', { skip: notRoot }, async t => {
  const site = new WatchedSite(t, ['uid = nobody', 'logto = %dsite.log'], { app })
  chmodSync(site.folder, 0o755)
  writeFileSync(site.path('precious'), 'root’s\n', { mode: 0o600 })
  symlinkSync(site.path('precious'), site.path('site.log'))
  const { code, err } = await site.run(site.ini)
  t.equal(code, EXIT.permission)
  t.match(err, /it is a symbolic link/)
  t.equal(site.read('precious'), 'root’s\n')
  t.equal(statSync(site.path('precious')).uid, 0)
})
