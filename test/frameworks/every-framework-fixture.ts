/**
 * Plays every application on bare Node and under daimyo and compares with the table in docs/compatibility.md; prints the rows that were seen.
 * Run by `npm run test:frameworks`: FRAMEWORKS is the folder with all packages; arguments are the ids of the scenes, unless all.
 */

import t from 'tap'
import { playAll } from './fixtures/play-all.js'
import { STATES } from './fixtures/scene.js'
import { allScenes } from './fixtures/scenes.js'
import { difference, printRow, readTable, type Seen, SIDES } from './fixtures/stop-table.js'

const top = process.env.FRAMEWORKS ?? ''
const wanted = process.argv.slice(2)
const scenes = allScenes.filter(({ id }) => wanted.length === 0 || wanted.includes(id))
const table = readTable()

function differences(id: string, seen: Seen): string[] {
  return SIDES.flatMap(side =>
    STATES.map(state => {
      const outcome = seen[side]?.[state]
      const found = outcome === undefined ? null : difference(table.get(id)?.(side, state), outcome)
      return found === null ? null : `${side}, ${state}: ${found}`
    }),
  ).filter(line => line !== null)
}

// They wait much more than they work.
t.jobs = 3
for (const scene of scenes) {
  t.test(scene.id, { buffered: true }, async t => {
    const seen = await playAll(t, top, scene)
    t.comment(printRow(scene, seen, top))
    t.same(differences(scene.id, seen), [])
  })
}

t.test('the table has these rows and no others', async t => {
  if (wanted.length > 0) return
  t.same(
    [...table.keys()],
    scenes.map(({ id }) => id),
  )
})
