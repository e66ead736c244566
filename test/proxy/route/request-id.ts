/** X-Request-Id: unique, well-formed, and which ones of others are kept. */

import t from 'tap'
import { isRequestId, nextRequestId } from '../../../proxy/route/forwarded-fields.js'

t.test('no two are the same, and each would be kept by another proxy', async t => {
  const ids = Array.from({ length: 100_000 }, nextRequestId)
  t.equal(new Set(ids).size, ids.length)
  t.ok(ids.every(isRequestId))
  t.ok(ids.every(id => id.length >= 13 && id.length <= 24))
})

t.test('which are kept', async t => {
  const cases: [id: string, kept: boolean][] = [
    ['4c1b8b52-07c5-4d6b-9d0c-6d8a4c1b8b52', true],
    ['abc.DEF_1:2/3+4=@host', true],
    ['x'.repeat(128), true],
    ['x'.repeat(129), false],
    ['', false],
    ['a b', false],
    ['a, b', false],
    ['a"b', false],
    ['a\\b', false],
    ['<script>', false],
    ['ä', false],
    ['a\x1b[31m', false],
  ]
  for (const [id, kept] of cases) t.equal(isRequestId(id), kept, id.slice(0, 20))
})
