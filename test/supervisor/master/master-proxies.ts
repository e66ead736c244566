/** What the master knows of its proxies, in a real tree: what they were told is not said to be done before it is, and none is silent for ever. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startTree, type Tree } from '../fixtures/tree.js'

const silent = () => {}

/** Far more turns of the loop than the master needs for whatever waits for nobody. */
async function manyTurns(): Promise<'still waiting'> {
  for (let turn = 0; turn < 500; turn++) await nextTurn()
  return 'still waiting'
}

/** A tree of two proxies, one of which stands still. */
async function withStoppedProxy(t: Test, settings: Partial<Tree['settings']> = {}) {
  const tree = await startTree(t, { settings: { httpProcesses: 2, ...settings } })
  const pid = tree.master.status().proxies[1]?.pid ?? 0
  process.kill(pid, 'SIGSTOP')
  return { tree, goOn: () => process.kill(pid, 'SIGCONT') }
}

const orders: [title: string, settings: Partial<Tree['settings']>, ask: (tree: Tree) => Promise<{ ok: boolean }>][] = [
  ['a reload of static files', { app: null }, tree => tree.master.reload(silent)],
  ['a pause', {}, tree => tree.master.order({ type: 'pause' }, silent)],
  ['the reopening of logs', {}, tree => tree.master.order({ type: 'reopen-logs' }, silent)],
]
for (const [title, settings, ask] of orders) {
  t.test(`${title} is not done while a proxy has not heard of it`, async t => {
    const { tree, goOn } = await withStoppedProxy(t, settings)
    const answer = ask(tree)
    t.equal(await Promise.race([answer, manyTurns()]), 'still waiting')
    goOn()
    t.match(await answer, { ok: true })
  })

  t.test(`${title} waits for no proxy that died of it`, async t => {
    const { tree } = await withStoppedProxy(t, settings)
    const answer = ask(tree)
    process.kill(tree.master.status().proxies[1]?.pid ?? 0, 'SIGKILL')
    t.match(await answer, { ok: true })
  })
}

const forgeries: [title: string, forges: number][] = [
  ['that was not sent yet', 1],
  ['far above', 2 ** 52],
  ['below the last answer', -1],
]
for (const [title, forges] of forgeries) {
  t.test(`a forged answer keeps no reload waiting: a number ${title}`, async t => {
    const tree = await startTree(t, { proxy: { forges } })
    t.match(await tree.master.reload(silent), { ok: true })
    t.match(await tree.master.order({ type: 'pause' }, silent), { ok: true })
  })
}

t.test('a proxy that says nothing is replaced', async t => {
  const tree = await startTree(t, { deps: { proxySilentMs: 300 } })
  const [proxy] = tree.master.status().proxies
  process.kill(proxy?.pid ?? 0, 'SIGSTOP')
  await tree.event('proxy-exit', { pid: proxy?.pid ?? 0, why: 'silent' })
  await tree.event('proxy-listening', { why: 'respawn' })
})

t.test('one that was stopped goes on within seconds, and keeps its place', async t => {
  const tree = await startTree(t)
  const [proxy] = tree.master.status().proxies
  const sinceMs = performance.now()
  process.kill(proxy?.pid ?? 0, 'SIGSTOP')
  const reload = tree.master.reload(silent)
  await tree.event('proxy-woken', { pid: proxy?.pid ?? 0, why: 'stopped' })
  t.match(await tree.ask('who'), `1 ${proxy?.pid}`)
  t.match(await reload, { ok: true }, 'and a reload with it')
  t.ok(performance.now() - sinceMs < 10_000)
  t.notOk(tree.told.some(({ event }) => event === 'proxy-killed'))
})

t.test('one that says something stays', async t => {
  const tree = await startTree(t, { deps: { proxySilentMs: 2000 } })
  const endMs = performance.now() + 3000
  // What a real one does by itself once a second.
  while (performance.now() < endMs) await tree.proxySays({ type: 'metrics', families: [], workers: [], queued: 0 })
  t.same(
    tree.told.filter(({ event }) => event === 'proxy-killed'),
    [],
  )
})

t.test('while no proxy accepts, no worker serves', async t => {
  const tree = await startTree(t)
  const isUp = () => tree.master.metricsState()?.workers.map(({ up }) => up)
  t.same(isUp(), [true])
  const [proxy] = tree.master.status().proxies
  process.kill(proxy?.pid ?? 0, 'SIGKILL')
  await tree.event('proxy-exit')
  t.same(isUp(), [false])
  await tree.event('proxy-listening', {}, 2)
})

t.test('a worker that a new proxy cannot link makes way for another', async t => {
  const environment: NodeJS.ProcessEnv = { ...process.env }
  const tree = await startTree(t, { deps: { linkMs: 200, environment } })
  const [worker] = tree.master.status().workers
  environment.FAKE_PROXY = JSON.stringify({ neverLinks: true })
  process.kill(tree.master.status().proxies[0]?.pid ?? 0, 'SIGKILL')
  await tree.event('worker-start', { why: 'link-deadline' })
  // The proxy is to blame here: a worker that it cannot link either does not take the place of one that may yet be linked.
  await tree.event('worker-exit', { why: 'link-deadline' })
  environment.FAKE_PROXY = '{}'
  process.kill(tree.master.status().proxies[0]?.pid ?? 0, 'SIGKILL')
  await tree.event('proxy-listening', {}, 3)
  t.equal(tree.master.status().workers[0]?.pid, worker?.pid)
})
