/** Tests `watch.mjs`: a change is built and tested, a build that fails is not tested, and nothing is left at the end. */

import { spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { scratchFolder } from './supervisor/fixtures/scratch-folder.js'

const top = fileURLToPath(new URL('../..', import.meta.url))
const FOLDERS = ['supervisor', 'proxy', 'app', 'kit', 'bench', 'test', 'docs']
const READ = "import { readFileSync } from 'node:fs'\nconst source = readFileSync('proxy/one.ts', 'utf8').trim()\n"
const BUILD = `${READ}console.log('built', source)\nprocess.exitCode = source === 'nonsense' ? 1 : 0\n`
const SUITE = `${READ}console.log('tested', source, ...process.argv.slice(2))\n`

t.test('each change is built and tested', async t => {
  const folder = scratchFolder(t)
  for (const name of FOLDERS) mkdirSync(join(folder, name))
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
  write('package.json', '{ "type": "module" }')
  write('prepare.mjs', BUILD)
  write('test/suite.mjs', SUITE)
  write('proxy/one.ts', 'first')
  copyFileSync(join(top, 'test/watch.mjs'), join(folder, 'test/watch.mjs'))

  const child = spawn(process.execPath, ['test/watch.mjs', 'proxy/http'], { cwd: folder })
  t.teardown(() => child.kill('SIGKILL'))
  let printed = ''
  let onPrinted = () => {}
  child.stdout.setEncoding('utf8').on('data', text => {
    printed += text
    onPrinted()
  })
  /** What it printed until it waits with this as the last source it built. */
  const waits = (source: string) =>
    new Promise<string>(resolve => {
      onPrinted = () => {
        if (!new RegExp(`built ${source}\\n[^]*waiting for a change\\n$`).test(printed)) return
        resolve(printed)
        printed = ''
      }
      onPrinted()
    })
  t.match(await waits('first'), /tested first proxy\/http\n/)
  write('proxy/one.ts', 'nonsense')
  t.notMatch(await waits('nonsense'), /tested nonsense/, 'a build that fails is not tested')
  write('proxy/one.ts.new', 'second')
  renameSync(join(folder, 'proxy/one.ts.new'), join(folder, 'proxy/one.ts'))
  t.match(await waits('second'), /tested second/, 'a file that takes the place of another is seen')
  child.kill('SIGTERM')
  t.equal(await new Promise(resolve => child.once('close', resolve)), 0)
})
