/** Compressed forms of files: which are made, how often, in which bounds, and what a client gets of them. */

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { ProxySettings, StaticSettings } from '../../../kit/channel/messages.js'
import type { ContentCoding } from '../../../kit/options/values/value-types.js'
import { type Compressor, Compressors } from '../../../proxy/process/compressor.js'
import type { Variants } from '../../../proxy/static/cache.js'
import { StaticSite } from '../../../proxy/static/site.js'
import type { StoredFile } from '../../../proxy/static/stored-file.js'
import { type RawAnswer, request } from '../fixtures/raw-client.js'
import { type Rig, SETTINGS, withRig } from '../fixtures/rig.js'

const COMPRESSION = {
  httpAutoBr: true,
  httpAutoGzip: true,
  gzipTypes: ['text/html', 'text/css', 'application/octet-stream'],
  gzipMinLengthBytes: 1000,
  gzipStreams: 8,
}
const PAGE = '<p>Once more unto the breach, dear friends, once more.</p>\n'.repeat(200)

/** Tells what was made, how many at a time, and when nothing is made any more. */
class WatchedCompressors extends Compressors {
  readonly begun: ContentCoding[] = []
  peak = 0
  /** What is made from now on does not come to its end before `rest`. */
  isHeld = false
  readonly #held: Compressor[] = []
  readonly #ends = new Set<Promise<unknown>>()

  override make(coding: ContentCoding): Compressor | null {
    const compressor = super.make(coding)
    if (compressor === null) return null
    this.begun.push(coding)
    if (this.isHeld) this.#held.push(compressor.pause())
    this.peak = Math.max(this.peak, this.open)
    const end = once(compressor, 'close')
    this.#ends.add(end)
    compressor.once('close', () => this.#ends.delete(end))
    return compressor
  }

  /** What is begun right after the end of another is waited for too. */
  async rest(): Promise<void> {
    this.isHeld = false
    for (const compressor of this.#held.splice(0)) compressor.resume()
    while (this.#ends.size > 0) {
      await Promise.all(this.#ends)
      await new Promise(resolve => setImmediate(resolve))
    }
  }
}

/** A site over a folder of the test, as a proxy has it, and its compressors. */
class Bench {
  readonly folder: string
  readonly compressors: WatchedCompressors
  readonly site: StaticSite

  constructor(t: Test, files: Partial<StaticSettings> = {}, compression: Partial<ProxySettings> = {}) {
    this.folder = fs.realpathSync(t.testdir({}))
    this.compressors = new WatchedCompressors({ ...SETTINGS, ...COMPRESSION, ...compression })
    this.site = new StaticSite({ ...SETTINGS, ...files }, this.compressors)
  }

  write(name: string, content: string | Buffer): void {
    fs.writeFileSync(`${this.folder}/${name}`, content)
  }

  /** One look at the disk. */
  async look(name: string, site = this.site): Promise<Variants> {
    const path = `/${name}`
    const found = await site.find(path, { places: [{ folder: this.folder, path }], path, uri: path, vary: '' })
    if (found.kind !== 'file') throw new Error(`${name}: ${found.kind}`)
    return found.variants
  }

  /** A look, and the forms that lie in the cache when all are made. */
  async variants(name: string): Promise<readonly StoredFile[]> {
    await this.look(name)
    await this.compressors.rest()
    return this.site.cache.get(`/${name}`)?.variants ?? []
  }
}

function codingsOf(variants: readonly StoredFile[]): string {
  return variants.map(variant => variant.coding).join(' ')
}

function textOf({ body, coding }: StoredFile): string {
  if (body === null) return ''
  if (coding === 'gzip') return gunzipSync(body).toString()
  return (coding === 'br' ? brotliDecompressSync(body) : body).toString()
}

t.test('which files get forms', async t => {
  const noise = randomBytes(3000)
  const cases: [title: string, name: string, content: string | Buffer, expected: string, vary: string][] = [
    ['a page', 'a.html', PAGE, 'br gzip identity', 'Accept-Encoding'],
    ['another type', 'a.txt', PAGE, 'identity', ''],
    ['just long enough', 'b.html', 'x'.repeat(1000), 'br gzip identity', 'Accept-Encoding'],
    ['too short', 'c.html', 'x'.repeat(999), 'identity', ''],
    ['as large as is kept', 'd.html', 'x'.repeat(20_000), 'br gzip identity', 'Accept-Encoding'],
    ['larger', 'e.html', 'x'.repeat(20_001), 'identity', ''],
    ['what does not get smaller', 'noise', noise, 'identity', 'Accept-Encoding'],
  ]
  for (const [title, name, content, expected, vary] of cases) {
    const bench = new Bench(t, { staticCacheFileSizeBytes: 20_000 })
    bench.write(name, content)
    const variants = await bench.variants(name)
    t.equal(codingsOf(variants), expected, title)
    for (const variant of variants) {
      t.equal(variant.vary, vary, `${title}: Vary of ${variant.coding}`)
      t.equal(variant.sizeBytes, variant.body?.length ?? content.length, `${title}: size of ${variant.coding}`)
      if (content !== noise && variant.body !== null)
        t.equal(textOf(variant), content, `${title}: content of ${variant.coding}`)
    }
    const tried = bench.compressors.begun.length
    await bench.variants(name)
    t.equal(bench.compressors.begun.length, tried, `${title}: what was tried is not tried again`)
  }
})

t.test('nothing switched on, or no cache: no Vary and no work', async t => {
  const bench = new Bench(t, { staticCacheSizeBytes: 0 })
  bench.write('a.html', PAGE)
  const off = new StaticSite(SETTINGS, null)
  for (const site of [bench.site, off]) {
    const variants = await bench.look('a.html', site)
    t.same([codingsOf(variants), variants[0].vary], ['identity', ''])
  }
  t.same(bench.compressors.begun, [])
})

t.test('a file with min length 0 that is empty', async t => {
  const bench = new Bench(t, {}, { gzipMinLengthBytes: 0 })
  bench.write('a.html', '')
  t.same([codingsOf(await bench.variants('a.html')), bench.compressors.begun], ['identity', []])
})

t.test('a sibling goes before what can be made', async t => {
  const bench = new Bench(t, { staticPrecompressed: ['gzip'] })
  bench.write('a.html', PAGE)
  bench.write('a.html.gz', 'sibling')
  const variants = await bench.variants('a.html')
  t.equal(codingsOf(variants), 'gzip br identity')
  t.equal(variants[0]?.body?.toString(), 'sibling')
  t.same(bench.compressors.begun, ['br'])
  fs.unlinkSync(`${bench.folder}/a.html.gz`)
  const alone = await bench.variants('a.html')
  t.equal(codingsOf(alone), 'br gzip identity', 'without it, one is made')
  t.equal(textOf(alone[1]!), PAGE)
  t.same(bench.compressors.begun, ['br', 'gzip'])
  bench.write('a.html.gz', 'sibling')
  const again = await bench.variants('a.html')
  t.equal(codingsOf(again), 'gzip br identity', 'a sibling takes the place of the made one')
  t.equal(again[0]?.body?.toString(), 'sibling')
})

t.test('an unchanged file is compressed once', async t => {
  const bench = new Bench(t)
  bench.write('a.html', PAGE)
  const young = await bench.variants('a.html')
  t.equal(young[2]?.isYoung, true)
  const reread = await bench.look('a.html')
  t.not(reread[2], young[2], 'read again, since it is young')
  t.equal(codingsOf(reread), 'br gzip identity')
  t.equal(reread[1]?.validators.entityTag, young[1]?.validators.entityTag)

  const { now } = Date
  t.teardown(() => Object.assign(Date, { now }))
  Object.assign(Date, { now: () => now() + 60_000 })
  const settled = await bench.look('a.html')
  t.equal(settled[2]?.isYoung, false)
  const same = await bench.look('a.html')
  for (const [index, variant] of settled.entries()) t.equal(same[index], variant, `the ${variant.coding} form is kept`)

  fs.utimesSync(`${bench.folder}/a.html`, 1000, 1000)
  const touched = await bench.look('a.html')
  t.equal(codingsOf(touched), 'br gzip identity')
  t.not(touched[1]?.validators.entityTag, settled[1]?.validators.entityTag, 'touched: another tag')
  t.equal(touched[1]?.validators.lastModifiedMs, 1_000_000, 'and another time')
  t.same(bench.compressors.begun, ['br', 'gzip'], 'in all')
})

t.test('a changed file is compressed anew', async t => {
  const bench = new Bench(t)
  bench.write('a.html', PAGE)
  await bench.variants('a.html')
  const changed = PAGE.replaceAll('breach', 'bridge')
  bench.write('a.html', changed)
  t.equal(codingsOf(await bench.look('a.html')), 'identity', 'nothing of the old one is given')
  await bench.compressors.rest()
  const variants = await bench.variants('a.html')
  t.equal(codingsOf(variants), 'br gzip identity')
  for (const variant of variants) t.equal(textOf(variant), changed, variant.coding)
})

t.test('a change while it is compressed', async t => {
  const bench = new Bench(t)
  bench.write('a.html', PAGE)
  bench.compressors.isHeld = true
  await bench.look('a.html')
  bench.write('a.html', 'x'.repeat(5000))
  await bench.look('a.html')
  await bench.compressors.rest()
  t.same(bench.compressors.begun, ['br'], 'the old content is not gone on with')
  const variants = await bench.variants('a.html')
  for (const variant of variants) t.equal(textOf(variant), 'x'.repeat(5000), variant.coding)
  t.equal(codingsOf(variants), 'br gzip identity')
})

t.test('other bytes have another tag', async t => {
  const tags = new Set<string>()
  const bench = new Bench(t)
  const text = Array.from({ length: 3000 }, (_, n) => n.toString(7)).join('')
  bench.write('a.html', text)
  for (const level of [1, 9]) {
    const compressors = new WatchedCompressors({ ...SETTINGS, ...COMPRESSION, httpAutoBr: false, gzipCompLevel: level })
    const site = new StaticSite(SETTINGS, compressors)
    await bench.look('a.html', site)
    await compressors.rest()
    for (const variant of site.cache.get('/a.html')?.variants ?? []) tags.add(variant.validators.entityTag)
  }
  t.equal(tags.size, 3, 'of the file, of gzip 1, of gzip 9')
})

t.test('forms count in the cache and stay within it', async t => {
  const bench = new Bench(t, { staticCacheSizeBytes: 60_000 })
  for (let n = 0; n < 20; n++) {
    bench.write(`${n}.html`, PAGE)
    await bench.variants(`${n}.html`)
    t.ok(bench.site.cache.bytes <= 60_000, `${bench.site.cache.bytes} bytes`)
  }
  t.equal(codingsOf(await bench.variants('19.html')), 'br gzip identity')
  const entry = bench.site.cache.get('/19.html')
  t.equal(
    entry?.bytes,
    (entry?.variants ?? []).reduce((sum, { body }) => sum + (body?.length ?? 0) + 2048, 8),
  )
})

t.test('a form without room is not kept, nor made again', async t => {
  const bench = new Bench(t, { staticCacheSizeBytes: PAGE.length + 3000 })
  bench.write('a.html', PAGE)
  t.equal(codingsOf(await bench.variants('a.html')), 'identity')
  t.equal(codingsOf(await bench.variants('a.html')), 'identity')
  t.same(bench.compressors.begun, ['br', 'gzip'])
})

t.test('two files at a time, the others in line', async t => {
  const bench = new Bench(t, {}, { gzipStreams: 32 })
  const names = Array.from({ length: 20 }, (_, n) => `${n}.html`)
  for (const name of names) bench.write(name, PAGE)
  await Promise.all(names.map(name => bench.look(name)))
  await bench.compressors.rest()
  t.equal(bench.compressors.peak, 2)
  for (const name of names)
    t.equal(codingsOf(bench.site.cache.get(`/${name}`)?.variants ?? []), 'br gzip identity', name)
})

t.test('a look while it is compressed begins nothing', async t => {
  const bench = new Bench(t)
  bench.write('a.html', PAGE)
  bench.compressors.isHeld = true
  for (let n = 0; n < 3; n++) await bench.look('a.html')
  await bench.compressors.rest()
  t.equal(bench.compressors.peak, 1)
})

t.test('the line is as long as there may be compressors', async t => {
  const bench = new Bench(t, {}, { gzipStreams: 3 })
  const names = Array.from({ length: 20 }, (_, n) => `${n}.html`)
  for (const name of names) bench.write(name, PAGE)
  bench.compressors.isHeld = true
  await Promise.all(names.map(name => bench.look(name)))
  await bench.compressors.rest()
  t.equal(bench.compressors.begun.length, 10, 'of two files at once and three in line')
})

t.test('where as many compressors are open as may be, the next look tries again', async t => {
  const bench = new Bench(t, {}, { gzipStreams: 1 })
  bench.write('a.html', PAGE)
  const busy = bench.compressors.make('gzip')
  await bench.look('a.html')
  busy?.destroy()
  t.equal(codingsOf(await bench.look('a.html')), 'identity', 'nothing was made')
  await bench.compressors.rest()
  t.equal(codingsOf(await bench.variants('a.html')), 'br gzip identity')
  t.equal(bench.compressors.peak, 1)
})

t.test('a site of an old configuration makes no more', async t => {
  const bench = new Bench(t)
  for (const name of ['a.html', 'b.html', 'c.html']) bench.write(name, PAGE)
  await Promise.all(['a.html', 'b.html', 'c.html'].map(name => bench.look(name)))
  bench.site.close()
  await bench.compressors.rest()
  t.same(bench.compressors.begun.toSorted(), ['br', 'br', 'gzip', 'gzip'], 'what was begun')
})

// Through a whole proxy.

function withPages(t: Test, settings: Partial<ProxySettings>, use: (rig: Rig, folder: string) => Promise<void>) {
  const folder = fs.realpathSync(t.testdir({ 'a.html': PAGE, 'small.html': 'small', 'a.txt': PAGE }))
  const routes: ProxySettings['routes'] = [{ kind: 'static', prefix: '/', folder }]
  return withRig(t, { settings: { routes, ...COMPRESSION, ...settings } }, rig => use(rig, folder))
}

type Ask = (fields?: string[], method?: string, path?: string) => Promise<RawAnswer>

/** Asks over one connection; at the end each has its line in the log. */
async function asking(rig: Rig, use: (ask: Ask) => Promise<void>): Promise<void> {
  const client = await rig.client()
  let asked = 0
  await use((fields = [], method = 'GET', path = '/a.html') => {
    asked++
    client.send(request(method, path, fields))
    return client.answer(method === 'HEAD')
  })
  await rig.expectLines(asked)
}

/** Asks until the answer is in that coding; each before it is plain, and varies as well. */
async function untilCoded(t: Test, ask: Ask, coding: ContentCoding): Promise<RawAnswer> {
  for (;;) {
    const answer = await ask([`Accept-Encoding: ${coding}`])
    if (answer.fields['content-encoding'] === coding) return answer
    t.match(answer, { status: 200, fields: { 'content-encoding': undefined, vary: 'Accept-Encoding' } })
    t.equal(answer.body.toString(), PAGE)
  }
}

t.test('who gets what', async t => {
  await withPages(t, {}, async rig => {
    await asking(rig, async ask => {
      t.match(await ask(), { status: 200, fields: { vary: 'Accept-Encoding' } }, 'the first answer says it too')
      await untilCoded(t, ask, 'gzip')
      await untilCoded(t, ask, 'br')
      const cases: [accept: string | null, status: number, coding: string | undefined][] = [
        [null, 200, undefined],
        ['gzip', 200, 'gzip'],
        ['gzip, br', 200, 'br'],
        ['gzip, br;q=0.5', 200, 'gzip'],
        ['gzip;q=0.5, identity', 200, undefined],
        ['*', 200, 'br'],
        ['zstd', 200, undefined],
        ['gzip;q=0, br;q=0', 200, undefined],
        ['identity;q=0, gzip', 200, 'gzip'],
        ['identity;q=0, zstd', 406, undefined],
      ]
      for (const [accept, status, coding] of cases) {
        const { fields, body, ...answer } = await ask(accept === null ? [] : [`Accept-Encoding: ${accept}`])
        t.same(
          [answer.status, fields['content-encoding'], fields.vary],
          [status, coding, 'Accept-Encoding'],
          `${accept}`,
        )
        if (coding === 'gzip') t.equal(gunzipSync(body).toString(), PAGE)
        if (coding === 'br') t.equal(brotliDecompressSync(body).toString(), PAGE)
      }
      for (const path of ['/small.html', '/a.txt']) {
        const { fields } = await ask(['Accept-Encoding: gzip'], 'GET', path)
        t.same([fields['content-encoding'], fields.vary], [undefined, undefined], path)
      }
    })
  })
})

t.test('conditions, HEAD and ranges are those of the form', async t => {
  await withPages(t, {}, async rig => {
    await asking(rig, async ask => {
      const gzip = ['Accept-Encoding: gzip']
      const coded = await untilCoded(t, ask, 'gzip')
      const { etag = '', 'content-length': length } = coded.fields
      const plain = await ask()
      t.match(etag, /^"[^"]+-gzip-\w+"$/, 'strong, and of the coding')
      t.not(etag, plain.fields.etag)
      t.equal(length, String(coded.body.length))

      const vary = 'Accept-Encoding'
      t.match(await ask([...gzip, `If-None-Match: ${etag}`]), { status: 304, fields: { etag, vary } })
      t.match(await ask([`If-None-Match: ${etag}`]), { status: 200, fields: { vary } }, 'not the plain one’s')
      t.match(await ask([`If-None-Match: ${plain.fields.etag}`]), { status: 304, fields: { vary } })
      t.match(await ask([...gzip, 'If-Match: "other"']), { status: 412 })

      const head = await ask(gzip, 'HEAD')
      t.match(head.fields, { etag, vary, 'content-encoding': 'gzip', 'content-length': length })

      const part = await ask([...gzip, 'Range: bytes=2-9', `If-Range: ${etag}`])
      t.match(part.fields, { etag, vary, 'content-encoding': 'gzip', 'content-range': `bytes 2-9/${length}` })
      t.same([part.status, part.body], [206, coded.body.subarray(2, 10)])
      const whole = await ask([...gzip, 'Range: bytes=2-9', `If-Range: ${plain.fields.etag}`])
      t.same([whole.status, whole.body], [200, coded.body], 'the rest of what another form has begun')
      const behind = await ask([...gzip, `Range: bytes=${length}-`])
      t.match(behind, { status: 416, fields: { vary, 'content-range': `bytes */${length}` } })
    })
  })
})

t.test('a change on disk', async t => {
  await withPages(t, {}, async (rig, folder) => {
    await asking(rig, async ask => {
      await untilCoded(t, ask, 'gzip')
      const changed = PAGE.replaceAll('breach', 'bridge')
      fs.writeFileSync(`${folder}/a.html`, changed)
      const seen = new Set<string>()
      for (let isNew = false; !isNew; ) {
        const { body, fields } = await ask(['Accept-Encoding: gzip'])
        const isCoded = fields['content-encoding'] === 'gzip'
        const text = (isCoded ? gunzipSync(body) : body).toString()
        seen.add(text)
        isNew = isCoded && text === changed
      }
      t.same([...seen], [PAGE, changed], 'the old content, then the new')
    })
  })
})

const OFF = { httpAutoBr: false, httpAutoGzip: false }

t.test('switched off and on while it runs', async t => {
  await withPages(t, OFF, async rig => {
    await asking(rig, async ask => {
      const off = { status: 200, fields: { vary: undefined, 'content-encoding': undefined } }
      t.match(await ask(['Accept-Encoding: gzip']), off)
      rig.lifecycle.apply({ ...rig.settings, ...COMPRESSION })
      await untilCoded(t, ask, 'gzip')
      rig.lifecycle.apply({ ...rig.settings, ...OFF })
      t.match(await ask(['Accept-Encoding: gzip']), off)
    })
  })
})
