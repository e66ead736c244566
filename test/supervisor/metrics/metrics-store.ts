/**
 * What the master remembers of living and dead processes: no sum falls, memory is bounded, nothing is left out in
 * silence.
 */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { MetricFamily } from '../../../kit/channel/metric-family.js'
import type { EventFields } from '../../../kit/log/log.js'
import { MetricsStore, type MetricsStoreOptions } from '../../../supervisor/metrics/metrics-store.js'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

function counter(values: Record<string, number>, name = 'c_total'): MetricFamily {
  return { name, help: 'c', type: 'counter', aggregator: 'sum', values: samples(values) }
}

function gauge(values: Record<string, number>): MetricFamily {
  return { name: 'g', help: 'g', type: 'gauge', aggregator: 'sum', values: samples(values) }
}

function samples(values: Record<string, number>) {
  return Object.entries(values).map(([l, value]) => ({ labels: { l }, value }))
}

function histogram(counts: Record<string, number>): MetricFamily {
  const count = counts['+Inf'] ?? 0
  const buckets = Object.entries(counts).map(([le, value]) => ({ metricName: 'h_bucket', labels: { le }, value }))
  const ends = ['h_sum', 'h_count'].map(metricName => ({ metricName, labels: {}, value: count }))
  return { name: 'h', help: 'h', type: 'histogram', aggregator: 'sum', values: [...buckets, ...ends] }
}

function start(limits: MetricsStoreOptions['limits'] = {}) {
  const events: [string, EventFields][] = []
  const store = new MetricsStore({ limits, log: (event, fields = {}) => void events.push([event, fields]) })
  return { store, events, show: (name?: string) => show(store, name) }
}

/** Samples as `metric label label`, those of one family or of all that are not the store's own. */
function show(store: MetricsStore, name?: string): Record<string, number> {
  const wanted = store
    .families()
    .families.filter(family => (name === undefined ? !family.name.startsWith('daimyo_') : family.name === name))
  const all = wanted.flatMap(family => family.values.map(sample => ({ metricName: family.name, ...sample })))
  return Object.fromEntries(
    all.map(({ metricName, labels, value }) => [[metricName, ...Object.values(labels)].join(' '), value]),
  )
}

t.test('an empty store shows nothing', async t => {
  t.same(start().show(), {})
  t.same(start().store.families().conflicts, [])
})

t.test('a message replaces the families that it names and keeps the others', async t => {
  const { store, show } = start()
  store.update('worker-1', [counter({ a: 1 }), gauge({ a: 5 })])
  store.update('worker-1', [counter({ a: 2 })])
  t.same(show(), { 'c_total a': 2, 'g a': 5 })
})

t.test('a process that is gone leaves its counts and takes its gauges along', async t => {
  const { store, show } = start()
  store.update('worker-1', [counter({ a: 3 }), gauge({ a: 5 }), histogram({ 1: 1, '+Inf': 2 })])
  store.update('worker-2', [counter({ a: 4 }), gauge({ a: 1 })])
  store.retire('worker-1')
  store.retire('worker-1')
  store.retire('worker-unknown')
  const counts = { 'c_total a': 7, 'h_bucket 1': 1, 'h_bucket +Inf': 2, h_sum: 2, h_count: 2 }
  t.same(show(), { ...counts, 'g a': 1 })
  store.retire('worker-2')
  t.same(show(), counts)
})

t.test('a last message that is read after the exit still counts', async t => {
  const { store, show } = start()
  store.update('worker-1', [counter({ a: 3 }), gauge({ a: 1 })])
  store.retire('worker-1')
  store.update('worker-1', [counter({ a: 5 }), gauge({ a: 1 })])
  t.same(show(), { 'c_total a': 5 })
})

t.test('no sum ever falls over 300 replacements of four workers', async t => {
  const { store, show } = start()
  const seconds = [0.1, 0.7, 1e-7, 123.456, 0.3]
  const totals = [0, 0, 0, 0]
  let before = 0
  for (let round = 0; round < 1200; round++) {
    const slot = (round * 7) % 4
    totals[slot] = (totals[slot] ?? 0) + (seconds[round % 5] ?? 0)
    const id = `worker-${slot}-${Math.floor(round / 16)}`
    store.update(id, [counter({ a: totals[slot] ?? 0 })])
    if (round % 16 > 11) {
      store.retire(id)
      totals[slot] = 0
    }
    const now = show()['c_total a'] ?? 0
    if (now < before) t.fail(`fell from ${before} to ${now} in round ${round}`)
    before = now
  }
  t.ok(before > 29_000, `counted up to ${before}`)
})

t.test('a process that resets its own counter or histogram does not make the sum fall', async t => {
  const { store, show } = start()
  store.update('worker-1', [counter({ a: 10 }), histogram({ '+Inf': 10 })])
  store.update('worker-1', [counter({ a: 1 }), histogram({ '+Inf': 2 })])
  t.same(show(), { 'c_total a': 11, 'h_bucket +Inf': 12, h_sum: 12, h_count: 12 })
})

t.test('a label set that was removed stays until the last process removed it', async t => {
  const { store, show } = start()
  store.update('worker-0', [counter({ a: 100 })])
  store.retire('worker-0')
  store.update('worker-1', [counter({ a: 1, b: 1 })])
  store.update('worker-2', [counter({ a: 2 })])
  for (let other = 0; other < 20; other++) {
    store.update(`other-${other}`, [gauge({})])
    store.retire(`other-${other}`)
  }
  store.update('worker-1', [counter({ b: 1 })])
  t.same(show(), { 'c_total a': 103, 'c_total b': 1 }, 'another one has it')
  store.update('worker-2', [counter({})])
  t.same(show(), { 'c_total b': 1 }, 'nobody has it')
})

t.test(
  'a new generation with other buckets: one is shown, it is reported once, the old one ends with its last process',
  async t => {
    const { store, events, show } = start()
    store.update('worker-1', [histogram({ 1: 5, '+Inf': 5 })])
    store.update('worker-2', [histogram({ 1: 5, '+Inf': 5 })])
    store.update('worker-3', [histogram({ 2: 1, '+Inf': 1 })])
    t.match(show(), { 'h_bucket 1': 10, h_count: 10 })
    t.same(show('daimyo_metrics_conflicts'), { 'daimyo_metrics_conflicts h': 1 })
    t.match(store.families().conflicts, [{ name: 'h', differs: 'buckets', kept: '1,+Inf', leftOut: '2,+Inf' }])
    store.retire('worker-1')
    store.retire('worker-2')
    t.match(show(), { 'h_bucket 2': 1, h_count: 1 })
    t.same(show('daimyo_metrics_conflicts'), {})
    store.retire('worker-3')
    t.match(show(), { 'h_bucket 2': 1, h_count: 1 })
    t.same(
      events.map(([event]) => event),
      ['metrics-conflict'],
    )
    t.match(events[0]?.[1], { name: 'h', differs: 'buckets', processes: 1 })
  },
)

t.test('the forms of a name do not pile up over many generations', async t => {
  const { store, events, show } = start({ settledSeries: 100 })
  for (let generation = 1; generation <= 200; generation++) {
    store.update(`worker-${generation}`, [histogram({ [generation]: 1, '+Inf': 1 })])
    store.retire(`worker-${generation - 1}`)
  }
  t.match(show(), { 'h_bucket 200': 1, h_count: 1 })
  t.same(events, [], 'they never met at a scrape, and nothing was lost')
})

t.test('a conflict that ended and comes back is told again', async t => {
  const { store, events } = start()
  store.update('worker-1', [counter({ a: 1 }, 'x')])
  for (const id of ['worker-2', 'worker-3']) {
    store.update(id, [{ ...counter({ a: 1 }, 'x'), type: 'gauge' }])
    store.families()
    store.families()
    store.retire(id)
    store.families()
  }
  t.equal(events.length, 2)
})

t.test('series past the limit of a process are left out, counted and told once', async t => {
  const { store, events, show } = start({ seriesPerSource: 3 })
  store.update('worker-1', [counter({ a: 1, b: 1 }), gauge({ a: 1, b: 1, c: 1 })])
  store.update('worker-1', [gauge({ a: 2, b: 2, c: 2 })])
  t.same(show(), { 'c_total a': 1, 'c_total b': 1, 'g a': 2 })
  t.same(show('daimyo_metrics_series_left_out'), { 'daimyo_metrics_series_left_out g limit': 2 })
  t.equal(events.length, 1)
  t.match(events[0], [
    'metrics-left-out',
    { source: 'worker-1', name: 'g', series: 2, why: 'over 3 series or 2097152 bytes in one process' },
  ])
  store.update('worker-1', [gauge({ a: 2 })])
  t.same(show('daimyo_metrics_series_left_out'), {})
})

t.test('ever new label values of short-lived workers fill no memory', async t => {
  const { store, events, show } = start({ settledSeries: 5 })
  for (let id = 0; id < 40; id++) {
    store.update(`worker-${id}`, [counter({ [`user-${id}`]: 1 })])
    store.retire(`worker-${id}`)
  }
  t.equal(Object.keys(show()).length, 5 + 16, 'the settled ones and those that may still send')
  t.same(show('daimyo_metrics_series_left_out'), { 'daimyo_metrics_series_left_out c_total gone': 19 })
  t.equal(events.length, 1)
})

const hostile: [string, unknown, string[]][] = [
  ['no list', { length: 1 }, []],
  ['null', [null], ['metrics-refused']],
  ['a name that is no name', [{ ...counter({ a: 1 }), name: 'x y\nz' }], ['metrics-refused']],
  ['a malformed sample', [{ ...counter({ a: 1 }), values: [{ labels: 7, value: 1 }] }], ['metrics-left-out']],
]

for (const [title, message, expected] of hostile) {
  t.test(`a child that sends nonsense is harmless: ${title}`, async t => {
    const { store, events, show } = start()
    store.update('worker-1', [gauge({ a: 1 })])
    store.update('worker-1', message as MetricFamily[])
    t.same(show(), { 'g a': 1 })
    t.same(
      events.map(([event]) => event),
      expected,
    )
  })
}

t.test('a counter that is NaN does not poison the sum', async t => {
  const { store, show } = start()
  store.update('worker-1', [counter({ a: 1 })])
  store.update('worker-1', JSON.parse(JSON.stringify([counter({ a: Number.NaN, b: 1 })])))
  store.retire('worker-1')
  t.same(show(), { 'c_total b': 1 })
})

t.test('a worker says nothing in the name of the master or of a proxy', async t => {
  const { store, events, show } = start()
  store.update('proxy-1-1', [counter({ a: 5 }, 'daimyo_requests_total')], 'proxy')
  store.update('worker-1', [
    counter({ a: 1e9 }, 'daimyo_requests_total'),
    { ...gauge({ a: 7 }), name: 'daimyo_workers' },
    { ...histogram({ '+Inf': 1 }), name: 'daimyo', values: [] },
    counter({ a: 1 }),
  ])
  t.same(show('daimyo_requests_total'), { 'daimyo_requests_total a': 5 })
  t.same(show('daimyo_workers'), {})
  t.same(show(), { 'c_total a': 1 }, 'what is its own counts')
  t.same(
    events.map(([event, { name, why }]) => [event, name, why]),
    ['daimyo_requests_total', 'daimyo_workers', 'daimyo'].map(name => [
      'metrics-refused',
      name,
      'the name is reserved',
    ]),
  )
})

t.test('families of dead processes are counted with their help', async t => {
  const { store, show } = start({ settledBytes: 100_000, departedBytes: 100_000 })
  const help = '\u20ac'.repeat(4000)
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  for (let life = 0; life < 100; life++) {
    const families = Array.from({ length: 20 }, (_, at) => ({
      ...counter({ a: 1 }, `f${life}_${at}`),
      help: `${help}${life}`,
    }))
    store.update(`worker-${life}`, JSON.parse(JSON.stringify(families)))
    store.retire(`worker-${life}`)
  }
  store.update('worker-last', [counter({ a: 5 })])
  store.retire('worker-last')
  collectGarbage()
  const grown = process.memoryUsage().heapUsed - before
  t.ok(grown < 3_000_000, `${grown} bytes more`)
  t.same(show('c_total'), { 'c_total a': 5 })
})

t.test('a process that has counted as far as it may hides none that dies later', async t => {
  const { store, show, events } = start()
  store.update('worker-1', [counter({ a: 2 ** 63 })])
  store.retire('worker-1')
  const sumOf = () => show('c_total')['c_total a'] ?? 0
  let before = sumOf()
  for (let life = 2; life < 60; life++) {
    store.update(`worker-${life}`, [counter({ a: 4096 })])
    store.retire(`worker-${life}`)
    t.ok(sumOf() >= before, `${sumOf()} after life ${life}`)
    before = sumOf()
  }
  t.equal(before, 2 ** 63 + 58 * 4096)
  t.same(events, [])
})

t.test('what was refused is remembered by its first characters alone', async t => {
  const { store, events } = start()
  const megabyte = (number: number) => `${number} ${String.fromCharCode(33 + number).repeat(1_000_000)}`
  const families: [title: string, family: (number: number) => unknown][] = [
    ['a name', number => ({ ...counter({ a: 1 }), name: megabyte(number) })],
    ['a type', number => ({ ...counter({ a: 1 }), name: `a${number}`, type: megabyte(number) })],
    ['an aggregator', number => ({ ...counter({ a: 1 }), name: `b${number}`, aggregator: megabyte(number) })],
  ]
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  for (const [, family] of families)
    for (let number = 0; number < 15; number++) store.update('worker-1', [family(number)])
  collectGarbage()
  const grown = process.memoryUsage().heapUsed - before
  t.ok(grown < 2_000_000, `${grown} bytes more`)
  t.equal(events.length, 45)
  t.ok(events.every(([, { name, why }]) => String(name).length <= 100 && String(why).length < 200))
})

const claims: [title: string, claim: MetricFamily][] = [
  ['another type', { ...gauge({ a: 99 }), name: 'c_total' }],
  ['another aggregator', { ...counter({ a: 99 }), aggregator: 'max' }],
  ['`omit`', { ...counter({ a: 99 }), aggregator: 'omit' }],
]

for (const [title, claim] of claims) {
  for (const honest of [3, 1]) {
    t.test(`a worker that claims a name with ${title} hides nobody: against ${honest}`, async t => {
      const { store, events, show } = start()
      for (let id = 1; id <= honest; id++) store.update(`worker-${id}`, [counter({ a: 2 })])
      store.update('worker-9', [claim])
      t.same(show(), { 'c_total a': 2 * honest })
      t.same(show('daimyo_metrics_conflicts'), { 'daimyo_metrics_conflicts c_total': 1 })
      t.match(events, [['metrics-conflict', { name: 'c_total' }]])
    })
  }
}

t.test('what the dead have counted outlives a claim while none of them lives', async t => {
  const { store, show } = start()
  store.update('worker-1', [counter({ a: 5 })])
  store.retire('worker-1')
  for (let id = 100; id < 140; id++) {
    store.update(`worker-${id}`, [{ ...histogram({ '+Inf': 1 }), name: 'c_total', values: claimed() }])
    store.retire(`worker-${id}`)
  }
  store.update('worker-200', [{ ...histogram({ '+Inf': 1 }), name: 'c_total', values: claimed() }])
  store.update('worker-2', [counter({ a: 1 })])
  store.update('worker-3', [counter({ a: 1 })])
  t.match(show(), { 'c_total a': 7 })
})

/** A histogram that has a counter's name. */
function claimed(): MetricFamily['values'] {
  return histogram({ '+Inf': 1 }).values.map(sample => ({
    ...sample,
    metricName: `c_total${sample.metricName?.slice(1)}`,
  }))
}

t.test('a family that takes a name of a histogram’s own is left out and reported', async t => {
  const { store, show } = start()
  for (const id of ['worker-1', 'worker-2']) store.update(id, [histogram({ '+Inf': 2 })])
  store.update('worker-3', [counter({ a: 9 }, 'h_count')])
  t.same(show(), { 'h_bucket +Inf': 4, h_sum: 4, h_count: 4 })
  t.same(show('daimyo_metrics_conflicts'), { 'daimyo_metrics_conflicts h_count': 1 })
  for (const id of ['worker-4', 'worker-5']) store.update(id, [counter({ a: 1 }, 'h_count')])
  t.same(show(), { 'h_count a': 11 }, 'the one that more processes have is shown')
})

t.test('bytes past the limit of a process are left out, counted and told', async t => {
  const { store, events, show } = start({ bytesPerSource: 3000 })
  store.update('worker-1', [counter({ a: 1, ['x'.repeat(4000)]: 1 }), gauge({ a: 5 })])
  t.same(show(), { 'c_total a': 1, 'g a': 5 })
  t.same(show('daimyo_metrics_series_left_out'), { 'daimyo_metrics_series_left_out c_total limit': 1 })
  t.match(events, [['metrics-left-out', { source: 'worker-1', name: 'c_total' }]])
  for (let at = 0; at < 100; at++) store.update('worker-1', [gauge({ ['y'.repeat(1000 + at)]: at })])
  t.equal(show('g')[`g ${'y'.repeat(1099)}`], 99, 'room is given back')
})

t.test('what dead processes leave is bounded in bytes too', async t => {
  const { store, show } = start({ settledBytes: 5000, departedBytes: 5000 })
  for (let id = 0; id < 40; id++) {
    store.update(`worker-${id}`, [counter({ [String(id).padEnd(1000, 'x')]: 1 })])
    store.retire(`worker-${id}`)
  }
  t.ok(Object.keys(show()).length <= 10, `${Object.keys(show()).length} series of 1,000 bytes are kept`)
})

t.test('a worker that dies again and again with new series takes no room from the others', async t => {
  const { store, show } = start({ settledSeries: 50, departedBytes: 0 })
  store.update('worker-live', [counter({ a: 1 })])
  for (let id = 0; id < 30; id++) {
    store.update(`junk-${id}`, [counter(Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`${id}-${at}`, 1])))])
    store.retire(`junk-${id}`)
  }
  store.update('worker-honest', [counter({ a: 7 })])
  store.retire('worker-honest')
  t.equal(show()['c_total a'], 8)
})

t.test('a message of many families, or samples, is looked at in part, and told once', async t => {
  const { store, events } = start({ samplesPerMessage: 200, familiesPerMessage: 100 })
  let looked = 0
  const sample = {
    get value() {
      looked += 1
      return 1
    },
  }
  store.update(
    'worker-1',
    [1, 2, 3].map(at => ({ ...counter({}, `c_${at}`), values: Array(1000).fill(sample) })),
  )
  t.ok(looked <= 400, `${looked} looks at the values of 3,000 samples`)
  looked = 0
  const nameless = {
    get name() {
      looked += 1
      return 7
    },
  }
  store.update('worker-1', Array(5000).fill(nameless))
  t.ok(looked <= 300, `${looked} looks at the names of 5,000 families`)
  t.same(
    events.map(([event, { name }]) => [event, name]),
    [
      ['metrics-left-out', 'c_1'],
      ['metrics-left-out', 'c_2'],
      ['metrics-left-out', 'c_3'],
      ['metrics-refused', 'a value of type number'],
      ['metrics-left-out', undefined],
    ],
  )
})

t.test('what a page is printed from does not change while processes die and reset', async t => {
  const { store } = start({ departedBytes: 0 })
  store.update('worker-1', [counter({ a: 1 })])
  store.retire('worker-1')
  store.update('worker-2', [counter({ a: 2 })])
  const { live, gone } = store.snapshot()
  store.update('worker-2', [counter({ a: 1 })])
  store.retire('worker-2')
  const sum = [...live.flat(), ...gone]
    .flatMap(table => [...table.rows.values()])
    .reduce((all, row) => all + (row.values[0] ?? 0), 0)
  t.equal(sum, 3, 'neither twice nor gone')
})

t.test('a conflict that comes and goes fills no log', async t => {
  const { store, events } = start()
  for (let at = 0; at < 300; at++) {
    store.update('worker-1', [counter({ a: 1 })])
    store.update('worker-2', [{ ...gauge({ a: 1 }), name: 'c_total' }])
    store.families()
    store.update('worker-2', [{ ...gauge({}), name: 'c_total' }])
    store.families()
  }
  const told = events.filter(([event]) => event === 'metrics-conflict').length
  t.ok(told > 1 && told < 60, `${told} times`)
})

t.test('one value cannot hide what the others count: it is refused for its process alone, and told once', async t => {
  for (const value of [1e300, 2 ** 70, 2 ** 63 + 4096]) {
    const { store, show, events } = start()
    store.update('worker-1', [counter({ a: 1 })])
    for (let message = 0; message < 3; message++) store.update('worker-2', [counter({ a: value, b: 7 })])
    store.update('worker-1', [counter({ a: 2 })])
    t.same(show(), { 'c_total a': 2, 'c_total b': 7 }, `${value}`)
    t.match(events, [
      ['metrics-left-out', { source: 'worker-2', name: 'c_total', series: 1, why: 'malformed samples' }],
    ])
    t.equal(events.length, 1)
  }
})

t.test('nor can a process by resets, or one after the other by their ends', async t => {
  const { store, show } = start()
  store.update('worker-1', [counter({ a: 1 })])
  for (let round = 0; round < 5; round++)
    for (const value of [2 ** 63, 0]) store.update('worker-2', [counter({ a: value })])
  store.update('worker-1', [counter({ a: 2 })])
  t.equal(show()['c_total a'], 5 * 2 ** 63 + 2)
  for (let life = 3; life < 1100; life++) {
    store.update(`worker-${life}`, [counter({ b: 2 ** 63 })])
    store.retire(`worker-${life}`)
  }
  t.ok((show()['c_total b'] ?? 0) <= (1024 + 16) * 2 ** 63, 'the sum of what is gone has a bound too')
  const lost = show('daimyo_metrics_series_left_out')['daimyo_metrics_series_left_out c_total gone'] ?? 0
  t.ok(lost > 0, `${lost} are counted as lost`)
})

t.test('a message costs what it makes the master do', async t => {
  const many = (value: number, from = 0, name?: string) =>
    counter(Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`l${from + at}`, value])), name)
  const { store } = start()
  const costs: [string, unknown, number][] = [
    ['no list', 7, 0],
    ['the first one', [many(5)], 3 + 100 + 200],
    ['the same label sets', [many(6)], 3 + 100],
    ['resets', [many(1)], 3 + 100 + 300],
    ['other label sets', [many(1, 100)], 3 + 100 + 200 + 300],
    ['families without samples', Array.from({ length: 10 }, (_, at) => counter({}, `c${at}`)), 30],
    ['a refused one', [{ ...many(1), type: 'x' }], 3],
  ]
  for (const [title, families, cost] of costs) t.equal(store.update('worker-1', families), cost, title)
})

t.test('label sets of many short labels take little more memory than their text', t => {
  const { store } = start()
  const labels = (at: number) =>
    Object.fromEntries([['z', String(at)], ...Array.from({ length: 30 }, (_, label) => [`l${label}`, '1'])])
  const message = JSON.stringify([
    {
      name: 'c',
      help: '',
      type: 'counter',
      values: Array.from({ length: 5000 }, (_, at) => ({ labels: labels(at), value: 1 })),
    },
  ])
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  store.update('worker-1', JSON.parse(message))
  collectGarbage()
  const held = process.memoryUsage().heapUsed - before
  t.ok(held < 4 * message.length, `${held} bytes for a message of ${message.length}`)
  t.end()
})
