/**
 * The shipper beside real applications with the real prom-client, each in a process of its own, and the store that they
 * feed.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { MetricFamily } from '../../../../kit/channel/metric-family.js'
import { MetricsStore } from '../../../../supervisor/metrics/metrics-store.js'

const SHIPPER = new URL('../../../../app/host/measure/metrics-shipper.js', import.meta.url).href

/**
 * What a worker's host does, reduced to the shipper: starts it, loads the application, calls what the test asks for.
 */
const HOST = `
const [app, shipperUrl] = process.argv.slice(2)
const { startMetricsShipper } = await import(shipperUrl)
const extra = () => [{ name: 'daimyo_host', help: 'h', type: 'gauge', aggregator: 'sum', values: [{ labels: {}, value: 1 }] }]
const shipper = startMetricsShipper(
  app, families => process.send({ families }), process.env.EXTRA ? extra : undefined, trouble => process.send({ trouble }))
const exports = await import(app)
process.on('message', async ({ call, args }) => {
  if (call === 'flush') await shipper.flush()
  else if (call === 'loaded') process.send({ loaded: Object.keys((await import('node:module')).default._cache) })
  else if (call === 'stop') shipper.stop(), process.disconnect()
  else await exports[call](...args)
  if (call !== 'stop') process.send({ done: call })
})
process.send({ done: 'start' })
`

/** \`prom\` is the package's exports in both kinds of module. */
const BODY = `
const calls = new prom.Counter({ name: 'calls_total', help: 'c', labelNames: ['path'] })
const seconds = new prom.Histogram({ name: 'seconds', help: 's', buckets: (process.env.BUCKETS ?? '0.1,1').split(',').map(Number) })
const busy = new prom.Gauge({ name: 'busy', help: 'b', aggregator: 'max' })
const inc = (path, by) => calls.inc({ path }, by)
const observe = value => seconds.observe(value)
const set = value => busy.set(value)
const remove = name => prom.register.removeSingleMetric(name)
const reserve = () => new prom.Counter({ name: 'daimyo_fake_total', help: 'f' }).inc()
const own = () => new prom.Counter({ name: 'own_total', help: 'o', registers: [new prom.Registry()] }).inc()
const label = () => prom.register.setDefaultLabels({ zone: 'z' })
const reject = () => new prom.Gauge({ name: 'bad', help: 'b', collect: () => Promise.reject(new Error('no database')) })
const hang = () => new prom.Gauge({ name: 'stuck', help: 's', collect: () => new Promise(() => {}) })
`
const NAMES = '{ inc, observe, set, remove, reserve, own, label, reject, hang }'

function repositoryTop(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}

function makeApps(t: Test): string {
  const packages = join(repositoryTop(), 'node_modules')
  return t.testdir({
    'host.mjs': HOST,
    'app.cjs': `const prom = require('prom-client')\n${BODY}\nmodule.exports = ${NAMES}`,
    'app.mjs': `import prom from 'prom-client'\n${BODY}\nexport ${NAMES}`,
    'successor.cjs': `const prom = require('@prometheus-io/client')\n${BODY}\nmodule.exports = ${NAMES}`,
    'lazy.cjs': `module.exports = { load() { Object.assign(module.exports, require('./app.cjs')) } }`,
    'none.cjs': 'module.exports = {}',
    node_modules: {
      'prom-client': t.fixture('symlink', join(packages, 'prom-client')),
      // The successor has the same interface; it needs Node 22, so prom-client stands in for it.
      '@prometheus-io': { client: t.fixture('symlink', join(packages, 'prom-client')) },
    },
  })
}

interface FromChild {
  families?: MetricFamily[]
  trouble?: string
  loaded?: string[]
  done?: string
}

class App {
  readonly families = new Map<string, MetricFamily>()
  readonly messages: string[][] = []
  readonly troubles: string[] = []
  loaded: string[] = []
  readonly child: ChildProcess
  readonly #done = new EventEmitter()

  constructor(child: ChildProcess, take: (families: MetricFamily[]) => void) {
    this.child = child
    child.on('message', ({ families, trouble, loaded, done }: FromChild) => {
      if (families !== undefined) {
        this.messages.push(families.map(family => family.name).sort())
        for (const family of families) this.families.set(family.name, family)
        take(families)
      }
      if (trouble !== undefined) this.troubles.push(trouble)
      if (loaded !== undefined) this.loaded = loaded
      if (done !== undefined) this.#done.emit(done)
    })
  }

  /** Calls a function of the application, or flushes; everything that it sent has been read when this ends. */
  async call(call: string, ...args: unknown[]): Promise<void> {
    const done = once(this.#done, call)
    this.child.send({ call, args })
    await done
  }

  async start(): Promise<this> {
    await once(this.#done, 'start')
    return this
  }

  value(name: string): unknown {
    return this.families
      .get(name)
      ?.values.map(({ labels, value }) => [...Object.values(labels).sort(), value].join(' '))
  }
}

function startApp(t: Test, folder: string, app: string, env = {}, take: (families: MetricFamily[]) => void = () => {}) {
  // A clean environment: tap would load itself into the application.
  const child = fork(join(folder, 'host.mjs'), [join(folder, app), SHIPPER], { env, execArgv: [] })
  t.teardown(() => child.kill('SIGKILL'))
  return new App(child, take).start()
}

const apps: [string, string][] = [
  ['CommonJS', 'app.cjs'],
  ['an ES module', 'app.mjs'],
  ['the successor of prom-client', 'successor.cjs'],
]

for (const [title, file] of apps) {
  t.test(`ships the metrics of an application: ${title}`, async t => {
    const app = await startApp(t, makeApps(t), file)
    await app.call('inc', '/a', 2)
    await app.call('observe', 0.5)
    await app.call('flush')
    t.same(app.value('calls_total'), ['/a 2'])
    t.same(app.value('seconds'), ['0.1 0', '1 1', '+Inf 1', '0.5', '1'])
    t.match(app.families.get('busy'), { type: 'gauge', aggregator: 'max' })
    t.same(app.troubles, [])
  })
}

t.test('sends by itself within a second or two', async t => {
  const app = await startApp(t, makeApps(t), 'app.cjs')
  await app.call('inc', '/a', 1)
  while (app.value('calls_total') === undefined) await once(app.child, 'message')
  t.same(app.value('calls_total'), ['/a 1'])
})

t.test('sends only what changed, and what vanished once without values', async t => {
  const app = await startApp(t, makeApps(t), 'app.cjs')
  await app.call('flush')
  await app.call('flush')
  await app.call('inc', '/a', 1)
  await app.call('flush')
  await app.call('remove', 'busy')
  await app.call('flush')
  await app.call('flush')
  t.same(app.messages, [['busy', 'calls_total', 'seconds'], ['calls_total'], ['busy']])
  t.same(app.families.get('busy')?.values, [])
})

t.test('never loads prom-client for the application, and sees it once the application did', async t => {
  const folder = makeApps(t)
  const app = await startApp(t, folder, 'lazy.cjs')
  await app.call('flush')
  await app.call('loaded')
  t.ok(app.loaded.length > 0)
  t.notOk(app.loaded.some(path => path.includes('node_modules/prom-client/')))
  t.same(app.messages, [])
  await app.call('load')
  await app.call('flush')
  t.same(app.messages, [['busy', 'calls_total', 'seconds']])
})

t.test('an application without metrics, with families of the host', async t => {
  const app = await startApp(t, makeApps(t), 'none.cjs', { EXTRA: '1' })
  await app.call('flush')
  t.same(app.messages, [['daimyo_host']])
})

t.test('default labels are kept, registries of the application itself are not seen, daimyo_ is reserved', async t => {
  const app = await startApp(t, makeApps(t), 'app.cjs')
  for (const call of ['label', 'own', 'reserve']) await app.call(call)
  await app.call('inc', '/a', 1)
  await app.call('flush')
  t.same(app.value('calls_total'), ['/a z 1'])
  t.same([...app.families.keys()].sort(), ['busy', 'calls_total', 'seconds'])
  t.same(app.troubles, ['metric daimyo_fake_total is not shipped: daimyo_ is reserved'])
})

t.test('a collect() that rejects or hangs costs only its own metric and is told once', async t => {
  const app = await startApp(t, makeApps(t), 'app.cjs')
  for (const call of ['label', 'reject', 'hang']) await app.call(call)
  for (const value of [1, 2, 3]) {
    await app.call('inc', '/a', 1)
    await app.call('flush')
    t.same(app.value('calls_total'), [`/a z ${value}`])
  }
  t.same([...app.families.keys()].sort(), ['busy', 'calls_total', 'seconds'])
  t.same(app.troubles, ['no database', 'bad: no database', 'stuck: collect() takes longer than 1000 ms'])
})

t.test('keeps no process alive and survives a closed channel', async t => {
  const app = await startApp(t, makeApps(t), 'app.cjs')
  app.child.send({ call: 'stop' })
  const [code] = await once(app.child, 'exit')
  t.equal(code, 0)
})

/** Samples of the store's families as `metric labels`. */
function show(store: MetricsStore, name: string): Record<string, number> {
  const family = store.families().families.find(one => one.name === name)
  const samples = family?.values.map(({ metricName = name, labels, value }) => [
    [metricName, ...Object.values(labels)].join(' '),
    value,
  ])
  return Object.fromEntries(samples ?? [])
}

t.test('real workers: sums over processes, death by SIGKILL, replacement, other buckets', async t => {
  const folder = makeApps(t)
  const events: string[] = []
  const store = new MetricsStore({ log: event => void events.push(event) })
  const work = async (id: string, env: Record<string, string>, count: number) => {
    const app = await startApp(t, folder, 'app.mjs', env, families => store.update(id, families))
    await app.call('inc', '/a', count)
    await app.call('observe', 0.1)
    await app.call('set', count)
    await app.call('flush')
    app.child.once('exit', () => store.retire(id))
    return app
  }
  const first = await work('worker-1', {}, 5)
  const second = await work('worker-2', {}, 7)
  t.same(show(store, 'calls_total'), { 'calls_total /a': 12 })
  t.same(show(store, 'busy'), { busy: 7 })
  second.child.kill('SIGKILL')
  await once(second.child, 'exit')
  t.same(show(store, 'calls_total'), { 'calls_total /a': 12 }, 'the dead still count')
  t.same(show(store, 'busy'), { busy: 5 }, 'their gauges do not')
  await work('worker-3', { BUCKETS: '0.1,2' }, 1)
  t.same(show(store, 'calls_total'), { 'calls_total /a': 13 })
  t.match(show(store, 'seconds'), { 'seconds_bucket 1': 2, seconds_count: 2 })
  t.same(show(store, 'daimyo_metrics_conflicts'), { 'daimyo_metrics_conflicts seconds': 1 })
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  t.match(show(store, 'seconds'), { 'seconds_bucket 2': 1, seconds_count: 1 })
  t.same(show(store, 'calls_total'), { 'calls_total /a': 13 })
  t.same(events, ['metrics-conflict'])
})
