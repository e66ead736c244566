/** A descriptor is closed once, not under a read, and not read after it. */

import { strict as assert } from 'node:assert'
import fs from 'node:fs'
import t from 'tap'
import { Disk, OpenFile, type ReadMode } from '../../../proxy/static/open-file.js'

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

for (const mode of ['direct', 'pool', 'watched'] as const) {
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

t.test('the loop reads a large file after the first chunk, until a read waits for the disk', async t => {
  const { read: readInPool, readSync } = fs
  t.teardown(() => Object.assign(fs, { read: readInPool, readSync }))
  let reads = ''
  let tookMs = 0.1
  const clock = { nowMs: 0, diskReads: 0 }
  class FakeDisk extends Disk {
    override nowMs = () => clock.nowMs
    override reads = () => clock.diskReads
  }
  const disk = new FakeDisk()
  const passTime = (kind: string) => {
    reads += kind
    clock.nowMs += tookMs
  }
  Object.assign(fs, {
    read: (...args: Parameters<typeof readInPool>) => {
      passTime('P')
      readInPool(...args)
    },
    readSync: (...args: Parameters<typeof readSync>) => {
      passTime('D')
      return readSync(...args)
    },
  })
  const open = () => new OpenFile(fs.openSync(`${folder}/a.txt`, 'r'), 'watched', disk)
  const readsOf = async (file: OpenFile, count: number) => {
    reads = ''
    for (let left = count; left > 0; left--) await read(file, Buffer.alloc(1), 1, 0)
    return reads
  }
  const first = open()
  t.equal(await readsOf(first, 12), 'PDDDDDDDDDDD')
  const other = open()
  t.equal(await readsOf(other, 3), 'PDD')
  tookMs = 20
  t.equal(await readsOf(other, 3), 'DDD', 'waits for its core')
  clock.diskReads = 1
  t.equal(await readsOf(first, 4), 'DPPP', 'waits for the disk')
  t.equal(await readsOf(other, 2), 'PP', 'others do not try')
  tookMs = 0.1
  clock.nowMs += 1000
  t.equal(await readsOf(other, 2), 'DD', 'a while later')
  t.equal(await readsOf(first, 2), 'PP', 'but not the file itself')
  const third = open()
  t.equal(await readsOf(third, 2), 'PD')
  tookMs = 300
  t.equal(await readsOf(third, 2), 'DP', 'a file system that counts no reads')
  for (const file of [first, other, third]) file.close()
})

t.test('the loop gives others a turn between its reads, and closes a file that is given up meanwhile', async t => {
  const fd = fs.openSync(`${folder}/a.txt`, 'r')
  const file = new OpenFile(fd, 'watched', new Disk())
  await read(file, Buffer.alloc(1), 1, 0)
  let turns = 0
  setImmediate(() => turns++)
  const chunk = Buffer.alloc(1)
  let isOver = false
  const readOn = (left: number) => {
    if (left === 0) isOver = true
    else file.read(chunk, 0, 1, 0, () => readOn(left - 1))
  }
  readOn(16)
  t.ok(isOver, 'sixteen at once')
  t.equal(turns, 0)
  let bytesRead = -1
  file.read(chunk, 0, 1, 0, (_, bytes) => {
    bytesRead = bytes
  })
  t.throws(() => file.read(chunk, 0, 1, 0, () => {}), /reading/)
  file.close()
  t.ok(fs.fstatSync(fd), 'not closed while a read is due')
  await new Promise(setImmediate)
  t.equal(bytesRead, 0)
  await until(() => isClosed(fd))
})

async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise(setImmediate)
}

function isClosed(fd: number): boolean {
  try {
    fs.fstatSync(fd)
    return false
  } catch {
    return true
  }
}
