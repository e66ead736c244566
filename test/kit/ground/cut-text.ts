/** Tests `kit/ground/cut-text.ts`. The memory is looked at in `test/supervisor/metrics/metrics-store.ts`. */

import t from 'tap'
import { cutText } from '../../../kit/ground/cut-text.js'

const cases: [title: string, text: string, characters: number, expected: string][] = [
  ['shorter', 'abc', 5, 'abc'],
  ['as long', 'abcde', 5, 'abcde'],
  ['longer', 'abcdef', 5, 'abcde'],
  ['empty', '', 5, ''],
  ['beyond latin1', '\u20ac\u20ac\u20ac', 2, '\u20ac\u20ac'],
  ['half of a pair', 'a\u{1f525}', 2, 'a\ud83d'],
]
for (const [title, text, characters, expected] of cases) {
  t.test(title, async t => {
    t.equal(cutText(text, characters), expected)
  })
}
