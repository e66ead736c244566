/** How the same metric of several processes becomes one. */

import t from 'tap'
import type { Aggregator, MetricFamily, MetricType } from '../../../kit/channel/metric-family.js'
import { type FamilyTable, familyOf, readTable } from '../../../supervisor/metrics/family-table.js'
import { mergeFamilies } from '../../../supervisor/metrics/merge-families.js'

function table(raw: MetricFamily): FamilyTable {
  const reading = readTable(raw)
  if ('refused' in reading || reading.malformed > 0) throw new Error(`bad test input ${raw.name}`)
  return reading.table
}

function single(type: MetricType, aggregator: Aggregator, values: Record<string, number>): FamilyTable {
  const samples = Object.entries(values).map(([l, value]) => ({ labels: { l }, value }))
  return table({ name: 'm', help: 'm', type, aggregator, values: samples })
}

function histogram(counts: Record<string, number>, sum: number): FamilyTable {
  const buckets = Object.entries(counts).map(([le, value]) => ({ metricName: 'm_bucket', labels: { le }, value }))
  const count = counts['+Inf'] ?? 0
  const values = [
    ...buckets,
    { metricName: 'm_sum', labels: {}, value: sum },
    { metricName: 'm_count', labels: {}, value: count },
  ]
  return table({ name: 'm', help: 'm', type: 'histogram', aggregator: 'sum', values })
}

function summary(quantile: number, sum: number, count: number): FamilyTable {
  const values: MetricFamily['values'] = [
    { labels: { quantile: 0.5 }, value: quantile },
    { metricName: 'm_sum', labels: {}, value: sum },
    { metricName: 'm_count', labels: {}, value: count },
  ]
  return table({ name: 'm', help: 'm', type: 'summary', aggregator: 'sum', values })
}

function show(live: FamilyTable[], retired: FamilyTable[] = []): Record<string, number> {
  const merged = mergeFamilies(
    live.map(one => [one]),
    retired,
  )
  const samples = merged.tables.map(familyOf).flatMap(family => family.values)
  return Object.fromEntries(
    samples.map(({ metricName = 'm', labels, value }) => [
      `${metricName} ${Object.values(labels).join()}`.trim(),
      value,
    ]),
  )
}

const cases: [string, FamilyTable[], FamilyTable[], Record<string, number>][] = [
  ['nothing', [], [], {}],
  [
    'counters add up per label set',
    [single('counter', 'sum', { a: 1, b: 2 }), single('counter', 'sum', { b: 3 })],
    [],
    { 'm a': 1, 'm b': 5 },
  ],
  [
    'counters add up whatever their aggregator says',
    [single('counter', 'max', { a: 1 }), single('counter', 'max', { a: 5 })],
    [],
    { 'm a': 6 },
  ],
  [
    'the dead count',
    [single('counter', 'sum', { a: 1 })],
    [single('counter', 'sum', { a: 10, z: 4 })],
    { 'm a': 11, 'm z': 4 },
  ],
  ['also alone', [], [single('counter', 'sum', { a: 10 })], { 'm a': 10 }],
  ['gauge sum', [single('gauge', 'sum', { a: 1 }), single('gauge', 'sum', { a: 5, b: 1 })], [], { 'm a': 6, 'm b': 1 }],
  [
    'gauge first',
    [single('gauge', 'first', { a: 1 }), single('gauge', 'first', { a: 5, b: 1 })],
    [],
    { 'm a': 1, 'm b': 1 },
  ],
  ['gauge min', [single('gauge', 'min', { a: 7 }), single('gauge', 'min', { a: -5 })], [], { 'm a': -5 }],
  ['gauge max', [single('gauge', 'max', { a: -7 }), single('gauge', 'max', { a: -5 })], [], { 'm a': -5 }],
  [
    'gauge average, over the processes that have the label set',
    [single('gauge', 'average', { a: 1 }), single('gauge', 'average', { a: 4, b: 9 })],
    [],
    { 'm a': 2.5, 'm b': 9 },
  ],
  ['omit leaves a gauge out', [single('gauge', 'omit', { a: 1 })], [], {}],
  ['omit leaves a counter out', [single('counter', 'omit', { a: 1 })], [], {}],
  [
    'histograms add up',
    [histogram({ 1: 1, '+Inf': 2 }, 5), histogram({ 1: 2, '+Inf': 2 }, 1)],
    [histogram({ 1: 10, '+Inf': 10 }, 1)],
    { 'm_bucket 1': 13, 'm_bucket +Inf': 14, m_sum: 7, m_count: 14 },
  ],
  [
    'a summary of one living process keeps its quantile',
    [summary(0.2, 3, 4)],
    [summary(9, 1, 1)],
    { 'm 0.5': 0.2, m_sum: 4, m_count: 5 },
  ],
  ['quantiles of two are not blended', [summary(0.2, 3, 4), summary(0.4, 1, 1)], [], { m_sum: 4, m_count: 5 }],
  ['quantiles of the dead are forgotten', [], [summary(0.2, 3, 4)], { m_sum: 3, m_count: 4 }],
]

for (const [title, live, retired, expected] of cases) t.test(title, async t => t.same(show(live, retired), expected))

const narrow = histogram({ 1: 1, '+Inf': 1 }, 1)
const wide = histogram({ 1: 1, 2: 1, '+Inf': 1 }, 1)
const conflicts: [string, FamilyTable[], object, Record<string, number>][] = [
  [
    'the majority of bucket bounds is shown',
    [narrow, wide, wide],
    { differs: 'buckets', kept: '1,2,+Inf', leftOut: '1,+Inf', processes: 1 },
    { 'm_bucket 1': 2, 'm_bucket 2': 2, 'm_bucket +Inf': 2, m_sum: 2, m_count: 2 },
  ],
  [
    'the first of two is shown',
    [narrow, wide],
    { differs: 'buckets', kept: '1,+Inf', leftOut: '1,2,+Inf', processes: 1 },
    { 'm_bucket 1': 1, 'm_bucket +Inf': 1, m_sum: 1, m_count: 1 },
  ],
  [
    'types differ',
    [single('gauge', 'sum', { a: 1 }), single('counter', 'sum', { a: 2 })],
    { differs: 'type', kept: 'gauge', leftOut: 'counter', processes: 1 },
    { 'm a': 1 },
  ],
  [
    'aggregators differ',
    [single('gauge', 'min', { a: 1 }), single('gauge', 'max', { a: 2 }), single('gauge', 'sum', { a: 3 })],
    { differs: 'aggregator', kept: 'min', leftOut: 'max', processes: 2 },
    { 'm a': 1 },
  ],
]

for (const [title, live, conflict, expected] of conflicts) {
  t.test(`conflict: ${title}`, async t => {
    const merged = mergeFamilies(
      live.map(one => [one]),
      [],
    )
    t.same(merged.conflicts, [{ name: 'm', ...conflict }])
    t.same(show(live), expected)
  })
}

t.test('a family without samples is in conflict with nothing', async t => {
  const empty = table({ name: 'm', help: '', type: 'gauge', aggregator: 'sum', values: [] })
  t.same(mergeFamilies([[empty], [narrow]], []).conflicts, [])
})

t.test('what the dead left in another form neither shows nor votes', async t => {
  const merged = mergeFamilies([[narrow]], [wide, wide])
  t.same(merged.conflicts, [])
  t.same(show([narrow], [wide, wide]), show([narrow]))
})

t.test('help texts may differ', async t => {
  t.same(mergeFamilies([[narrow], [{ ...narrow, help: 'other' }]], []).conflicts, [])
})
