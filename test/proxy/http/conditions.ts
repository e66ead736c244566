/** Which fields of a request are conditions, and what becomes of lines that are repeated or nominated. */

import t from 'tap'
import type { Conditions } from '../../../proxy/http/conditions.js'
import { isRefusal, parseRequestHead } from '../../../proxy/http/request-head.js'

/** What is not there. */
const NONE: Conditions = {
  'if-match': undefined,
  'if-none-match': undefined,
  'if-modified-since': undefined,
  'if-unmodified-since': undefined,
  'if-range': undefined,
  range: undefined,
}

const ALL: Conditions = {
  'if-match': 'a',
  'if-none-match': 'b',
  'if-modified-since': 'c',
  'if-unmodified-since': 'd',
  'if-range': 'e',
  range: 'f',
}

const CASES: [title: string, fields: string[], expected: Conditions | null, headers: string][] = [
  ['none', ['X: y'], null, 'X y'],
  [
    'each, in any case',
    ['IF-Match: a', 'if-none-MATCH: b', 'If-Modified-Since: c', 'if-unmodified-since: d', 'If-Range: e', 'RANGE: f'],
    ALL,
    'IF-Match a if-none-MATCH b If-Modified-Since c if-unmodified-since d If-Range e RANGE f',
  ],
  [
    'one in two lines',
    ['If-Match: a', 'X: y', 'if-match: b'],
    { ...NONE, 'if-match': 'a, b' },
    'If-Match a X y if-match b',
  ],
  [
    'one that Connection nominates',
    ['If-Match: a', 'Connection: if-match', 'Range: b'],
    { ...NONE, range: 'b' },
    'Range b',
  ],
  ['all that there are are nominated', ['Range: b', 'Connection: Range'], NONE, ''],
  ['an empty one', ['If-None-Match:'], { ...NONE, 'if-none-match': '' }, 'If-None-Match '],
  [
    'what is as long',
    ['Rango: a', 'If-Watch: b', 'If-Rangx: c', 'If-None-Hatch: d', 'If-Modified-Sincf: e', 'If-Unmodified-Sincf: f'],
    null,
    'Rango a If-Watch b If-Rangx c If-None-Hatch d If-Modified-Sincf e If-Unmodified-Sincf f',
  ],
]

for (const [title, fields, expected, headers] of CASES) {
  const head = parseRequestHead(['GET / HTTP/1.1', 'Host: a', ...fields].join('\r\n'))
  if (isRefusal(head)) throw new Error(title)
  t.strictSame(head.conditions, expected, title)
  t.equal(head.headers.slice('\nHost\na\n'.length).replaceAll('\n', ' '), headers, `${title}: they go on to the worker`)
}
