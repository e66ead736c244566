/** Tests of reading configuration files from the real file system: bounds, and things that are not text files. */

import { execFileSync } from 'node:child_process'
import { symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { FILE_BYTES, realFiles } from '../../../supervisor/config/config-files.js'

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
