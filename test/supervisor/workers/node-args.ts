/** The arguments of Node for a worker: `supervisor/workers/node-args.ts`. */

import t from 'tap'
import { nodeArguments } from '../../../supervisor/workers/node-args.js'
import { DEFAULTS } from '../fixtures/tree.js'

const MB = 1024 ** 2
const cases: [title: string, args: string[], options: string, reload: number, evil: number, expected: string[]][] = [
  ['no limits', ['--enable-source-maps'], '', 0, 0, ['--enable-source-maps']],
  ['a limit', ['--enable-source-maps'], '', 200, 0, ['--max-old-space-size=168', '--enable-source-maps']],
  ['the lower of two', [], '', 200, 300, ['--max-old-space-size=168']],
  ['the last resort alone', [], '', 0, 300, ['--max-old-space-size=268']],
  ['a limit that is no use', [], '', 10, 0, ['--max-old-space-size=32']],
  ['the operator knows better', ['--max-old-space-size=100'], '', 200, 0, ['--max-old-space-size=100']],
  ['in the other spelling', ['--max_old_space_size=100'], '', 200, 0, ['--max_old_space_size=100']],
  ['by share', ['--max-old-space-size-percentage=20'], '', 200, 0, ['--max-old-space-size-percentage=20']],
  ['of the whole heap', ['--max-heap-size=99'], '', 200, 0, ['--max-heap-size=99']],
  ['in NODE_OPTIONS', [], '--no-warnings --max-old-space-size=100', 200, 0, []],
  [
    'other limits are none of the heap',
    ['--max-semi-space-size=8'],
    '',
    200,
    0,
    ['--max-old-space-size=168', '--max-semi-space-size=8'],
  ],
]

for (const [title, args, options, reload, evil, expected] of cases) {
  t.test(title, t => {
    const settings = { ...DEFAULTS, nodeArgs: args, reloadOnRssBytes: reload * MB, evilReloadOnRssBytes: evil * MB }
    t.same(nodeArguments(settings, options), expected)
    t.end()
  })
}
