/** Reloads of a real tree: `supervisor/master/master.ts` with `supervisor/reload/reload.ts`. */

import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Reading } from '../../../supervisor/config/values/settings.js'
import { plantTree, readyPids, startTree, type Tree } from '../fixtures/tree.js'

const generations = (tree: Tree) =>
  tree.master.status().workers.map(({ slot, generation, phase }) => [slot, generation, phase])

function change(tree: Tree, settings: Partial<Tree['settings']>): void {
  tree.reading = { settings: { ...tree.settings, ...settings }, mistakes: [], remarks: [] }
}

for (const processes of [1, 3]) {
  t.test(`replaces ${processes} worker(s) one by one, the new one first`, async t => {
    const tree = await startTree(t, { settings: { processes } })
    await tree.event('worker-ready', {}, processes)
    const progress: string[] = []
    t.match(await tree.master.reload(text => progress.push(text)), { ok: true, generation: 2, ignored: [] })
    t.same(
      generations(tree),
      Array.from({ length: processes }, (_, index) => [index + 1, 2, 'ready']),
    )
    t.match(progress, [
      /reading the configuration/,
      /starting one worker/,
      new RegExp(`1 of ${processes} workers ready`),
    ])
    let alive = 0
    for (const { event } of tree.told) {
      if (event === 'worker-ready') alive++
      if (event === 'worker-retiring') alive--
      if (alive > 0) t.ok(alive <= processes + 1, 'at most one more than wanted')
    }
    const types = (await tree.got()).map(({ type }) => type)
    t.equal(types.filter(type => type === 'settings').length, 1)
    t.ok(
      types.indexOf('settings') > types.indexOf('worker-ready', types.indexOf('worker-ready') + processes),
      'not before the canary',
    )
    t.equal(tree.master.status().generation, 2)
  })
}

t.test('new settings reach the proxies live and the workers with their generation', async t => {
  const tree = await startTree(t)
  change(tree, { harakiriMs: 7000, env: [{ name: 'FROM_INI', value: 'again' }], processes: 2 })
  t.match(await tree.master.reload(() => {}), { ok: true })
  t.match(
    (await tree.got()).find(({ type }) => type === 'settings'),
    { settings: { harakiriMs: 7000 } },
  )
  await tree.event('fake-boot', { generation: 2, fromIni: 'again' }, 2)
  t.equal(tree.master.status().wanted, 2)
})

t.test('what needs a restart is named and ignored', async t => {
  const tree = await startTree(t)
  change(tree, { httpProcesses: 3, listen: 1 })
  const progress: string[] = []
  const outcome = await tree.master.reload(text => progress.push(text))
  t.match(outcome, { ok: true })
  t.same(outcome.ok && outcome.ignored.sort(), ['http-processes', 'listen'])
  t.ok(progress.some(text => /http-processes.*restart/.test(text)))
  t.equal(tree.master.status().proxies.length, 1)
})

const failures: [string, (tree: Tree) => void, RegExp, RegExp][] = [
  ['the configuration is wrong', tree => (tree.reading = mistaken), /not valid/, /app\.ini:3: unknown key/],
  ['the configuration cannot be read', tree => change(tree, { app: '/nowhere' }), /no such file/, /^$/],
  [
    'the application throws',
    tree => tree.app('app.json', { boot: 'failed' }),
    /slot 1: no such module/,
    /at app\.js:1:1/,
  ],
  [
    'the application exits',
    tree => tree.app('app.json', { boot: 'exit' }),
    /ended with code 7/,
    /cannot find the database/,
  ],
  [
    'the application is late',
    tree => {
      tree.app('app.json', { boot: 'never' })
      change(tree, { workerStartTimeoutMs: 50 })
    },
    /not ready within 50 ms/,
    /^$/,
  ],
  [
    'the application says that it waits, which nobody told it to',
    tree => {
      tree.app('app.json', { boot: 'waits' })
      change(tree, { workerStartTimeoutMs: 200 })
    },
    /not ready within 200 ms/,
    /^$/,
  ],
]

const mistaken: Reading = { settings: null, mistakes: [{ place: 'app.ini:3', message: 'unknown key' }], remarks: [] }

for (const [title, breakIt, reason, line] of failures) {
  t.test(`the old generation goes on serving when ${title}`, async t => {
    const tree = await startTree(t, { settings: { processes: 2 } })
    await tree.event('worker-ready', {}, 2)
    const before = readyPids(tree)
    breakIt(tree)
    const outcome = await tree.master.reload(() => {})
    t.match(outcome, { ok: false, reason })
    t.match(outcome.ok ? '' : outcome.lines.join('\n'), line)
    t.same(readyPids(tree), before)
    t.notOk((await tree.got()).some(({ type }) => type === 'worker-retire' || type === 'settings'))
    tree.app('app.json', {})
    change(tree, {})
    t.match(await tree.master.reload(() => {}), { ok: true }, 'and the next reload works')
    t.same(
      generations(tree)
        .map(([, generation]) => generation)
        .every(number => Number(number) > 1),
      true,
    )
  })
}

t.test('a failure in the middle takes the new ones back too', async t => {
  const tree = await startTree(t, { settings: { processes: 2 } })
  await tree.event('worker-ready', {}, 2)
  const release = join(tree.folder, 'next')
  mkdirSync(release)
  writeFileSync(join(release, 'app.json'), '{}')
  change(tree, { app: join(release, 'app.json'), harakiriMs: 1234 })
  const outcome = tree.master.reload(() => {})
  await tree.event('worker-ready', { generation: 2, slot: 1 })
  writeFileSync(join(release, 'app.json'), '{"boot":"failed"}')
  t.match(await outcome, { ok: false, reason: /slot 2: no such module/ })
  await tree.event('worker-ready', { generation: 1, slot: 1, why: 'rollback' })
  await tree.event('worker-exit', { generation: 2, slot: 1, why: 'rollback' })
  t.same(generations(tree), [
    [1, 1, 'ready'],
    [2, 1, 'ready'],
  ])
  t.match(
    (await tree.got()).flatMap(message => (message.type === 'settings' ? [message.settings.harakiriMs] : [])),
    [1234, 0],
  )
  t.equal(tree.master.status().generation, 1)
})

t.test('reloads that are asked for meanwhile become one more', async t => {
  const tree = await startTree(t)
  const asked = Array.from({ length: 5 }, () => tree.master.reload(() => {}))
  const outcomes = await Promise.all(asked)
  t.same(
    outcomes.map(outcome => outcome.ok && outcome.generation),
    [2, 3, 3, 3, 3],
  )
  await tree.event('reload-done', {}, 2)
  t.equal(tree.told.filter(({ event }) => event === 'reload-start').length, 2)
})

t.test('SIGHUP reloads, also one that came during the start', async t => {
  const tree = plantTree(t)
  const started = tree.master.start()
  tree.signals.emit('SIGHUP')
  await started
  await tree.event('reload-done', { generation: 2 })
  tree.signals.emit('SIGHUP')
  await tree.event('reload-done', { generation: 3 })
})

t.test('a worker that dies after a deploy runs the release of its generation', async t => {
  const tree = plantTree(t)
  const current = join(tree.folder, 'current')
  for (const release of ['a', 'b']) {
    mkdirSync(join(tree.folder, release))
    writeFileSync(join(tree.folder, release, 'app.json'), '{}')
  }
  symlinkSync('a', current)
  Object.assign(tree.settings, { chdir: current, app: join(current, 'app.json') })
  await tree.master.start()
  symlinkSync('b', `${current}.new`)
  renameSync(`${current}.new`, current)
  process.kill(readyPids(tree)[0]!, 'SIGKILL')
  const { fields } = await tree.event('fake-boot', {}, 2)
  t.match(fields, { app: join(tree.folder, 'a', 'app.json'), cwd: join(tree.folder, 'a') })
  await tree.event('worker-ready', {}, 2)
  t.match(await tree.master.reload(() => {}), { ok: true })
  t.match((await tree.event('fake-boot', { generation: 2 })).fields, { cwd: join(tree.folder, 'b') })
})

t.test('a slot whose worker dies during the canary is filled with its own generation', async t => {
  const tree = await startTree(t)
  tree.app('slow.json', { boot: 'never' })
  change(tree, { app: join(tree.folder, 'slow.json'), workerStartTimeoutMs: 1500 })
  const outcome = tree.master.reload(() => {})
  await tree.event('fake-boot', { generation: 2 })
  process.kill(readyPids(tree)[0]!, 'SIGKILL')
  await tree.event('worker-ready', { generation: 1 }, 2)
  t.match(await outcome, { ok: false })
  t.same(
    generations(tree).flatMap(([slot, number, phase]) =>
      /^(ready|linking)$/.test(String(phase)) ? [[slot, number]] : [],
    ),
    [[1, 1]],
  )
})

t.test('a reload heals a crash loop without waiting for its back-off', async t => {
  const tree = await startTree(t)
  tree.app('app.json', { boot: 'exit' })
  process.kill(readyPids(tree)[0]!, 'SIGKILL')
  await tree.event('worker-exit', { code: 7 }, 4)
  tree.app('app.json', {})
  t.match(await tree.master.reload(() => {}), { ok: true, generation: 2 })
  t.same(generations(tree), [[1, 2, 'ready']])
})

t.test('an application can be added to static files, and taken away', async t => {
  const tree = await startTree(t, { settings: { app: null } })
  tree.app('app.json', {})
  change(tree, { app: join(tree.folder, 'app.json'), processes: 2 })
  t.match(await tree.master.reload(() => {}), { ok: true })
  t.same(generations(tree), [
    [1, 2, 'ready'],
    [2, 2, 'ready'],
  ])
  change(tree, { app: null })
  t.match(await tree.master.reload(() => {}), { ok: true, generation: 3 })
  t.same(generations(tree), [])
})

t.test('a stop ends a reload, and a reload is refused after a stop', async t => {
  const tree = await startTree(t)
  tree.app('app.json', { boot: 'never' })
  const outcome = tree.master.reload(() => {})
  await tree.event('fake-boot', { generation: 2 })
  tree.signals.emit('SIGTERM')
  t.match(await outcome, { ok: false, reason: /the master stops: SIGTERM/ })
  await tree.master.finished
  t.match(await tree.master.reload(() => {}), { ok: false, reason: /the master stops/ })
})

t.test('a worker that no proxy links is no canary', async t => {
  const tree = await startTree(t, { settings: { httpProcesses: 2 }, deps: { linkMs: 200 } })
  const before = readyPids(tree)
  const stopped = tree.master.status().proxies[1]!.pid!
  process.kill(stopped, 'SIGSTOP')
  const outcome = await tree.master.reload(() => {})
  process.kill(stopped, 'SIGCONT')
  t.match(outcome, { ok: false, reason: /a proxy did not link to the ready worker within 200 ms/ })
  t.same(readyPids(tree), before)
  await tree.event('worker-exit', { generation: 2, why: 'link-deadline' })
})

t.test('it says what it waits for', async t => {
  const tree = await startTree(t, { proxy: { neverDrained: true }, settings: { workerReloadMercyMs: 60_000 } })
  t.equal(tree.master.reloadWait(), 'still reloading')
  const reloaded = tree.master.reload(() => {})
  await tree.event('reload-start')
  t.match(tree.master.reloadWait(), /waiting for the configuration/)
  await tree.event('worker-start', {}, 2)
  t.match(tree.master.reloadWait(), /waiting for the first new worker, until [\d:]{8} \(worker-start-timeout\)$/)
  const { pid } = (await tree.event('worker-retiring')).fields
  t.match(tree.master.reloadWait(), /slot 1, until [\d:]{8} \(worker-reload-mercy\)$/)
  process.kill(Number(pid), 'SIGKILL')
  t.match(await reloaded, { ok: true })
})

/**
 * A reload of two workers to generation 2, whose workers stay when they are told to stop: one of them is recycled already. The old workers may stay too.
 */
async function recycledMeanwhile(t: Test, settings: Partial<Tree['settings']>, isDeaf: boolean) {
  const own = { processes: 2, workerReloadMercyMs: 60_000, reloadMercyMs: 200, ...settings }
  const tree = await startTree(t, { settings: own, behaviour: { deaf: isDeaf } })
  await tree.event('worker-ready', {}, 2)
  change(tree, { ...own, app: tree.app('next.json', { deaf: true }) })
  const reloaded = tree.master.reload(() => {})
  const { pid } = (await tree.event('worker-ready', { generation: 2 })).fields
  await tree.event('worker-retiring', { generation: 1 })
  t.teardown(() => process.kill(Number(pid), 'SIGKILL'))
  process.kill(Number(pid), 'SIGUSR2')
  await tree.event('worker-retiring', { pid: pid ?? '', why: 'max-requests' })
  return {
    tree,
    reloaded,
    hasEnded: () => tree.told.some(told => told.event === 'worker-exit' && told.fields.pid === pid),
  }
}

t.test('a reload does not wait for its own workers that are recycled meanwhile', async t => {
  const { tree, reloaded, hasEnded } = await recycledMeanwhile(t, {}, true)
  for (const slot of [1, 2]) await tree.event('fake-stop', { generation: 1, slot })
  await tree.event('worker-ready', { generation: 2 }, 3)
  t.match(tree.master.reloadWait(), /the end of the old worker of slot 1, the end of the old worker of slot 2/)
  t.notMatch(tree.master.reloadWait(), /slot 1.*slot 1/, 'nor does it say so')
  for (const { fields } of tree.told.filter(({ event }) => event === 'fake-stop')) {
    if (fields.generation === 1) process.kill(Number(fields.pid), 'SIGKILL')
  }
  t.match(await reloaded, { ok: true, generation: 2 })
  t.notOk(hasEnded())
})

t.test('nor do they keep it from the next slot', async t => {
  const { reloaded, hasEnded } = await recycledMeanwhile(t, { reloadOverlap: 0 }, false)
  t.match(await reloaded, { ok: true, generation: 2 })
  t.notOk(hasEnded())
})
