/**
 * What applications and their clients see under daimyo beside what they see on bare `node:http`: byte for byte and event for event. Whatever
 * differs has its row, with its reason, in docs/compatibility.md; a row that nothing shows any more fails as well.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { topFolder } from '../e2e/fixtures/watched-site.js'
import { answerScenes } from './fixtures/answer-scenes.js'
import { brokenScenes } from './fixtures/broken-scenes.js'
import { difference } from './fixtures/difference.js'
import { frameworkScenes } from './fixtures/framework-scenes.js'
import { playBare, playLinked } from './fixtures/play.js'
import { requestScenes } from './fixtures/request-scenes.js'
import type { Scene } from './fixtures/scene.js'
import { serverScenes } from './fixtures/server-scenes.js'
import { socketScenes } from './fixtures/socket-scenes.js'

const tables: [title: string, scenes: Scene[]][] = [
  ['answers', answerScenes],
  ['requests', requestScenes],
  ['broken off', brokenScenes],
  ['sockets and servers', socketScenes],
  ['what servers take and let pass', serverScenes],
  ['frameworks', frameworkScenes],
]

/** The first table of the page, whose rows begin with their id. `e2e/libraries-stop-as-on-bare-node` reads the other one. */
const [differences = ''] = readFileSync(join(topFolder, 'docs/compatibility.md'), 'utf8').split('\n## ')
const listed = [...differences.matchAll(/^\| `([a-z0-9-]+)` \|/gm)]
const shown = new Set<string>()

for (const [title, scenes] of tables) {
  t.test(title, async t => {
    for (const scene of scenes) {
      const bare = await playBare(scene)
      const linked = await playLinked(t, scene)
      const ofClient = scene.onlyApplication === true ? [] : difference(bare.client, linked.client)
      const seen = [...difference(bare.application, linked.application), ...ofClient]
      const known = Object.values(scene.differs ?? {}).flat()
      const isKnown = (line: string) => [...known, scene.mayDiffer].some(pattern => pattern?.test(line))
      const unknown = seen.filter(line => !isKnown(line))
      t.same(unknown, [], `${scene.title}: no difference but those that are known`)
      const gone = known.filter(pattern => !seen.some(line => pattern.test(line)))
      t.same(gone.map(String), [], `${scene.title}: what is known to differ does`)
      for (const id of Object.keys(scene.differs ?? {})) shown.add(id)
    }
  })
}

t.test('docs/compatibility.md lists what differs, and nothing else', async t => {
  t.same(listed.map(([, id]) => id).sort(), [...shown].sort())
})
