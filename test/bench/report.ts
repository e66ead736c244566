import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isUnfit, renderCase, renderConditions, renderDocument, renderPreface } from '../../bench/report.js'
import { topFolder } from '../../bench/repository.js'
import { STACKS } from '../../bench/stacks/list.js'
import type { Figures } from '../../bench/statistics.js'

const figures = (requestsPerSecond: number, cpuMicrosecondsPerRequest: number): Figures => {
  return { requestsPerSecond, p50Ms: 1.234, p99Ms: 10, cpuMicrosecondsPerRequest, errors: 0, rounds: 3, invalid: [] }
}
const invalid: Figures = {
  requestsPerSecond: null,
  p50Ms: null,
  p99Ms: null,
  cpuMicrosecondsPerRequest: null,
  errors: 9,
  rounds: 3,
  invalid: ['errors: status=3', 'errors: status=3', 'errors: read=3'],
}
const result = (stacks: Record<string, Figures>) => {
  const rows = Object.entries(stacks).map(([name, figures]) => ({
    name,
    figures,
    samples: [],
    gc: name.startsWith('daimyo') ? 0.1234 : null,
  }))
  return { name: 'json', title: 'small JSON', path: '/p', connections: 64, stacks: rows }
}
const conditions = {
  machine: { date: '2026-03-04', versions: { node: '20.0.0', nginx: null }, kernel: '6.1.0', cores: 2 },
  seconds: 4,
  rounds: 3,
}

t.test('renderCase divides by nginx', t => {
  const text = renderCase(result({ nginx: figures(20_000, 50), daimyo: figures(30_500, 25) }))
  t.equal(
    text,
    `### small JSON, 64 connections

\`/p\`

| stack  | requests/s | p50 ms | p99 ms | CPU µs/request |     GC | errors | throughput ÷ nginx | p99 ÷ nginx | CPU ÷ nginx |
|--------|-----------:|-------:|-------:|---------------:|-------:|-------:|-------------------:|------------:|------------:|
| nginx  |     20,000 |   1.23 |  10.00 |           50.0 |      — |      0 |               1.00 |        1.00 |        1.00 |
| daimyo |     30,500 |   1.23 |  10.00 |           25.0 | 12.3 % |      0 |               1.53 |        1.00 |        0.50 |
`,
  )
  t.end()
})

t.test('renderCase never divides by what is not there', t => {
  t.match(renderCase(result({ daimyo: figures(1, 1) })), /\| +0 \| +— \| +— \| +— \|\n$/, 'without nginx')
  const text = renderCase(result({ nginx: invalid, daimyo: figures(1, 1) }))
  t.match(
    text,
    /\| nginx +\| +— \| +— \| +— \| +— \| +— \| 9 \(3 of 3 runs invalid\) \| +— \| +— \| +— \|/,
    'with an invalid nginx',
  )
  t.match(
    text,
    '- nginx, an invalid run: errors: status=3\n- nginx, an invalid run: errors: read=3\n',
    'each reason once',
  )
  t.match(renderCase({ ...result({}), connections: 1 }), '### small JSON, 1 connection\n', 'no stack at all')
  t.end()
})

const invalidRuns: [name: string, count: number, unfit: boolean][] = [
  ['http-proxy', 1, false],
  ['http-proxy', 2, true],
  ['nginx', 3, true],
  ['daimyo', 0, false],
  ['daimyo', 1, true],
  ['daimyo, 2 proxies', 1, true],
]

t.test('what must not be published', t => {
  for (const [name, count, unfit] of invalidRuns) {
    const row = result({
      bare: figures(1, 1),
      [name]: { ...figures(1, 1), invalid: Array(count).fill('errors: read=1') },
    })
    t.equal(isUnfit(row), unfit, `${count} of 3 invalid runs of ${name}`)
  }
  t.end()
})

t.test('renderConditions', t => {
  t.equal(
    renderConditions(conditions),
    '2026-03-04: node 20.0.0, nginx missing; Linux 6.1.0, 2 cores.\nMedians of 3 rounds of 4 s for each stack, in turns.\n',
  )
  t.match(renderConditions({ ...conditions, rounds: 1 }), 'One round of 4 s')
  t.end()
})

t.test('renderDocument', t => {
  const results = { ...conditions, cases: [result({ nginx: figures(1, 1) })], notes: ['left out: x\nits last line'] }
  const text = renderDocument(STACKS, results)
  t.ok(text.startsWith(renderPreface(STACKS)))
  t.match(text, '- left out: x its last line\n')
  t.match(text, '### small JSON, 64 connections')
  t.match(renderDocument(STACKS, null), /\n## Figures\n\nNot measured yet\.\n$/)
  t.end()
})

t.test('docs/benchmarks.md is what the bench writes', t => {
  const text = readFileSync(join(topFolder, 'docs/benchmarks.md'), 'utf8')
  t.equal(
    text.slice(0, text.indexOf('\n## Figures\n')),
    renderPreface(STACKS),
    'write it anew with `npm run bench -- --write`',
  )
  t.end()
})
