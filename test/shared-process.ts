/** Tests `shared-process.mjs` and `shared-results.mjs`: whatever becomes of a file that shares its process is told of that file, and of no other. */

import { spawn } from 'node:child_process'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { scratchFolder } from './supervisor/fixtures/scratch-folder.js'

interface Results {
  results: { path: string; passed: boolean; printed: string }[]
  unseen: string[]
}
type Read = (paths: string[], run: { passed: boolean; printed: string }) => Results

const top = fileURLToPath(new URL('../..', import.meta.url))
/** Our sources have no types here. */
const { resultsOf }: { resultsOf: Read } = await import(join(top, 'test/shared-results.mjs'))

const FILES = {
  good: "t.test('one', async t => t.pass()); t.equal(1, 1)",
  bad: "t.test('one', async t => t.fail('as told'))",
  malformed: 'nonsense nonsense',
  late: "t.test('one', async t => { t.pass(); setTimeout(() => { throw new Error('too late') }) })",
  endless: "t.test('one', () => new Promise(() => {}))",
  exits: "t.test('one', async () => process.exit(0))",
  open: "import { createServer } from 'node:net'; createServer().listen(0); t.test('one', async t => t.pass())",
}

/** Runs the files, each named after what it does, and reads what was printed; ends the process when `untilPrinted` was. */
async function run(t: Test, names: string[], untilPrinted?: string): Promise<Results> {
  const folder = scratchFolder(t)
  symlinkSync(join(top, 'dist/test/node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const paths = names.map((name, at) => `${at}-${name}.js`)
  for (const [at, name] of names.entries())
    writeFileSync(join(folder, paths[at] ?? ''), `import t from 'tap'\n${FILES[name as keyof typeof FILES]}\n`)
  const child = spawn(process.execPath, ['test/shared-process.mjs', folder, ...paths], { cwd: top })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    printed += text
    if (untilPrinted !== undefined && printed.includes(untilPrinted)) child.kill('SIGKILL')
  })
  const code = await new Promise(resolve => child.on('close', resolve))
  return resultsOf(paths, { passed: code === 0, printed })
}

const told = ({ results }: Results) => results.map(({ path, passed }) => `${path} ${passed ? 'passed' : 'failed'}`)

t.test('files follow each other, and a failed one is told with its own text', async t => {
  const read = await run(t, ['good', 'bad', 'malformed', 'good'])
  t.strictSame(told(read), ['0-good.js passed', '1-bad.js failed', '2-malformed.js failed', '3-good.js passed'])
  t.match(read.results[1]?.printed, /not ok 1 - as told/)
  t.notMatch(read.results[1]?.printed, /0-good|2-malformed/)
  t.match(read.results[2]?.printed, /SyntaxError/)
  t.strictSame(read.unseen, [])
})

const ENDS: [title: string, name: string, untilPrinted: string | undefined][] = [
  ['throws when its tests are done', 'late', undefined],
  ['waits for what never comes', 'endless', undefined],
  ['ends the process', 'exits', undefined],
  ['leaves something open, until the suite has no more patience', 'open', 'ok 2 - 1-open.js'],
]
for (const [title, name, untilPrinted] of ENDS) {
  t.test(`a file that ${title}`, async t => {
    const read = await run(t, ['good', name, 'good'], untilPrinted)
    t.strictSame(told(read), ['0-good.js passed', `1-${name}.js failed`])
    t.strictSame(read.unseen, ['2-good.js'], 'are left to be run')
  })
}

t.test('a process that could not begin', async t => {
  const read = resultsOf(['a.js', 'b.js'], { passed: false, printed: 'no memory\n' })
  t.strictSame(told(read), ['a.js failed'])
  t.match(read.results[0]?.printed, /no memory/)
  t.strictSame(read.unseen, ['b.js'])
})
