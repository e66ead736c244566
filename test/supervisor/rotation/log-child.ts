/** `supervisor/rotation/log-child.ts`: who moves and makes the log, and what of its answer is believed. */

import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { LogChild, type LogChildOptions } from '../../../supervisor/rotation/log-child.js'
import { removals } from '../../../supervisor/user/file-removal.js'
import { groupsOf, identitySwitches } from '../../../supervisor/user/service-user.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { testPipes } from '../fixtures/test-pipes.js'

const PATIENCE_MS = 60_000
const needsRoot = { skip: process.geteuid?.() !== 0 && 'needs root' }
const nobody = { user: null, uid: 65_534, gid: 65_534 }
const MOVE = { leastBytes: 3, kept: 1, looks: true }

const childOf = (t: Parameters<typeof testPipes>[0], options: Omit<LogChildOptions, 'pipes'>) =>
  new LogChild({ childMs: PATIENCE_MS, pipes: testPipes(t), ...options })

/** A folder of that user's, which it can reach. */
function theirFolder(t: { teardown(work: () => void): unknown }): string {
  const top = scratchFolder(t)
  chmodSync(top, 0o755)
  const folder = join(top, 'theirs')
  mkdirSync(folder)
  chownSync(folder, nobody.uid, nobody.gid)
  return folder
}

t.test('a log is moved and made, and the oldest backups go', async t => {
  const folder = scratchFolder(t)
  const path = join(folder, 'a.log')
  for (const day of [1, 2]) writeFileSync(`${path}.2026-01-0${day}T00-00-00`, '')
  writeFileSync(path, 'log')
  t.match(await childOf(t, { path, owner: null }).move(MOVE), { error: null, isCrowded: false })
  t.equal(await removals.settled(PATIENCE_MS), true)
  const [made = '', backup = '', ...more] = readdirSync(folder).sort()
  t.same([made, more], ['a.log', []])
  t.same(
    [made, backup].map(name => readFileSync(join(folder, name), 'utf8')),
    ['', 'log'],
  )
})

t.test('a log of fewer bytes stays, and one that is missing is made', async t => {
  const path = join(scratchFolder(t), 'a.log')
  const child = childOf(t, { path, owner: null })
  writeFileSync(path, 'lo')
  await child.move(MOVE)
  await child.make()
  t.equal(readFileSync(path, 'utf8'), 'lo')
  renameSync(path, `${path}.1`)
  await child.make()
  t.equal(readFileSync(path, 'utf8'), '')
  await t.rejects(childOf(t, { path: join(path, 'b.log'), owner: null }).make(), /cannot open the log: .*ENOTDIR/)
})

t.test(
  'in a folder of that user as the user, elsewhere given to it; the master stays who it is',
  needsRoot,
  async t => {
    const folder = theirFolder(t)
    groupsOf(nobody)
    const before = identitySwitches()
    for (const path of [join(folder, 'a.log'), join(scratchFolder(t), 'a.log')]) {
      writeFileSync(path, 'log')
      chownSync(path, nobody.uid, nobody.gid)
      await childOf(t, { path, owner: nobody }).move({ ...MOVE, leastBytes: 1 })
      t.match(statSync(path), { size: 0, uid: nobody.uid, gid: nobody.gid })
    }
    t.equal(identitySwitches(), before)
  },
)

t.test('a folder that became a link to one of root’s', needsRoot, async t => {
  const folder = theirFolder(t)
  const roots = scratchFolder(t)
  const path = join(folder, 'logs', 'a.log')
  symlinkSync(roots, join(folder, 'logs'))
  lchownSync(join(folder, 'logs'), nobody.uid, nobody.gid)
  writeFileSync(join(roots, 'a.log'), 'root’s', { mode: 0o600 })
  const child = childOf(t, { path, owner: nobody })
  for (const asked of [async () => void (await child.move(MOVE)), () => child.make()])
    await t.rejects(asked(), /EACCES.*opened as nobody, because .* belongs to nobody/)
  t.same(readdirSync(roots), ['a.log'])
  t.match(statSync(join(roots, 'a.log')), { size: 8, uid: 0 })
})

const answer = { excess: [], isCrowded: false, lookMs: 0, error: null, code: '' }
const lies: [title: string, said: string, expected: RegExp | null][] = [
  [
    'names of others',
    JSON.stringify({ ...answer, excess: ['../b.log', 'other', '-rf', 'a.log.2026-01-01T00-00-00'] }),
    null,
  ],
  ['no names', JSON.stringify({ ...answer, excess: [1] }), /no process could look after it/],
  ['no text', JSON.stringify({ ...answer, error: {} }), /no process could look after it/],
  ['nothing', '', /no process could look after it/],
  ['null', 'null', /no process could look after it/],
]
for (const [title, said, expected] of lies) {
  t.test(`what the child says is not believed: ${title}`, async t => {
    const top = scratchFolder(t)
    const folder = join(top, 'logs')
    mkdirSync(folder)
    for (const name of ['b.log', 'logs/other', 'logs/-rf', 'logs/a.log.2026-01-01T00-00-00'])
      writeFileSync(join(top, name), '')
    const command = ['/bin/sh', '-c', `printf %s '${said}'`, 'sh']
    const child = childOf(t, { path: join(folder, 'a.log'), owner: null, command })
    if (expected === null) t.same(await child.move(MOVE), { ...answer, excess: ['a.log.2026-01-01T00-00-00'] })
    else await t.rejects(child.move(MOVE), expected)
    t.equal(await removals.settled(PATIENCE_MS), true)
    t.ok(['b.log', 'logs/other', 'logs/-rf'].every(name => existsSync(join(top, name))))
    t.equal(existsSync(join(folder, 'a.log.2026-01-01T00-00-00')), expected !== null)
  })
}

t.test('a child that talks without end, or cannot be started, is an answer too', async t => {
  const path = join(scratchFolder(t), 'a.log')
  const talking = childOf(t, { path, owner: null, command: ['/bin/sh', '-c', 'exec yes', 'sh'] })
  await t.rejects(talking.make(), /has not answered/)
  await t.rejects(childOf(t, { path, owner: null, command: ['/no/such/program'] }).make(), /ENOENT/)
})
