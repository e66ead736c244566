/** `supervisor/rotation/log-child.ts`: who moves and makes the log, and what of its answer is believed. */

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lchownSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { LogChild, type LogChildOptions } from '../../../supervisor/rotation/log-child.js'
import { removals } from '../../../supervisor/user/file-removal.js'
import { groupsOf, identitySwitches } from '../../../supervisor/user/service-user.js'
import { reachableCommand } from '../fixtures/reachable-program.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { testPipes } from '../fixtures/test-pipes.js'

const PATIENCE_MS = 60_000
const needsRoot = { skip: process.geteuid?.() !== 0 && 'needs root' }
const nobody = { user: null, uid: 65_534, gid: 65_534 }
const MOVE = { leastBytes: 3, kept: 1, looks: true }

/** The child's program, where every user can read it. */
function reachableEntry(): string[] {
  const [node = '', program = ''] = reachableCommand()
  return [node, join(dirname(program), 'rotation/log-child-main.js')]
}

function childOf(t: Parameters<typeof testPipes>[0], options: Omit<LogChildOptions, 'pipes'>): LogChild {
  const child = new LogChild({ childMs: PATIENCE_MS, pipes: testPipes(t), command: reachableEntry(), ...options })
  const top = openSync(tmpdir(), 'r')
  child.learn(top)
  closeSync(top)
  return child
}

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

t.test('what was made is opened, as the user, wherever its folder is by then; once', needsRoot, async t => {
  const folder = join(theirFolder(t), 'logs')
  mkdirSync(folder)
  chownSync(folder, nobody.uid, nobody.gid)
  const path = join(folder, 'a.log')
  const child = childOf(t, { path, owner: nobody })
  for (const asked of [() => child.make(), () => child.move({ ...MOVE, leastBytes: 1 })]) {
    await asked()
    renameSync(folder, `${folder}.moved`)
    const fd = child.open()
    writeSync(fd, 'log')
    closeSync(fd)
    t.throws(() => child.open(), /no process has it open/)
    renameSync(`${folder}.moved`, folder)
    t.equal(readFileSync(path, 'utf8'), 'log')
  }
  await child.make()
  await child.make()
  closeSync(child.open())
  await t.rejects(childOf(t, { path: join(path, 'b.log'), owner: nobody }).make(), /ENOTDIR/)
})

t.test('a log of nobody else’s is opened by its name, made before or not', async t => {
  const path = join(scratchFolder(t), 'a.log')
  const child = childOf(t, { path, owner: null })
  t.throws(() => child.open(), /ENOENT/)
  await child.make()
  closeSync(child.open())
  closeSync(child.open())
})

const answer = { excess: [], isCrowded: false, lookMs: 0, error: null, code: '', fd: null }

const ownMounts = spawnSync('unshare', ['-rm', 'true'], { uid: nobody.uid, gid: nobody.gid }).status === 0
/** What the shell does before it offers its descriptor 7. */
const offers: [title: string, before: string, expected: RegExp][] = [
  ['a file of root’s, which it may only read', 'exec 7</etc/passwd', /EACCES/],
  ['a device', 'exec 7>/dev/null', /it lies in another mount|it is no file/],
  ['a file of /proc, where the kernel asks who writes', 'exec 7>/proc/self/timerslack_ns', /it lies in another mount/],
  ['another one of /proc, which takes its time to open', 'exec 7</proc/self/mem', /it lies in another mount/],
  ['a folder', 'exec 7</', /it is no file/],
  ['a FIFO of its own', 'mkfifo $1.fifo; exec 7<>$1.fifo', /it is no file/],
  ['a pipe of the master’s', 'exec 7<&0', /it lies in another mount/],
  ['nothing', ':', /the process that makes the log has ended/],
  ...(ownMounts
    ? ([['a file of a mount of its own', 'mount -t tmpfs own /mnt; exec 7>/mnt/log', /it lies in another mount/]] as [
        string,
        string,
        RegExp,
      ][])
    : []),
]
for (const [title, before, expected] of offers) {
  t.test(`what the child offers in place of the log is refused: ${title}`, needsRoot, async t => {
    const path = join(theirFolder(t), 'a.log')
    const script = `${before.replaceAll('$1', path)}; printf %s '${JSON.stringify({ ...answer, fd: 7 })}'; exec >/dev/null; read end`
    const shell = ['/bin/sh', '-c', script, 'sh']
    const command = before.startsWith('mount') ? ['unshare', '-rm', ...shell] : shell
    const child = childOf(t, { path, owner: nobody, command })
    await child.make()
    t.throws(() => child.open(), expected)
    t.throws(() => child.open(), /no process has it open/)
  })
}

t.test('a child that ends before its log is opened', needsRoot, async t => {
  const path = join(theirFolder(t), 'a.log')
  const command = ['/bin/sh', '-c', `printf %s '${JSON.stringify({ ...answer, fd: 7 })}'`, 'sh']
  const child = childOf(t, { path, owner: nobody, command })
  await child.make()
  t.throws(() => child.open(), /no process has it open|has ended/)
})

const lies: [title: string, said: string, expected: RegExp | null][] = [
  [
    'names of others',
    JSON.stringify({ ...answer, excess: ['../b.log', 'other', '-rf', 'a.log.2026-01-01T00-00-00'] }),
    null,
  ],
  ['no names', JSON.stringify({ ...answer, excess: [1] }), /no process could look after it/],
  ['no descriptor', JSON.stringify({ ...answer, excess: ['a.log.2026-01-01T00-00-00'], fd: '/etc/passwd' }), null],
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
  const missing = childOf(t, { path, owner: null, command: ['/no/such/program'] })
  for (let time = 0; time < 2; time++) await t.rejects(missing.make(), /ENOENT/)
})
