/** Looks at real paths: `supervisor/reload/path-watch.ts`. */

import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { PathWatch, type WatchedPath, watchedPaths } from '../../../supervisor/reload/path-watch.js'
import type { WatchOption } from '../../../supervisor/reload/watched-path.js'
import { identitySwitches, mayBecomeUser } from '../../../supervisor/user/service-user.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { testPipes } from '../fixtures/test-pipes.js'
import { plainSettings } from '../fixtures/tree.js'

type Tap = Parameters<typeof testPipes>[0] & Parameters<typeof scratchFolder>[0]
type Step = (folder: string) => void
const touch = (path: string, second: number) => utimesSync(path, second, second)

const cases: [title: string, option: WatchOption, name: string, before: Step, change: Step][] = [
  [
    'a touch',
    'touch-reload',
    'restart.txt',
    folder => writeFileSync(join(folder, 'restart.txt'), ''),
    folder => touch(join(folder, 'restart.txt'), 1_700_000_000),
  ],
  ['a file that is made', 'touch-reload', 'new', () => {}, folder => writeFileSync(join(folder, 'new'), '')],
  [
    'a file that another one is renamed over, with the same time',
    'touch-reload',
    'a',
    folder => {
      writeFileSync(join(folder, 'a'), '')
      writeFileSync(join(folder, 'b'), '')
      for (const name of ['a', 'b']) touch(join(folder, name), 1_700_000_000)
    },
    folder => renameSync(join(folder, 'b'), join(folder, 'a')),
  ],
  [
    'a link that is turned',
    'fs-reload',
    'current',
    folder => {
      for (const name of ['1', '2']) mkdirSync(join(folder, name))
      symlinkSync('1', join(folder, 'current'))
    },
    folder => {
      symlinkSync('2', join(folder, 'next'))
      renameSync(join(folder, 'next'), join(folder, 'current'))
    },
  ],
  [
    'a file that is written in a folder',
    'fs-reload',
    'conf',
    folder => {
      mkdirSync(join(folder, 'conf'))
      writeFileSync(join(folder, 'conf/a'), 'old')
    },
    folder => writeFileSync(join(folder, 'conf/a'), 'newer'),
  ],
  [
    'a folder that vanishes',
    'fs-reload',
    'conf',
    folder => mkdirSync(join(folder, 'conf')),
    folder => rmSync(join(folder, 'conf'), { recursive: true }),
  ],
]
const isRoot = process.geteuid?.() === 0
const nobody = { user: null, uid: 65_534, gid: 65_534 }

/** A folder of that user's, whom a root master's looks are then; null: the test's own. */
function folderOf(t: Tap, user: typeof nobody | null): string {
  const top = scratchFolder(t)
  if (user === null) return top
  chmodSync(top, 0o755)
  const folder = join(top, 'theirs')
  mkdirSync(folder)
  chownSync(folder, user.uid, user.gid)
  return folder
}

const watchFor = (t: Tap, credentials: typeof nobody | null, changed: (watched: WatchedPath) => void = () => {}) => {
  const lines: unknown[][] = []
  const watch = new PathWatch({ credentials, pipes: testPipes(t), log: (...line) => lines.push(line), changed })
  t.teardown(() => watch.stop())
  return { watch, lines }
}

const users = isRoot ? [null, nobody] : [null]
const isShort = ([title]: (typeof cases)[number]) => title === 'a touch' || title.startsWith('a file that is written')
const runs = users.flatMap(user => (user === null ? cases : cases.filter(isShort)).map(one => [user, ...one] as const))
for (const [user, title, option, name, before, change] of runs) {
  t.test(`${option}: ${title}${user === null ? '' : ', of another user'}`, async t => {
    const folder = folderOf(t, user)
    const told: string[] = []
    const { watch, lines } = watchFor(t, user, watched => told.push(`${watched.option} ${watched.path}`))
    before(folder)
    const path = join(folder, name)
    watch.watch([{ option, path }])
    await settled(watch)
    t.same(told, [])
    change(folder)
    await settled(watch)
    t.same(told, [`${option} ${path}`])
    // With other paths beside it, it is known as before.
    watch.watch([
      { option: 'touch-reload', path: folder },
      { option, path },
    ])
    await settled(watch)
    t.equal(told.length, 1)
    watch.stop()
    await watch.look()
    t.equal(told.length, 1, 'a stopped one looks at nothing')
    t.same(lines, [])
  })
}

t.test('what the settings want watched', async t => {
  const settings = {
    ...plainSettings('/srv', '/srv/app.js'),
    configFiles: ['/etc/a.ini', '/etc/b.ini'],
    touchReload: ['/a', '/b'],
    fsReload: ['/c'],
  }
  t.same(watchedPaths(settings), [
    { option: 'touch-reload', path: '/a' },
    { option: 'touch-reload', path: '/b' },
    { option: 'fs-reload', path: '/c' },
  ])
  const [, , , ...inis] = watchedPaths({ ...settings, iniReload: true }, ['/etc/b.ini', '/etc/c.ini'])
  t.same(
    inis.map(({ path }) => path),
    ['/etc/a.ini', '/etc/b.ini', '/etc/c.ini'],
  )
})

/** The first look may have begun before the change, and what settles needs another two. */
async function settled(watch: PathWatch): Promise<void> {
  for (let looks = 0; looks < 3; looks++) await watch.look()
}

t.test('a look holds no thread of a root master', { skip: !isRoot && 'needs root' }, async t => {
  const before = identitySwitches()
  const folder = folderOf(t, nobody)
  const { watch } = watchFor(t, nobody)
  watch.watch([
    { option: 'touch-reload', path: join(folder, 'nothing') },
    { option: 'ini-reload', path: '/etc/passwd' },
  ])
  const looked = watch.look()
  t.equal(mayBecomeUser(nobody), true, 'root may become the user meanwhile')
  await looked
  t.equal(identitySwitches(), before)
})
