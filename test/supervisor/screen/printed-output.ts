/** Tests `supervisor/screen/printed-output.ts`, with a reader of its own and with the real program behind a pipe. */

import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { PassThrough, Writable } from 'node:stream'
import t from 'tap'
import { PrintedOutput } from '../../../supervisor/screen/printed-output.js'
import { Site } from '../fixtures/daimyo-program.js'
import { ownCommand } from '../fixtures/reachable-program.js'

const LONG = 'é'.repeat(100_000)
const FOR_EVER_MS = 600_000

t.test('all of it arrives, however slowly it is read', async t => {
  const taken: Buffer[] = []
  const slow = new Writable({
    write(chunk: Buffer, _encoding, done) {
      taken.push(chunk)
      setImmediate(done)
    },
  })
  const output = new PrintedOutput(slow)
  output.print(LONG)
  output.print('end')
  await output.drained(FOR_EVER_MS)
  t.equal(Buffer.concat(taken).toString(), `${LONG}end`)
  await output.drained(FOR_EVER_MS)
})

t.test('nothing printed is nothing to wait for', async () => {
  await new PrintedOutput(new Writable({ write: () => {} })).drained(FOR_EVER_MS)
})

const ends: [title: string, end: (stream: PassThrough) => void][] = [
  ['that goes away', stream => stream.destroy()],
  ['that breaks', stream => stream.destroy(new Error('EPIPE'))],
  ['that had gone before', () => {}],
]
for (const [title, end] of ends) {
  t.test(`a reader ${title} is not waited for`, async () => {
    const stream = new PassThrough({ highWaterMark: 1 })
    stream.on('error', () => {})
    if (title === 'that had gone before') stream.destroy()
    const output = new PrintedOutput(stream)
    output.print(LONG)
    const drained = output.drained(FOR_EVER_MS)
    end(stream)
    await drained
  })
}

t.test('one that takes nothing is waited for so long, one that takes something longer', async t => {
  const stuck = new PrintedOutput(new Writable({ write: () => {} }))
  stuck.print('x')
  await stuck.drained(1)
  let pieces = 0
  const steady = new PrintedOutput(
    new Writable({
      write(_chunk, _encoding, done) {
        pieces += 1
        setTimeout(done, 20)
      },
    }),
  )
  steady.print('x'.repeat(4096 * 10))
  const sinceMs = performance.now()
  await steady.drained(150)
  t.ok(performance.now() - sinceMs > 150, 'its patience begins anew with each piece')
  t.ok(pieces > 5, `${pieces} pieces`)
})

const site = new Site(t)
/** Every mistake is told with the name of its file. */
const folder = Array(4).fill('f'.repeat(200)).join('/')
mkdirSync(site.path(folder), { recursive: true })
writeFileSync(site.path(`${folder}/many.ini`), `[uwsgi]\n${'harakri = 3\n'.repeat(90)}`)
const commands: [title: string, args: string, bytes: number][] = [
  ['the reference of all options', 'help options', 65_536],
  ['many mistakes', `check ${folder}/many.ini`, 65_536],
  ['many mistakes, on standard error', `${folder}/many.ini 2>&1 >/dev/null`, 65_536],
]
for (const [title, args, bytes] of commands) {
  t.test(`the program, into a pipe that is read late: ${title}`, async t => {
    const read = (reader: string) => {
      const script = `cd ${site.folder}; ${ownCommand.join(' ')} ${args} | { ${reader}; }`
      return spawnSync('/bin/sh', ['-c', script], { encoding: 'utf8', maxBuffer: 10_000_000 }).stdout
    }
    const whole = read('cat')
    t.ok(whole.length > bytes, `${whole.length} bytes are more than a pipe takes`)
    t.equal(read('sleep 0.5; cat').length, whole.length)
  })
}
