/** The lifecycle of a worker: `supervisor/workers/worker-phase.ts`. */

import t from 'tap'
import { TUNNEL_CLOSE_MS } from '../../../kit/channel/messages.js'
import { GIVE_UP_MS, REAP_LOOK_MS, REAP_MS } from '../../../kit/process/tracers.js'
import { printLifecycleTable } from '../../../supervisor/workers/lifecycle-table.js'
import {
  endOf,
  newWorkerLife,
  WORKER_PHASES,
  type WorkerEffect,
  type WorkerEvent,
  type WorkerLife,
  type WorkerPhase,
} from '../../../supervisor/workers/worker-life.js'
import { CLEAN_UP_MS, HURRY_MS, STOP_GRACE_MS, stepWorker } from '../../../supervisor/workers/worker-phase.js'

const START_MS = 1000
const MERCY_MS = 1500
const TUNNEL_MS = 60_000
/** The time that the last goodbyes may take, and some more. */
const GOODBYE_MS = TUNNEL_CLOSE_MS + 1000
const waiting: WorkerEvent = { type: 'waiting', bootMs: 3 }
const load: WorkerEvent = { type: 'load', why: 'first-request' }
const ready: WorkerEvent = { type: 'ready', bootMs: 5 }
const failed: WorkerEvent = { type: 'load-failed', reason: 'no' }
const retire: WorkerEvent = { type: 'retire', why: 'reload' }
const answered: WorkerEvent = { type: 'answered' }
const drained: WorkerEvent = { type: 'drained' }
const hurry: WorkerEvent = { type: 'hurry' }
const stop: WorkerEvent = { type: 'stop', why: 'SIGTERM', mercyMs: 300 }
const blocked: WorkerEvent = {
  type: 'blocked',
  loop: { request: 'GET /', elapsedMs: 9, inFlight: 2, others: '', at: 'a.js:1', stack: 'f (a.js:1)' },
}
const crowded: WorkerEvent = { ...blocked, isCrowded: true }
const stays: WorkerEvent = { type: 'exit', code: null, signal: 'SIGKILL', stays: 'it waits in the kernel' }
const kill: WorkerEvent = { type: 'kill', why: 'SIGINT' }
const breach: WorkerEvent = { type: 'kill', why: 'link-broken', isUnasked: true }
const lost: WorkerEvent = { type: 'ipc-closed' }
const tick: WorkerEvent = { type: 'tick' }
const exit: WorkerEvent = { type: 'exit', code: 0, signal: null }
const farewell: WorkerEvent = {
  type: 'farewell',
  why: 'stop',
  mercyMs: MERCY_MS,
  stream: { afterMs: 0, mercyMs: 10 },
}
const wait = (ms: number) => ({ type: 'wait', ms }) as const
/** Whether it has tunnels, from then on. */
const tunnels = (are: boolean) => ({ type: 'tunnels', are }) as const
/** The time that one whose loop is blocked gets, from then on. */
const graceful = (ms: number) => ({ type: 'graceful', ms }) as const
type Happening =
  | WorkerEvent
  | { type: 'graceful'; ms: number }
  | { type: 'wait'; ms: number }
  | { type: 'tunnels'; are: boolean }

function live(happenings: readonly Happening[]): { life: WorkerLife; effects: WorkerEffect[]; nowMs: number } {
  let nowMs = 10_000
  let life = newWorkerLife(nowMs, START_MS, 'start')
  const effects: WorkerEffect[] = []
  let hasTunnels = false
  let gracefulMs = 0
  for (const happening of happenings) {
    if (happening.type === 'tunnels') {
      hasTunnels = happening.are
      continue
    }
    if (happening.type === 'graceful') {
      gracefulMs = happening.ms
      continue
    }
    if (happening.type === 'wait') {
      nowMs += happening.ms
      continue
    }
    const moment = { nowMs, startMs: START_MS, mercyMs: MERCY_MS, tunnelMercyMs: TUNNEL_MS, hasTunnels, gracefulMs }
    const step = stepWorker(life, happening, moment)
    life = step.next
    effects.push(...step.effects)
  }
  return { life, effects, nowMs }
}

const acts = (effects: WorkerEffect[]) => effects.filter(({ type }) => type !== 'report').map(({ type }) => type)

const lives: [string, Happening[], WorkerPhase, string, string[]][] = [
  ['a start', [ready], 'ready', 'start', ['announce']],
  ['a start within its deadline', [wait(START_MS - 1), tick, ready], 'ready', 'start', ['announce']],
  ['a start that is late', [wait(START_MS), tick], 'killed', 'start-deadline', ['kill']],
  ['a wait', [waiting, wait(9 * START_MS), tick], 'waiting', 'start', []],
  [
    'a load',
    [waiting, wait(9 * START_MS), load, tick, load, ready],
    'ready',
    'first-request',
    ['send-load', 'announce'],
  ],
  ['a load that is late', [waiting, load, wait(START_MS), tick], 'killed', 'start-deadline', ['send-load', 'kill']],
  ['a load that fails', [waiting, load, failed, exit], 'gone', 'load-failed', ['send-load', 'send-stop', 'accumulate']],
  ['a load when it loads anyway', [load, ready, load], 'ready', 'start', ['announce']],
  ['a replacement before the load', [waiting, retire, load, exit], 'gone', 'reload', ['send-stop', 'accumulate']],
  ['a death before the load', [waiting, exit], 'gone', 'died', ['accumulate']],
  ['a death while it loads', [waiting, load, exit], 'gone', 'died', ['send-load', 'accumulate']],
  ['a channel lost before the load', [waiting, lost, exit], 'gone', 'died', ['accumulate']],
  ['blocked', [ready, blocked, tick], 'killed', 'harakiri', ['announce', 'kill']],
  [
    'blocked, left alone',
    [graceful(50), ready, blocked, wait(49), tick],
    'retiring',
    'harakiri',
    ['announce', 'take-out'],
  ],
  [
    'blocked, left alone, said twice, with tunnels, and too late',
    [graceful(50), tunnels(true), ready, blocked, answered, blocked, wait(50), tick],
    'killed',
    'harakiri',
    ['announce', 'take-out', 'kill'],
  ],
  [
    'blocked, left alone, and turning again',
    [graceful(50), ready, blocked, drained, blocked, exit],
    'gone',
    'harakiri',
    ['announce', 'take-out', 'send-stop', 'withdraw', 'accumulate'],
  ],
  [
    'blocked while it retires',
    [graceful(50), ready, retire, blocked],
    'killed',
    'harakiri',
    ['announce', 'take-out', 'kill'],
  ],
  ['ready twice', [ready, ready], 'ready', 'start', ['announce']],
  ['ready after it was killed', [wait(START_MS), tick, ready], 'killed', 'start-deadline', ['kill']],
  ['a failed load', [failed], 'stopping', 'load-failed', ['send-stop']],
  ['a failed load that stays', [failed, wait(STOP_GRACE_MS), tick], 'killed', 'load-failed', ['send-stop', 'kill']],
  ['a failed load when ready', [ready, failed], 'ready', 'start', ['announce']],
  ['a death while booting', [exit], 'gone', 'died', ['accumulate']],
  ['a death when ready', [ready, exit], 'gone', 'died', ['announce', 'withdraw', 'accumulate']],
  [
    'a death that begins at the channel',
    [ready, lost, exit],
    'gone',
    'died',
    ['announce', 'take-out', 'withdraw', 'accumulate'],
  ],
  [
    'a lost channel',
    [ready, lost, wait(MERCY_MS + STOP_GRACE_MS), tick],
    'killed',
    'ipc-closed',
    ['announce', 'take-out', 'kill'],
  ],
  [
    'a lost channel, and its end by our SIGKILL',
    [ready, lost, wait(MERCY_MS + STOP_GRACE_MS), tick, exit],
    'gone',
    'ipc-closed',
    ['announce', 'take-out', 'kill', 'withdraw', 'accumulate'],
  ],
  [
    'a replacement',
    [ready, retire, drained, exit],
    'gone',
    'reload',
    ['announce', 'take-out', 'send-stop', 'withdraw', 'accumulate'],
  ],
  [
    'a replacement whose end begins at the channel',
    [ready, retire, lost, exit],
    'gone',
    'reload',
    ['announce', 'take-out', 'withdraw', 'accumulate'],
  ],
  ['a retirement before ready', [retire, exit], 'gone', 'reload', ['send-stop', 'accumulate']],
  ['drained without being retired', [ready, drained], 'ready', 'start', ['announce']],
  ['a slow drain', [ready, retire, wait(MERCY_MS), tick], 'stopping', 'reload', ['announce', 'take-out', 'send-stop']],
  ['a drain in time', [ready, retire, wait(MERCY_MS / 2 - 1), tick], 'retiring', 'reload', ['announce', 'take-out']],
  [
    'a slow drain, told to the application once',
    [ready, retire, wait(MERCY_MS / 2), tick, tick, wait(MERCY_MS / 2 - 1), tick],
    'retiring',
    'reload',
    ['announce', 'take-out', 'send-farewell'],
  ],
  [
    'a slow drain with tunnels, which the application would end',
    [ready, retire, tunnels(true), wait(MERCY_MS / 2), tick],
    'retiring',
    'reload',
    ['announce', 'take-out'],
  ],
  [
    'an end of its own, once it was told of the stop',
    [ready, farewell, wait(MERCY_MS / 2), tick, exit],
    'gone',
    'stop',
    ['announce', 'send-farewell', 'withdraw', 'accumulate'],
  ],
  [
    'an end that begins at the channel',
    [ready, farewell, wait(MERCY_MS / 2), tick, lost, exit],
    'gone',
    'stop',
    ['announce', 'send-farewell', 'take-out', 'withdraw', 'accumulate'],
  ],
  ['a death before that', [ready, farewell, exit], 'gone', 'died', ['announce', 'withdraw', 'accumulate']],
  [
    'a slow drain and a deaf application',
    [ready, retire, wait(MERCY_MS), tick, wait(CLEAN_UP_MS + STOP_GRACE_MS), tick],
    'killed',
    'reload',
    ['announce', 'take-out', 'send-stop', 'kill'],
  ],
  [
    'tunnels that outlast the requests',
    [ready, retire, tunnels(true), answered, wait(TUNNEL_MS), tick],
    'lingering',
    'reload',
    ['announce', 'take-out'],
  ],
  [
    'the last tunnel’s end',
    [ready, retire, tunnels(true), answered, wait(TUNNEL_MS / 2), tunnels(false), drained, exit],
    'gone',
    'reload',
    ['announce', 'take-out', 'send-stop', 'withdraw', 'accumulate'],
  ],
  [
    'tunnels and requests past the mercy',
    [ready, retire, tunnels(true), wait(MERCY_MS), tick, wait(TUNNEL_MS - MERCY_MS), tick],
    'lingering',
    'reload',
    ['announce', 'take-out'],
  ],
  [
    'requests that outlast the tunnels and the mercy',
    [ready, retire, tunnels(true), wait(MERCY_MS), tick, tunnels(false), tick],
    'stopping',
    'reload',
    ['announce', 'take-out', 'send-stop'],
  ],
  [
    'tunnels that do not end',
    [
      ready,
      retire,
      tunnels(true),
      answered,
      wait(TUNNEL_MS + GOODBYE_MS),
      tick,
      wait(CLEAN_UP_MS + STOP_GRACE_MS),
      tick,
    ],
    'killed',
    'reload',
    ['announce', 'take-out', 'send-stop', 'kill'],
  ],
  [
    'tunnels that have to hurry',
    [ready, retire, tunnels(true), answered, hurry, hurry, wait(HURRY_MS + GOODBYE_MS), tick],
    'stopping',
    'reload',
    ['announce', 'take-out', 'close-tunnels', 'send-stop'],
  ],
  ['a hurry when nothing lingers', [ready, hurry, retire, hurry], 'retiring', 'reload', ['announce', 'take-out']],
  ['answered without being retired', [ready, answered], 'ready', 'start', ['announce']],
  ['a stop', [ready, stop, exit], 'gone', 'SIGTERM', ['announce', 'take-out', 'send-stop', 'withdraw', 'accumulate']],
  ['a stop while retiring', [ready, retire, stop], 'stopping', 'SIGTERM', ['announce', 'take-out', 'send-stop']],
  ['a stop twice', [ready, stop, stop], 'stopping', 'SIGTERM', ['announce', 'take-out', 'send-stop']],
  ['a harakiri', [ready, blocked, exit], 'gone', 'harakiri', ['announce', 'kill', 'withdraw', 'accumulate']],
  ['a harakiri while retiring', [ready, retire, blocked], 'killed', 'harakiri', ['announce', 'take-out', 'kill']],
  ['a harakiri while booting', [blocked], 'booting', 'start', []],
  ['a kill', [ready, kill], 'killed', 'SIGINT', ['announce', 'kill']],
  [
    'a kill for a broken link',
    [ready, breach, exit],
    'gone',
    'link-broken',
    ['announce', 'kill', 'withdraw', 'accumulate'],
  ],
  [
    'a broken link of one that retires',
    [ready, retire, breach],
    'killed',
    'link-broken',
    ['announce', 'take-out', 'kill'],
  ],
  [
    'a kill that never ends',
    [ready, kill, wait(REAP_MS), tick, wait(GIVE_UP_MS - REAP_MS), tick, wait(1e6), tick],
    'killed',
    'SIGINT',
    ['announce', 'kill', 'end-tracers', 'end-tracers', 'give-up'],
  ],
  [
    'one that was given up',
    [ready, kill, wait(GIVE_UP_MS), tick, stays, exit],
    'gone',
    'SIGINT',
    ['announce', 'kill', 'end-tracers', 'give-up', 'withdraw', 'accumulate'],
  ],
  [
    'blocked, with as many workers that leave as its slot may have',
    [graceful(50), ready, crowded],
    'killed',
    'harakiri',
    ['announce', 'kill'],
  ],
  ['a kill that ends soon', [ready, kill, wait(REAP_MS - 1), tick], 'killed', 'SIGINT', ['announce', 'kill']],
  [
    'a kill that does not end',
    [ready, kill, wait(REAP_MS), tick, tick, wait(REAP_LOOK_MS), tick, exit, wait(REAP_MS), tick],
    'gone',
    'SIGINT',
    ['announce', 'kill', 'end-tracers', 'end-tracers', 'withdraw', 'accumulate'],
  ],
  [
    'a harakiri that does not end',
    [ready, blocked, wait(REAP_MS), tick],
    'killed',
    'harakiri',
    ['announce', 'kill', 'end-tracers'],
  ],
  [
    'a late start that does not end',
    [wait(START_MS), tick, wait(REAP_MS), tick],
    'killed',
    'start-deadline',
    ['kill', 'end-tracers'],
  ],
  ['a kill twice', [ready, kill, kill], 'killed', 'SIGINT', ['announce', 'kill']],
]

for (const [title, happenings, phase, why, effects] of lives) {
  t.test(title, t => {
    const { life, effects: done } = live(happenings)
    t.match(life, { phase, why })
    t.same(acts(done), effects)
    t.end()
  })
}

t.test('draining and stopping share one mercy', t => {
  const { effects, life, nowMs } = live([ready, retire, wait(200), drained])
  t.match(
    effects.find(({ type }) => type === 'send-stop'),
    { mercyMs: MERCY_MS - 200 },
  )
  t.equal(life.deadlineMs, nowMs + MERCY_MS - 200 + STOP_GRACE_MS)
  t.end()
})

t.test('after its tunnels a worker has the whole mercy for its own end', t => {
  const { effects } = live([ready, retire, tunnels(true), answered, wait(TUNNEL_MS), tunnels(false), drained])
  t.match(
    effects.find(({ type }) => type === 'send-stop'),
    { mercyMs: MERCY_MS },
  )
  t.end()
})

const lateEnds: [string, Happening[]][] = [
  ['requests that are cut', [wait(MERCY_MS), tick]],
  ['requests that were answered just before', [wait(MERCY_MS - 1), drained]],
  ['requests that outlast the tunnels', [tunnels(true), wait(MERCY_MS), tick, tunnels(false), tick]],
  ['tunnels that are cut', [tunnels(true), answered, wait(TUNNEL_MS + GOODBYE_MS), tick]],
]
for (const [title, happenings] of lateEnds) {
  t.test(`an application has a second for its own end behind ${title}`, t => {
    const { effects, life, nowMs } = live([ready, retire, ...happenings])
    t.match(
      effects.find(({ type }) => type === 'send-stop'),
      { mercyMs: 1000 },
    )
    t.equal(life.deadlineMs, nowMs + 1000 + STOP_GRACE_MS)
    t.end()
  })
}

t.test('each transition is told once, with its why', t => {
  const { effects } = live([ready, retire, drained, wait(MERCY_MS + STOP_GRACE_MS), tick, exit])
  const told = effects.flatMap(effect => (effect.type === 'report' ? [[effect.event, effect.fields.why]] : []))
  t.same(told, [
    ['worker-ready', 'start'],
    ['worker-retiring', 'reload'],
    ['worker-stopping', 'reload'],
    ['worker-killed', 'reload'],
    ['worker-exit', 'reload'],
  ])
  t.end()
})

const anything: WorkerEvent[] = [
  farewell,
  waiting,
  load,
  ready,
  failed,
  retire,
  answered,
  drained,
  hurry,
  stop,
  blocked,
  kill,
  lost,
  tick,
  exit,
]

t.test('from every phase a stop, its deadlines and an exit lead to the end', t => {
  const ways: Record<WorkerPhase, Happening[]> = {
    booting: [],
    waiting: [waiting],
    ready: [ready],
    retiring: [ready, retire],
    lingering: [ready, retire, tunnels(true), answered],
    stopping: [ready, retire, drained],
    killed: [ready, kill],
    gone: [exit],
  }
  for (const phase of WORKER_PHASES) {
    t.equal(live(ways[phase]).life.phase, phase)
    const ended = live([...ways[phase], stop, wait(MERCY_MS + STOP_GRACE_MS), tick, wait(STOP_GRACE_MS), tick])
    t.ok(['killed', 'gone'].includes(ended.life.phase), `${phase} ends by force`)
    t.equal(live([...ways[phase], stop, exit]).life.phase, 'gone')
  }
  t.end()
})

t.test('whatever happens, nothing reaches a process that was reaped, and counts are folded once', t => {
  const next = random(20_261_121)
  for (let run = 0; run < 3000; run++) {
    const happenings = Array.from(
      { length: 12 },
      (): Happening =>
        next(4) === 0 ? wait(next(1500)) : next(5) === 0 ? tunnels(next(2) === 0) : anything[next(anything.length)]!,
    )
    const end = happenings.findIndex(({ type }) => type === 'exit')
    if (end === -1) continue
    const before = live(happenings.slice(0, end + 1))
    const after = live(happenings)
    const late = after.effects.slice(before.effects.length)
    if (late.length > 0 || acts(after.effects).filter(type => type === 'accumulate').length !== 1) {
      t.fail(`run ${run}: ${JSON.stringify(happenings)}`)
    }
    if (after.life.phase !== 'gone') t.fail(`run ${run} left the end`)
  }
  t.pass('3000 runs')
  t.end()
})

t.test('whatever happens, only what was announced is withdrawn, and a kill is the last thing done to it', t => {
  const next = random(7)
  for (let run = 0; run < 3000; run++) {
    const happenings = Array.from(
      { length: 10 },
      (): Happening =>
        next(3) === 0 ? wait(next(1500)) : next(5) === 0 ? tunnels(next(2) === 0) : anything[next(anything.length)]!,
    )
    const done = acts(live(happenings).effects)
    const isFine =
      (done.includes('announce') || !done.includes('withdraw')) &&
      done.filter(type => type === 'kill').length <= 1 &&
      done
        .slice(done.indexOf('kill') + 1)
        .every(type => !done.includes('kill') || ['end-tracers', 'withdraw', 'accumulate'].includes(type))
    if (!isFine) t.fail(`run ${run}: ${JSON.stringify(happenings)} → ${done}`)
  }
  t.pass('3000 runs')
  t.end()
})

t.test('the printed table has a cell for everything', t => {
  const lines = printLifecycleTable().trimEnd().split('\n')
  t.equal(lines.length, 2 + anything.length)
  for (const line of lines) t.equal(line.split('|').length, WORKER_PHASES.length + 3, line)
  t.match(
    lines.find(line => line.startsWith('| ready |')),
    '| **ready**, announce | · | · | · | · | · | · | · |',
  )
  t.match(
    lines.find(line => line.startsWith('| tick |')),
    '| **killed**, kill | · | · | **stopping**, send-stop | **stopping**, send-stop | **killed**, kill | **killed**, end-tracers | · |',
  )
  t.end()
})

/** Numbers below `limit`, always the same ones for a seed (mulberry32). */
function random(seed: number): (limit: number) => number {
  let state = seed
  return limit => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
}

t.test('why a worker is gone', t => {
  const cases: [why: string, asked: boolean, signal: string | null, end: string][] = [
    ['died', false, 'SIGKILL', 'killed'],
    ['out-of-memory', false, 'SIGKILL', 'crashed'],
    ['died', false, 'SIGSEGV', 'crashed'],
    ['died', false, 'SIGTERM', 'crashed'],
    ['died', false, null, 'crashed'],
    ['harakiri', false, 'SIGKILL', 'asked'],
    ['reload', true, 'SIGKILL', 'asked'],
    ['reload', true, null, 'asked'],
  ]
  for (const [why, asked, signal, end] of cases) t.equal(endOf({ why, asked }, signal), end, `${why} ${signal}`)
  t.end()
})

t.test('whom the kernel may have killed', async t => {
  const oom: WorkerEvent = { type: 'exit', code: null, signal: 'SIGKILL', isOutOfMemory: true }
  const cases: [title: string, happenings: Happening[], why: string][] = [
    ['one that served', [ready], 'out-of-memory'],
    ['its channel is closed before it is reaped', [ready, lost], 'out-of-memory'],
    ['not whom the master has killed, its channel lost', [ready, lost, wait(60_000), tick], 'ipc-closed'],
    ['nor for a deed of its own', [ready, breach], 'link-broken'],
    ['nor because it was told to', [ready, kill], 'SIGINT'],
  ]
  for (const [title, happenings, why] of cases) t.equal(live([...happenings, oom]).life.why, why, title)
})
