/** The types of all sources as a test: the build (`prepare.mjs`) does not look at them. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const top = fileURLToPath(new URL('../..', import.meta.url))

t.test('the types of all sources are right', t => {
  execFile(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-p', '.', '--noEmit'],
    { cwd: top },
    (error, stdout) => {
      t.equal(stdout, '')
      t.equal(error, null)
      t.end()
    },
  )
})
