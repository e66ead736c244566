/** A worker that says anything: what must hold of its links whatever that is. The long form is `npm run fuzz:link`. */

import t from 'tap'
import { LinkFuzz } from '../../fuzz/link-conversation.js'
import { scratchFolder } from '../../supervisor/fixtures/scratch-folder.js'

t.test('twenty thousand frames', async t => {
  for (const seed of [1, 2]) {
    const fuzz = await LinkFuzz.open(scratchFolder(t), seed)
    t.teardown(() => fuzz.close())
    const { frames, broken, unbroken, fault } = await fuzz.converse(10_000)
    t.equal(fault, null, `seed ${seed}: ${frames} frames, ${broken} links broken, ${unbroken} not`)
    t.ok(broken > 0 && unbroken > 0, 'both ends were seen')
  }
})
