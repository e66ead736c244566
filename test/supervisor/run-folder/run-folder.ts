/** Tests `supervisor/run-folder/run-folder.ts` and `run-folder-owner.ts`: which folders are taken, what is removed and what never. */

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import { prepareRunFolder } from '../../../supervisor/run-folder/run-folder.js'
import { claimName } from '../../../supervisor/run-folder/run-folder-claim.js'
import { openOwnFolder, openWorkersFolder } from '../../../supervisor/run-folder/run-folder-owner.js'
import { type WorkersEnd, workersTask } from '../../../supervisor/run-folder/workers-folder.js'
import { asServiceUser } from '../../../supervisor/user/service-user.js'
import { fakeMaster, report } from '../fixtures/fake-master.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

const isRoot = process.geteuid?.() === 0
const nobody = { user: null, uid: 65534, gid: 65534 }
const mode = (path: string) => lstatSync(path).mode & 0o7777

function listen(path: string): Promise<Server> {
  const server = createServer()
  return new Promise(resolve => server.listen(path, () => resolve(server)))
}

/** A socket file without a listener, as a killed process leaves it behind. */
async function deadSocket(path: string): Promise<void> {
  const server = await listen(`${path}.live`)
  renameSync(`${path}.live`, path)
  await new Promise(resolve => server.close(resolve))
}

t.test('a missing folder is made, closed to others, and removed at the end', async t => {
  const path = join(scratchFolder(t), 'parent/run')
  const before = process.umask(0o077)
  const folder = await prepareRunFolder(path, null)
  process.umask(before)
  t.equal(mode(path), 0o710)
  t.equal(mode(join(path, '..')), 0o755, 'whatever the umask: the service must reach its own folder')
  t.equal(folder.controlPath, join(path, 'control.sock'))
  t.same(readdirSync(path), [claimName, 'workers'])
  t.equal(mode(join(path, 'workers')), 0o750)
  await folder.release()
  t.notOk(existsSync(path))
  await t.resolves(folder.release(), 'a second time nothing is left to do')
})

t.test('a folder that was there stays, and what others put into one of ours too', async t => {
  const path = join(scratchFolder(t), 'run')
  mkdirSync(path, { mode: 0o700 })
  const folder = await prepareRunFolder(path, null)
  t.equal(mode(path), 0o700, 'one that is closed enough is not changed')
  await folder.release()
  t.same(readdirSync(path), [])

  const made = join(path, 'made')
  const second = await prepareRunFolder(made, null)
  writeFileSync(join(made, 'notes'), '')
  await second.release()
  t.same(readdirSync(made), ['notes'])
})

t.test('sockets of a dead master are removed, and nothing else', async t => {
  const path = join(scratchFolder(t), 'run')
  mkdirSync(path, { mode: 0o750 })
  for (const name of [
    'worker-1.7.sock',
    'worker-1.7.link',
    'worker-1.7.tunnel',
    'worker-1.7.watch',
    'control.sock',
    'other.sock',
  ])
    await deadSocket(join(path, name))
  writeFileSync(join(path, 'worker-2.8.sock'), 'a file, not a socket')
  const folder = await prepareRunFolder(path, null)
  t.same(readdirSync(path).sort(), [claimName, 'other.sock', 'worker-2.8.sock', 'workers'])
  await folder.release()
})

t.test('a second master is refused with the pid of the first', async t => {
  const path = join(scratchFolder(t), 'run')
  const folder = await prepareRunFolder(path, null)
  // Our own claim is alive, whoever asks.
  await t.rejects(prepareRunFolder(path, null), {
    code: 'already-running',
    exitCode: EXIT.unavailable,
    message: `cannot start: run-dir=${path}: daimyo already runs with pid ${process.pid}`,
  })
  await folder.release()
})

t.test('a master that is found by its socket only keeps its sockets', async t => {
  const path = join(scratchFolder(t), 'run')
  mkdirSync(path, { mode: 0o750 })
  const server = await listen(join(path, 'control.sock'))
  server.on('connection', socket =>
    socket.resume().end(`${JSON.stringify({ type: 'done', ok: true, status: { ...report, pid: 4711 } })}\n`),
  )
  await deadSocket(join(path, 'worker-1.7.sock'))
  await t.rejects(prepareRunFolder(path, null), { code: 'already-running', message: /pid 4711$/ })
  t.same(readdirSync(path).sort(), ['control.sock', 'worker-1.7.sock'], 'and the refused one takes its claim back')
  await new Promise(resolve => server.close(resolve))
})

t.test('a listener that is no daimyo is not run over', async t => {
  const path = join(scratchFolder(t), 'run')
  mkdirSync(path, { mode: 0o750 })
  const server = await listen(join(path, 'control.sock'))
  server.on('connection', socket => socket.resume().end('220 mail ready\n'))
  await t.rejects(prepareRunFolder(path, null), { code: 'no-answer' })
  t.ok(existsSync(join(path, 'control.sock')))
  await new Promise(resolve => server.close(resolve))
})

const planted: [string, (path: string) => void, RegExp][] = [
  ['a link', path => symlinkSync('.', path), /ELOOP|ENOTDIR/],
  ['a link to nowhere', path => symlinkSync('nowhere', path), /ELOOP|ENOTDIR/],
  ['a file', path => writeFileSync(path, ''), /ENOTDIR/],
  [
    'a folder with strange files that others may write to',
    path => {
      mkdirSync(path)
      chmodSync(path, 0o777)
      writeFileSync(join(path, 'stranger'), '')
    },
    /mode 0777 and it holds other files \("stranger"\)/,
  ],
]
for (const [title, plant, message] of planted) {
  t.test(`refused: ${title}`, async t => {
    const path = join(scratchFolder(t), 'run')
    plant(path)
    const before = lstatSync(path).mode
    await t.rejects(prepareRunFolder(path, null), { code: 'run-folder', exitCode: EXIT.permission, message })
    t.equal(lstatSync(path).mode, before, 'and not changed')
  })
}

t.test('refused: a parent that others may write to', async t => {
  const parent = join(scratchFolder(t), 'open')
  mkdirSync(parent)
  chmodSync(parent, 0o777)
  await t.rejects(prepareRunFolder(join(parent, 'run'), null), {
    code: 'run-folder',
    message: /others may write to .*open/,
  })
  t.same(readdirSync(parent), [])
  chmodSync(parent, 0o1777)
  const folder = await prepareRunFolder(join(parent, 'run'), null)
  await folder.release()
})

t.test('an open folder of ours with nothing strange in it is closed', async t => {
  const path = join(scratchFolder(t), 'run')
  mkdirSync(path)
  chmodSync(path, 0o777)
  const folder = await prepareRunFolder(path, null)
  t.equal(mode(path), 0o710)
  await folder.release()
})

for (const credentials of isRoot ? [null, nobody] : [null]) {
  const title = `of an earlier version, uid ${credentials?.uid}`
  t.test(`its group no longer lists a folder ${title}, unless it holds files of others`, async t => {
    const path = join(scratchFolder(t), 'run')
    for (const [name, left] of [
      ['site.pid', 0o710],
      ['notes', 0o750],
    ] as const) {
      mkdirSync(path, { mode: 0o750 })
      if (credentials !== null) chownSync(path, 0, credentials.gid)
      writeFileSync(join(path, name), '')
      const folder = await prepareRunFolder(path, credentials)
      t.equal(mode(path), left, name)
      await folder.release()
      t.same(readdirSync(path), [name])
      rmSync(path, { recursive: true })
    }
  })
}

t.test('under root only the workers’ folder is the service’s', { skip: !isRoot && 'needs root' }, async t => {
  const top = scratchFolder(t)
  chmodSync(top, 0o755)
  const path = join(top, 'run')
  const folder = await prepareRunFolder(path, nobody)
  t.match(lstatSync(path), { uid: 0, gid: nobody.gid })
  t.equal(mode(path), 0o710)
  t.throws(() => asServiceUser(nobody, () => readdirSync(path)), { code: 'EACCES' }, 'who reads it may hold its lock')
  t.same(
    asServiceUser(nobody, () => readdirSync(join(path, 'workers'))),
    [],
    'it passes through',
  )
  t.match(lstatSync(join(path, 'workers')), { uid: nobody.uid, gid: nobody.gid })
  t.equal(mode(join(path, 'workers')), 0o750)
  const plant = () => asServiceUser(nobody, () => writeFileSync(join(path, 'control.sock'), ''))
  t.throws(plant, { code: 'EACCES' })
  await folder.release()
  t.notOk(existsSync(path))

  const foreign = join(top, 'foreign')
  mkdirSync(foreign)
  chownSync(foreign, 12345, 12345)
  await t.rejects(prepareRunFolder(foreign, nobody), { exitCode: EXIT.permission, message: /belongs to uid 12345/ })
  for (const uid of [12345, nobody.uid]) {
    chownSync(foreign, uid, uid)
    await t.rejects(prepareRunFolder(join(foreign, 'below/run'), nobody), {
      exitCode: EXIT.permission,
      message: new RegExp(`foreign belongs to uid ${uid}`),
    })
    t.same(readdirSync(foreign), [], 'and nothing is made there')
  }

  const shared = join(top, 'shared')
  mkdirSync(shared, { mode: 0o755 })
  writeFileSync(join(shared, 'sshd.pid.d'), '')
  await t.rejects(prepareRunFolder(shared, nobody), { message: /holds other files \("sshd.pid.d"\)/ })
  t.equal(lstatSync(shared).gid, 0, 'a folder like /run never changes its owner')
})

t.test(
  'a folder that was the service’s is taken over with nothing of what was planted',
  {
    skip: !isRoot && 'needs root',
  },
  async t => {
    const top = scratchFolder(t)
    chmodSync(top, 0o755)
    const path = join(top, 'run')
    mkdirSync(path, { mode: 0o750 })
    chownSync(path, nobody.uid, nobody.gid)
    mkdirSync(join(top, 'precious'))
    asServiceUser(nobody, () => {
      writeFileSync(join(path, claimName), '1 \n')
      for (let pid = 1; pid <= 600; pid++) symlinkSync('../precious', join(path, `${claimName}.${pid}.new`))
      symlinkSync('../precious', join(path, 'workers'))
      symlinkSync('../precious', join(path, 'worker-1.7.sock'))
    })
    execFileSync('mkfifo', [join(path, `${claimName}.${process.pid}.new.fifo`)])
    await deadSocket(join(path, 'control.sock'))
    chownSync(join(path, 'control.sock'), nobody.uid, nobody.gid)
    const folder = await prepareRunFolder(path, nobody)
    t.same(readdirSync(path).sort(), [claimName, 'workers'])
    t.match(lstatSync(path), { uid: 0, gid: nobody.gid })
    t.ok(lstatSync(join(path, 'workers')).isDirectory())
    t.match(readFileSync(join(path, claimName), 'utf8'), new RegExp(`^${process.pid} `))
    await folder.release()
    t.same(readdirSync(join(top, 'precious')), [])
  },
)

t.test(
  'a folder that is swapped for another one meanwhile is refused, and the other one stays',
  { skip: !isRoot && 'needs root' },
  async t => {
    const top = scratchFolder(t)
    chmodSync(top, 0o755)
    const sticky = join(top, 'tmp')
    mkdirSync(sticky)
    chmodSync(sticky, 0o1777)
    const path = join(sticky, 'run')
    const other = join(top, 'other')
    mkdirSync(other)
    for (const folder of [path, other]) {
      mkdirSync(folder, { recursive: true })
      for (const name of ['control.sock', 'worker-1.sock']) writeFileSync(join(folder, name), '')
    }
    chownSync(path, nobody.uid, nobody.gid)
    let isSwapped = false
    const isOurs = () => {
      if (!isSwapped) {
        renameSync(path, `${path}.away`)
        symlinkSync(other, path)
      }
      isSwapped = true
      return true
    }
    await t.rejects(openOwnFolder(path, nobody, { isOurs, askBefore: async () => {} }), {
      code: 'run-folder',
      message: /it was moved away while daimyo looked at it/,
    })
    t.same(readdirSync(other).sort(), ['control.sock', 'worker-1.sock'])
  },
)

t.test('refused: a folder of the service’s that holds its application', { skip: !isRoot && 'needs root' }, async t => {
  const top = scratchFolder(t)
  chmodSync(top, 0o755)
  const path = join(top, 'site')
  mkdirSync(path)
  writeFileSync(join(path, 'app.js'), '')
  chownSync(path, nobody.uid, nobody.gid)
  await t.rejects(prepareRunFolder(path, nobody), { message: /holds other files \("app.js"\)/ })
  t.equal(lstatSync(path).uid, nobody.uid, 'and not changed')
})

t.test('a master of the service’s own user is not run over', { skip: !isRoot && 'needs root' }, async t => {
  const top = scratchFolder(t)
  chmodSync(top, 0o755)
  const path = join(top, 'run')
  mkdirSync(path, { mode: 0o750 })
  chownSync(path, nobody.uid, nobody.gid)
  await fakeMaster(t, join(path, 'control.sock'), { ...report, pid: 4711 })
  chownSync(join(path, 'control.sock'), nobody.uid, nobody.gid)
  await t.rejects(prepareRunFolder(path, nobody), { code: 'already-running', message: /pid 4711$/ })
  t.equal(lstatSync(path).uid, nobody.uid)
})

for (const credentials of isRoot ? [null, nobody] : [null]) {
  t.test(`what was planted under the workers’ names goes at the start, uid ${credentials?.uid}`, async t => {
    const top = scratchFolder(t)
    chmodSync(top, 0o755)
    const workers = join(top, 'run/workers')
    await (await prepareRunFolder(join(top, 'run'), credentials)).release()
    mkdirSync(workers, { recursive: true })
    chmodSync(join(top, 'run'), 0o750)
    mkdirSync(join(top, 'precious/below'), { recursive: true })
    mkdirSync(join(workers, 'worker-1.sock/below'), { recursive: true })
    symlinkSync('../../precious', join(workers, 'worker-1.link'))
    writeFileSync(join(workers, 'worker-1.tunnel'), '')
    execFileSync('mkfifo', [join(workers, 'worker-1.watch')])
    await deadSocket(join(workers, 'worker-2.sock'))
    writeFileSync(join(workers, 'stranger'), '')
    if (credentials !== null) {
      for (const name of ['', ...readdirSync(workers)])
        lchownSync(join(workers, name), credentials.uid, credentials.gid)
      chmodSync(workers, 0)
    }
    const folder = await prepareRunFolder(join(top, 'run'), credentials)
    t.equal(mode(workers), 0o750)
    const [stranger, moved = '', ...rest] = readdirSync(workers).sort()
    t.equal(stranger, 'stranger')
    t.match(moved, /^worker-1\.sock\.planted-[0-9a-f]{16}$/)
    t.same(rest, [])
    t.same(readdirSync(join(workers, moved)), ['below'], 'a folder is moved, not emptied')
    t.same(readdirSync(join(top, 'precious')), ['below'], 'a link is not followed')
    await folder.release()
    t.same(readdirSync(workers).sort(), ['stranger', moved])
  })
}

t.test('a workers’ folder that cannot be read is told with its remedy', async t => {
  const path = join(scratchFolder(t), 'workers')
  const closed = () => {
    throw Object.assign(new Error('EACCES: permission denied, opendir'), { code: 'EACCES' })
  }
  t.throws(() => openWorkersFolder(path, null, closed), {
    code: 'run-folder',
    exitCode: EXIT.permission,
    message: /run-dir=.*\/workers: .*permission denied.*: it has owner \d+ and mode 0750: move this folder away/,
  })
})

t.test('a workers’ folder that is none any more does not stop the clean-up', async t => {
  const path = join(scratchFolder(t), 'run')
  const folder = await prepareRunFolder(path, null)
  rmSync(join(path, 'workers'), { recursive: true })
  writeFileSync(join(path, 'workers'), '')
  await t.resolves(folder.release())
  t.same(readdirSync(path), ['workers'], 'the claim is given back')
})

t.test(
  'under root another process ends the workers’ folder, and is not waited for without end',
  { skip: !isRoot && 'needs root' },
  async t => {
    const path = join(scratchFolder(t), 'run')
    const workers = join(path, 'workers')
    const asked: WorkersEnd[] = []
    const folder = await prepareRunFolder(path, nobody, async request => void asked.push(request))
    writeFileSync(join(workers, 'worker-1.sock'), '')
    await folder.release()
    t.same(asked, [{ folder: workers, credentials: nobody, isMade: true }])
    t.same(readdirSync(path), ['workers'], 'the claim is released')
    mkdirSync(join(workers, 'worker-2.link'))
    symlinkSync('/etc', join(workers, 'worker-3.tunnel'))
    writeFileSync(join(workers, 'other'), '')
    workersTask.work({ folder: workers, credentials: nobody, isMade: true })
    t.match(readdirSync(workers).sort().join(), /^other,worker-2\.link\.planted-[0-9a-f]+$/)
    rmSync(workers, { recursive: true })
    mkdirSync(workers)
    workersTask.work({ folder: workers, credentials: nobody, isMade: true })
    t.notOk(existsSync(workers))
  },
)
