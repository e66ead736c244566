/** Real FIFOs: `supervisor/master/master-fifo.ts`. */

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Rate } from '../../../kit/ground/token-bucket.js'
import { type FifoOptions, startMasterFifo } from '../../../supervisor/master/master-fifo.js'
import { FIFO_LETTERS } from '../../../supervisor/master/signals.js'
import { groupsOf } from '../../../supervisor/user/service-user.js'
import { until } from '../../e2e/fixtures/watched-site.js'
import { holdFifo, noLockedFifo } from '../fixtures/locked-fifo.js'
import { scratchFolder } from '../fixtures/scratch-folder.js'
import { testPipes } from '../fixtures/test-pipes.js'

async function start(t: Test, paths: string[], reads?: Rate, more: Partial<FifoOptions> = {}) {
  const told: string[] = []
  const log = (event: string, fields = {}) => void told.push(`${event} ${JSON.stringify(fields)}`)
  const fifo = await startMasterFifo({
    pipes: testPipes(t),
    paths,
    opener: null,
    put: (letter, event) => void told.push(`${letter} ${event.type}`),
    log,
    ...(reads && { reads }),
    ...more,
  })
  t.teardown(() => fifo.close())
  return { told, fifo }
}

t.test('each letter asks for its event, others are refused with one', async t => {
  const path = join(scratchFolder(t), 'fifo')
  const { told, fifo } = await start(t, [path])
  t.equal(lstatSync(path).mode & 0o777, 0o600)
  const letters = Object.keys(FIFO_LETTERS)
  for (const letter of letters) writeFileSync(path, `${letter}\n`)
  await until('all are heard', () => told.length === letters.length)
  t.same(
    told.splice(0),
    letters.map(letter => `fifo-${letter} ${FIFO_LETTERS[letter]?.type}`),
  )
  writeFileSync(path, 'f9r')
  await until('these too', () => told.length === 3)
  t.match(told, [/^fifo-refused .*"letter":"f"/, /^fifo-refused .*"letter":"9"/, 'fifo-r reload'])
  fifo.close()
  t.notOk(existsSync(path))
})

t.test('a digit chooses', async t => {
  const folder = scratchFolder(t)
  const [first, second] = [join(folder, 'a'), join(folder, 'b')] as const
  execFileSync('mkfifo', ['-m', '600', second])
  const { told } = await start(t, [first, second])
  writeFileSync(first, '1')
  writeFileSync(second, 'p')
  await until('the second is heard', () => told.length === 1)
  writeFileSync(second, '0')
  writeFileSync(first, 'r')
  await until('the first is heard', () => told.length === 2)
  t.same(told, ['fifo-p toggle-pause', 'fifo-r reload'])
})

t.test('what is not a FIFO is refused and stays', async t => {
  const folder = scratchFolder(t)
  const file = join(folder, 'file')
  const link = join(folder, 'link')
  writeFileSync(file, 'x')
  execFileSync('mkfifo', [join(folder, 'real')])
  symlinkSync(join(folder, 'real'), link)
  await t.rejects(start(t, [file]), { code: 'master-fifo', message: /file: it is not a FIFO$/ })
  await t.rejects(start(t, [link]), { code: 'master-fifo', message: /link: it is a link$/ })
  await t.rejects(start(t, [join(folder, 'no', 'such')]), { code: 'master-fifo' })
  t.ok(existsSync(file) && existsSync(link))
})

const nobody = { user: null, uid: 65_534, gid: 65_534 }

t.test(
  'where the service’s user decides about the folder another process reads it',
  { skip: noLockedFifo },
  async t => {
    const folder = scratchFolder(t)
    chownSync(folder, nobody.uid, nobody.gid)
    const path = join(folder, 'fifo')
    groupsOf(nobody)
    const { told, fifo } = await start(t, [path], undefined, { opener: nobody, againMs: 50 })
    t.match(lstatSync(path), { uid: nobody.uid, mode: constants.S_IFIFO | 0o600 })
    writeFileSync(path, 'r')
    await until('it is heard', () => told.includes('fifo-r reload'))
    process.kill(readerOf(path), 'SIGKILL')
    await until('its end is told', () => told.some(line => /^fifo-trouble .*has ended/.test(line)))
    await until('another one reads', () => readerOf(path) !== 0)
    writeFileSync(path, 'p')
    await until('it is heard, too', () => told.includes('fifo-p toggle-pause'))
    await holdFifo(t, path)
    await fifo.close()
    t.notOk(existsSync(path), 'a lock of the FIFO holds nobody up')
  },
)

t.test('nor there is anything but a FIFO taken', { skip: noLockedFifo }, async t => {
  const folder = scratchFolder(t)
  chownSync(folder, nobody.uid, nobody.gid)
  groupsOf(nobody)
  const [file, link, locked, roots] = ['file', 'link', 'locked', 'roots'].map(name => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ]
  writeFileSync(file, 'x')
  execFileSync('mkfifo', ['-m', '666', roots])
  chownSync(roots, 1, 1)
  symlinkSync(roots, link)
  const opened = (path: string) => start(t, [path], undefined, { opener: nobody, makeMs: 1000 })
  await t.rejects(opened(file), {
    code: 'master-fifo',
    message: /file: (it is not a FIFO|the process that opens it has ended, opened as )/,
  })
  await t.rejects(opened(link), { code: 'master-fifo', message: /link: it is a link$/ })
  await t.rejects(opened(roots), { code: 'master-fifo', message: /roots: it belongs to uid 1$/ })
  await holdFifo(t, locked)
  await t.rejects(opened(locked), { code: 'master-fifo', message: /locked: not opened within 1000 ms, opened as / })
})

/** The pid of the process that reads it for us, 0: none does. */
function readerOf(path: string): number {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    try {
      if (readFileSync(`/proc/${name}/comm`, 'utf8') === 'cat\n' && readlinkSync(`/proc/${name}/fd/0`) === path)
        return Number(name)
    } catch {
      // It has ended meanwhile.
    }
  }
  return 0
}

/** Writes `letters` until the pipe is full, again in each of so many turns; tells how many bytes went in. */
async function flood(t: Test, path: string, letters: string, turns: number): Promise<number> {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  t.teardown(() => closeSync(fd))
  const bytes = Buffer.from(letters.repeat(Math.ceil(4096 / letters.length)))
  let written = 0
  for (let count = 0; count < turns; count++) {
    try {
      for (;;) written += writeSync(fd, bytes)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
    await turn()
  }
  return written
}

const floods: [title: string, letters: string, most: number][] = [
  ['of one command', 'r', 4],
  ['of workers', '+', 4],
  ['of commands in turn', 'rslp', 16],
  ['of letters that mean nothing', 'xyz', 10],
  ['of blanks', '\n', 0],
]
for (const [title, letters, most] of floods) {
  t.test(`a flood ${title} waits in the pipe`, async t => {
    const path = join(scratchFolder(t), 'fifo')
    // What is left once the first are used up comes hours later.
    const { told } = await start(t, [path], { atOnce: 3, perSecond: 0.0001 })
    const written = await flood(t, path, letters, 200)
    t.ok(told.length <= most, `${told.length} of ${written}`)
    t.ok(written <= 16 * 65_536, `${written} bytes are taken`)
  })
}

t.test('what stands behind a flood is heard', async t => {
  const path = join(scratchFolder(t), 'fifo')
  const { told } = await start(t, [path], { atOnce: 2, perSecond: 20 })
  await flood(t, path, 'p', 20)
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  t.teardown(() => closeSync(fd))
  await until('there is room for it', () => {
    try {
      return writeSync(fd, 'q') === 1
    } catch {
      // EAGAIN
      return false
    }
  })
  await until('it is heard', () => told.includes('fifo-q stop'))
})

t.test('lines about letters that mean nothing are few, and count the others', async t => {
  const path = join(scratchFolder(t), 'fifo')
  const { told } = await start(t, [path])
  writeFileSync(path, 'abdeghijkmno'.repeat(100))
  await until('they are heard', () => told.length > 0)
  t.equal(told.length, 10)
  t.match(told[0], /^fifo-refused .*"letter":"a","count":100,"why"/)
})

t.test('a FIFO that others may write to is told', async t => {
  const path = join(scratchFolder(t), 'fifo')
  execFileSync('mkfifo', ['-m', '600', path])
  chmodSync(path, 0o620)
  t.match((await start(t, [path])).told, [/^fifo-doubtful .*others may write to it/])
})

const programs: [title: string, script: string, why: RegExp][] = [
  ['one that never ends', 'exec sleep 600', /fifo: not made within 500 ms$/],
  ['one that refuses', 'echo "mkfifo: no" >&2; exit 1', /fifo: mkfifo: no$/],
  ['one whose last words have no end', 'sleep 5 & echo "mkfifo: no" >&2; exit 1', /fifo: mkfifo: no$/],
  [
    'one whose line has no end',
    'head -c 600000000 /dev/zero >&2; echo >&2; echo "mkfifo: no" >&2; exit 1',
    /fifo: mkfifo: no$/,
  ],
  [
    'one to which no descriptor can be sent',
    'grep -q " $(readlink /proc/self/fd/2 | tr -dc 0-9) " /proc/net/tcp && echo tcp >&2; exit 1',
    /fifo: tcp$/,
  ],
]
for (const [title, script, message] of programs) {
  t.test(`who makes a FIFO does not hold up the start: ${title}`, async t => {
    const folder = scratchFolder(t)
    const program = join(folder, 'mkfifo')
    writeFileSync(program, `#!/bin/sh\n${script}`, { mode: 0o755 })
    const makeMs = script.includes('exec') ? 500 : 60_000
    await t.rejects(start(t, [join(folder, 'fifo')], undefined, { find: () => program, makeMs }), {
      code: 'master-fifo',
      message,
    })
  })
}
