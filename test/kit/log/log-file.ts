/** Tests `kit/log/log-file.ts`: which files root opens, makes and gives away. */

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chownSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import { openLogFile } from '../../../kit/log/log-file.js'
import { scratchFolder } from '../../supervisor/fixtures/scratch-folder.js'

const isRoot = process.geteuid?.() === 0
const service = { user: null, uid: 65534, gid: 65534 }

t.test('it is made with mode 0640 and appended to', async t => {
  const path = join(scratchFolder(t), 'daimyo.log')
  for (const line of ['one\n', 'two\n']) {
    const descriptor = openLogFile(path, null)
    writeSync(descriptor, line)
    closeSync(descriptor)
  }
  t.equal(readFileSync(path, 'utf8'), 'one\ntwo\n')
  t.equal(lstatSync(path).mode & 0o777, 0o640)
})

const refused: [string, (path: string) => void, number, RegExp][] = [
  ['a link', path => symlinkSync('precious', path), EXIT.permission, /symbolic link/],
  ['a link to nowhere', path => symlinkSync('nowhere', path), EXIT.permission, /symbolic link/],
  ['a folder', path => mkdirSync(path), EXIT.os, /EISDIR/],
  ['a FIFO that nobody reads', path => execFileSync('mkfifo', [path]), EXIT.os, /ENXIO/],
]
for (const [title, plant, exitCode, message] of refused) {
  t.test(`refused: ${title}`, async t => {
    const folder = scratchFolder(t)
    writeFileSync(join(folder, 'precious'), 'keep')
    plant(join(folder, 'daimyo.log'))
    t.throws(() => openLogFile(join(folder, 'daimyo.log'), service), { code: 'log', exitCode, message })
    t.equal(readFileSync(join(folder, 'precious'), 'utf8'), 'keep')
    t.equal(lstatSync(join(folder, 'nowhere'), { throwIfNoEntry: false }), undefined)
  })
}

t.test('refused: a folder that is missing', async t => {
  const path = join(scratchFolder(t), 'no/daimyo.log')
  t.throws(() => openLogFile(path, null), {
    code: 'log',
    exitCode: EXIT.os,
    message: /logto=.*no\/daimyo\.log: ENOENT/,
  })
})

t.test('root gives the file to the service', { skip: !isRoot && 'needs root' }, async t => {
  const folder = scratchFolder(t)
  const path = join(folder, 'daimyo.log')
  writeFileSync(path, 'old\n', { mode: 0o600 })
  closeSync(openLogFile(path, service))
  t.match(lstatSync(path), { uid: service.uid, gid: service.gid })
  t.equal(lstatSync(path).mode & 0o777, 0o640)
  t.equal(readFileSync(path, 'utf8'), 'old\n')

  writeFileSync(join(folder, 'precious'), 'keep')
  linkSync(join(folder, 'precious'), join(folder, 'second-name.log'))
  t.throws(() => openLogFile(join(folder, 'second-name.log'), service), { code: 'log', message: /hard link/ })
  t.equal(lstatSync(join(folder, 'precious')).uid, 0)

  const owner = lstatSync('/dev/null').uid
  closeSync(openLogFile('/dev/null', service))
  t.equal(lstatSync('/dev/null').uid, owner, 'a device keeps its owner')
})

/** Holds a write lease on a file, F_SETLEASE (1024) with F_WRLCK (1), until its input ends. */
const LEASE = `
$SIG{IO} = 'IGNORE'; $| = 1;
open(my $file, '+<', $ARGV[0]) or die $!;
fcntl($file, 1024, 1) or die $!;
print "held\\n"; <STDIN>;
`

t.test('a file under a lease is moved aside, and a new one is made', async t => {
  const folder = scratchFolder(t)
  const path = join(folder, 'site.log')
  writeFileSync(path, 'old\n')
  if (isRoot) chownSync(path, service.uid, service.gid)
  const holder = spawn('perl', ['-e', LEASE, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  const descriptor = openLogFile(path, isRoot ? service : null)
  writeSync(descriptor, 'new\n')
  closeSync(descriptor)
  const [held = '', ...rest] = readdirSync(folder).filter(name => name !== 'site.log')
  t.match(held, /^site\.log\.held-\d{8}T\d{9}Z$/)
  t.same(rest, [])
  t.match(readFileSync(path, 'utf8'), /^\S+ log-held path=\S+site\.log movedTo=\S+\.held-\S+\nnew\n$/)
  if (isRoot) t.equal(lstatSync(path).uid, service.uid)
  holder.stdin.end()
  await once(holder, 'exit')
  t.equal(readFileSync(join(folder, held), 'utf8'), 'old\n')
})
