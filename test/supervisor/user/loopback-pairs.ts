/** Tests `supervisor/user/loopback-pairs.ts` where few descriptors are left; `pipes.ts` beside it tests the rest. A try without an end of its own would last a minute. */

import { spawnSync } from 'node:child_process'
import t from 'tap'
import { builtFile } from '../../../kit/ground/places.js'
import { timeFactor } from '../../e2e/fixtures/watched-site.js'

const TRY_MS = 60_000 * timeFactor
const SCRIPT = `
const { connectPairs } = await import(process.argv[1])
const { PipeStock } = await import(process.argv[2])
const { openSync, closeSync } = await import('node:fs')
const held = []
try { for (;;) held.push(openSync('/dev/null')) } catch {}
for (let free = 0; free < process.argv[3]; free++) closeSync(held.pop())
const { pairs, why } = await connectPairs(4, { isPaused: false, tryMs: ${TRY_MS} })
console.log(pairs.length, why?.code)
const closed = pairs.flatMap(({ near, far }) => [near, far]).map(socket => new Promise(resolve => socket.destroy().once('close', resolve)))
await Promise.all(closed)
const stock = new PipeStock({ tryMs: ${TRY_MS} })
const pipes = await new Promise(resolve => stock.ask(['from-child', 'from-child', 'to-child', 'from-child'], resolve))
console.log(pipes.message ?? pipes.length)
process.exit()`

/** The listener has one, each pair two. Libuv needs one more to refuse what it cannot accept. */
const CASES: [free: number, pairs: RegExp, pipes: RegExp][] = [
  [0, /^0 EMFILE$/, /max-fd$/],
  [3, /^0 EMFILE$/, /max-fd$/],
  [6, /^\d (EMFILE|ECONNRESET)$/, /max-fd$/],
  [8, /^\d (EMFILE|ECONNRESET)$/, /max-fd$/],
  [12, /^4 undefined$/, /^4$|max-fd$/],
  [40, /^4 undefined$/, /^4$/],
]
const paths = ['loopback-pairs', 'pipes'].map(name => builtFile(`supervisor/user/${name}.js`))
for (const [free, pairs, pipes] of CASES) {
  t.test(`${free} descriptors`, async t => {
    const words = [process.execPath, '--input-type=module', '-e', SCRIPT, ...paths, String(free)]
    const { stdout, stderr } = spawnSync('/bin/sh', ['-c', 'ulimit -n 128; exec "$@"', 'sh', ...words], {
      encoding: 'utf8',
      timeout: TRY_MS,
    })
    t.equal(stderr, '')
    const [first, second] = stdout.split('\n')
    t.match(first, pairs)
    t.match(second, pipes, 'known without a wait')
  })
}
