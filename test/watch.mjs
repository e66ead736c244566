/**
 * Builds, runs the tests, waits for a change of a file and begins again: `npm run dev:test -- proxy/http`. The arguments are those of `suite.mjs`.
 * SIGINT and SIGTERM end it, and what it runs. A change during a run counts: the next run begins when that one has ended.
 */

import { spawn } from 'node:child_process'
import { watch } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const top = fileURLToPath(new URL('..', import.meta.url))
const FOLDERS = ['supervisor', 'proxy', 'app', 'kit', 'bench', 'test', 'docs']
/** An editor writes a file in several steps. */
const QUIET_MS = 100

const args = process.argv.slice(2)
let child = null
let hasChanged = false
let onChange = () => {}
let timer

/** Whether the program succeeded. */
function run(path, ...rest) {
  child = spawn(process.execPath, [join(top, path), ...rest], { cwd: top, stdio: 'inherit' })
  return new Promise(resolve => child.once('close', code => resolve(code === 0)))
}

function changed() {
  clearTimeout(timer)
  timer = setTimeout(() => {
    hasChanged = true
    onChange()
  }, QUIET_MS)
}

function nextChange() {
  return new Promise(resolve => {
    onChange = resolve
    if (hasChanged) resolve()
  })
}

for (const folder of FOLDERS) watch(join(top, folder), { recursive: true }, changed)
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    child?.kill('SIGTERM')
    process.exit(0)
  })
}
for (;;) {
  hasChanged = false
  if (await run('prepare.mjs')) await run('test/suite.mjs', ...args)
  process.stdout.write('# waiting for a change\n')
  await nextChange()
}
