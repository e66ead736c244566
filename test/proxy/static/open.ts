/** What may be opened in a folder and what may not, at rest and while names change under it. */

import { execFile, execFileSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import { promisify } from 'node:util'
import t from 'tap'
import { type Opened, openInside } from '../../../proxy/static/open.js'
import { measureLostTime } from '../../kit/fixtures/lost-time.js'

/** Not below the repository: paths of unix sockets are short, and the user nobody must be able to reach it. */
const top = fs.realpathSync(fs.mkdtempSync(`${os.tmpdir()}/static-open-`))
fs.chmodSync(top, 0o755)
t.teardown(() => fs.rmSync(top, { recursive: true }))

function makeFolder(name: string, files: Record<string, string> = {}): string {
  const folder = `${top}/${name}`
  fs.mkdirSync(folder)
  for (const [file, text] of Object.entries(files)) fs.writeFileSync(`${folder}/${file}`, text)
  return folder
}

/** `file: <text>`, or the kind of what it is instead. */
async function textOf(opened: Opened): Promise<string> {
  if (opened.kind !== 'file') return opened.kind
  const buffer = Buffer.alloc(opened.version.sizeBytes)
  const { file } = opened
  await new Promise<void>((resolve, reject) => {
    file.read(buffer, 0, buffer.length, 0, error => (error === null ? resolve() : reject(error)))
  })
  file.close()
  return `file: ${buffer.toString()}`
}

async function look(folder: string, path: string): Promise<string> {
  return textOf(await openInside(folder, path))
}

function descriptors(): number {
  return fs.readdirSync('/proc/self/fd').length
}

const site = makeFolder('site', { 'a.txt': 'a', 'a b%20ü.txt': 'named', empty: '' })
const outside = makeFolder('outside', { secret: 'secret' })
const twin = makeFolder('site-twin', { secret: 'secret' })

t.test('sorts out what lies in a folder', async t => {
  fs.mkdirSync(`${site}/dir`)
  fs.writeFileSync(`${site}/dir/b.txt`, 'b')
  const links: [name: string, target: string][] = [
    ['in', 'a.txt'],
    ['in-absolute', `${site}/dir/b.txt`],
    ['in-dir', 'dir'],
    ['in-chain', 'in'],
    ['out', `${outside}/secret`],
    ['out-relative', '../outside/secret'],
    ['out-chain', 'out'],
    ['out-dir', outside],
    ['out-twin', `${twin}/secret`],
    ['out-device', '/dev/zero'],
    ['out-proc', '/proc/self/environ'],
    ['up', '..'],
    ['self', 'self'],
    ['dangling', 'nothing'],
  ]
  for (const [name, target] of links) fs.symlinkSync(target, `${site}/${name}`)
  execFileSync('mkfifo', [`${site}/fifo`])
  const server = net.createServer().listen(`${site}/socket`)
  t.teardown(() => server.close())

  const cases: [path: string, expected: string][] = [
    ['/a.txt', 'file: a'],
    ['/a b%20ü.txt', 'file: named'],
    ['/empty', 'file: '],
    ['/dir/b.txt', 'file: b'],
    ['/dir', 'directory'],
    ['/', 'directory'],
    ['/in', 'file: a'],
    ['/in-absolute', 'file: b'],
    ['/in-dir', 'directory'],
    ['/in-dir/b.txt', 'file: b'],
    ['/in-chain', 'file: a'],
    ['/out', 'missing'],
    ['/out-relative', 'missing'],
    ['/out-chain', 'missing'],
    ['/out-dir', 'missing'],
    ['/out-dir/secret', 'missing'],
    ['/out-twin', 'missing'],
    ['/out-device', 'missing'],
    ['/out-proc', 'missing'],
    ['/up', 'missing'],
    ['/up/outside/secret', 'missing'],
    ['/up/site/a.txt', 'file: a'],
    ['/self', 'missing'],
    ['/self/a', 'missing'],
    ['/dangling', 'missing'],
    ['/nothing', 'missing'],
    ['/nothing/a.txt', 'missing'],
    ['/a.txt/b', 'missing'],
    ['/fifo', 'missing'],
    ['/socket', 'missing'],
    [`/${'n'.repeat(300)}`, 'missing'],
    [`${'/n'.repeat(4000)}`, 'missing'],
  ]
  // Twice, because the second look may take the way of known paths.
  for (const round of ['first', 'second']) {
    for (const [path, expected] of cases)
      t.equal(await look(site, path), expected, `${round} look: ${path.slice(0, 40)}`)
  }
  t.equal(await look(`${top}/no-such-folder`, '/a.txt'), 'missing')
  t.equal(await look(site, '/a.txt'), 'file: a')
  t.equal(await look('/', `${site}/a.txt`.slice(1)), 'file: a', 'a folder that ends with a slash')
})

t.test('nothing that is no file holds up the answer', async t => {
  const cases: [folder: string, path: string][] = [
    [site, '/fifo'],
    [site, '/socket'],
    [site, '/out-device'],
    ['/dev', '/zero'],
    ['/dev', '/null'],
    ['/dev', '/tty'],
  ]
  for (const [folder, path] of cases) {
    let fastestMs = Number.POSITIVE_INFINITY
    const lost = measureLostTime()
    for (let attempt = 0; attempt < 3; attempt++) {
      const startMs = performance.now()
      t.equal(await look(folder, path), 'missing', folder + path)
      fastestMs = Math.min(fastestMs, performance.now() - startMs)
    }
    t.ok(fastestMs < 100 + lost.ms(), `${folder}${path} took ${fastestMs} ms`)
    lost.stop()
  }
})

t.test('what may not be read is forbidden', async t => {
  const folder = makeFolder('modes', { closed: 'secret', open: 'open' })
  fs.mkdirSync(`${folder}/closed-dir`)
  fs.writeFileSync(`${folder}/closed-dir/a`, 'secret')
  fs.chmodSync(`${folder}/closed`, 0)
  fs.chmodSync(`${folder}/closed-dir`, 0)
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(65534)
  try {
    for (const round of ['first', 'second']) {
      t.equal(await look(folder, '/open'), 'file: open', `${round} look`)
      t.equal(await look(folder, '/closed'), 'forbidden', `${round} look`)
      t.equal(await look(folder, '/closed-dir/a'), 'forbidden', `${round} look`)
    }
  } finally {
    if (isRoot) process.seteuid?.(0)
    fs.chmodSync(`${folder}/closed-dir`, 0o755)
  }
})

t.test('a known path is looked at again each time', async t => {
  const folder = makeFolder('changing', { a: 'one', target: 'inside' })
  const steps: [title: string, change: () => void, expected: string][] = [
    ['unchanged', () => {}, 'file: one'],
    ['rewritten', () => fs.writeFileSync(`${folder}/a`, 'two, longer'), 'file: two, longer'],
    ['deleted', () => fs.unlinkSync(`${folder}/a`), 'missing'],
    ['still deleted', () => {}, 'missing'],
    ['created', () => fs.writeFileSync(`${folder}/a`, 'three'), 'file: three'],
    ['a link out', () => replaceByLink(`${folder}/a`, `${outside}/secret`), 'missing'],
    ['a link in', () => replaceByLink(`${folder}/a`, 'target'), 'file: inside'],
    ['a folder', () => replaceBy(`${folder}/a`, () => fs.mkdirSync(`${folder}/a`)), 'directory'],
    ['a fifo', () => replaceBy(`${folder}/a`, () => execFileSync('mkfifo', [`${folder}/a`])), 'missing'],
    ['a file again', () => replaceBy(`${folder}/a`, () => fs.writeFileSync(`${folder}/a`, 'four')), 'file: four'],
  ]
  for (const [title, change, expected] of steps) {
    change()
    t.equal(await look(folder, '/a'), expected, title)
    t.equal(await look(folder, '/a'), expected, `${title}, asked again`)
  }
})

function replaceBy(path: string, make: () => void): void {
  fs.rmSync(path, { recursive: true })
  make()
}

function replaceByLink(path: string, target: string): void {
  fs.symlinkSync(target, `${path}.new`)
  fs.renameSync(`${path}.new`, path)
}

t.test('a folder that is a link may be moved to the next release', async t => {
  const releases = makeFolder('releases')
  for (const name of ['one', 'two']) {
    fs.mkdirSync(`${releases}/${name}`)
    fs.writeFileSync(`${releases}/${name}/a`, name)
  }
  fs.symlinkSync('../two/a', `${releases}/one/other`)
  fs.symlinkSync('one', `${releases}/current`)
  t.equal(await look(`${releases}/current`, '/a'), 'file: one')
  t.equal(await look(`${releases}/current`, '/other'), 'missing')
  replaceByLink(`${releases}/current`, 'two')
  t.equal(await look(`${releases}/current`, '/a'), 'file: two')
  fs.rmSync(`${releases}/one`, { recursive: true })
  t.equal(await look(`${releases}/current`, '/a'), 'file: two')
})

t.test('a folder in the path that flips between inside and outside never lets out what is outside', async t => {
  const folder = makeFolder('flipping')
  fs.mkdirSync(`${folder}/inside`)
  fs.writeFileSync(`${folder}/inside/secret`, 'public')
  const script = `
    const fs = require('node:fs')
    const parent = process.ppid
    for (let at = 0; process.ppid === parent; at++) {
      fs.symlinkSync(at % 2 ? 'inside' : process.argv[2], process.argv[1] + '.new')
      fs.renameSync(process.argv[1] + '.new', process.argv[1])
    }`
  fs.symlinkSync('inside', `${folder}/sub`)
  const flipper = execFile(process.execPath, ['-e', script, `${folder}/sub`, outside])
  const ended = new Promise(resolve => flipper.once('exit', resolve))
  t.teardown(() => flipper.kill('SIGKILL'))
  const seen = new Map<string, number>()
  while ((seen.get('missing') ?? 0) < 50 || (seen.get('file: public') ?? 0) < 50) {
    const text = await look(folder, '/sub/secret')
    seen.set(text, (seen.get(text) ?? 0) + 1)
  }
  flipper.kill('SIGKILL')
  await ended
  t.strictSame([...seen.keys()].sort(), ['file: public', 'missing'])
})

t.test('keeps no descriptor of what it does not hand out', async t => {
  const paths = ['/nothing', '/dir', '/fifo', '/socket', '/out', '/in-dir', '/out-dir', '/up', '/self']
  const before = descriptors()
  for (let round = 0; round < 5; round++) for (const path of paths) await look(site, path)
  t.equal(descriptors(), before)
})

t.test('without free descriptors it fails with a code of its own, and recovers', async t => {
  const script = `
    import fs from 'node:fs'
    const { openInside } = await import(process.argv[1])
    const codes = []
    const attempt = async path => {
      try { codes.push((await openInside(process.argv[2], path)).kind) } catch (thrown) { codes.push(thrown.code) }
    }
    await attempt('/a.txt')
    const held = []
    try { for (;;) held.push(fs.openSync('/dev/null')) } catch {}
    await attempt('/a.txt')
    await attempt('/dir/b.txt')
    held.forEach(fd => fs.closeSync(fd))
    await attempt('/a.txt')
    await attempt('/dir/b.txt')
    console.log(codes.join())`
  const module = new URL('../../../proxy/static/open.js', import.meta.url).href
  const limited = [
    '-c',
    'ulimit -n 64; exec "$@"',
    'sh',
    process.execPath,
    '--input-type=module',
    '-e',
    script,
    module,
    site,
  ]
  const { stdout } = await promisify(execFile)('sh', limited)
  t.equal(stdout.trim(), 'file,no-files,no-files,file,file')
})
