/**
 * The release that workers run was removed: a worker that cannot be started says why, in log, status and metrics. Where the link leads to another release by
 * now, that one is loaded by a reload, before the service has lost its last worker.
 */

import { mkdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { ask } from './fixtures/asking.js'
import { scrape, sumOf } from './fixtures/metrics-page.js'
import { timeFactor, until, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

const appOf = (release: string) => `
require('node:http').createServer((request, response) => response.end('${release}')).listen(3000)`

async function serveRelease(t: Test, expected: RegExp[], lines: string[]) {
  const site = new WatchedSite(t, [], { expected: [/signal=SIGKILL/, ...expected] })
  for (const release of ['1', '2']) {
    mkdirSync(site.path(release))
    writeFileSync(site.path(`${release}/app.cjs`), appOf(release))
  }
  symlinkSync('1', site.path('current'))
  site.writeIni(['processes = 2', 'metrics = 127.0.0.1:0', ...lines])
  const running = await site.serve()
  const [first] = (await site.status()).workers
  return { site, running, kill: () => process.kill(first?.pid ?? 0, 'SIGKILL') }
}

t.test('with the link turned', async t => {
  const { site, running, kill } = await serveRelease(t, [], ['chdir = %dcurrent', 'app = app.cjs'])
  unlinkSync(site.path('current'))
  symlinkSync('2', site.path('current'))
  rmSync(site.path('1'), { recursive: true })
  kill()
  await running.seen(
    /worker-not-started slot=1 generation=1 why="chdir is gone: \S+\/1" remedy="\S+current now points to \S+\/2: reload"/,
  )
  await running.seen(/reload-start .*why=release-gone/)
  await until('both workers are new', async () => {
    const { generation, workers } = await site.untilReady()
    return generation === 2 && workers.every(worker => worker.generation === 2)
  })
  t.equal((await ask(running.url, '/')).body, '2')
  t.notMatch(running.out(), /pid=0/)
})

const lost: [title: string, lines: string[], name: string, line: RegExp, why: RegExp][] = [
  [
    'a folder',
    ['chdir = %dcurrent', 'app = app.cjs'],
    '1',
    /worker-not-started .*why="chdir is gone: \S+\/1" remedy=/,
    /^not-started: .*chdir is gone: \S+\/1: put it back/,
  ],
  [
    'the application alone',
    ['app = %dcurrent/app.cjs'],
    '1/app.cjs',
    /release-gone .*why="app is gone: /,
    /app is gone: .*app\.cjs: put it back/,
  ],
]
for (const [title, lines, name, line, why] of lost) {
  t.test(`${title}, without another one`, async t => {
    const expected = [/Error: Cannot find module|^ +at |code=[1-9]|why=load-failed/]
    const { site, running, kill } = await serveRelease(t, expected, lines)
    rmSync(site.path(name), { recursive: true })
    kill()
    await running.seen(line)
    // Between two tries the slot has none.
    await until('status says why', async () => {
      const { workers } = await site.status()
      return why.test(workers.find(({ slot }) => slot === 1)?.why ?? '')
    })
    if (name === '1') {
      const page = await scrape(running.metricsUrl)
      t.ok(Number(sumOf(page, 'daimyo_worker_restarts_total', 'reason="not-started"')) > 0)
    }
    t.equal((await ask(running.url, '/')).status, 200, 'the other worker serves')
  })
}

t.test('the run folder: it comes back, so do workers that die, and a reload works', async t => {
  const { site, running, kill } = await serveRelease(t, [], ['app = %d1/app.cjs'])
  const before = (await site.status()).workers.map(({ pid }) => pid)
  rmSync(site.path('run'), { recursive: true })
  kill()
  await running.seen(/run-folder-restored .*\/run\n/)
  await running.seen(/control-socket-restored /)
  await until('those whose sockets are gone are replaced, too', async () => {
    const { workers } = await site.untilReady()
    return workers.length === 2 && workers.every(({ pid }) => !before.includes(pid))
  })
  t.match(running.out(), /worker-retiring .*why=socket-gone/)
  t.match(await site.run('reload', site.ini), { code: 0, out: /reloaded\n$/ })
  t.equal((await ask(running.url, '/')).body, '1')
})

t.test('the run folder, and it cannot be made: the old code serves, and the reload says so in a line', async t => {
  const { site, running } = await serveRelease(
    t,
    [/reload-failed|run-folder-lost|worker-not-started/],
    ['app = %d1/app.cjs'],
  )
  rmSync(site.path('run'), { recursive: true })
  writeFileSync(site.path('run'), 'in the way')
  process.kill(running.pid, 'SIGHUP')
  await running.seen(/reload-failed .*why="[^"]*run-dir is gone: \S+\/run: daimyo makes it again/)
  await running.seen(/run-folder-lost .*ENOTDIR/)
  t.match(running.out(), /worker-not-started slot=1 generation=2 why="run-dir is gone: /)
  t.notMatch(running.out(), /reload-failed-line|node:events| +at /)
  t.equal((await ask(running.url, '/')).body, '1')
  rmSync(site.path('run'))
  await running.seen(/control-socket-restored /)
  await site.untilReady()
})
