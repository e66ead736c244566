/** A descriptor is closed once, not under a read, and not read after it. */

import { strict as assert } from 'node:assert'
import fs from 'node:fs'
import t from 'tap'
import { OpenFile, type ReadMode } from '../../../proxy/static/open-file.js'

const folder = t.testdir({ 'a.txt': 'hello world' })

function openText(mode: ReadMode): { fd: number; file: OpenFile } {
  const fd = fs.openSync(`${folder}/a.txt`, 'r')
  return { fd, file: new OpenFile(fd, mode) }
}

function read(file: OpenFile, buffer: Buffer, bytes: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    file.read(buffer, 0, bytes, position, (error, bytesRead) => (error === null ? resolve(bytesRead) : reject(error)))
  })
}

for (const mode of ['direct', 'pool', 'measured'] as const) {
  t.test(`reads and closes, ${mode}`, async t => {
    const { fd, file } = openText(mode)
    const buffer = Buffer.alloc(5)
    t.equal(await read(file, buffer, 5, 6), 5)
    t.equal(buffer.toString(), 'world')
    t.equal(await read(file, buffer, 5, 11), 0, 'the end')
    file.close()
    file.close()
    t.throws(() => file.read(buffer, 0, 1, 0, () => {}), /closed/)
    if (mode === 'direct') t.throws(() => fs.fstatSync(fd), { code: 'EBADF' })
  })

  t.test(`tells errors, ${mode}`, async t => {
    const file = new OpenFile(fs.openSync(folder, 'r'), mode)
    await t.rejects(read(file, Buffer.alloc(1), 1, 0), { code: 'EISDIR' })
    file.close()
  })
}

t.test('closing during a read waits for it', async t => {
  const { fd, file } = openText('pool')
  const buffer = Buffer.alloc(11)
  const bytesRead = read(file, buffer, 11, 0)
  t.throws(() => file.read(buffer, 0, 1, 0, () => {}), /reading/, 'one read at a time')
  file.close()
  t.ok(fs.fstatSync(fd).isFile(), 'still open')
  t.equal(await bytesRead, 11)
  t.equal(buffer.toString(), 'hello world')
  await closed(fd)
})

/** Turns of the loop until the pool has closed `fd`; the test's own time limit ends it. */
async function closed(fd: number): Promise<void> {
  for (;;) {
    try {
      fs.fstatSync(fd)
    } catch (thrown) {
      assert.equal((thrown as NodeJS.ErrnoException).code, 'EBADF')
      return
    }
    await new Promise(setImmediate)
  }
}

t.test('a file in the page cache is mostly read by the loop itself, until a read waits', async t => {
  const cases: [title: string, tookMs: (read: number) => number, expected: string][] = [
    ['in the page cache', () => 0.1, 'PDDDDPDDDDPD'],
    ['on a disk', () => 5, 'PPPPPPPPPPPP'],
    ['after three reads', read => (read < 3 ? 5 : 0.1), 'PPPPDDDDPDDD'],
    ['a read of the loop waits', read => (read === 2 ? 20 : 0.1), 'PDDPPPPPPPPP'],
    ['a read of the pool waits', read => (read === 5 ? 20 : 0.1), 'PDDDDPPDDDDP'],
  ]
  const { read: readInPool, readSync } = fs
  t.teardown(() => Object.assign(fs, { read: readInPool, readSync }))
  for (const [title, tookMs, expected] of cases) {
    let reads = ''
    let isBefore = true
    let nowMs = 0
    const clock = () => {
      if (isBefore) reads += '?'
      else nowMs += tookMs(reads.length - 1)
      isBefore = !isBefore
      return nowMs
    }
    const note = (kind: string) => {
      reads = reads.replace('?', kind)
    }
    Object.assign(fs, {
      read: (...args: Parameters<typeof readInPool>) => {
        note('P')
        readInPool(...args)
      },
      readSync: (...args: Parameters<typeof readSync>) => {
        note('D')
        return readSync(...args)
      },
    })
    const file = new OpenFile(fs.openSync(`${folder}/a.txt`, 'r'), 'measured', clock)
    for (let count = 0; count < expected.length; count++) await read(file, Buffer.alloc(1), 1, 0)
    file.close()
    t.equal(reads, expected, title)
  }
})
