/** A descriptor is closed once, not under a read, and not read after it. */

import { strict as assert } from 'node:assert'
import fs from 'node:fs'
import t from 'tap'
import { OpenFile } from '../../../proxy/static/open-file.js'

const folder = t.testdir({ 'a.txt': 'hello world' })

function openText(isDirect: boolean): { fd: number; file: OpenFile } {
  const fd = fs.openSync(`${folder}/a.txt`, 'r')
  return { fd, file: new OpenFile(fd, isDirect) }
}

function read(file: OpenFile, buffer: Buffer, bytes: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    file.read(buffer, 0, bytes, position, (error, bytesRead) => (error === null ? resolve(bytesRead) : reject(error)))
  })
}

for (const isDirect of [true, false]) {
  t.test(`reads and closes, ${isDirect ? 'directly' : 'through the pool'}`, async t => {
    const { fd, file } = openText(isDirect)
    const buffer = Buffer.alloc(5)
    t.equal(await read(file, buffer, 5, 6), 5)
    t.equal(buffer.toString(), 'world')
    t.equal(await read(file, buffer, 5, 11), 0, 'the end')
    file.close()
    file.close()
    t.throws(() => file.read(buffer, 0, 1, 0, () => {}), /closed/)
    if (isDirect) t.throws(() => fs.fstatSync(fd), { code: 'EBADF' })
  })

  t.test(`tells errors, ${isDirect ? 'directly' : 'through the pool'}`, async t => {
    const file = new OpenFile(fs.openSync(folder, 'r'), isDirect)
    await t.rejects(read(file, Buffer.alloc(1), 1, 0), { code: 'EISDIR' })
    file.close()
  })
}

t.test('closing during a read waits for it', async t => {
  const { fd, file } = openText(false)
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
