/**
 * What a start prints can be used where it is read: in a terminal the paths as one would type them there, in the journal of a
 * service whole ones.
 */

import t from 'tap'
import { EXIT } from '../../kit/ground/failure.js'
import { timeFactor, WatchedSite } from './fixtures/watched-site.js'

t.setTimeout(300_000 * timeFactor)

const readers: [title: string, environment: Record<string, string>, isNear: boolean][] = [
  ['in a terminal', {}, true],
  ['in the journal', { INVOCATION_ID: 'b1946ac92492d2347c6235b4d2611184' }, false],
]
for (const [title, environment, isNear] of readers) {
  t.test(title, async t => {
    const site = new WatchedSite(t, [], { environment })
    const running = await site.serve()
    const ini = isNear ? 'site.ini' : site.ini
    t.match(running.out(), `\n  config   ${ini}\n`)
    for (const command of ['status', 'reload', 'stop']) {
      t.match(running.out(), new RegExp(`^  ${command} +node /\\S+/daimyo\\.js ${command} ${ini}( |$)`, 'm'))
    }
    t.equal((await site.end(running)).code, EXIT.ok)
  })
}
