/** Tests `kit/ground/clear-name.ts`: what may stand at the name of a worker's socket. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { clearName } from '../../../kit/ground/clear-name.js'

const planted: [title: string, plant: (path: string) => unknown, kept: RegExp | null][] = [
  ['nothing', () => {}, null],
  ['a file', path => writeFileSync(path, ''), null],
  ['a link to a folder', path => symlinkSync('precious', path), null],
  ['a link to nowhere', path => symlinkSync('nowhere', path), null],
  ['a named pipe', path => execFileSync('mkfifo', [path]), null],
  [
    'a folder that is not empty',
    path => mkdirSync(join(path, 'below'), { recursive: true }),
    /^worker-1\.sock\.planted-[0-9a-f]{16}$/,
  ],
]
for (const [title, plant, kept] of planted) {
  t.test(`a name is free afterwards: ${title}`, async t => {
    const folder = t.testdir({ precious: { file: '' } })
    const path = join(folder, 'worker-1.sock')
    plant(path)
    clearName(path)
    const [precious, ...rest] = readdirSync(folder).sort()
    t.equal(precious, 'precious')
    t.same(readdirSync(join(folder, 'precious')), ['file'])
    t.match(rest, kept === null ? [] : [kept])
    t.equal(rest.length, kept === null ? 0 : 1)
    if (kept !== null) t.same(readdirSync(join(folder, rest[0] ?? '')), ['below'])
  })
}

t.test('what cannot be cleared is left to whoever binds', async t => {
  const folder = t.testdir({ file: '' })
  t.doesNotThrow(() => clearName(join(folder, 'file/worker-1.sock')))
})
