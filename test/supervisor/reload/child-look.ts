/** `supervisor/reload/child-look.ts`: who looks at a path for a root master, and that one who does not answer is not waited for. */

import { chmodSync, chownSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemProgram } from '../../../kit/ground/system-path.js'
import { readProcessStat } from '../../../kit/process/process-stat.js'
import {
  type ChildLook,
  ChildLooks,
  type ChildLooksOptions,
  readEntries,
  readMarks,
} from '../../../supervisor/reload/child-look.js'
import { asServiceUser } from '../../../supervisor/user/service-user.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { mountSilent, NO_MOUNT } from '../fixtures/silent-mount.js'
import { testPipes } from '../fixtures/test-pipes.js'

type Tap = Parameters<typeof testPipes>[0] & Parameters<typeof scratchFolder>[0]
const nobody = { user: null, uid: 65_534, gid: 65_534 }
const needsRoot = { skip: process.geteuid?.() !== 0 && 'needs root' }

function looksOf(t: Tap, options: Partial<ChildLooksOptions> = {}) {
  const told: string[] = []
  const tellBlind = (path: string, why: string) => told.push(`${path}: ${why}`)
  const looks = new ChildLooks({ pipes: testPipes(t), tellBlind, lookMs: 60_000, ...options })
  t.teardown(() => looks.stop())
  return { looks, told }
}

const at = (path: string, as: ChildLook['as'] = null, entries = false): ChildLook => ({ key: path, path, as, entries })

/** A stat(1) that never answers for paths with `stuck` in them, and says who it was. */
function stuckStat(folder: string): (name: string) => string | null {
  const program = join(folder, 'stat')
  const script = `#!/bin/sh
case "$*" in *stuck*) echo $$ >>${folder}/pids; exec sleep 600;; esac
exec ${systemProgram('stat')} "$@"`
  writeFileSync(program, script, { mode: 0o755 })
  return name => (name === 'stat' ? program : systemProgram(name))
}

t.test('a path that does not answer is told once, and the others are seen', async t => {
  const folder = scratchFolder(t)
  for (const name of ['a', 'b', 'stuck']) writeFileSync(join(folder, name), '')
  const paths = ['a', 'stuck', 'b'].map(name => at(join(folder, name)))
  let nowMs = 0
  const { looks, told } = looksOf(t, { lookMs: 500, find: stuckStat(folder), nowMs: () => nowMs })
  t.same([...(await looks.look(paths)).keys()], [], 'it is not known which one it was')
  const seen = ['a', 'b'].map(name => join(folder, name))
  for (let times = 0; times < 3; times++) {
    t.same([...(await looks.look(paths)).keys()].toSorted(), seen)
    t.same(told, [`${join(folder, 'stuck')}: not seen within 500 ms`])
  }
  const pids = () => readFileSync(join(folder, 'pids'), 'utf8').trim().split('\n').map(Number)
  t.equal(pids().length, 2, 'no more are started for it')
  nowMs += 30_000
  while (pids().some(pid => readProcessStat(pid) !== null)) await new Promise(setImmediate)
  await looks.look(paths)
  t.equal(pids().length, 3, 'later it is tried again')
  t.equal(told.length, 1)
})

t.test('a file system of that user’s that never answers (FUSE) holds root up nowhere', needsRoot, async t => {
  const top = scratchFolder(t)
  chmodSync(top, 0o755)
  const mount = join(top, 'mount')
  mkdirSync(mount)
  if (!(await mountSilent(t, mount))) return t.pass(NO_MOUNT)
  const { looks, told } = looksOf(t, { lookMs: 1000 })
  const looked = looks.look([at(join(mount, 'x'), nobody)])
  t.equal(
    asServiceUser(nobody, () => process.geteuid?.()),
    65_534,
  )
  t.equal((await looked).size, 0)
  t.match(told, [/mount\/x: not seen within 1000 ms/])
  return undefined
})

t.test('each is the user who decides about its path, and what that one may not see is told', needsRoot, async t => {
  const top = scratchFolder(t)
  chmodSync(top, 0o755)
  const [theirs, roots] = ['theirs', 'roots'].map(name => join(top, name)) as [string, string]
  mkdirSync(theirs)
  chownSync(theirs, nobody.uid, nobody.gid)
  mkdirSync(roots, { mode: 0o700 })
  writeFileSync(join(roots, 'secret'), '')
  symlinkSync(roots, join(theirs, 'link'))
  const hidden = join(theirs, 'link', 'secret')
  const { looks, told } = looksOf(t)
  for (let times = 0; times < 2; times++) {
    const seen = await looks.look([at(join(roots, 'secret')), at(hidden, nobody), at(join(theirs, 'none'), nobody)])
    t.match(
      [...seen],
      [
        [join(roots, 'secret'), /^regular empty file:/],
        [hidden, null],
        [join(theirs, 'none'), null],
      ],
    )
  }
  t.same(told, [`${hidden}: uid=65534 may not see it`])
})

const failures: [title: string, script: string, told: RegExp | null][] = [
  ['one that says nothing', 'exit 1', null],
  ['one that is killed', 'kill -KILL $$', null],
  ['one that says anything', 'echo nonsense; yes | head -c 3000000', null],
  ['one that is not there', '', /x: .*ENOENT/],
]
for (const [title, script, expected] of failures) {
  t.test(`no answer is no change: ${title}`, async t => {
    const folder = scratchFolder(t)
    const program = join(folder, 'program')
    if (script !== '') writeFileSync(program, `#!/bin/sh\n${script}`, { mode: 0o755 })
    const { looks, told } = looksOf(t, { find: () => program })
    for (let times = 0; times < 2; times++) t.equal((await looks.look([at('/x')])).size, 0)
    if (expected === null) t.same(told, [])
    else t.match(told, [expected])
  })
}

t.test('names of any kind', async t => {
  const folder = scratchFolder(t)
  const names = ['-L', 'a b', "it's", 'two\nlines', 'regular file:1:2:2026-01-01 00:00:00.0 +0000 x', 'ü'].map(name =>
    join(folder, name),
  )
  for (const name of names) writeFileSync(name, 'x')
  const { looks } = looksOf(t)
  t.same(
    [...(await looks.look([folder, ...names, '/'].map(path => at(path)))).values()].filter(look => look === null),
    [],
  )
})

const mark = 'regular file:1:2:2026-01-01 00:00:00.000000000 +0000:'
const answers: [title: string, text: string, names: readonly string[], found: readonly [string, string][]][] = [
  ['nothing', '', ['/a'], []],
  [
    'all',
    `${mark}3 /a\n${mark}4 /b\n`,
    ['/a', '/b'],
    [
      ['/a', `${mark}3`],
      ['/b', `${mark}4`],
    ],
  ],
  ['the first is missing', `${mark}4 /b\n`, ['/a', '/b'], [['/b', `${mark}4`]]],
  ['in another order', `${mark}4 /b\n${mark}3 /a\n`, ['/a', '/b'], [['/b', `${mark}4`]]],
  ['of others', `${mark}3 /c\n`, ['/a'], []],
  ['half a line', `${mark}3 /a`, ['/a'], []],
]
for (const [title, text, names, found] of answers) {
  t.test(`what stat says: ${title}`, t => {
    t.same([...readMarks(text, names)], found)
    t.end()
  })
}

t.test('what ls says', t => {
  const ls =
    'total 4\n  12 -rw-r--r-- 1 0 33 3 2026-01-01 00:00:00.5 +0000 a b\n 7 crw------- 2 0 0 10, 229 2026-01-01 00:00:00.5 +0000 c\n'
  t.equal(readEntries(ls), '12 3 2026-01-01 00:00:00.5 +0000 a b\n7 10, 229 2026-01-01 00:00:00.5 +0000 c')
  t.end()
})
