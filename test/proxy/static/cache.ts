/** The bounds of the cache. */

import t from 'tap'
import { StaticCache } from '../../../proxy/static/cache.js'
import { StoredFile } from '../../../proxy/static/stored-file.js'

const VERSION = { sizeBytes: 10_000, modifiedNs: 0n, changedNs: 0n, inode: 1n }

function variants(bytes: number | null): [StoredFile] {
  const file = new StoredFile({
    place: { folder: '/f', path: '/a' },
    version: { ...VERSION, sizeBytes: bytes ?? 1e9 },
    body: bytes === null ? null : Buffer.alloc(bytes),
    isYoung: false,
    validators: { entityTag: '"a"', lastModifiedMs: 0 },
    contentType: 'text/plain',
    coding: 'identity',
    vary: '',
    freshness: null,
  })
  return [file]
}

t.test('bytes', async t => {
  const cache = new StaticCache(100_000, 1000)
  for (let n = 0; n < 1000; n++) {
    cache.put(`/${n}`, variants(10_000), n)
    if (cache.bytes > 100_000) t.fail(`${cache.bytes} bytes after ${n}`)
  }
  t.equal(cache.size, 8, 'content, and something for each entry')
  t.ok(cache.get('/999') !== undefined && cache.get('/0') === undefined, 'the oldest went')
  cache.put('/large', variants(100_001), 0)
  t.equal(cache.get('/large'), undefined, 'one that would fill it alone')
  t.equal(cache.size, 8, 'and takes nobody’s place')
  for (let n = 0; n < 1000; n++) cache.drop(`/${n}`)
  t.equal(cache.bytes, 0)
})

t.test('more forms of an entry', async t => {
  const cache = new StaticCache(100_000, 1000)
  for (const name of ['/a', '/b', '/c']) cache.put(name, variants(10_000), 7)
  const entry = cache.get('/b')
  if (entry !== undefined) entry.isLooking = true
  t.equal(cache.widen('/b', [...variants(5000), ...variants(10_000)]), true)
  t.match(cache.get('/b'), { lookedMs: 7, isLooking: true, bytes: 15_000 + 2 * 2048 + 2 })
  t.equal(cache.bytes, 35_000 + 4 * 2048 + 3 * 2)
  t.equal(cache.widen('/b', [...variants(99_000), ...variants(10_000)]), false, 'more than there can be room for')
  t.equal(cache.get('/b')?.variants.length, 2, 'stays as it was')
  t.equal(cache.widen('/c', [...variants(70_000), ...variants(10_000)]), true)
  t.equal(cache.get('/a'), undefined, 'the oldest makes room')
  t.ok(cache.bytes <= 100_000)
  t.equal(cache.widen('/a', variants(1)), false, 'what is not there')
})

t.test('entries', async t => {
  const cache = new StaticCache(1e9, 10)
  for (let n = 0; n < 100; n++) {
    cache.put(`/${n}`, variants(null), n)
    cache.put('/hot', variants(null), n)
  }
  t.equal(cache.size, 10)
  t.ok(cache.get('/hot') !== undefined, 'what is looked at again stays')
})

t.test('none', async t => {
  const cache = new StaticCache(0, 10)
  cache.put('/a', variants(1), 0)
  t.equal(cache.size, 0)
})

t.test('a wire is made once a second and never written to again', async t => {
  const [file] = variants(5)
  const first = file.wire('Sat, 21 Nov 2026 00:00:00 GMT')
  t.equal(file.wire('Sat, 21 Nov 2026 00:00:00 GMT'), first)
  const before = first?.toString()
  const second = file.wire('Sat, 21 Nov 2026 00:00:01 GMT')
  t.not(second, first)
  t.equal(first?.toString(), before)
  t.equal(second?.toString(), before?.replace('00:00:00', '00:00:01'))
  t.equal(second?.buffer, file.body?.buffer, 'the content is held once')
})
