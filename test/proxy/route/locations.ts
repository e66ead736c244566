/** Tests `proxy/route/locations.ts`: which settings hold for a path. */

import t from 'tap'
import { Locations } from '../../../proxy/route/locations.js'

const locations = new Locations({
  harakiriMs: 1,
  limitPostBytes: 10,
  locations: [
    { prefix: '/a/b', settings: { limitPostBytes: 30 } },
    { prefix: '/a', settings: { limitPostBytes: 20, harakiriMs: 2 } },
    { prefix: '/a/b/c', settings: { harakiriMs: 3 } },
    { prefix: '/ab', settings: {} },
  ],
})

const cases: [path: string, limitPostBytes: number, harakiriMs: number][] = [
  ['/', 10, 1],
  ['/a', 20, 2],
  ['/a/', 20, 2],
  ['/a/x', 20, 2],
  ['/ab', 10, 1],
  ['/abc', 10, 1],
  ['/A', 10, 1],
  ['/a/b', 30, 2],
  ['/a/bc', 20, 2],
  ['/a/b/c/d', 30, 3],
]
for (const [path, limitPostBytes, harakiriMs] of cases) {
  t.test(path, async t => {
    t.match(locations.at(path), { limitPostBytes, harakiriMs })
  })
}

t.test('a place for everything', async t => {
  const everywhere = { prefix: '/', settings: { limitPostBytes: 5 } }
  const all = new Locations({ harakiriMs: 1, limitPostBytes: 10, locations: [everywhere] })
  for (const path of ['/', '/x', '*']) t.equal(all.at(path).limitPostBytes, path === '*' ? 10 : 5)
})
