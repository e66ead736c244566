/** What a process may send, and what of it the master believes. */

import t from 'tap'
import { boundsOf, familyOf, readTable, seriesOf, type TableReading } from '../../../supervisor/metrics/family-table.js'

function read(raw: unknown, limit?: number): Exclude<TableReading, { refused: string }> {
  const reading = readTable(raw, limit === undefined ? {} : { series: limit })
  if ('refused' in reading) throw new Error(reading.refused)
  return reading
}

const histogram = (labels: object, counts: number[], bounds: unknown[] = [0.1, 1, '+Inf']) => ({
  name: 'h',
  help: 'h',
  type: 'histogram',
  aggregator: 'sum',
  values: [
    ...bounds.map((le, at) => ({ metricName: 'h_bucket', labels: { le, ...labels }, value: counts[at] })),
    { metricName: 'h_sum', labels, value: 1.5 },
    { metricName: 'h_count', labels, value: counts.at(-1) },
  ],
})
const gauge = (labels: unknown, value: unknown, type = 'gauge') => {
  return { name: 'g', help: 'g', type, aggregator: 'sum', values: [{ labels, value }] }
}

const refused: [string, unknown, string][] = [
  ['null', null, 'not an object'],
  ['an array', [], 'not an object'],
  ['no name', { help: '', type: 'gauge', values: [] }, 'not a metric name'],
  ['a name that forges a line', { name: 'a 1\nb', help: '', type: 'gauge', values: [] }, 'not a metric name'],
  ['an endless name', { name: 'a'.repeat(257), help: '', type: 'gauge', values: [] }, 'not a metric name'],
  ['no help', { name: 'a', type: 'gauge', values: [] }, 'no help text or one of over 4096 characters'],
  ['an unknown type', { name: 'a', help: '', type: 'info', values: [] }, 'unknown type info'],
  [
    'an unknown aggregator',
    { name: 'a', help: '', type: 'gauge', aggregator: 'p99', values: [] },
    'unknown aggregator p99',
  ],
  ['no values', { name: 'a', help: '', type: 'gauge' }, 'no values'],
  [
    'a type that cannot be printed',
    { name: 'a', help: '', type: { toString: 1 }, values: [] },
    'unknown type a value of type object',
  ],
  [
    'an aggregator that cannot be printed',
    { name: 'a', help: '', type: 'gauge', aggregator: { toString: null, valueOf: 3 }, values: [] },
    'unknown aggregator a value of type object',
  ],
  ['a help text that ends the page', { name: 'a', help: 'a\0b', type: 'gauge', values: [] }, 'a help text with NUL'],
  ['600 buckets', histogram({}, Array(601).fill(1), [...Array(600).keys(), '+Inf']), 'over 500 buckets or quantiles'],
]

for (const [title, raw, why] of refused) {
  t.test(`refuses a family: ${title}`, async t => t.same(readTable(raw), { refused: why }))
}

const malformed: [string, unknown][] = [
  ['a sample that is no object', { ...gauge({}, 1), values: [7] }],
  ['a value that is text', gauge({}, '1')],
  ['a label name with a quote', gauge({ 'a"': 'x' }, 1)],
  ['a reserved label name', gauge(JSON.parse('{"__proto__":"x"}'), 1)],
  ['a label that is an object', gauge({ a: {} }, 1)],
  ['labels that are an array', gauge(['a'], 1)],
  ['a label value of 5,000 characters', gauge({ a: 'x'.repeat(5000) }, 1)],
  ['a counter that is NaN', gauge({}, null, 'counter')],
  ['a counter that is infinite', gauge({}, Number.POSITIVE_INFINITY, 'counter')],
  ['a sample of another metric', { ...gauge({}, 1), values: [{ metricName: 'x', labels: {}, value: 1 }] }],
  ['a counter below zero', gauge({}, -1, 'counter')],
  ['a counter that would overflow the sum', gauge({}, 1e308, 'counter')],
  ['a counter beside which others are lost', gauge({}, 2 ** 63 + 4096, 'counter')],
  ['a bucket of that size', histogram({}, [1, 2, 2 ** 70])],
  [
    'two samples that are so only together',
    { ...gauge({}, 1, 'counter'), values: [1, 2].map(() => ({ labels: {}, value: 2 ** 62 + 4096 })) },
  ],
  ['a bucket below zero', histogram({}, [-1, 2, 3])],
  ['a label value that ends the page', gauge({ a: 'x\0' }, 1)],
  ['100,000 labels', gauge(Object.fromEntries(Array.from({ length: 100_000 }, (_, at) => [`l${at}`, 'x'])), 1)],
  ['a histogram without +Inf', histogram({}, [1, 2], [0.1, 1])],
  ['a bucket bound that forges a line', histogram({}, [1], ['1"} 1\nx{a="'])],
  [
    'a histogram without its count',
    { ...histogram({}, [1, 2, 3]), values: histogram({}, [1, 2, 3]).values.slice(0, -1) },
  ],
]

for (const [title, raw] of malformed) {
  t.test(`refuses samples: ${title}`, async t => {
    const reading = read(raw)
    t.equal(reading.table.rows.size, 0)
    t.ok(reading.malformed > 0, 'and says so')
  })
}

t.test('keeps the good samples beside a bad one', async t => {
  const reading = read({ ...gauge({}, 1), values: [{ labels: {}, value: 4 }, null] })
  t.same(familyOf(reading.table).values, [{ labels: {}, value: 4 }])
  t.equal(reading.malformed, 1)
})

t.test('puts a histogram in order, whatever order it came in', async t => {
  const raw = histogram({ b: 'x', a: 2 }, [1, 2, 3])
  const reading = read({ ...raw, values: raw.values.reverse() })
  t.equal(boundsOf(reading.table), '0.1,1,+Inf')
  t.same([...reading.table.rows.values()][0], {
    text: 'a="2",b="x"',
    values: [1, 2, 3, 1.5, 3],
  })
  t.match(familyOf(reading.table).values[0], { labels: { a: '2', b: 'x', le: '0.1' } })
})

t.test('reads bounds as numbers', async t => {
  const reading = read(histogram({}, [1, 2, 3], ['0.10', 1, '+Inf']))
  t.match(reading, { table: { columns: [{ bound: '0.1' }, { bound: '1' }, { bound: '+Inf' }] } })
})

t.test('an empty label is no label, and 1 is the same as "1"', async t => {
  const values = [
    { labels: { a: 1, b: '' }, value: 1 },
    { labels: { a: '1' }, value: 2 },
  ]
  const reading = read({ ...gauge({}, 1, 'counter'), values })
  t.same(familyOf(reading.table).values, [{ labels: { a: '1' }, value: 3 }])
})

t.test('label sets that look alike when joined stay apart', async t => {
  const values = [
    { labels: { a: '1,b=1:2' }, value: 1 },
    { labels: { a: '1', b: '2' }, value: 2 },
  ]
  t.equal(read({ ...gauge({}, 1), values }).table.rows.size, 2)
})

t.test('null, which is what JSON makes of NaN, is NaN in a gauge', async t => {
  const reading = read(JSON.parse(JSON.stringify(gauge({}, Number.NaN))))
  t.same(familyOf(reading.table).values, [{ labels: {}, value: Number.NaN }])
})

t.test('keeps whole label sets up to the limit, the first ones, and counts the rest', async t => {
  const values = ['a', 'b', 'c'].flatMap(name => histogram({ name }, [1, 1, 1]).values)
  const reading = read({ ...histogram({}, []), values }, 12)
  t.same([...reading.table.rows.keys()], ['name=1:a,', 'name=1:b,'])
  t.equal(seriesOf(reading.table), 10)
  t.equal(reading.excess, 5)
})

t.test('bytes are counted as printed: each column of a histogram repeats the labels', async t => {
  const reading = read(histogram({ a: 'x'.repeat(1000) }, [1, 2, 3]))
  t.ok(reading.table.bytes > 5000, `${reading.table.bytes} bytes for five lines`)
  t.ok(reading.table.bytes < 5600)
  const twoBytes = read(gauge({ a: 'é'.repeat(1000) }, 1))
  t.ok(twoBytes.table.bytes > 2000, 'of UTF-8')
})

t.test('keeps rows up to the bytes, and counts the rest', async t => {
  const values = ['a', 'b', 'c'].map(name => ({ labels: { name: name.repeat(1000) }, value: 1 }))
  const reading = readTable({ ...gauge({}, 1), values }, { bytes: 2500 })
  t.match(reading, { excess: 1 })
  t.equal('table' in reading && reading.table.rows.size, 2)
})

t.test('looks at so many samples and no more', async t => {
  const values = Array.from({ length: 10 }, (_, at) => ({ labels: { at }, value: 1 }))
  const reading = readTable({ ...gauge({}, 1), values }, { samples: 4 })
  t.match(reading, { looked: 4, excess: 6 })
  t.equal('table' in reading && reading.table.rows.size, 4)
})

t.test('names that mean something to JavaScript are names like others', async t => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const labels = name === '__proto__' ? {} : JSON.parse(`{"${name}":"x"}`)
    const reading = read({ ...gauge(labels, 1), name })
    t.same(familyOf(reading.table).values, [{ labels, value: 1 }], name)
  }
})

t.test('two label values that print alike are one series', async t => {
  const values = ['\ud800', '\ud801'].map(a => ({ labels: { a }, value: 1 }))
  t.equal(read({ ...gauge({}, 1, 'counter'), values }).table.rows.size, 1)
})

t.test('no JSON value, at any place, makes it throw', async t => {
  const odd: unknown[] = [
    null,
    0,
    -0,
    1e308,
    '',
    'x',
    '__proto__',
    true,
    [],
    [[]],
    {},
    { toString: 1 },
    [null],
    { length: 9 },
  ]
  const good = histogram({ a: 'x' }, [1, 2, 3])
  const shapes = (value: unknown) => [
    value,
    ...['name', 'help', 'type', 'aggregator', 'values'].map(key => ({ ...good, [key]: value })),
    { ...good, values: [value] },
    ...['metricName', 'labels', 'value'].map(key => ({ ...good, values: [{ ...good.values[0], [key]: value }] })),
    { ...good, values: [{ ...good.values[0], labels: { a: value, le: value } }] },
  ]
  for (const value of odd)
    for (const shape of shapes(value)) t.doesNotThrow(() => readTable(shape), JSON.stringify(shape))
})

t.test('rows that have few of many columns cost no more than their samples', async t => {
  const quantiles = Array.from({ length: 498 }, (_, at) => ({ labels: { quantile: String(at / 1000) }, value: 1 }))
  const rowsOf = (...suffixes: string[]) =>
    Array.from({ length: 19_000 / suffixes.length }, (_, a) =>
      suffixes.map(suffix => ({ metricName: `s${suffix}`, labels: { a }, value: 1 })),
    ).flat()
  const summary = (values: object[]) => ({ name: 's', help: '', type: 'summary', aggregator: 'sum', values })
  const cpuOf = (raw: object) => {
    const before = process.cpuUsage()
    const reading = readTable(raw, { series: 10_000 })
    const { user, system } = process.cpuUsage(before)
    return { reading, micros: user + system }
  }
  const plain = cpuOf({ ...gauge({}, 1), values: rowsOf('').map(({ labels, value }) => ({ labels, value })) })
  const lacking = cpuOf(summary([...quantiles, ...rowsOf('_count')]))
  t.match(lacking.reading, { malformed: 19_498, excess: 0 })
  const whole = cpuOf(summary([...quantiles, ...rowsOf('_sum', '_count')]))
  t.equal('table' in whole.reading && whole.reading.table.rows.size, 20)
  for (const { micros } of [lacking, whole]) t.ok(micros < 10 * plain.micros, `${micros} us, and ${plain.micros}`)
})
