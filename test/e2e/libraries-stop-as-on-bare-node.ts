/**
 * Applications that a library brings to their end do so under daimyo, at a reload and at a stop, as fast and as completely as on bare Node; what docs/compatibility.md
 * says of it is true. `npm run test:frameworks` plays those whose packages are large.
 */

import { join } from 'node:path'
import t from 'tap'
import { inAllStates } from '../frameworks/fixtures/play-all.js'
import { stopBare } from '../frameworks/fixtures/play-bare.js'
import { ServedScene } from '../frameworks/fixtures/play-daimyo.js'
import { STATES, type State } from '../frameworks/fixtures/scene.js'
import { libraryScenes } from '../frameworks/fixtures/scenes.js'
import { difference, readTable, type Side } from '../frameworks/fixtures/stop-table.js'
import { measureLostTime } from '../kit/fixtures/lost-time.js'
import { topFolder } from './fixtures/watched-site.js'

const top = join(topFolder, 'test/frameworks')
const table = readTable()

/** They wait much more than they work: all at once. */
const played = libraryScenes.map(async scene => {
  const lost = measureLostTime()
  const bare = Promise.all(STATES.map(state => stopBare(t, top, scene, state)))
  const site = await ServedScene.start(t, top, scene, 2)
  const reload = await inAllStates(state => site.reload(state))
  const seen = { scene, bare: await bare, reload, stop: await site.stop('stream') }
  const lostMs = lost.ms()
  lost.stop()
  return { ...seen, lostMs }
})

for (const [number, { id }] of libraryScenes.entries()) {
  t.test(id, async t => {
    const seen = await played[number]
    const told = (side: Side, state: State) => table.get(id)?.(side, state)
    for (const [place, state] of STATES.entries()) {
      if (seen?.bare[place])
        t.equal(difference(told('bare', state), seen.bare[place], seen.lostMs), null, `on bare Node, ${state}`)
      if (seen?.reload)
        t.equal(difference(told('reload', state), seen.reload[state], seen.lostMs), null, `reload, ${state}`)
    }
    if (seen?.stop) t.equal(difference(told('stop', 'stream'), seen.stop, seen.lostMs), null, 'stop, stream')
  })
}
