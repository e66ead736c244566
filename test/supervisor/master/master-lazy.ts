/** Workers that load their application when they are needed (`lazy`): `supervisor/workers/workers.ts`, with a real master and fake children. */

import t, { type Test } from 'tap'
import type { ProxyToMaster } from '../../../kit/channel/messages.js'
import type { Settings } from '../../../supervisor/config/values/settings.js'
import type { Behaviour } from '../fixtures/fake-worker.js'
import { readyPids, startTree, type Tree } from '../fixtures/tree.js'

const wanted: ProxyToMaster = { type: 'worker-wanted' }

const plant = (t: Test, settings: Partial<Settings> = {}, behaviour: Behaviour = {}) =>
  startTree(t, { settings: { lazy: true, processes: 2, ...settings }, behaviour })

/** Of their lives: who has just become ready may not be linked yet. */
const phases = ({ master }: Tree) => master.status().workers.map(({ phase }) => phase.replace('linking', 'ready'))
const loads = ({ told }: Tree) => told.filter(({ event }) => event === 'fake-boot').length

/** Has slot 1 load, as the first request does. */
async function loadFirst(tree: Tree): Promise<number> {
  await tree.proxySays(wanted)
  await tree.event('worker-ready', { slot: 1, why: 'first-request' })
  return readyPids(tree)[0]!
}

t.test('the start loads nothing, orders neither, and the first one that loads does so alone', async t => {
  const tree = await plant(t, {}, { boot: 'never' })
  t.same(phases(tree), ['waiting', 'waiting'])
  t.match(await tree.master.order({ type: 'scale', wanted: 3 }, () => {}), { ok: true })
  t.match(await tree.master.order({ type: 'restart-worker', slot: 1 }, () => {}), { ok: false, reason: /is waiting$/ })
  t.same(phases(tree), ['waiting', 'waiting', 'waiting'])
  t.notOk(
    tree.master.metricsState()!.workers.some(({ up }) => up),
    'none takes requests',
  )
  t.equal(loads(tree), 0)
  for (const _ of [1, 2, 3]) await tree.proxySays(wanted)
  t.same(phases(tree), ['booting', 'waiting', 'waiting'])
  t.same(
    (await tree.got()).map(({ type }) => type),
    ['configure'],
    'the proxies know none of them',
  )
})

t.test('where two serve, two load at the same time', async t => {
  const tree = await plant(t, { processes: 5 })
  await loadFirst(tree)
  await tree.proxySays(wanted)
  await tree.event('worker-ready', { slot: 2 })
  tree.app('app.json', { boot: 'never' })
  for (const _ of [1, 2, 3]) await tree.proxySays(wanted)
  await tree.got()
  t.same(phases(tree), ['ready', 'ready', 'booting', 'booting', 'waiting'])
})

t.test('a load that fails is told as at the start, its slot backs off, and the next one tries', async t => {
  const tree = await plant(t, {}, { boot: 'failed' })
  await tree.proxySays(wanted)
  const { fields } = await tree.event('worker-load-failed', { slot: 1 })
  t.match(fields, { why: 'load-failed', reason: 'no such module' })
  await tree.event('worker-waiting', { slot: 1, why: 'respawn' })
  await tree.proxySays(wanted)
  await tree.event('worker-load-failed', { slot: 2 }, 1)
  await tree.event('worker-waiting', { slot: 2, why: 'respawn' })
  await tree.proxySays(wanted)
  await tree.event('worker-exit', { slot: 1 }, 2)
  t.match(tree.master.status().workers[0], {
    phase: 'gone',
    why: /^load-failed: no such module, next start in \d+ ms$/,
  })
  t.equal(loads(tree), 3, 'once for each call')
  tree.app('app.json', {})
  // Slot 2 as a rule; on a busy machine the first one may be back by now, or none, and a proxy asks again.
  let isReady = false
  const ready = tree.event('worker-ready', { why: 'first-request' }).finally(() => (isReady = true))
  while (!isReady) await tree.proxySays(wanted)
  await ready
})

t.test('ready-check counts for a load', async t => {
  const readyCheck: Settings['readyCheck'] = { method: 'GET', path: '/ready', statuses: [200, 200] }
  const tree = await plant(t, { processes: 1, readyCheck }, { answers: [503, 200] })
  t.same(phases(tree), ['waiting'], 'but not before it')
  await tree.proxySays(wanted)
  await tree.event('worker-not-ready')
  await tree.event('worker-ready', { why: 'first-request' })
})

t.test(
  'a reload loads the application first, also where nobody has loaded it, and needs no ready-check for that',
  async t => {
    const tree = await plant(t)
    const before = tree.master.status().workers.map(({ pid }) => pid)
    const settings = { ...tree.settings, app: tree.app('bad.json', { boot: 'failed' }) }
    tree.reading = { ...tree.reading, settings }
    const refused = tree.master.reload(() => {})
    await tree.event('fake-boot', { generation: 2 })
    t.match(await refused, { ok: false, reason: /no such module/ })
    t.same(
      tree.master.status().workers.map(({ pid }) => pid),
      before,
      'those that wait go on waiting',
    )
    tree.reading = { ...tree.reading, settings: tree.settings }
    const steps: string[] = []
    t.match(await tree.master.reload(text => steps.push(text)), { ok: true, generation: 3 })
    t.same(phases(tree), ['ready', 'waiting'])
    t.match(steps.at(-1), /2 of 2 workers ready or waiting$/)
  },
)

t.test(
  'whoever has loaded it is replaced by one that has, in a reload and by a limit; whoever dies is not',
  async t => {
    const tree = await plant(t, { processes: 3 })
    await loadFirst(tree)
    await tree.proxySays(wanted)
    await tree.event('worker-ready', { slot: 2 })
    t.match(await tree.master.reload(() => {}), { ok: true })
    t.same(phases(tree), ['ready', 'ready', 'waiting'])
    const [first, second] = readyPids(tree)
    process.kill(second!, 'SIGUSR2')
    await tree.event('worker-exit', { pid: second!, why: 'max-requests' })
    t.same(phases(tree), ['ready', 'ready', 'waiting'])
    process.kill(first!, 'SIGKILL')
    await tree.event('worker-waiting', { slot: 1, why: 'respawn' })
    t.same(phases(tree), ['waiting', 'ready', 'waiting'])
  },
)

t.test('cheap: the first request starts the workers, and has one of them load', async t => {
  const tree = await plant(t, { cheap: true })
  t.same(phases(tree), [])
  await tree.proxySays(wanted)
  await tree.event('worker-waiting', {}, 2)
  await loadFirst(tree)
  t.same(phases(tree), ['ready', 'waiting'])
})
