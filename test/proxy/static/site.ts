/** Files from a changing disk through a whole proxy: what is found where, and that the cache tells the truth within a second. */

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { RouteSpec, StaticSettings } from '../../../kit/channel/messages.js'
import { sharedMs } from '../../../kit/ground/shared-clock.js'
import { type RawAnswer, type RawClient, request } from '../fixtures/raw-client.js'
import { type Rig, withRig } from '../fixtures/rig.js'

type Tree = { [name: string]: string | Tree }

class Bench {
  asked = 0
  readonly rig: Rig
  readonly folder: string
  readonly #client: RawClient

  constructor(rig: Rig, folder: string, client: RawClient) {
    this.rig = rig
    this.folder = folder
    this.#client = client
  }

  at(path: string): string {
    return join(this.folder, path)
  }

  configure(files: Partial<StaticSettings>, routes: RouteSpec[] = [], checkStatic: string[] = []): void {
    const all = routes.length > 0 ? routes : [{ kind: 'static' as const, prefix: '/', folder: this.folder }]
    this.rig.lifecycle.apply({ ...this.rig.settings, ...files, routes: all, checkStatic })
  }

  async ask(path: string, fields: string[] = [], method = 'GET'): Promise<RawAnswer> {
    this.asked++
    this.#client.send(request(method, path, fields))
    return this.#client.answer(method === 'HEAD')
  }

  /** `status body`, the body in one word. */
  async text(path: string, fields: string[] = []): Promise<string> {
    const { status, body } = await this.ask(path, fields)
    return status === 200 ? `200 ${body.toString()}` : String(status)
  }
}

function plant(folder: string, tree: Tree): void {
  fs.mkdirSync(folder, { recursive: true })
  for (const [name, content] of Object.entries(tree)) {
    if (typeof content === 'string') fs.writeFileSync(join(folder, name), content)
    else plant(join(folder, name), content)
  }
}

async function withBench(t: Test, tree: Tree, use: (bench: Bench) => Promise<void>): Promise<void> {
  await withRig(t, {}, async rig => {
    const folder = fs.realpathSync(fs.mkdtempSync(join(rig.folder, 'site-')))
    plant(folder, tree)
    fs.chmodSync(rig.folder, 0o755)
    fs.chmodSync(folder, 0o755)
    const bench = new Bench(rig, folder, await rig.client())
    bench.configure({})
    await use(bench)
    await rig.expectLines(bench.asked)
  })
}

t.test('looks into a folder', async t => {
  const tree = {
    'index.html': 'top',
    'a.txt': 'hello',
    'script.php': 'php',
    'x.php.html': 'page',
    empty: '',
    '.env': 'secret',
    '.well-known': { token: 'token' },
    'with-index': { 'index.html': 'inner', 'index.htm': 'other' },
    'with-other': { 'index.htm': 'other' },
    'without-index': { 'b.txt': 'b' },
    'odd-index': { 'index.html': { 'c.txt': 'c' } },
  }
  const cases: [path: string, expected: string][] = [
    ['/a.txt', '200 hello'],
    ['/empty', '200 '],
    ['/', '200 top'],
    ['/with-index/', '200 inner'],
    ['/with-other/', '200 other'],
    ['/with-index', '301'],
    ['/with-other', '301'],
    ['/.well-known/token', '200 token'],
    ['/nothing', '404'],
    ['/without-index/', '404'],
    ['/without-index', '404'],
    ['/odd-index/', '404'],
    ['/odd-index', '404'],
    ['/a.txt/', '404'],
    ['/.env', '404'],
    ['/script.php', '404'],
    ['/x.php.html', '200 page'],
  ]
  await withBench(t, tree, async bench => {
    bench.configure({ staticIndex: ['index.html', 'index.htm'], staticSkipExt: ['.php'] })
    for (const round of ['first', 'second']) {
      for (const [path, expected] of cases) t.equal(await bench.text(path), expected, `${round} time: ${path}`)
    }
    t.match(await bench.ask('/with-other', [], 'HEAD'), { fields: { location: './with-other/' } })
  })
})

t.test('a map that keeps its mount, and folders that are only looked into', async t => {
  const tree = { assets: { 'a.txt': 'a' }, one: { x: 'one x' }, two: { x: 'two x', y: 'two y' } }
  await withBench(t, tree, async bench => {
    const routes: RouteSpec[] = [{ kind: 'static', prefix: '/assets', folder: bench.folder, keepsMount: true }]
    bench.configure({}, routes, [bench.at('one'), bench.at('two')])
    t.equal(await bench.text('/assets/a.txt'), '200 a')
    t.equal(await bench.text('/assets/one/x'), '404')
    t.equal(await bench.text('/x'), '200 one x', 'no mount at all')
    t.equal(await bench.text('/y'), '200 two y')
    t.equal(await bench.text('/z'), '404')
  })
})

t.test('links lead into safe folders and nowhere else', async t => {
  await withBench(t, { www: {}, media: { pic: 'pic' }, 'media-of-others': { pic: 'secret' } }, async bench => {
    for (const name of ['media', 'media-of-others']) {
      fs.symlinkSync(bench.at(`${name}/pic`), bench.at(`www/${name}-pic`))
      fs.symlinkSync(bench.at(name), bench.at(`www/${name}`))
    }
    const routes: RouteSpec[] = [{ kind: 'static', prefix: '/', folder: bench.at('www') }]
    bench.configure({ staticSafe: [bench.at('gone'), bench.at('media')] }, routes)
    t.equal(await bench.text('/media-pic'), '200 pic')
    t.equal(await bench.text('/media/pic'), '200 pic')
    t.equal(await bench.text('/media-of-others-pic'), '404')
    t.equal(await bench.text('/media-of-others/pic'), '404')
    bench.configure({}, routes)
    t.equal(await bench.text('/media-pic'), '404', 'safe no more')
  })
})

t.test('compressed siblings', async t => {
  const tree = {
    'a.js': 'plain',
    'a.js.br': 'br',
    'a.js.gz': 'gzip',
    'b.js': 'plain',
    'b.js.gz': 'old',
    'c.js': 'plain',
  }
  await withBench(t, tree, async bench => {
    fs.utimesSync(bench.at('b.js.gz'), 1000, 1000)
    bench.configure({ staticPrecompressed: ['br', 'zstd', 'gzip'] })
    const cases: [path: string, accept: string | null, expected: string, coding?: string][] = [
      ['/a.js', null, '200 plain'],
      ['/a.js', 'gzip, br', '200 br', 'br'],
      ['/a.js', 'gzip, br;q=0.1', '200 gzip', 'gzip'],
      ['/a.js', 'zstd', '200 plain'],
      ['/a.js', 'identity;q=0, zstd', '406'],
      ['/b.js', 'gzip', '200 plain'],
      ['/c.js', 'gzip;q=1, identity;q=0', '200 plain'],
    ]
    for (const [path, accept, expected, coding] of cases) {
      const fields = accept === null ? [] : [`Accept-Encoding: ${accept}`]
      t.equal(await bench.text(path, fields), expected, `${path} ${accept}`)
      const { fields: got } = await bench.ask(path, fields)
      t.equal(got['content-encoding'], coding, `${path} ${accept}: Content-Encoding`)
      t.equal(got.vary, path === '/a.js' ? 'Accept-Encoding' : undefined, `${path} ${accept}: Vary`)
      if (got.etag !== undefined) t.match(got['content-type'], 'text/javascript')
    }
    const gzip = ['Accept-Encoding: gzip']
    const { fields } = await bench.ask('/a.js', gzip)
    t.equal((await bench.ask('/a.js', [`If-None-Match: ${fields.etag}`])).status, 200, 'each form has its own tag')
    t.match(await bench.ask('/a.js', [...gzip, `If-None-Match: ${fields.etag}`]), {
      status: 304,
      fields: { vary: 'Accept-Encoding', etag: fields.etag },
    })
    const part = await bench.ask('/a.js', [...gzip, 'Range: bytes=1-2'])
    t.match(part, { status: 206, fields: { 'content-range': 'bytes 1-2/4', 'content-encoding': 'gzip' } })
    t.equal(part.body.toString(), 'zi', 'a range of the form that was chosen')
    bench.configure({})
    t.equal(await bench.text('/a.js', gzip), '200 plain', 'none are looked for unless wanted')
  })
})

t.test('several ranges', async t => {
  const letters = 'abcdefghijklmnopqrstuvwxyz'.repeat(40)
  await withBench(t, { letters, large: letters.repeat(300) }, async bench => {
    for (const path of ['/letters', '/large']) {
      const answer = await bench.ask(path, ['Range: bytes=0-2,100-101,-1'])
      t.equal(answer.status, 206, path)
      const [, mark = ''] = /^multipart\/byteranges; boundary=(.{20,})$/.exec(answer.fields['content-type'] ?? '') ?? []
      const parts = answer.body.toString().split(`\r\n--${mark}`)
      t.equal(parts.pop(), '--\r\n', 'the last line')
      t.same(
        parts.slice(1).map(part => part.split('\r\n\r\n')[1]),
        ['abc', letters.slice(100, 102), 'z'],
        path,
      )
      t.match(parts[2], /Content-Range: bytes 100-101\/\d+\r\n\r\n/)
      const many = Array.from({ length: 1000 }, (_, n) => `${n}-`).join()
      const attack = await bench.ask(path, [`Range: bytes=${many}`])
      t.equal(attack.status, 200, 'a thousand ranges are answered as none')
      t.match(await bench.ask(path, ['Range: bytes=0-2,4-5', 'If-Range: "other"']), { status: 200 })
      t.match(await bench.ask(path, ['Range: bytes=9999999-,99999999-']), { status: 416 })
    }
  })
})

t.test('how long to keep it', async t => {
  await withBench(t, { 'a.css': 'a', 'b-3f9c2a1b.css': 'b', 'c.txt': 'c' }, async bench => {
    const expires = [
      { by: 'type', pattern: 'text/css', seconds: 60, from: 'now' },
      { by: 'uri', pattern: '[?]long$', seconds: 600, from: 'now' },
    ] as const
    bench.configure({ staticExpires: [...expires], staticImmutable: true })
    const cases: [path: string, expected: string | undefined][] = [
      ['/a.css', 'max-age=60'],
      ['/b-3f9c2a1b.css', 'max-age=31536000, immutable'],
      ['/c.txt', undefined],
      ['/c.txt?long', 'max-age=600'],
      ['/c.txt?other', undefined],
    ]
    for (const round of ['first', 'second']) {
      for (const [path, expected] of cases) {
        const { fields } = await bench.ask(path)
        t.equal(fields['cache-control'], expected, `${round} time: ${path}`)
        t.equal(fields.expires === undefined, expected === undefined, `${round} time: ${path}`)
      }
    }
  })
})

t.test('the page of a single-page application', async t => {
  await withBench(t, { 'index.html': 'page', 'a.js': 'script' }, async bench => {
    bench.configure({ staticFallback: [{ mount: '/', path: '/index.html' }] })
    const browser = ['Accept: text/html,*/*;q=0.8']
    t.equal(await bench.text('/users/7', browser), '200 page')
    t.match((await bench.ask('/users/8', browser)).fields, { vary: 'Accept, Sec-Fetch-Mode' })
    t.equal((await bench.ask('/', browser)).fields.vary, undefined, 'where it is an ordinary file')
    t.equal(await bench.text('/users/7', ['Accept: */*']), '404')
    t.equal(await bench.text('/users/7', ['Sec-Fetch-Mode: cors', ...browser]), '404')
    t.equal(await bench.text('/a.js', browser), '200 script')
    t.match(await bench.ask('/users/7', browser, 'HEAD'), { status: 200, fields: { 'content-length': '4' } })
    fs.unlinkSync(bench.at('index.html'))
    await changed(t, bench, 'page gone', { path: '/users/7', fields: browser, old: '200 page', expected: '404' })
  })
})

t.test('what only an earlier release has', async t => {
  const tree = {
    one: { old: 'one', both: 'one', 'index.html': 'one' },
    two: { both: 'two', 'index.html': 'two' },
    zero: { older: 'zero' },
  }
  await withBench(t, tree, async bench => {
    const routes: RouteSpec[] = [{ kind: 'static', prefix: '/', folder: bench.at('two') }]
    const previous = (graceMs: number) =>
      ['one', 'zero', 'gone'].map(name => ({
        folder: bench.at('two'),
        before: bench.at(name),
        untilMs: sharedMs() + graceMs,
      }))
    bench.configure({ previousFolders: previous(600_000) }, routes)
    t.equal(await bench.text('/old'), '200 one')
    t.equal(await bench.text('/older'), '200 zero')
    t.equal(await bench.text('/both'), '200 two')
    t.equal(await bench.text('/'), '200 two')
    t.equal(await bench.text('/none'), '404')
    bench.configure({ previousFolders: previous(-1) }, routes)
    t.equal(await bench.text('/old'), '404', 'the grace is over')
    bench.configure({ previousFolders: previous(300) }, routes)
    await changed(t, bench, 'the grace ends', {
      path: '/old',
      fields: [],
      old: '200 one',
      expected: '404',
      withinMs: 1300,
    })
  })
})

interface Change {
  path: string
  fields: string[]
  old: string
  expected: string
  withinMs?: number
}

/** Asks again and again: nothing but the old answer and then the new one. What is asked a second after the change gets the new one, however late the answer is. */
async function changed(t: Test, bench: Bench, title: string, change: Change): Promise<void> {
  const { path, fields, old, expected, withinMs = 1000 } = change
  const startMs = performance.now()
  let askedMs = startMs
  let text = old
  while (text === old && askedMs - startMs < withinMs) {
    askedMs = performance.now()
    text = await bench.text(path, fields)
  }
  t.equal(text, expected, `${title}: asked after ${Math.round(askedMs - startMs)} ms`)
}

t.test('every change on disk shows within a second', async t => {
  await withBench(t, { a: 'one', dir: { a: 'in dir' }, other: { a: 'in other' }, www: {} }, async bench => {
    const a = bench.at('a')
    const over = (make: (path: string) => void) => () => {
      make(`${a}.new`)
      fs.renameSync(`${a}.new`, a)
    }
    const anew = (make: () => void) => () => {
      fs.rmSync(a, { recursive: true })
      make()
    }
    const steps: [title: string, change: () => void, expected: string][] = [
      ['rewritten in place, as long as it was', () => fs.writeFileSync(a, 'two'), '200 two'],
      ['rewritten, and its time set back', () => rewriteUnseen(a, 'six'), '200 six'],
      ['renamed over', over(path => fs.writeFileSync(path, 'three')), '200 three'],
      ['grown', () => fs.appendFileSync(a, ' more'), '200 three more'],
      ['cut', () => fs.truncateSync(a, 1), '200 t'],
      ['a link out', over(path => fs.symlinkSync('/etc/hostname', path)), '404'],
      ['a file again', over(path => fs.writeFileSync(path, 'four')), '200 four'],
      ['a FIFO', anew(() => execFileSync('mkfifo', [a])), '404'],
      ['a file again', anew(() => fs.writeFileSync(a, 'five')), '200 five'],
      ['a folder', anew(() => fs.mkdirSync(a)), '404'],
      ['a file again', anew(() => fs.writeFileSync(a, 'seven')), '200 seven'],
      ['a link in', over(path => fs.symlinkSync('dir/a', path)), '200 in dir'],
      ['another link in', over(path => fs.symlinkSync('other/a', path)), '200 in other'],
      ['deleted', () => fs.unlinkSync(a), '404'],
      ['made', () => fs.writeFileSync(a, 'eight'), '200 eight'],
    ]
    let old = await bench.text('/a')
    for (const [title, change, expected] of steps) {
      change()
      await changed(t, bench, title, { path: '/a', fields: [], old, expected })
      old = await bench.text('/a')
    }
  })
})

/** As a tool does that keeps times: size, inode and time of modification are what they were. */
function rewriteUnseen(path: string, text: string): void {
  const { atime, mtime } = fs.statSync(path)
  fs.writeFileSync(path, text)
  fs.utimesSync(path, atime, mtime)
}

t.test('a file whose rights are taken away', async t => {
  await withBench(t, { a: 'one' }, async bench => {
    const isRoot = process.geteuid?.() === 0
    t.equal(await bench.text('/a'), '200 one')
    fs.chmodSync(bench.at('a'), 0)
    if (isRoot) process.seteuid?.(65534)
    try {
      await changed(t, bench, 'unreadable', { path: '/a', fields: [], old: '200 one', expected: '403' })
    } finally {
      if (isRoot) process.seteuid?.(0)
    }
  })
})

t.test('a 304 and a form change with the file', async t => {
  await withBench(t, { a: 'one', 'a.gz': 'gz1' }, async bench => {
    bench.configure({ staticPrecompressed: ['gzip'] })
    const { fields } = await bench.ask('/a')
    const known = [`If-None-Match: ${fields.etag}`]
    t.equal(await bench.text('/a', known), '304')
    t.equal(await bench.text('/a', ['Accept-Encoding: gzip']), '200 gz1')
    fs.writeFileSync(bench.at('a'), 'two')
    await changed(t, bench, 'its tag', { path: '/a', fields: known, old: '304', expected: '200 two' })
    t.equal(await bench.text('/a', ['Accept-Encoding: gzip']), '200 two', 'the sibling is older now')
  })
})

/** Whoever writes to the socket ends there, with its stream or without. */
function handleOf(socket: Socket): { writeBuffer: (...args: unknown[]) => number } {
  return (socket as unknown as { _handle: ReturnType<typeof handleOf> })._handle
}

t.test('a hit is one write and no look at the disk', async t => {
  await withBench(t, { a: 'x'.repeat(100_000) }, async bench => {
    await bench.ask('/a')
    const [socket] = bench.rig.sockets
    if (socket === undefined) throw new Error('no socket')
    const calls: string[] = []
    const watched = ['open', 'openSync', 'fstatSync', 'statSync', 'readSync', 'read', 'readlinkSync'] as const
    const restore = watched.map(name => {
      const original = fs[name] as (...args: unknown[]) => unknown
      const counted = (...args: unknown[]) => {
        calls.push(name)
        return original(...args)
      }
      Object.assign(fs, { [name]: counted })
      return () => Object.assign(fs, { [name]: original })
    })
    const handle = handleOf(socket)
    const write = handle.writeBuffer.bind(handle)
    let writes = 0
    handle.writeBuffer = (...args) => {
      writes++
      return write(...args)
    }
    const startMs = performance.now()
    for (let n = 0; n < 20; n++) await bench.ask('/a')
    const tookMs = performance.now() - startMs
    for (const undo of restore) undo()
    t.equal(writes, 20)
    if (tookMs < 350) t.same(calls, [])
    else t.comment(`too slow to tell: ${tookMs} ms`)
  })
})
