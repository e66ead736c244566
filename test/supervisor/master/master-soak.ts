/** What new workers must prove in a reload of a real tree: `supervisor/reload/reload.ts` with `ready-probe.ts` and `soak.ts`. */

import t from 'tap'
import type { Settings } from '../../../supervisor/config/values/settings.js'
import { readyPids, startTree, type Tree } from '../fixtures/tree.js'

const generations = (tree: Tree) =>
  tree.master.status().workers.map(({ slot, generation, phase }) => [slot, generation, phase])

function change(tree: Tree, settings: Partial<Tree['settings']>): void {
  tree.reading = { settings: { ...tree.settings, ...settings }, mistakes: [], remarks: [] }
}

const readyCheck: Settings['readyCheck'] = { method: 'GET', path: '/ready', statuses: [200, 200] }

t.test('a worker that does not pass its ready-check is offered to nobody', async t => {
  const tree = await startTree(t)
  tree.app('app.json', { answers: [500] })
  change(tree, { readyCheck, workerStartTimeoutMs: 3000 })
  const outcome = await tree.master.reload(() => {})
  const reason =
    /slot 1: worker was not ready within 3000 ms: ready-check GET \/ready: 500 Internal Server Error: no database for GET \/ready$/
  t.match(outcome, { ok: false, reason })
  await tree.event('worker-not-ready', { generation: 2 })
  t.equal((await tree.got()).filter(({ type }) => type === 'worker-ready').length, 1)
  tree.app('app.json', { answers: [503, 200] })
  t.match(await tree.master.reload(() => {}), { ok: true }, 'one that passes later is')
})

t.test('a canary soaks beside all old workers', async t => {
  const tree = await startTree(t, { settings: { processes: 2 } })
  await tree.event('worker-ready', {}, 2)
  change(tree, { processes: 2, soakMs: 1 })
  const progress: string[] = []
  const outcome = tree.master.reload(text => progress.push(text))
  await tree.event('reload-soaking', { generation: 2 })
  t.same(generations(tree).sort(), [
    [1, 1, 'ready'],
    [1, 2, 'ready'],
    [2, 1, 'ready'],
  ])
  t.notOk((await tree.got()).some(({ type }) => type === 'settings' || type === 'worker-retire'))
  t.match(await outcome, { ok: true })
  t.match(
    progress.join('\n'),
    /soaks for 0\.001 s[\s\S]*soaked: too few answers to compare: 0[\s\S]*2 of 2 workers ready/,
  )
})

const figuresOf = (workerId: number, answered: number, failed: number) => {
  return { workerId, requests: answered, inFlight: 0, lagMs: 0, answered, failed, waitedMs: answered }
}

const soakFailures: [string, (tree: Tree, canary: Tree['told'][number]) => unknown, RegExp][] = [
  [
    'it answers 5xx',
    async (tree, canary) => {
      const workers = [figuresOf(1, 30, 0), figuresOf(Number(canary.fields.workerId ?? 2), 30, 30)]
      await tree.proxySays({ type: 'metrics', families: [], workers, queued: 0 })
    },
    /slot 1: 30 of its 30 answers were 5xx, 0 of 30 of the old workers were/,
  ],
  [
    'it dies',
    (_tree, { fields }) => process.kill(Number(fields.pid), 'SIGABRT'),
    /worker ended by SIGABRT before it had/,
  ],
]
for (const [title, harm, reason] of soakFailures) {
  t.test(`the old generation goes on serving when a canary soaks and ${title}`, async t => {
    const tree = await startTree(t)
    const before = readyPids(tree)
    change(tree, { soakMs: 60_000 })
    const outcome = tree.master.reload(() => {})
    await tree.event('reload-soaking', { generation: 2 })
    await harm(tree, await tree.event('worker-ready', { generation: 2 }))
    t.match(await outcome, { ok: false, reason })
    await tree.event('worker-exit', { generation: 2 })
    t.same(readyPids(tree), before)
    const types = (await tree.got()).map(({ type }) => type)
    t.notOk(types.includes('settings'))
    t.match(generations(tree), [[1, 1, 'ready']])
  })
}

t.test('an old worker that dies while the canary soaks is made good, and then replaced with the others', async t => {
  const tree = await startTree(t, { settings: { processes: 2 } })
  await tree.event('worker-ready', {}, 2)
  change(tree, { processes: 2, soakMs: 1 })
  const outcome = tree.master.reload(() => {})
  await tree.event('reload-soaking', { generation: 2 })
  process.kill(readyPids(tree)[0]!, 'SIGKILL')
  await tree.event('worker-ready', { generation: 1, slot: 1, why: 'respawn' })
  t.match(await outcome, { ok: true })
  t.same(generations(tree), [
    [1, 2, 'ready'],
    [2, 2, 'ready'],
  ])
})

t.test('new workers that somebody kills again and again end the reload', async t => {
  // The old worker never finishes, and the reload waits for it.
  const tree = await startTree(t, {
    settings: { processes: 2, workerReloadMercyMs: 60_000 },
    behaviour: { deaf: true },
    proxy: { neverDrained: true },
  })
  await tree.event('worker-ready', {}, 2)
  const outcome = tree.master.reload(() => {})
  await tree.event('worker-retiring', { generation: 1, slot: 1 })
  for (let killed = 1; killed <= 20; killed++) {
    const { fields } = await tree.event('worker-ready', { generation: 2, slot: 1 }, killed)
    process.kill(Number(fields.pid), 'SIGKILL')
    await tree.event('worker-exit', { slot: 1, signal: 'SIGKILL' }, killed)
  }
  t.match(await outcome, { ok: false, reason: /slot 1: worker ended by SIGKILL as 19 before it in this reload/ })
  for (const { fields } of tree.told.filter(({ event }) => event === 'worker-retiring'))
    process.kill(Number(fields.pid), 'SIGKILL')
})

t.test('new workers that die by themselves while the others are replaced are taken back', async t => {
  const tree = await startTree(t, { settings: { processes: 3 } })
  await tree.event('worker-ready', {}, 3)
  const outcome = tree.master.reload(() => {})
  const { fields } = await tree.event('worker-ready', { generation: 2 })
  await tree.event('worker-retiring', { generation: 1, slot: 1 })
  process.kill(Number(fields.pid), 'SIGABRT')
  t.match(await outcome, { ok: false, reason: /worker ended by SIGABRT while the others were replaced/ })
  await tree.event('worker-ready', { generation: 1 }, 4)
})
