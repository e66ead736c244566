/** How much a child may say: what `supervisor/workers/worker-handle.ts` and `supervisor/proxies/proxy-handle.ts` bound besides the length of a message. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Flood } from '../fixtures/child-channel.js'
import { startTree, type Tree, type TreeOptions } from '../fixtures/tree.js'

const counted = (tree: Tree, name: string) => tree.told.filter(({ event }) => event === name).length

t.test('a worker’s texts have a bound in bytes, besides their number', async t => {
  const times = 15
  const json = '{"type":"event","event":"metrics-trouble","fields":{"why":"FILL"}}'
  const tree = await startTree(t, { behaviour: { floods: { json, fill: { text: 'x', times: 3900 }, times } } })
  await tree.event('worker-talks-too-much')
  t.ok(counted(tree, 'metrics-trouble') < times)
  t.ok(counted(tree, 'metrics-trouble') >= 8, '32 KB are told')
})

/** A tree whose proxies say so much when they are told to open the log again. */
async function flooded(t: Test, floods: Flood, options: TreeOptions = {}): Promise<Tree> {
  const tree = await startTree(t, { ...options, proxy: { floods } })
  // The answer to it comes behind the flood, or never.
  void tree.master.order({ type: 'reopen-logs' }, () => {})
  return tree
}

t.test('a proxy’s events in the log', async t => {
  // So many that they come faster than they are granted on a busy machine too.
  const times = 20_000
  const json = '{"type":"event","event":"access-log-trouble","fields":{"why":"x"}}'
  const tree = await flooded(t, { json, times })
  await tree.event('proxy-talks-too-much')
  t.match(await tree.master.order({ type: 'reopen-logs' }, () => {}), { ok: true }, 'it is listened to all the same')
  t.ok(counted(tree, 'access-log-trouble') < 2 * times)
  t.ok(counted(tree, 'access-log-trouble') >= 1000)
  t.equal(counted(tree, 'proxy-talks-too-much'), 1)
})

const paces: [title: string, floods: Flood][] = [
  // So many that they come faster than they are granted on a busy machine too.
  ['messages', { json: '{"type":"worker-wanted"}', times: 200_000 }],
  [
    'bytes',
    {
      json: '{"type":"metrics","families":["FILL"],"workers":[],"queued":0}',
      fill: { text: 'x', times: 3 * 1024 ** 2 },
      times: 20,
    },
  ],
]
for (const [title, floods] of paces) {
  t.test(`a proxy’s ${title} are read at a pace`, async t => {
    const tree = await flooded(t, floods)
    await tree.event('proxy-talks-too-much')
    t.equal(counted(tree, 'proxy-broke-channel'), 0, 'what is too much waits')
  })
}

/** A proxy has sent metrics that cost so much in turn, and then something else. */
async function charged(t: Test, ...costs: number[]): Promise<Tree> {
  let taken = () => {}
  const allTaken = new Promise<void>(resolve => {
    taken = resolve
  })
  const times = costs.length
  const update = (_: string, __: unknown, kind: string) => {
    const cost = kind === 'proxy' ? (costs.shift() ?? 0) : 0
    if (costs.length === 0) taken()
    return cost
  }
  const json = '{"type":"metrics","families":[],"workers":[],"queued":0}'
  const tree = await flooded(t, { json, times }, { deps: { metrics: { update, retire: () => {} } } })
  await allTaken
  // What came together with the metrics was read before they were counted.
  await tree.proxySays({ type: 'worker-wanted' })
  return tree
}

t.test('the work that a proxy’s metrics make is bounded, also for the next proxy of its place', async t => {
  // A debt that takes longer than the start of a proxy.
  const tree = await charged(t, 3_000_000)
  await tree.event('proxy-talks-too-much')
  t.equal(counted(tree, 'proxy-broke-channel'), 0, 'what is too much waits')
  const { fields } = await tree.event('proxy-start')
  process.kill(Number(fields.pid), 'SIGKILL')
  await tree.event('proxy-talks-too-much', {}, 2)
})

t.test('a proxy with 500 mounts has as much work as it needs at once', async t => {
  const tree = await charged(t, 36_279, 20_057)
  t.match(await tree.master.order({ type: 'reopen-logs' }, () => {}), { ok: true })
  t.equal(counted(tree, 'proxy-talks-too-much'), 0)
})

const questions: [title: string, page: string | null, times: number][] = [
  ['a long page', 'x'.repeat(1024 ** 2), 3000],
  ['a short page', 'all_is_well 1\n', 3000],
  ['no page', null, 3000],
]
for (const [title, page, times] of questions) {
  t.test(`a proxy that asks for metrics without end has one answer under way: ${title}`, async t => {
    let renderings = 0
    const renderMetrics = () => {
      renderings++
      if (page === null) throw new Error('no page')
      return page
    }
    const tree = await flooded(
      t,
      { json: '{"type":"metrics-wanted","requestId":7}', times },
      { deps: { renderMetrics } },
    )
    t.match(await tree.master.order({ type: 'reopen-logs' }, () => {}), { ok: true })
    t.equal(counted(tree, 'proxy-broke-channel'), 0, 'no heap of answers waits for it')
    let answers = 0
    while (answers === 0) answers = (await tree.got()).filter(({ type }) => type === 'metrics').length
    t.ok(answers < times / 10, `${answers} answers`)
    t.ok(renderings < times / 10, `${renderings} renderings`)
  })
}

const structures: [title: string, json: string, fill: Flood['fill'], isTaken: boolean][] = [
  ['values', '{"type":"metrics","families":[0FILL],"workers":[],"queued":0}', { text: ',0', times: 500_001 }, false],
  [
    'fewer values',
    '{"type":"metrics","families":[0FILL],"workers":[],"queued":0}',
    { text: ',0', times: 400_000 },
    true,
  ],
  ['depth', '{"type":"worker-wanted","more":[[[[[[[[[[[[]]]]]]]]]]]]}', undefined, false],
]
for (const [title, json, fill, isTaken] of structures) {
  t.test(`the structure of a proxy’s message: ${title}`, async t => {
    const tree = await flooded(t, { json, times: 1, ...(fill && { fill }) })
    if (isTaken) {
      t.match(await tree.master.order({ type: 'reopen-logs' }, () => {}), { ok: true })
      t.equal(counted(tree, 'proxy-broke-channel'), 0)
    } else await tree.event('proxy-broke-channel', {})
  })
}

t.test('all proxies together have so much in one turn', async t => {
  let turn = 0
  const perTurn = new Map<number, number>()
  let immediate = setImmediate(function count() {
    turn++
    immediate = setImmediate(count)
  })
  t.teardown(() => clearImmediate(immediate))
  const proxies = 6
  const times = 90
  const bytes = 2048
  let left = proxies * times
  let arrived = () => {}
  const allArrived = new Promise<void>(resolve => {
    arrived = resolve
  })
  const update = (_: string, __: unknown, kind: string) => {
    if (kind !== 'proxy') return 0
    perTurn.set(turn, (perTurn.get(turn) ?? 0) + 1)
    if (--left === 0) arrived()
    return 0
  }
  const json = '{"type":"metrics","families":["FILL"],"workers":[],"queued":0}'
  await flooded(
    t,
    { json, fill: { text: 'x', times: bytes }, times },
    { settings: { httpProcesses: proxies }, deps: { metrics: { update, retire: () => {} } } },
  )
  // They are told now; then each has time to fill its socket, before the master reads.
  for (let count = 0; count < 5; count++) await nextTurn()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
  await allArrived
  // Those that waited and those that were read beforehand may come together.
  const most = (2 * 256 * 1024) / bytes + 8
  t.ok(Math.max(...perTurn.values()) <= most, `${Math.max(...perTurn.values())} messages of ${most}`)
})
