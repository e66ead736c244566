import t from 'tap'
import { CASES, selectCases } from '../../bench/cases.js'

t.test('selectCases', t => {
  const usual = ['json', 'static-1k', 'static-100k']
  const extra = ['post-4k', 'stream-100k', 'static-10m', 'not-modified']
  const cases: [string, string[], boolean, string[]][] = [
    ['the default ones', [], false, usual],
    ['all', [], true, [...usual, ...extra]],
    ['one that --all would add, by its name', ['post-4k'], false, ['post-4k']],
    ['in the order of the table', ['static-1k', 'json'], true, ['json', 'static-1k']],
  ]
  for (const [title, only, all, expected] of cases)
    t.strictSame(
      selectCases(only, all, []).map(({ name }) => name),
      expected,
      title,
    )
  t.throws(() => selectCases(['json', 'jsn'], false, []), {
    code: 'BENCH_USAGE',
    exitCode: 64,
    message: /--only=jsn: accepted: json, /,
  })
  t.end()
})

t.test('connections', t => {
  t.strictSame(selectCases(['json'], false, [])[0]?.connections, [1, 8, 64, 256], 'those of the case')
  t.strictSame(
    selectCases([], true, [3, 5]).map(({ connections }) => connections),
    CASES.map(() => [3, 5]),
    'those asked for',
  )
  t.strictSame(selectCases(['json'], false, [])[0]?.peersAt, [64], 'those of the peers')
  t.strictSame(selectCases(['json'], false, [3, 5])[0]?.peersAt, [3, 5], 'the peers run at those asked for')
  for (const row of CASES)
    t.ok(
      row.peersAt.every(number => row.connections.includes(number)),
      `${row.name}: peers run where others do`,
    )
  t.end()
})
