/** What dies is replaced, and what hangs is killed: `supervisor/master/master.ts`. */

import { once } from 'node:events'
import { createConnection } from 'node:net'
import t from 'tap'
import type { ProxyToMaster } from '../../../kit/channel/messages.js'
import { HERE, type Tasks } from '../../../supervisor/child/task-children.js'
import { HURRY_MS } from '../../../supervisor/workers/worker-phase.js'
import { until } from '../../e2e/fixtures/watched-site.js'
import { isAlive, readyPids, startTree } from '../fixtures/tree.js'

const blocked: ProxyToMaster & { type: 'worker-blocked' } = {
  type: 'worker-blocked',
  workerId: 1,
  request: 'GET /',
  elapsedMs: 1,
  at: 'a.js:1',
  stack: 'f (a.js:1)',
  inFlight: 1,
  others: '',
}

t.test('a killed worker is replaced at once, in its slot and generation', async t => {
  const tree = await startTree(t, { settings: { processes: 2 } })
  await tree.event('worker-ready', {}, 2)
  const [pid] = readyPids(tree)
  process.kill(pid!, 'SIGKILL')
  t.match((await tree.event('worker-exit', { pid })).fields, { slot: 1, signal: 'SIGKILL', why: 'died' })
  const { fields } = await tree.event('worker-ready', { slot: 1 }, 2)
  t.match(fields, { generation: 1, why: 'respawn' })
  t.notSame(fields.pid, pid)
  t.match(tree.metrics.retired, ['worker-1'])
  const got = await tree.got()
  t.match(
    got.filter(({ type }) => type === 'worker-gone'),
    [{ workerId: 1, end: 'killed' }],
    'and the proxies know that somebody killed it',
  )
  const deaths = () => tree.master.status().workers.map(worker => worker.deaths)
  t.same(deaths(), [1, 0])
  t.match(await tree.master.reload(() => {}), { ok: true })
  t.same(deaths(), [1, 0], 'those whom a reload replaces are not counted')
})

t.test('a crash loop slows down, and leaves the healthy ones alone', async t => {
  const tree = await startTree(t, { settings: { processes: 2 } })
  await tree.event('worker-ready', {}, 2)
  const [healthy, sick] = readyPids(tree)
  tree.app('app.json', { dies: true })
  process.kill(sick!, 'SIGKILL')
  await tree.event('worker-exit', { slot: 2 }, 5)
  const { workers } = tree.master.status()
  const empty = workers.find(({ slot, pid }) => slot === 2 && pid === null)
  t.match(empty, { phase: 'gone', why: /^died, next start in \d+ ms$/, generation: 1, deaths: 5 })
  t.ok(isAlive(healthy!))
  t.match(workers[0], { slot: 1, pid: healthy, phase: 'ready' })
  tree.app('app.json', {})
  await tree.event('worker-ready', { slot: 2, why: 'respawn' }, 5)
})

t.test(
  'the end of a worker that never became ready waits for a look at its release only where a file was missing',
  async t => {
    const looks: ((found: null) => void)[] = []
    const tasks: Tasks = {
      run: (task, request) =>
        task.name === 'see-release'
          ? new Promise(resolve => looks.push(found => resolve(found as never)))
          : HERE.run(task, request, { credentials: null, what: '' }),
    }
    const tree = await startTree(t, { deps: { tasks } })
    t.teardown(() => {
      for (const look of looks) look(null)
    })
    const [pid] = readyPids(tree)
    tree.app('app.json', { boot: 'exit' })
    process.kill(pid!, 'SIGKILL')
    await tree.event('worker-exit', {}, 3)
    tree.app('app.json', { boot: 'never' })
    const { fields } = await tree.event('worker-start', {}, 4)
    process.kill(Number(fields.pid), 'SIGKILL')
    await tree.event('worker-exit', { pid: fields.pid ?? '' })
    tree.app('app.json', { boot: 'failed', reason: 'boom' })
    await tree.event('worker-exit', { why: 'load-failed' })
    t.same(looks, [], 'nobody has looked')

    const from = tree.told.length
    tree.app('app.json', { boot: 'failed', reason: "Cannot find module './shop'" })
    await tree.event('worker-load-failed', { reason: "Cannot find module './shop'" }, 1, from)
    await until('it is looked for', () => looks.length > 0)
    const isTold = () =>
      tree.told.slice(from).some(({ event, fields }) => event === 'worker-exit' && fields.why === 'load-failed')
    t.notOk(isTold())
    looks[0]?.(null)
    await until('its end is told', isTold)
    tree.app('app.json', {})
  },
)

t.test('a worker that breaks its link is killed, told of once, counted, and replaced', async t => {
  const tree = await startTree(t, { settings: { processes: 2 } })
  await tree.event('worker-ready', {}, 2)
  const [pid] = readyPids(tree)
  const broken: ProxyToMaster = { type: 'link-broken', workerId: 1, why: 'it says hello twice' }
  for (let count = 0; count < 3; count++) await tree.proxySays(broken)
  t.match((await tree.event('worker-broke-link')).fields, { slot: 1, pid, why: 'it says hello twice' })
  t.match((await tree.event('worker-exit', { pid })).fields, { slot: 1, signal: 'SIGKILL', why: 'link-broken' })
  await tree.event('worker-ready', { slot: 1, why: 'respawn' })
  await tree.proxySays({ ...broken, workerId: 99 })
  await tree.proxySays({ type: 'event', event: 'upstream-back', fields: {} })
  await tree.event('upstream-back')
  t.equal(tree.told.filter(({ event }) => event === 'worker-broke-link').length, 1)
  t.match(
    (await tree.got()).filter(({ type }) => type === 'worker-gone'),
    [{ workerId: 1, end: 'crashed' }],
  )
  t.same(
    tree.master.status().workers.map(worker => worker.deaths),
    [1, 0],
  )
})

t.test('one that always breaks its link slows down', async t => {
  const tree = await startTree(t, { settings: { processes: 1 } })
  const waits: number[] = []
  for (let life = 1; life <= 4; life++) {
    await tree.event('worker-ready', { slot: 1 }, life)
    await tree.proxySays({ type: 'link-broken', workerId: life, why: 'it says hello twice' })
    await tree.event('worker-exit', { why: 'link-broken' }, life)
    const [, ms = '0'] = /next start in (\d+) ms/.exec(tree.master.status().workers[0]?.why ?? '') ?? []
    waits.push(Number(ms))
  }
  t.ok(waits[3]! > waits[2]!, `waits ${waits}`)
})

t.test('a blocked worker is killed, told of, and replaced at once', async t => {
  const tree = await startTree(t)
  const [pid] = readyPids(tree)
  const message = { ...blocked, request: 'GET /burn', elapsedMs: 3000, inFlight: 4, others: '502: POST /' }
  await tree.proxySays(message)
  t.match((await tree.event('worker-harakiri')).fields, {
    slot: 1,
    pid,
    request: 'GET /burn',
    elapsedMs: 3000,
    inFlight: 4,
    others: '502: POST /',
    at: 'a.js:1',
    stack: 'f (a.js:1)',
  })
  t.match((await tree.event('worker-exit', { pid })).fields, { signal: 'SIGKILL', why: 'harakiri' })
  const { fields } = await tree.event('worker-ready', {}, 2)
  await tree.proxySays({ ...message, workerId: 2 })
  await tree.event('worker-ready', {}, 3)
  t.match(tree.master.status().workers, [{ deaths: 2 }], 'a second harakiri waits no longer than the first')
  t.notSame(fields.pid, pid)
})

t.test('a blocked message about a worker that is gone kills nobody', async t => {
  const tree = await startTree(t)
  await tree.proxySays({ ...blocked, workerId: 99 })
  await tree.proxySays({ type: 'event', event: 'upstream-back', fields: {} })
  await tree.event('upstream-back')
  t.notOk(tree.told.some(({ event }) => event === 'worker-harakiri'))
})

t.test('a worker that asks for it is replaced first', async t => {
  const tree = await startTree(t)
  const [pid] = readyPids(tree)
  process.kill(pid!, 'SIGUSR2')
  const exit = await tree.event('worker-exit', { pid })
  t.match(exit.fields, { code: 0, why: 'max-requests' })
  const names = tree.told.map(({ event, fields }) => `${event} ${fields.pid === pid ? 'old' : 'new'}`)
  t.ok(names.indexOf('worker-ready new') < names.indexOf('worker-retiring old'), 'the new one is ready before')
  t.match(
    (await tree.got()).map(({ type }) => type).filter(type => type.startsWith('worker')),
    ['worker-ready', 'worker-ready', 'worker-retire', 'worker-gone'],
  )
})

t.test('clients wait for the next proxy when the only one is killed', async t => {
  const tree = await startTree(t)
  const [, pid] = (await tree.ask('who')).split(' ')
  process.kill(Number(pid), 'SIGKILL')
  await tree.event('proxy-exit', { signal: 'SIGKILL', why: 'died' })
  const { port } = new URL(tree.master.status().urls[0]!)
  const client = createConnection({ host: '127.0.0.1', port: Number(port) })
  client.write('who\n')
  const [answer] = await once(client, 'data')
  client.destroy()
  t.match(String(answer), /^1 \d+/)
  t.notMatch(String(answer), pid)
  const got = await tree.got()
  t.match(got.slice(0, 2), [{ type: 'configure' }, { type: 'worker-ready', worker: { workerId: 1 } }])
  t.ok(tree.metrics.retired.includes('proxy-1-1'))
  t.match(tree.master.status().proxies, [{ proxyId: 1, deaths: 1 }])
})

t.test('what a dead proxy owed is settled: no replacement waits for it', async t => {
  const tree = await startTree(t, { proxy: { neverDrained: true } })
  const [pid] = readyPids(tree)
  const proxyPid = Number((await tree.ask('who')).split(' ')[1])
  process.kill(pid!, 'SIGUSR2')
  await tree.event('worker-retiring', { pid })
  process.kill(proxyPid, 'SIGKILL')
  await tree.event('worker-exit', { pid, code: 0, why: 'max-requests' })
})

t.test('a worker that drains for too long is told to stop, and killed when it does not', async t => {
  const tree = await startTree(t, {
    proxy: { neverDrained: true },
    behaviour: { deaf: true },
    settings: { workerReloadMercyMs: 50, reloadMercyMs: 50 },
  })
  const [pid] = readyPids(tree)
  process.kill(pid!, 'SIGUSR2')
  await tree.event('worker-retiring', { pid })
  await tree.event('fake-stop', { pid, mercyMs: 1000 })
  await tree.event('worker-killed', { pid, phase: 'stopping', why: 'max-requests' })
  await tree.event('worker-exit', { pid, signal: 'SIGKILL', why: 'max-requests' })
})

t.test('a worker with tunnels stays for them, and its slot serves on', async t => {
  const tree = await startTree(t, { proxy: { hasTunnels: true } })
  const [pid] = readyPids(tree)
  process.kill(pid!, 'SIGUSR2')
  await tree.event('worker-lingering', { pid, why: 'max-requests' })
  t.match(
    tree.master
      .status()
      .workers.map(({ phase }) => phase)
      .sort(),
    ['lingering', 'ready'],
  )
  await tree.proxySays({ type: 'worker-drained', workerId: 1 })
  await tree.event('worker-exit', { pid, code: 0, why: 'max-requests' })
})

t.test('a second worker of a slot that stays for its tunnels makes the first one hurry', async t => {
  const tree = await startTree(t, { proxy: { hasTunnels: true }, settings: { wsMercyMs: 60_000 } })
  const [first] = readyPids(tree)
  process.kill(first!, 'SIGUSR2')
  await tree.event('worker-lingering', { pid: first })
  const [second] = readyPids(tree).filter(pid => pid !== first)
  process.kill(second!, 'SIGUSR2')
  await tree.event('worker-lingering', { pid: second })
  // What it is told crosses another channel than the answer.
  let retired: number[][] = []
  while (retired.length < 3) {
    const got = await tree.got()
    retired = got.flatMap(message => (message.type === 'worker-retire' ? [[message.workerId, message.tunnelMs]] : []))
  }
  t.same(retired, [
    [1, 60_000],
    [2, 60_000],
    [1, HURRY_MS],
  ])
  for (const workerId of [1, 2]) await tree.proxySays({ type: 'worker-drained', workerId })
  for (const pid of [first, second]) await tree.event('worker-exit', { pid, code: 0 })
})

t.test('a proxy that dies leaves no tunnels behind', async t => {
  const tree = await startTree(t, { proxy: { hasTunnels: true } })
  const [pid] = readyPids(tree)
  const proxyPid = Number((await tree.ask('who')).split(' ')[1])
  process.kill(pid!, 'SIGUSR2')
  await tree.event('worker-lingering', { pid })
  process.kill(proxyPid, 'SIGKILL')
  await tree.event('worker-exit', { pid, code: 0, why: 'max-requests' })
})

t.test('metrics go in and out', async t => {
  const tree = await startTree(t)
  t.ok(tree.metrics.updated.includes('worker-1'))
  await tree.proxySays({
    type: 'metrics',
    families: [],
    workers: [{ workerId: 1, requests: 17, inFlight: 2, lagMs: 3, answered: 17, failed: 0, waitedMs: 20 }],
    queued: 0,
  })
  await tree.proxySays({ type: 'metrics-wanted', requestId: 5 })
  await tree.proxySays({ type: 'event', event: 'upstream-back', fields: {} })
  await tree.event('upstream-back', { proxy: 1 })
  t.match(tree.master.status().workers, [{ requests: 17, inFlight: 2, lagMs: 3 }])
  t.ok(tree.metrics.updated.includes('proxy-1-1'))
  t.match((await tree.got()).at(-1), { type: 'metrics', requestId: 5, text: 'all_is_well 1\n' })
  t.match(tree.master.metricsState(), {
    version: '1.2.3',
    workersWanted: 1,
    proxies: 1,
    slots: [1],
    workers: [{ up: true, lagMs: 3 }],
  })
})

t.test('what a worker prints arrives in whole lines', async t => {
  const tree = await startTree(t, { behaviour: { prints: 'one\ntwo\nthr' } })
  await tree.master.stop('test')
  t.equal(tree.printed.join(''), 'one\ntwo\nthr\n')
})
