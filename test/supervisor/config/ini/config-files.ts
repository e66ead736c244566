/** Tests of reading configuration files from the real file system: bounds, and things that are not text files. */

import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, closeSync, mkdirSync, openSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { FILE_BYTES, filesFor, realFiles } from '../../../../supervisor/config/ini/config-files.js'
import { identitySwitches } from '../../../../supervisor/user/service-user.js'
import { scratchFolder } from '../../fixtures/scratch-folder.js'

const folder = t.testdir({ 'a.ini': '[uwsgi]\n', empty: '', sub: { x: '' } })
const path = (name: string): string => join(folder, name)
writeFileSync(path('bom.ini'), '\uFEFF[uwsgi]\n')
writeFileSync(path('latin1'), Buffer.from([0x61, 0xe4, 0x0a]))
writeFileSync(path('large'), '')
truncateSync(path('large'), FILE_BYTES + 1)
writeFileSync(path('largest'), 'x'.repeat(FILE_BYTES))
symlinkSync('a.ini', path('link'))
symlinkSync('nowhere', path('dangling'))
execFileSync('mkfifo', [path('pipe')])

t.test('kinds', async t => {
  const cases: [name: string, kind: string][] = [
    ['a.ini', 'file'],
    ['link', 'file'],
    ['sub', 'folder'],
    ['pipe', 'other'],
    ['missing', 'missing'],
    ['dangling', 'missing'],
    ['a.ini/below', 'missing'],
  ]
  for (const [name, kind] of cases) t.equal(realFiles.kindOf(path(name)), kind, name)
})

t.test('texts', async t => {
  t.same(realFiles.read(path('a.ini')), { ok: true, text: '[uwsgi]\n' })
  t.same(realFiles.read(path('bom.ini')), { ok: true, text: '[uwsgi]\n' })
  t.same(realFiles.read(path('empty')), { ok: true, text: '' })
  t.equal(realFiles.read(path('largest')).ok, true)
  const refused: [name: string, why: RegExp][] = [
    ['missing', /no such file/],
    ['sub', /it is a folder/],
    ['pipe', /not a regular file/],
    ['latin1', /not UTF-8/],
    ['large', /larger than 1048576 bytes/],
  ]
  for (const [name, why] of refused) t.match(realFiles.read(path(name)), { ok: false, why }, name)
})

t.test('a file whose size is not told beforehand', { skip: process.platform !== 'linux' && 'needs /proc' }, async t => {
  t.match(realFiles.read('/proc/self/status'), { ok: true, text: /^Name:/ })
})

const notRoot = process.getuid?.() !== 0 && 'needs root'
t.test('another user’s links into what a process sees of itself lead nowhere', { skip: notRoot }, async t => {
  const nobody = { user: null, uid: 65_534, gid: 65_534 }
  const theirs = scratchFolder(t)
  chmodSync(theirs, 0o755)
  mkdirSync(join(theirs, 'closed/open/inner'), { recursive: true })
  mkdirSync(join(theirs, 'folder'))
  for (const name of ['closed/open/page', 'closed/open/inner/TOKEN']) writeFileSync(join(theirs, name), 'secret')
  writeFileSync(join(theirs, 'folder/page'), 'theirs')
  const start = process.cwd()
  t.teardown(() => process.chdir(start))
  process.chdir(join(theirs, 'closed/open'))
  chmodSync(join(theirs, 'closed'), 0o700)
  const held = openSync('page', 'r')
  t.teardown(() => closeSync(held))
  chownSync(join(theirs, 'folder'), nobody.uid, nobody.gid)
  for (const [index, opener] of [nobody, 'unknown' as const].entries()) {
    const files = filesFor(opener)
    const plant = (target: string): string => {
      const link = join(theirs, 'folder', `${index}${target.replaceAll('/', '-')}`)
      symlinkSync(target, link)
      return link
    }
    const closed = 'a folder above it is closed'
    const texts: [target: string, why: string][] = [
      ['/proc/self/cwd/page', closed],
      ['/proc/thread-self/cwd/page', closed],
      [`/proc/self/fd/${held}`, closed],
      ['/proc/self/maps', 'it lies in /proc'],
      ['/proc/self/limits', 'it lies in /proc'],
      [`/proc/${process.pid}/status`, 'it lies in /proc'],
    ]
    for (const [target, why] of texts) t.same(files.read(plant(target)), { ok: false, why }, target)
    t.same(files.list(plant('/proc/self/cwd/inner')), { ok: false, why: closed })
    t.same(files.list(plant('/proc/self/fd')), { ok: false, why: 'it lies in /proc' })
    t.same(files.read(join(theirs, 'folder/page')), { ok: true, text: 'theirs' })
    t.same(
      files.read(plant(`/proc/self/root${join(theirs, 'folder/page')}`)),
      { ok: true, text: 'theirs' },
      'it has a name of its own',
    )
  }
})

t.test(
  'many files of a folder of another user are read as that user, who is become once',
  { skip: notRoot },
  async t => {
    const nobody = { user: null, uid: 65_534, gid: 65_534 }
    const theirs = scratchFolder(t)
    writeFileSync(join(theirs, 'open'), 'theirs')
    writeFileSync(join(theirs, 'closed'), 'root’s')
    chmodSync(join(theirs, 'closed'), 0o600)
    symlinkSync('/proc/self/maps', join(theirs, 'planted'))
    chownSync(theirs, nobody.uid, nobody.gid)
    const before = identitySwitches()
    const texts = filesFor(nobody).within(theirs, files =>
      ['open', 'closed', 'planted'].map(name => [files.kindOf(join(theirs, name)), files.read(join(theirs, name))]),
    )
    t.match(texts, [
      ['file', { ok: true, text: 'theirs' }],
      ['file', { ok: false, why: /^permission denied \(opened as nobody, because .* belongs to nobody\)$/ }],
      ['file', { ok: false, why: 'it lies in /proc' }],
    ])
    t.ok(identitySwitches() - before <= 2, 'once for its work, once for its groups')
    t.equal(process.geteuid?.(), 0)
  },
)
