/** Tests of "did you mean": slips that are recognized, and texts that mean nothing known. */

import t from 'tap'
import { didYouMean, nearestName } from '../../../../kit/options/words/nearest-name.js'

const NAMES = ['processes', 'http', 'harakiri', 'static-map', 'http-processes', 'uid', 'gid']

const cases: [title: string, given: string, expected: string | null][] = [
  ['the name itself', 'http', 'http'],
  ['a letter too few', 'proceses', 'processes'],
  ['a letter too many', 'harakirii', 'harakiri'],
  ['two letters swapped', 'htpt', 'http'],
  ['another case', 'PROCESSES', 'processes'],
  ['_ instead of -', 'static_map', 'static-map'],
  ['two slips in a long name', 'http-procesess', 'http-processes'],
  ['a short name by one letter', 'uidd', 'uid'],
  ['its beginning', 'stat', 'static-map'],
  ['the beginning of several', 'proces', 'processes'],
  ['too little of its beginning', 'sta', null],
  ['nothing like it', 'banana', null],
  ['a short word far away', 'xy', null],
  ['nothing', '', null],
  ['a text too long to be a name', 'p'.repeat(10_000), null],
]

for (const [title, given, expected] of cases) {
  t.test(title, async t => t.equal(nearestName(given, NAMES), expected))
}

t.equal(didYouMean('http'), ' (did you mean `http`?)')
t.equal(didYouMean(null), '')
