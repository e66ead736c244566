/** Real FIFOs: `supervisor/master-fifo.ts`. */

import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startMasterFifo } from '../../supervisor/master-fifo.js'
import { FIFO_LETTERS } from '../../supervisor/signals.js'
import { until } from '../e2e/fixtures/watched-site.js'
import { scratchFolder } from './fixtures/scratch-folder.js'

function start(t: Test, paths: string[]) {
  const told: string[] = []
  const log = (event: string, fields = {}) => void told.push(`${event} ${JSON.stringify(fields)}`)
  const fifo = startMasterFifo({
    paths,
    opener: null,
    put: (letter, event) => void told.push(`${letter} ${event.type}`),
    log,
  })
  t.teardown(() => fifo.close())
  return { told, fifo }
}

t.test('each letter asks for its event, others are refused with one', async t => {
  const path = join(scratchFolder(t), 'fifo')
  const { told, fifo } = start(t, [path])
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
  const { told } = start(t, [first, second])
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
  t.throws(() => start(t, [file]), { code: 'master-fifo', message: /file: it is not a FIFO$/ })
  t.throws(() => start(t, [link]), { code: 'master-fifo', message: /link: it is a link$/ })
  t.throws(() => start(t, [join(folder, 'no', 'such')]), { code: 'master-fifo' })
  t.ok(existsSync(file) && existsSync(link))
})
