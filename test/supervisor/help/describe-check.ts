/** Tests of what `daimyo check` prints. */

import t from 'tap'
import type { Reading } from '../../../supervisor/config/values/settings.js'
import { describeCheck } from '../../../supervisor/help/describe-check.js'

const finding = (place: string, message: string): { place: string; message: string } => ({ place, message })
const VALUES = [
  { name: 'app', text: '/srv/app.js', place: 'x.ini:3' },
  { name: 'processes', text: '4', place: '--processes' },
]

const DEFAULTS = [...VALUES, { name: 'harakiri', text: '0s', place: 'default' }]

const cases: [title: string, reading: Reading, expected: string, all?: boolean][] = [
  [
    'no mistake: the values in effect',
    { settings: null, mistakes: [], remarks: [], values: VALUES },
    'x.ini: OK\n  app = /srv/app.js  ; x.ini:3\n  processes = 4      ; --processes\n',
  ],
  [
    'defaults are counted',
    { settings: null, mistakes: [], remarks: [], values: DEFAULTS },
    'x.ini: OK\n  app = /srv/app.js  ; x.ini:3\n  processes = 4      ; --processes\n  and 1 default: daimyo check --all shows them\n',
  ],
  [
    'or shown',
    { settings: null, mistakes: [], remarks: [], values: DEFAULTS },
    'x.ini: OK\n  app = /srv/app.js  ; x.ini:3\n  processes = 4      ; --processes\n  harakiri = 0s      ; default\n',
    true,
  ],
  [
    'remarks come last',
    { settings: null, mistakes: [], remarks: [finding('x.ini:5', 'a: b')], values: [] },
    'x.ini: OK\nx.ini:5: remark: a: b\n',
  ],
  [
    'one mistake: no values',
    { settings: null, mistakes: [finding('x.ini:2', 'a: b')], remarks: [], values: VALUES },
    'x.ini:2: a: b\nx.ini: 1 mistake\n',
  ],
  [
    'mistakes and remarks',
    { settings: null, mistakes: [finding('x.ini:2', 'a'), finding('--b', 'c')], remarks: [finding('x.ini:1', 'd')] },
    'x.ini:2: a\n--b: c\nx.ini: 2 mistakes\nx.ini:1: remark: d\n',
  ],
]
for (const [title, reading, expected, all = false] of cases) {
  t.test(title, async t => t.equal(describeCheck(reading, 'x.ini', all), expected))
}
