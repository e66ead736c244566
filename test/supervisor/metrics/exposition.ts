/** The text format, and that the real promtool accepts it. */

import { spawnSync } from 'node:child_process'
import { Counter, Gauge, Histogram, Registry, Summary } from 'prom-client'
import t from 'tap'
import type { MetricFamily } from '../../../kit/channel/metric-family.js'
import { EXPOSITION_TYPE, printExposition } from '../../../supervisor/metrics/exposition.js'
import { masterFamilies } from '../../../supervisor/metrics/master-families.js'
import { MetricsStore } from '../../../supervisor/metrics/metrics-store.js'

function gauge(name: string, values: MetricFamily['values'], help = 'h'): MetricFamily {
  return { name, help, type: 'gauge', aggregator: 'sum', values }
}

const head = '# HELP g h\n# TYPE g gauge\n'
const cases: [string, MetricFamily[], string][] = [
  ['nothing', [], ''],
  ['no labels', [gauge('g', [{ labels: {}, value: 1.5 }])], `${head}g 1.5\n`],
  ['labels in order', [gauge('g', [{ labels: { b: 'x', a: 1 }, value: 1 }])], `${head}g{a="1",b="x"} 1\n`],
  ['NaN', [gauge('g', [{ labels: {}, value: Number.NaN }])], `${head}g NaN\n`],
  ['infinity', [gauge('g', [{ labels: {}, value: Number.POSITIVE_INFINITY }])], `${head}g +Inf\n`],
  ['minus infinity', [gauge('g', [{ labels: {}, value: Number.NEGATIVE_INFINITY }])], `${head}g -Inf\n`],
  [
    'large and small',
    [
      gauge('g', [
        { labels: {}, value: 1e21 },
        { labels: { a: 'x' }, value: 5e-7 },
      ]),
    ],
    `${head}g 1e+21\ng{a="x"} 5e-7\n`,
  ],
  ['escapes in labels', [gauge('g', [{ labels: { a: 'q"b\\s\nn' }, value: 1 }])], `${head}g{a="q\\"b\\\\s\\nn"} 1\n`],
  [
    'escapes in help',
    [gauge('g', [{ labels: {}, value: 1 }], 'a\\b\n"c"')],
    '# HELP g a\\\\b\\n"c"\n# TYPE g gauge\ng 1\n',
  ],
  ['a family without values', [gauge('g', [])], ''],
  [
    'a name given twice is printed once',
    [gauge('g', [{ labels: {}, value: 1 }]), gauge('g', [{ labels: {}, value: 2 }])],
    `${head}g 1\n`,
  ],
  ['a family that cannot be printed', [gauge('g g', [{ labels: {}, value: 1 }])], ''],
  [
    'a histogram in order',
    [
      {
        name: 'h',
        help: 'h',
        type: 'histogram',
        aggregator: 'sum',
        values: [
          { metricName: 'h_count', labels: { a: 'x' }, value: 3 },
          { metricName: 'h_bucket', labels: { a: 'x', le: '+Inf' }, value: 3 },
          { metricName: 'h_bucket', labels: { a: 'x', le: 10 }, value: 2 },
          { metricName: 'h_sum', labels: { a: 'x' }, value: 40 },
          { metricName: 'h_bucket', labels: { a: 'x', le: 5 }, value: 1 },
        ],
      },
    ],
    '# HELP h h\n# TYPE h histogram\nh_bucket{a="x",le="5"} 1\nh_bucket{a="x",le="10"} 2\nh_bucket{a="x",le="+Inf"} 3\nh_sum{a="x"} 40\nh_count{a="x"} 3\n',
  ],
]

for (const [title, families, expected] of cases) t.test(title, async t => t.equal(printExposition(families), expected))

t.test('the content type is that of the format', async t =>
  t.equal(EXPOSITION_TYPE, 'text/plain; version=0.0.4; charset=utf-8'),
)

/** A registry as an application has it, with awkward values. */
async function applicationFamilies(): Promise<MetricFamily[]> {
  const registers = [new Registry()]
  const counter = new Counter({ name: 'app_calls_total', help: 'calls', labelNames: ['path', 'code'], registers })
  counter.inc({ path: '/a"b\\c\nd\u2603', code: 200 }, 3)
  new Gauge({ name: 'app_temperature_celsius', help: 'a\\b\nc', registers }).set(Number.NaN)
  new Histogram({ name: 'app_seconds', help: 'time', labelNames: ['a'], registers }).observe({ a: 'x' }, 0.3)
  new Summary({ name: 'app_size_bytes', help: 'size', registers }).observe(4)
  return JSON.parse(JSON.stringify(await registers[0]?.getMetricsAsJSON()))
}

const hasPromtool = spawnSync('promtool', ['--version']).error === undefined

t.test(
  'promtool accepts everything, without a lint',
  { skip: !hasPromtool && 'promtool is missing: apt install prometheus' },
  async t => {
    const store = new MetricsStore({ log: () => {}, limits: { seriesPerSource: 80 } })
    const families = await applicationFamilies()
    for (const id of ['worker-1', 'worker-2', 'worker-3']) store.update(id, families)
    store.update('worker-4', [
      { name: 'app_seconds', help: 'x', type: 'gauge', aggregator: 'sum', values: [{ labels: {}, value: 1 }] },
    ])
    const many = Array.from({ length: 100 }, (_, id) => ({ labels: { id }, value: id }))
    store.update('worker-4', [gauge('app_many', many)])
    store.retire('worker-1')
    const workers = [1, 2].map(slot => ({ slot, phase: 'ready', up: true, rssBytes: 1e8, lagMs: 0.5 }))
    const own = masterFamilies({
      version: '0.1.0',
      nodeVersion: process.version,
      startedMs: Date.now(),
      generation: 1,
      workersWanted: 2,
      phases: ['ready'],
      workers,
      slots: [1, 2],
      proxies: 1,
      restarts: { crash: 1 },
      reloads: { done: 1 },
      cpuSecondsBySlot: new Map([[1, 0.25]]),
    })
    const text = printExposition([...own, ...store.families().families])
    const wanted = [
      /^app_seconds_bucket\{a="x",le="\+Inf"\} 3$/m,
      /^daimyo_metrics_conflicts\{name="app_seconds"\} 1$/m,
      /^daimyo_worker_up/m,
    ]
    for (const line of wanted) t.match(text, line)
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
    t.same({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' })
    t.equal(spawnSync('promtool', ['check', 'metrics'], { input: `${text}x{ 1\n` }).status, 1, 'and it can refuse')
  },
)
