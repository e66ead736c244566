/** What a worker says of the server on PORT, and what its generation believes: `supervisor/workers/port-word.ts`, and a master that hears it. */

import t from 'tap'
import type { WorkerToMaster } from '../../../kit/channel/messages.js'
import type { PortSite } from '../../../supervisor/child/master-context.js'
import { PortWord } from '../../../supervisor/workers/port-word.js'
import type { WorkerPhase } from '../../../supervisor/workers/worker-life.js'
import type { Behaviour } from '../fixtures/fake-worker.js'
import { readyPids, startTree } from '../fixtures/tree.js'

type Step = ['listens', WorkerPhase, boolean] | ['ready'] | ['late', WorkerPhase]
const cases: [title: string, known: PortSite | undefined, steps: Step[], expected: PortSite | undefined][] = [
  ['nothing but ready', undefined, [['listens', 'booting', false], ['ready']], undefined],
  ['that it is ignored', undefined, [['listens', 'booting', true], ['ready']], 'ignored'],
  ['that it is ignored, and then dies', undefined, [['listens', 'booting', true]], undefined],
  [
    'that it is late, and then dies',
    undefined,
    [
      ['listens', 'booting', true],
      ['late', 'booting'],
    ],
    undefined,
  ],
  ['that it is ignored where it is known to be late', 'late', [['listens', 'booting', true], ['ready']], 'late'],
  [
    'the opposite later',
    undefined,
    [['listens', 'booting', false], ['listens', 'booting', true], ['ready']],
    undefined,
  ],
  [
    'that it is ignored, as it runs',
    undefined,
    [['listens', 'booting', false], ['ready'], ['listens', 'ready', true]],
    undefined,
  ],
  ['that it is ignored, as it ends', undefined, [['listens', 'stopping', true]], undefined],
  ['that it is late after all', undefined, [['listens', 'booting', true], ['ready'], ['late', 'ready']], 'late'],
  [
    'that it is late where it is not ignored',
    undefined,
    [['listens', 'booting', false], ['ready'], ['late', 'ready']],
    undefined,
  ],
  [
    'that it is late, as it ends',
    undefined,
    [['listens', 'booting', true], ['ready'], ['late', 'retiring']],
    'ignored',
  ],
]
for (const [title, known, steps, expected] of cases) {
  t.test(`a worker says ${title}`, async t => {
    const word = new PortWord()
    let site = known
    for (const step of steps) {
      if (step[0] === 'listens') word.listens(step[1], step[2])
      else if (step[0] === 'ready') site = word.becameReady(site)
      else site = word.cameLate(step[1], site)
    }
    t.equal(site, expected)
  })
}

const ignores: WorkerToMaster = { type: 'ready', bootMs: 1, ignoresPort: true }
const late: WorkerToMaster = { type: 'event', event: 'site-late', fields: { site: 'x', before: 'y', remedy: 'z' } }
/** How long the successor of such a worker is told to wait for the server on PORT. */
const trees: [title: string, behaviour: Behaviour, portMs: number][] = [
  ['does not', { ignoresPort: true }, 0],
  ['says that it is late, and is not', { says: [late] }, 2000],
  ['says both, once it runs', { says: [ignores, late] }, 2000],
  ['is late', { ignoresPort: true, says: [late] }, 5000],
]
for (const [title, behaviour, portMs] of trees) {
  t.test(`after one that ${title}`, async t => {
    const tree = await startTree(t, { behaviour })
    const [pid] = readyPids(tree)
    process.kill(pid!, 'SIGUSR2')
    t.match((await tree.event('fake-boot', {}, 2)).fields, { portMs })
  })
}
