/** Tests `app/host/application/move-to-cpus.ts`; that workers do move is seen in `test/e2e/workers-get-what-the-ini-gives-them.ts`. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { moveToCpus } from '../../../../app/host/application/move-to-cpus.js'
import { scratchFolder } from '../../../supervisor/fixtures/scratch-folder.js'

t.test('why not', async t => {
  t.equal(moveToCpus([0], scratchFolder(t)), 'taskset is not installed (util-linux)')
  t.match(moveToCpus([4095]), /^taskset: .*(nvalid|failed)/, 'there is no such CPU')
})

t.test('a signal that takes taskset is forgiven once', async t => {
  const folder = scratchFolder(t)
  const write = (words: string) => writeFileSync(join(folder, 'taskset'), `#!/bin/sh\n${words}\n`, { mode: 0o755 })
  write(`[ -e '${folder}/seen' ] && exit 0; : > '${folder}/seen'; kill -USR1 $$`)
  t.equal(moveToCpus([0], folder), null)
  write('kill -HUP $$')
  t.match(moveToCpus([0], folder), /taskset/)
})
