import t from 'tap'
import { median, ratio, rotate, type Sample, summarize } from '../../bench/statistics.js'

t.test('median', t => {
  const cases: [string, number[], number | null][] = [
    ['of nothing', [], null],
    ['of one', [7], 7],
    ['of two: their mean', [1, 4], 2.5],
    ['of three, unsorted', [30, 1, 2], 2],
    ['of four', [4, 100, 1, 2], 3],
    ['numbers, not their texts', [9, 10, 100], 10],
    ['an outlier does not move it', [10, 11, 1e9], 11],
  ]
  for (const [title, values, expected] of cases) t.equal(median(values), expected, title)
  const values = [3, 1, 2]
  median(values)
  t.strictSame(values, [3, 1, 2], 'the list stays as it was')
  t.end()
})

t.test('ratio', t => {
  const cases: [string, number | null | undefined, number | null | undefined, number | null][] = [
    ['a half', 1, 2, 0.5],
    ['of zero', 0, 2, 0],
    ['no base', 1, undefined, null],
    ['an invalid base', 1, null, null],
    ['a base of zero', 1, 0, null],
    ['no value', null, 2, null],
  ]
  for (const [title, value, base, expected] of cases) t.equal(ratio(value, base), expected, title)
  t.end()
})

t.test('rotate begins each round with another one', t => {
  const cases: [string, string[], number, string[]][] = [
    ['round 0', ['a', 'b', 'c'], 0, ['a', 'b', 'c']],
    ['round 1', ['a', 'b', 'c'], 1, ['b', 'c', 'a']],
    ['round 5 of three', ['a', 'b', 'c'], 5, ['c', 'a', 'b']],
    ['nothing', [], 3, []],
  ]
  for (const [title, list, round, expected] of cases) t.strictSame(rotate(list, round), expected, title)
  t.end()
})

t.test('summarize', t => {
  const sample = (value: number, errors = 0, invalid: string | null = null): Sample => {
    return {
      requestsPerSecond: value,
      p50Ms: value * 2,
      p99Ms: value * 3,
      cpuMicrosecondsPerRequest: value * 4,
      errors,
      invalid,
    }
  }
  const of = (value: number | null) => {
    const times = (factor: number): number | null => (value === null ? null : value * factor)
    return { requestsPerSecond: value, p50Ms: times(2), p99Ms: times(3), cpuMicrosecondsPerRequest: times(4) }
  }
  const cases: [string, Sample[], object][] = [
    ['the median of each figure', [sample(1), sample(5), sample(3)], { ...of(3), errors: 0, rounds: 3, invalid: [] }],
    [
      'an invalid sample enters no median',
      [sample(1), sample(900, 7, 'status=7'), sample(3)],
      { ...of(2), errors: 7, rounds: 3, invalid: ['status=7'] },
    ],
    ['all invalid', [sample(1, 2, 'a'), sample(2, 3, 'b')], { ...of(null), errors: 5, rounds: 2, invalid: ['a', 'b'] }],
    ['no sample', [], { ...of(null), errors: 0, rounds: 0, invalid: [] }],
  ]
  for (const [title, samples, expected] of cases) t.strictSame(summarize(samples), expected, title)
  t.end()
})
