/** What control requests do: `supervisor/master/control-commands.ts`. */

import t from 'tap'
import type { ControlRequest, StatusReport } from '../../../supervisor/control/control-protocol.js'
import { type Commanded, controlHandler, describeStop } from '../../../supervisor/master/control-commands.js'

const status = { pid: 7, workers: [], proxies: [] } as unknown as StatusReport

function master(more: Partial<Commanded> = {}, done: string[] = []): Commanded {
  return {
    status: () => status,
    reload: async progress => {
      progress('starting one worker')
      return { ok: true, generation: 2, ignored: [] }
    },
    reloadWait: () => 'still reloading: waiting for 3 requests of slot 2',
    order: async order => {
      done.push(JSON.stringify(order))
      return { ok: true }
    },
    stop: async why => void done.push(`stop ${why}`),
    inFlight: async () => [],
    unended: [],
    ...more,
  }
}

const LEFT = { pid: 9, what: 'a worker of slot 1', why: 'it waits in the kernel' }
const failed: Partial<Commanded> = { reload: async () => ({ ok: false, reason: 'no', lines: ['why'] }) }

const cases: [string, ControlRequest, Partial<Commanded>, unknown, string[]][] = [
  ['status', { command: 'status' }, {}, { type: 'done', ok: true, status }, []],
  [
    'top',
    { command: 'top' },
    {},
    {
      type: 'done',
      ok: true,
      top: { status, latency: [], queued: 0, connections: 0, inFlight: [], events: ['an event'] },
    },
    [],
  ],
  ['reload', { command: 'reload' }, {}, { type: 'done', ok: true, status }, ['starting one worker']],
  ['a reload that fails', { command: 'reload' }, failed, { type: 'done', ok: false, reason: 'no', lines: ['why'] }, []],
  ['stop', { command: 'stop' }, {}, { type: 'done', ok: true }, ['stop control']],
  [
    'a stop that leaves a process',
    { command: 'stop' },
    { unended: [LEFT] },
    { type: 'done', ok: true, unended: [LEFT] },
    ['stop control'],
  ],
  ['scale', { command: 'scale', wanted: 3 }, {}, { type: 'done', ok: true }, ['{"type":"scale","wanted":3}']],
  [
    'restart-worker',
    { command: 'restart-worker', slot: 2 },
    { order: async () => ({ ok: false, reason: 'no slot 2', lines: [] }) },
    { type: 'done', ok: false, reason: 'no slot 2', lines: [] },
    [],
  ],
  ['pause', { command: 'pause' }, {}, { type: 'done', ok: true }, ['{"type":"pause"}']],
  ['resume', { command: 'resume' }, {}, { type: 'done', ok: true }, ['{"type":"resume"}']],
  ['reopen-logs', { command: 'reopen-logs' }, {}, { type: 'done', ok: true }, ['{"type":"reopen-logs"}']],
]
for (const [title, request, more, answer, heard] of cases) {
  t.test(title, async t => {
    const done: string[] = []
    const handle = controlHandler(master(more, done), { family: () => null, events: () => ['an event'] })
    t.same(await handle(request, text => done.push(text)), answer)
    t.same(done, heard)
  })
}

t.test('a stop counts those that are there, and no slot whose worker has ended', async t => {
  const of = (pids: (number | null)[]) => pids.map(pid => ({ pid }))
  const there = { ...status, workers: of([1, null, null]), proxies: of([2, 3]) } as unknown as StatusReport
  t.equal(describeStop({ status: () => there }), 'stopping: 2 proxies and 1 workers are left')
})
