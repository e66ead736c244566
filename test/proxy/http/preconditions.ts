/** RFC 9110 §13.2.2: each precondition alone, and which one counts where several are given. */

import t from 'tap'
import { checkPreconditions, mayUseRange, type Validators, type Verdict } from '../../../proxy/http/preconditions.js'

const NOW_MS = Date.UTC(2026, 10, 21)
const VALIDATORS: Validators = { entityTag: '"now"', lastModifiedMs: Date.UTC(2020, 0, 2, 3, 4, 5) }
const SAME = 'Thu, 02 Jan 2020 03:04:05 GMT'
const BEFORE = 'Thu, 02 Jan 2020 03:04:04 GMT'
const AFTER = 'Thu, 02 Jan 2020 03:04:06 GMT'

const CASES: [title: string, headers: Record<string, string>, expected: Verdict][] = [
  ['nothing', {}, 'send'],
  ['if-match: same', { 'if-match': '"now"' }, 'send'],
  ['if-match: star', { 'if-match': '*' }, 'send'],
  ['if-match: other', { 'if-match': '"old"' }, 'failed'],
  ['if-match: weak never matches', { 'if-match': 'W/"now"' }, 'failed'],
  ['if-match: malformed', { 'if-match': 'now' }, 'failed'],
  ['if-unmodified-since: same', { 'if-unmodified-since': SAME }, 'send'],
  ['if-unmodified-since: after', { 'if-unmodified-since': AFTER }, 'send'],
  ['if-unmodified-since: before', { 'if-unmodified-since': BEFORE }, 'failed'],
  ['if-unmodified-since: no date', { 'if-unmodified-since': 'yesterday' }, 'send'],
  ['if-none-match: same', { 'if-none-match': '"now"' }, 'not-modified'],
  ['if-none-match: weak', { 'if-none-match': 'W/"now"' }, 'not-modified'],
  ['if-none-match: star', { 'if-none-match': '*' }, 'not-modified'],
  ['if-none-match: list', { 'if-none-match': '"old", "now"' }, 'not-modified'],
  ['if-none-match: other', { 'if-none-match': '"old"' }, 'send'],
  ['if-none-match: malformed', { 'if-none-match': '"now' }, 'send'],
  ['if-modified-since: same', { 'if-modified-since': SAME }, 'not-modified'],
  ['if-modified-since: after', { 'if-modified-since': AFTER }, 'not-modified'],
  ['if-modified-since: before', { 'if-modified-since': BEFORE }, 'send'],
  ['if-modified-since: no date', { 'if-modified-since': '0' }, 'send'],
  ['if-match silences if-unmodified-since', { 'if-match': '"now"', 'if-unmodified-since': BEFORE }, 'send'],
  ['if-match fails before if-none-match', { 'if-match': '"old"', 'if-none-match': '"now"' }, 'failed'],
  ['if-match true, then if-none-match', { 'if-match': '"now"', 'if-none-match': '"now"' }, 'not-modified'],
  ['if-unmodified-since fails first', { 'if-unmodified-since': BEFORE, 'if-none-match': '"now"' }, 'failed'],
  ['if-none-match silences if-modified-since', { 'if-none-match': '"old"', 'if-modified-since': SAME }, 'send'],
  ['the same, malformed', { 'if-none-match': 'x', 'if-modified-since': SAME }, 'send'],
  ['if-none-match and an older date', { 'if-none-match': '"now"', 'if-modified-since': BEFORE }, 'not-modified'],
]

for (const [title, headers, expected] of CASES) {
  t.equal(checkPreconditions(VALIDATORS, headers, NOW_MS), expected, title)
}

const IF_RANGES: [title: string, value: string | undefined, expected: boolean][] = [
  ['none', undefined, true],
  ['same tag', '"now"', true],
  ['other tag', '"old"', false],
  ['weak tag', 'W/"now"', false],
  ['star', '*', false],
  ['list', '"now", "old"', false],
  ['same date', SAME, true],
  ['date before', BEFORE, false],
  ['date after', AFTER, false],
  ['no date', 'now', false],
]

for (const [title, value, expected] of IF_RANGES) {
  t.equal(mayUseRange(VALIDATORS, value, NOW_MS), expected, `if-range: ${title}`)
}
