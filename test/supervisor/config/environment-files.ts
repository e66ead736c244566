/** Tests of `env-file` and `envdir` as the INI names them: what comes of them, and how their mistakes are told. */

import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { readEnvironmentFiles } from '../../../supervisor/config/environment-files.js'
import { filesFor } from '../../../supervisor/config/ini/config-files.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { memoryFiles } from './fixtures/memory-files.js'
import { BASE, FILES, read } from './fixtures/reading.js'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

const isRoot = process.getuid?.() === 0
const files = (texts: Record<string, string>, lines: string[]) => ({
  files: memoryFiles({ ...FILES, ...texts, '/srv/shop.ini': ['[uwsgi]', ...lines].join('\n') }),
})

t.test('files in their order, then folders in theirs; never shown', async t => {
  const lines = [...BASE, 'chdir = sub', 'envdir = e', 'env-file = /srv/b', 'env-file = a']
  const texts = {
    '/srv/sub/a': 'TOKEN=sesame',
    '/srv/b': 'X=1\n',
    '/srv/sub/e/X': '',
    '/srv/sub/e/NOTES': 'first \t\r\nsecond sesame\n',
    '/srv/sub/e/LINES': 'a\0b\n\n',
    '/srv/sub/e/EMPTY': '\n',
    '/srv/sub/e/db-password': 'sesame',
    '/srv/sub/e/.hidden': 'x',
    '/srv/sub/e/folder/x': 'x',
  }
  const reading = read(lines, files(texts, lines))
  t.same(reading.mistakes, [])
  t.same(reading.settings?.environmentFiles, [
    { name: 'X', value: '1' },
    { name: 'TOKEN', value: 'sesame' },
    { name: 'EMPTY', value: '' },
    { name: 'LINES', value: 'a\nb' },
    { name: 'NOTES', value: 'first' },
    { name: 'X', value: null },
    { name: 'db-password', value: 'sesame' },
  ])
  t.match(reading.remarks, [{ place: 'shop.ini:5', message: 'envdir: only the first line of /srv/sub/e/NOTES counts' }])
  t.notMatch(JSON.stringify([reading.remarks, reading.values]), /sesame/)
  const watched = ['/srv/b', '/srv/sub/a', '/srv/sub/e', '/srv/sub/e/NOTES']
  t.same(
    watched.filter(path => !reading.files?.includes(path)),
    [],
    'ini-reload watches them, and the folder',
  )
})

t.test('mistakes stand at their line, and refuse everything', async t => {
  const lines = [...BASE, 'env-file = no', 'env-file = bad', 'envdir = none', 'envdir = app.js', 'envdir = e']
  const reading = read(lines, files({ '/srv/bad': 'A=1\nsesame\n', '/srv/e/A=B': 'sesame' }, lines))
  t.equal(reading.settings, null)
  const told = reading.mistakes.map(({ place, message }) => `${place}: ${message}`)
  t.match(told, [
    /^shop\.ini:4: env-file: no such file: received \/srv\/no: accepted a readable file/,
    /^shop\.ini:6: envdir: no such folder: received \/srv\/none: accepted a readable folder/,
    /^shop\.ini:7: envdir: (no such|it is not a) folder: received \/srv\/app\.js/,
    /^shop\.ini:8: envdir: `=` in the name of a variable: received \/srv\/e\/A=B/,
    /^\/srv\/bad:2: env-file: received something else: accepted NAME=VALUE/,
  ])
  t.equal(told.length, 5)
  t.notMatch(told.join(), /sesame/)
})

t.test('real folders: links are followed, as of a mounted secret, what cannot be read is refused', async t => {
  const folder = scratchFolder(t)
  const place = 'shop.ini:1'
  mkdirSync(join(folder, '..data'))
  writeFileSync(join(folder, '..data', 'PASSWORD'), 'sesame\n')
  symlinkSync('..data/PASSWORD', join(folder, 'PASSWORD'))
  const take = () => readEnvironmentFiles([], [{ path: folder, place }], filesFor(null), false)
  t.same(take(), { changes: [{ name: 'PASSWORD', value: 'sesame' }], mistakes: [], remarks: [] })
  symlinkSync('nowhere', join(folder, 'DANGLING'))
  t.match(take().mistakes, [{ place, message: /^envdir: no such file: received .*DANGLING/ }])
  if (!isRoot) return
  chmodSync(folder, 0o700)
  process.seteuid?.(65_534)
  const { mistakes } = take()
  process.seteuid?.(0)
  t.match(mistakes, [{ place, message: /^envdir: permission denied: received / }])
})

t.test('what is started as root trusts files of root alone', { skip: !isRoot && 'needs root' }, async t => {
  const folder = scratchFolder(t)
  const path = join(folder, 'A')
  writeFileSync(path, 'A=1\n')
  const mistakesOf = (ofRoot: boolean) => {
    const named = [{ path, place: 'shop.ini:1' }]
    const inFolder = [{ path: folder, place: 'shop.ini:2' }]
    return readEnvironmentFiles(named, inFolder, filesFor(null), ofRoot).mistakes.map(({ message }) => message)
  }
  t.same(mistakesOf(true), [])
  const changes: [string, () => void][] = [
    ['its owner', () => chownSync(path, 33, 0)],
    ['its group', () => chmodSync(path, 0o664)],
    ['everybody', () => chmodSync(path, 0o646)],
  ]
  for (const [who, change] of changes) {
    change()
    t.match(mistakesOf(true), [/^env-file: others than root may write it/, /^envdir: others than root/], who)
    t.same(mistakesOf(false), [], 'where nothing is started as root, they may')
    chownSync(path, 0, 0)
    chmodSync(path, 0o600)
  }
})

t.test('what a variable, and all of them, may have', async t => {
  const long = 'x'.repeat(128 * 1024 - 3)
  const cases: [title: string, texts: Record<string, string>, message: RegExp | null][] = [
    ['the longest', { A: long }, null],
    [
      'one byte more',
      { A: `${long}y` },
      /^envdir: "A" has 131072 bytes: accepted at most 131071, as the kernel takes$/,
    ],
    ['in bytes', { A: '\u20ac'.repeat(44_000) }, /^envdir: "A" has 132002 bytes/],
    [
      'all together',
      Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`A${at}`, 'x'.repeat(126_000)])),
      /^envdir: received more than 2097152 bytes: accepted as many in all files together$/,
    ],
    ['a name with a line feed', { 'a=\nshop.ini: OK': '' }, /received "\/srv\/e\/a=\\nshop\.ini: OK": accepted/],
  ]
  for (const [title, texts, message] of cases) {
    const lines = [...BASE, 'envdir = e']
    const inFolder = Object.fromEntries(Object.entries(texts).map(([name, text]) => [`/srv/e/${name}`, text]))
    const { mistakes } = read(lines, files(inFolder, lines))
    if (message === null) t.same(mistakes, [], title)
    else t.match(mistakes, [{ place: 'shop.ini:4', message }], title)
    t.equal(mistakes.length, message === null ? 0 : 1, title)
  }
  const lines = [...BASE, 'env-file = a']
  t.match(read(lines, files({ '/srv/a': `B=1\nA=${long}y\n` }, lines)).mistakes, [
    { place: 'shop.ini:4', message: /^env-file: \/srv\/a: "A" has 131072 bytes/ },
  ])
})

t.test('a variable does not keep the rest of its file in memory', async t => {
  const megabyte = `\n${'\u20ac'.repeat(300_000)}`
  const texts = Object.fromEntries(
    Array.from({ length: 60 }, (_, at) => [
      `/srv/e/A${at}`,
      Buffer.from(`the first line of ${at}${megabyte}`).toString(),
    ]),
  )
  const lines = [...BASE, 'envdir = e']
  const source = files(texts, lines)
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  const { changes } = readEnvironmentFiles([], [{ path: '/srv/e', place: 'x' }], copying(source.files), false)
  collectGarbage()
  const grown = process.memoryUsage().heapUsed - before
  t.equal(changes.length, 60)
  t.ok(grown < 2_000_000, `${grown} bytes more`)
})

/** Each reading is a new text, as from a disk. */
function copying(files: ReturnType<typeof memoryFiles>): ReturnType<typeof memoryFiles> {
  const read: typeof files.read = path => {
    const found = files.read(path)
    return found.ok ? { ok: true, text: Buffer.from(found.text).toString() } : found
  }
  return { ...files, read, within: (_folder, work) => work(copying(files)) }
}
