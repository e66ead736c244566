import t from 'tap'
import { CASES, selectCases } from '../../bench/cases.js'
import { sampleOf, takesPart, wrkScript } from '../../bench/measure.js'

const errors = { connect: 0, read: 0, write: 0, timeout: 0, status: 0 }
const result = { requests: 2000, requestsPerSecond: 1000, p50Ms: 1, p99Ms: 2, errors }
const sample = { requestsPerSecond: 1000, p50Ms: 1, p99Ms: 2, cpuMicrosecondsPerRequest: 25, errors: 0, invalid: null }

t.test('sampleOf', t => {
  const cases: [string, typeof result, object][] = [
    ['a good run', result, sample],
    [
      'one wrong status',
      { ...result, errors: { ...errors, status: 1 } },
      { ...sample, errors: 1, invalid: 'errors: status=1' },
    ],
    [
      'socket errors',
      { ...result, errors: { ...errors, read: 2, timeout: 3 } },
      { ...sample, errors: 5, invalid: 'errors: read=2 timeout=3' },
    ],
    [
      'no answer',
      { ...result, requests: 0 },
      { ...sample, cpuMicrosecondsPerRequest: 0, invalid: 'no request was answered' },
    ],
  ]
  for (const [title, input, expected] of cases) t.strictSame(sampleOf(input, 50_000), expected, title)
  t.end()
})

t.test('takesPart', t => {
  const [row] = selectCases(['json'], false, [])
  const cases: [string, Parameters<typeof takesPart>[0], number, boolean][] = [
    ['a stack that can answer', { kinds: ['json'], isPeer: false }, 1, true],
    ['a stack that cannot', { kinds: ['file'], isPeer: false }, 64, false],
    ['a peer where it does not matter', { kinds: ['json'], isPeer: true }, 1, false],
    ['a peer where it matters', { kinds: ['json'], isPeer: true }, 64, true],
    ['a peer that cannot answer', { kinds: ['app'], isPeer: true }, 64, false],
  ]
  for (const [title, stack, connections, expected] of cases) {
    t.equal(row && takesPart(stack, row, connections), expected, title)
  }
  t.end()
})

t.test('only a case with a body has a script', t => {
  for (const row of CASES) {
    const script = wrkScript(row)
    if (row.postBytes === undefined) t.equal(script, null, row.name)
    else t.match(script, { name: `${row.name}.lua`, text: `string.rep('x', ${row.postBytes})` }, row.name)
  }
  t.end()
})
