/** Tests `app/host/move-to-cpus.ts`; that workers do move is seen in `test/e2e/workers-get-what-the-ini-gives-them.ts`. */

import t from 'tap'
import { moveToCpus } from '../../../app/host/move-to-cpus.js'
import { scratchFolder } from '../../supervisor/fixtures/scratch-folder.js'

t.test('why not', async t => {
  t.equal(moveToCpus([0], scratchFolder(t)), 'taskset is not installed (util-linux)')
  t.match(moveToCpus([4095]), /^taskset: .*(nvalid|failed)/, 'there is no such CPU')
})
