/** Tests `supervisor/host/pidfile.ts` with real files and processes. */

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { EXIT } from '../../../kit/ground/failure.js'
import { checkPidfile, readPid, removePidfile, writePidfile } from '../../../supervisor/host/pidfile.js'
import { hasOpen } from '../../../supervisor/host/process-presence.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'

t.test('it is written whole, readable by all, and removed', async t => {
  const path = join(scratchFolder(t), 'daimyo.pid')
  writePidfile(path)
  t.equal(readFileSync(path, 'utf8'), `${process.pid}\n`)
  t.equal(lstatSync(path).mode & 0o777, 0o644)
  t.same(readdirSync(join(path, '..')), ['daimyo.pid'], 'no temporary file is left')
  t.equal(removePidfile(path), true)
  t.equal(lstatSync(path, { throwIfNoEntry: false }), undefined)
  t.equal(removePidfile(path), false, 'a second time there is nothing to remove')
})

const stale: [string, string][] = [
  ['of a process that is gone', '2147483646\n'],
  ['of a process that is no daimyo', '1\n'],
  ['empty', ''],
  ['of something else', 'hello\n'],
  ['of our own', `${process.pid}\n`],
]
for (const [title, text] of stale) {
  t.test(`a stale pidfile is replaced: ${title}`, async t => {
    const path = join(scratchFolder(t), 'daimyo.pid')
    writeFileSync(path, text)
    writePidfile(path)
    t.equal(readPid(path), process.pid)
  })
}

t.test('of three masters that start at the same moment one gets the pidfile', async t => {
  const rounds = 300
  const folder = scratchFolder(t)
  const pathOf = (round: number) => join(folder, `${round}.pid`)
  const before = [null, '2147483646\n', 'hello\n']
  for (let round = 0; round < rounds; round++) {
    const text = before[round % before.length] ?? null
    if (text !== null) writeFileSync(pathOf(round), text)
  }
  const module = new URL('../../../supervisor/host/pidfile.js', import.meta.url).href
  // Its name makes it a daimyo. Each round begins when all are there.
  const program = join(folder, 'daimyo.js')
  writeFileSync(
    program,
    `const { existsSync, writeFileSync } = require('node:fs')
     const own = process.argv[2]
     const taken = writePidfile => Array.from({ length: ${rounds} }, (_, round) => {
       const path = ${JSON.stringify(folder)} + '/' + round + '.pid'
       writeFileSync(path + '.' + own, '')
       while (!['0', '1', '2'].every(other => existsSync(path + '.' + other)));
       try { writePidfile(path); return true } catch (error) { return error.exitCode === ${EXIT.unavailable} ? false : String(error) }
     })
     import(${JSON.stringify(module)}).then(({ writePidfile }) => {
       process.stdout.write(JSON.stringify(taken(writePidfile)) + '\\n')
       process.stdin.resume()
     })`,
  )
  const masters = await Promise.all(
    ['0', '1', '2'].map(async own => {
      const child = spawn(process.execPath, [program, own], { stdio: ['pipe', 'pipe', 'inherit'] })
      t.teardown(() => child.kill())
      const [line] = await once(createInterface({ input: child.stdout }), 'line')
      return { child, taken: JSON.parse(line) as (boolean | string)[] }
    }),
  )
  for (let round = 0; round < rounds; round++) {
    const owner = masters.find(({ child }) => child.pid === readPid(pathOf(round)))
    const words = masters.map(master => master.taken[round])
    const expected = masters.map(master => master === owner)
    if (owner === undefined || String(words) !== String(expected)) t.same(words, expected, `round ${round}`)
  }
  t.same(
    readdirSync(folder).filter(name => name.startsWith('.')),
    [],
    'nothing else is left',
  )
  for (const { child } of masters) child.stdin.end()
})

/** The name of the right to replace what stands at `path`. */
function rightTo(path: string): string {
  const { ino, mtimeMs } = lstatSync(path)
  return join(dirname(path), `.daimyo.pid.after-${ino}-${mtimeMs}`)
}

t.test('who is about to replace a stale pidfile is waited for by nobody, and followed when it is dead', async t => {
  const path = join(scratchFolder(t), 'daimyo.pid')
  writeFileSync(path, '2147483646\n')
  const right = rightTo(path)
  // As another one that runs.
  writePidfile(right)
  const other = process.pid + 1
  const master = spawn(process.execPath, ['-e', "process.stdout.write('up'); process.stdin.resume()"], {
    argv0: 'daimyo: master /srv/shop.ini',
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  t.teardown(() => master.kill('SIGKILL'))
  await once(master.stdout, 'data')
  writeFileSync(right, `${master.pid}\n`)
  const refusal = {
    exitCode: EXIT.unavailable,
    message: `cannot use the pidfile: pidfile=${path}: daimyo runs with pid ${master.pid}`,
  }
  t.throws(() => writePidfile(path, null, other), refusal)
  t.equal(readPid(path), 2_147_483_646)
  master.kill('SIGKILL')
  await once(master, 'exit')
  writeFileSync(rightTo(right), 'of one more that is dead')
  writePidfile(path)
  t.equal(readPid(path), process.pid)
  t.same(readdirSync(dirname(path)), ['daimyo.pid'], 'no right is left')
})

t.test(
  'a root master is believed while its task has the pidfile, which it has not opened yet',
  { skip: process.geteuid?.() !== 0 && 'needs root' },
  async t => {
    const service = { user: null, uid: 65_534, gid: 65_534 }
    const folder = scratchFolder(t)
    chmodSync(folder, 0o755)
    const path = join(folder, 'daimyo.pid')
    writeFileSync(path, '')
    const task = `require('node:child_process').spawn('/bin/sh', ['-c', 'exec 5< "$1"; echo up; read line', 'sh', ${JSON.stringify(path)}], WAYS)`
    const start = async (ways: string) => {
      const master = spawn(
        process.execPath,
        ['-e', `${task.replace('WAYS', ways)}.stdout.once('data', () => process.stdout.write('up'))`],
        {
          argv0: 'daimyo: master /srv/shop.ini',
          stdio: ['pipe', 'pipe', 'inherit'],
        },
      )
      t.teardown(() => master.kill('SIGKILL'))
      await once(master.stdout, 'data')
      writeFileSync(path, `${master.pid}\n`)
      return master
    }
    const master = await start('{}')
    t.throws(() => checkPidfile(path, service), { message: new RegExp(`pid ${master.pid}$`) })
    await start('{ uid: 65534, gid: 65534, cwd: "/" }')
    t.doesNotThrow(() => checkPidfile(path, service), 'a worker of it is no task')
  },
)

/** How many bytes this process reads while it does `work`. */
function bytesRead(work: () => unknown): number {
  const count = () => Number(/^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))?.[1])
  const before = count()
  work()
  return count() - before
}

const large: [title: string, text: string][] = [
  ['of holes', ''],
  ['that begins with a pid', `${process.pid}\n`],
  ['that begins with a long line', '9'.repeat(100)],
]
for (const [title, text] of large) {
  t.test(`of a large file a few bytes are read: ${title}`, { skip: !existsSync('/proc/self/io') }, async t => {
    const path = join(scratchFolder(t), 'daimyo.pid')
    const plant = () => {
      writeFileSync(path, text)
      truncateSync(path, 64 * 1024 ** 2)
    }
    plant()
    // What the pool's threads read meanwhile is little.
    t.ok(bytesRead(() => t.equal(readPid(path), null)) < 1024 ** 2)
    t.ok(bytesRead(() => checkPidfile(path)) < 1024 ** 2)
    t.ok(bytesRead(() => t.equal(removePidfile(path), false, 'it is not ours')) < 1024 ** 2)
    t.ok(bytesRead(() => writePidfile(path)) < 1024 ** 2)
    t.equal(readPid(path), process.pid)
  })
}

t.test('what is no regular file holds no pid', async t => {
  const folder = scratchFolder(t)
  mkdirSync(join(folder, 'folder'))
  execFileSync('mkfifo', [join(folder, 'fifo')])
  const fifo = openSync(join(folder, 'fifo'), constants.O_RDWR | constants.O_NONBLOCK)
  t.teardown(() => closeSync(fifo))
  writeSync(fifo, `${process.pid}\n`)
  for (const path of [join(folder, 'folder'), join(folder, 'fifo'), '/dev/zero', '/dev/null'])
    t.equal(readPid(path), null, path)
})

t.test('a temporary file left by a crash, or planted, is no hindrance and is not followed', async t => {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, 'precious'), 'keep')
  symlinkSync('precious', join(folder, `.daimyo.pid.${process.pid}.new`))
  writePidfile(join(folder, 'daimyo.pid'))
  t.equal(readFileSync(join(folder, 'precious'), 'utf8'), 'keep')
  t.equal(readPid(join(folder, 'daimyo.pid')), process.pid)
})

t.test('whoever wrote it keeps it open, as long as it runs', { skip: !existsSync('/proc/self/fd') }, async t => {
  const path = join(scratchFolder(t), 'daimyo.pid')
  writePidfile(path)
  t.ok(hasOpen(process.pid, lstatSync(path)))
  t.notOk(hasOpen(process.ppid, lstatSync(path)))
})

t.test('what is no regular file is refused and left alone', async t => {
  const folder = scratchFolder(t)
  writeFileSync(join(folder, 'precious'), 'keep')
  symlinkSync('precious', join(folder, 'link'))
  symlinkSync('nowhere', join(folder, 'dangling'))
  mkdirSync(join(folder, 'folder'))
  for (const [name, reason] of [
    ['link', /symbolic link/],
    ['dangling', /symbolic link/],
    ['folder', /not a regular file/],
  ] as const) {
    const path = join(folder, name)
    const refusal = { code: 'pidfile', exitCode: EXIT.permission, message: reason }
    t.throws(() => checkPidfile(path), refusal, name)
    t.throws(() => writePidfile(path), refusal, name)
    t.equal(removePidfile(path), false, name)
  }
  t.equal(readFileSync(join(folder, 'precious'), 'utf8'), 'keep')
})

t.test(
  'the pidfile of a daimyo that runs is refused with its pid',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async t => {
    const folder = scratchFolder(t)
    const program = join(folder, 'daimyo.js')
    writeFileSync(program, "process.stdout.write('up'); process.stdin.resume()")
    const child = spawn(process.execPath, [program, 'some.ini'], { stdio: ['pipe', 'pipe', 'ignore'] })
    t.teardown(() => child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    const path = join(folder, 'daimyo.pid')
    writeFileSync(path, `${child.pid}\n`)
    t.throws(() => writePidfile(path), { exitCode: EXIT.unavailable, message: new RegExp(`pid ${child.pid}$`) })
    t.equal(removePidfile(path), false, 'it is not ours to remove')

    const yesterday = Date.now() / 1000 - 86400
    utimesSync(path, yesterday, yesterday)
    t.doesNotThrow(
      () => checkPidfile(path),
      'a daimyo that started after the file was written only has the same number',
    )
  },
)

t.test(
  'so is that of a master with a prefix before its name',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async t => {
    const code = "process.stdout.write('up'); process.stdin.resume()"
    const child = spawn(process.execPath, ['-e', code], {
      argv0: 'shop daimyo: master /srv/shop.ini',
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    t.teardown(() => child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    const path = join(scratchFolder(t), 'daimyo.pid')
    writeFileSync(path, `${child.pid}\n`)
    t.throws(() => writePidfile(path), { exitCode: EXIT.unavailable, message: new RegExp(`pid ${child.pid}$`) })
  },
)

t.test(
  'a master that root starts for a user is not kept from it by a process of that user’s',
  { skip: process.geteuid?.() !== 0 && 'needs root' },
  async t => {
    const service = { user: null, uid: 65_534, gid: 65_534 }
    const folder = scratchFolder(t)
    chmodSync(folder, 0o755)
    const path = join(folder, 'daimyo.pid')
    const plant = async (uid: number, code = 'echo up; read line') => {
      writeFileSync(path, '')
      const child = spawn('/bin/sh', ['-c', code, 'sh', path], {
        argv0: 'daimyo: master /srv/shop.ini',
        uid,
        gid: uid,
        cwd: '/',
        stdio: ['pipe', 'pipe', 'ignore'],
      })
      t.teardown(() => child.kill('SIGKILL'))
      await once(child.stdout, 'data')
      writeFileSync(path, `${child.pid}\n`)
      chownSync(path, service.uid, service.gid)
      return child.pid
    }
    const planted = await plant(service.uid)
    t.throws(() => checkPidfile(path), { message: new RegExp(`pid ${planted}$`) }, 'without uid it may be a master')
    t.doesNotThrow(() => checkPidfile(path, service))
    await plant(12_345)
    t.doesNotThrow(() => checkPidfile(path, service), 'nor by another user’s')
    await plant(0)
    t.doesNotThrow(() => checkPidfile(path, service), 'nor by root’s master of another service')
    const roots = await plant(0, 'exec 5< "$1"; echo up; read line')
    t.throws(
      () => checkPidfile(path, service),
      { message: new RegExp(`pid ${roots}$`) },
      'but by the one that wrote it',
    )
  },
)

t.test('a folder that is missing or closed says which pidfile', async t => {
  const folder = scratchFolder(t)
  t.throws(() => writePidfile(join(folder, 'no/daimyo.pid')), {
    exitCode: EXIT.os,
    message: /pidfile=.*no\/daimyo\.pid: ENOENT/,
  })
  if (process.geteuid?.() !== 0) {
    chmodSync(folder, 0o500)
    t.throws(() => writePidfile(join(folder, 'daimyo.pid')), { code: 'pidfile', exitCode: EXIT.permission })
    chmodSync(folder, 0o700)
  }
})
