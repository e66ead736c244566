/**
 * What holds for every life, whatever happens in whatever order: `supervisor/workers/worker-phase.ts`, `supervisor/proxies/proxy-phase.ts` and
 * `supervisor/child/spawn-child.ts`. From every phase, a stop and enough ticks reach the end; a pid that was reaped is never signalled.
 */

import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ChannelBudget } from '../../../kit/channel/channel.js'
import { Child } from '../../../supervisor/child/spawn-child.js'
import { OutputGate } from '../../../supervisor/log/output-lines.js'
import {
  newProxyLife,
  PROXY_PHASES,
  type ProxyEvent,
  type ProxyLife,
  stepProxy,
} from '../../../supervisor/proxies/proxy-phase.js'
import {
  newWorkerLife,
  WORKER_PHASES,
  type WorkerEvent,
  type WorkerLife,
} from '../../../supervisor/workers/worker-life.js'
import { stepWorker } from '../../../supervisor/workers/worker-phase.js'
import { CHANNEL_SOURCE } from '../fixtures/child-channel.js'
import { randomNumbers } from '../fixtures/random-numbers.js'
import { testPipes } from '../fixtures/test-pipes.js'

const HOUR_MS = 3_600_000
const moment = { startMs: 1000, mercyMs: 500, tunnelMercyMs: 60_000 }
const exit = { type: 'exit', code: 0, signal: null } as const

const workerEvents: WorkerEvent[] = [
  { type: 'waiting', bootMs: 3 },
  { type: 'load', why: 'first-request' },
  { type: 'ready', bootMs: 5 },
  { type: 'load-failed', reason: 'no' },
  { type: 'retire', why: 'reload' },
  { type: 'answered' },
  { type: 'drained' },
  { type: 'hurry' },
  { type: 'stop', why: 'SIGTERM', mercyMs: 300 },
  { type: 'blocked', loop: { request: 'GET /', elapsedMs: 9, inFlight: 2, others: '', at: '-', stack: 'none' } },
  { type: 'kill', why: 'SIGINT' },
  { type: 'ipc-closed' },
  { type: 'tick' },
  exit,
]

const proxyEvents: ProxyEvent[] = [
  { type: 'listening' },
  { type: 'heard' },
  { type: 'failed', reason: 'no' },
  { type: 'drain', why: 'SIGTERM', mercyMs: 100 },
  { type: 'kill', why: 'SIGINT' },
  { type: 'ipc-closed' },
  { type: 'tick' },
  exit,
]

/** A machine under test: what happens to it, and whether its pid exists. */
interface Machine {
  phase(): string
  /** The effects on the process; `nowMs` never goes back. */
  apply(event: WorkerEvent | ProxyEvent, nowMs: number, hasTunnels: boolean): string[]
}

function workerMachine(life: WorkerLife = newWorkerLife(0, 1000, 'start')): Machine {
  return {
    phase: () => life.phase,
    apply(event, nowMs, hasTunnels) {
      // Some of the blocked are given time to end by themselves.
      const gracefulMs = hasTunnels ? 200 : 0
      const { next, effects } = stepWorker(life, event as WorkerEvent, { ...moment, nowMs, hasTunnels, gracefulMs })
      life = next
      return effects.map(({ type }) => type).filter(type => ['kill', 'send-stop', 'send-load'].includes(type))
    },
  }
}

function proxyMachine(life: ProxyLife = newProxyLife(0, 'start')): Machine {
  return {
    phase: () => life.phase,
    apply(event, nowMs) {
      const { next, effects } = stepProxy(life, event as ProxyEvent, nowMs)
      life = next
      return effects.map(({ type }) => type).filter(type => type !== 'report')
    },
  }
}

/** A process that ignores all but SIGKILL: it is gone when it was killed, and not before. */
function ticksToKill(machine: Machine, stop: WorkerEvent | ProxyEvent, hasTunnels: boolean): number | null {
  let wasKilled = machine.phase() === 'killed' || machine.phase() === 'gone'
  let nowMs = 10_000
  if (machine.apply(stop, nowMs, hasTunnels).includes('kill')) wasKilled = true
  for (let tick = 0; tick <= 5; tick++) {
    if (wasKilled) {
      machine.apply(exit, nowMs, hasTunnels)
      return machine.phase() === 'gone' ? tick : null
    }
    nowMs += HOUR_MS
    if (machine.apply({ type: 'tick' }, nowMs, hasTunnels).includes('kill')) wasKilled = true
  }
  return null
}

/** Lives that random events have brought to each phase. */
function reached<Event extends WorkerEvent | ProxyEvent>(
  make: () => Machine,
  events: readonly Event[],
): Map<string, (() => Machine)[]> {
  const byPhase = new Map<string, (() => Machine)[]>()
  for (let seed = 1; seed <= 6000; seed++) {
    const random = randomNumbers(seed)
    const happened: Event[] = []
    for (let length = random(6); length > 0; length--) happened.push(events[random(events.length)]!)
    const replay = () => {
      const machine = make()
      for (const [index, event] of happened.entries()) machine.apply(event, index * 10, seed % 2 === 0)
      return machine
    }
    const phase = replay().phase()
    if (byPhase.get(phase)?.push(replay) === undefined) byPhase.set(phase, [replay])
  }
  return byPhase
}

const kinds = [
  ['worker', workerMachine, workerEvents, WORKER_PHASES, { type: 'stop', why: 'SIGTERM', mercyMs: 300 }],
  ['proxy', proxyMachine, proxyEvents, PROXY_PHASES, { type: 'drain', why: 'SIGTERM', mercyMs: 300 }],
] as const

for (const [title, make, events, phases, stop] of kinds) {
  t.test(`${title}: from every phase, stop and enough ticks reach the end`, t => {
    const byPhase = reached<WorkerEvent | ProxyEvent>(make, events)
    t.same([...byPhase.keys()].sort(), [...phases].sort(), 'every phase was reached')
    for (const [phase, replays] of byPhase) {
      const ticks = replays.flatMap(replay => [true, false].map(has => ticksToKill(replay(), stop, has)))
      t.ok(
        ticks.every(count => count !== null && count <= 3),
        `${phase}: ${new Set(ticks)} ticks of ${ticks.length} lives`,
      )
    }
    t.end()
  })

  t.test(`${title}: no order of events acts on a reaped process, or kills it twice`, t => {
    let reaped = 0
    for (let seed = 1; seed <= 2000; seed++) {
      const random = randomNumbers(seed)
      const machine = make()
      let nowMs = 0
      let isReaped = false
      let kills = 0
      for (let step = 0; step < 40; step++) {
        nowMs += random(3) * 700
        // Exits are rare, or no life would get old; late events behind them are the point.
        const event = events[random(10) === 0 ? events.length - 1 : random(events.length - 1)]!
        const effects = machine.apply(event, nowMs, random(2) === 0)
        if (isReaped && (effects.length > 0 || machine.phase() !== 'gone'))
          t.fail(`seed ${seed}: ${effects} after the end`)
        kills += effects.filter(effect => effect === 'kill').length
        isReaped ||= event.type === 'exit'
      }
      if (kills > 1) t.fail(`seed ${seed}: killed ${kills} times`)
      if (isReaped) reaped++
    }
    t.ok(reaped > 1500, `${reaped} of 2000 lives ended`)
    t.end()
  })
}

t.test('a child is signalled as long as it lives, and never again', async t => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'daimyo-lives-')))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const entry = join(folder, 'program.cjs')
  writeFileSync(entry, `${CHANNEL_SOURCE} say('up'); heard.ref(); heard.on('data', () => process.exit(0))`)
  const signalled = watchKill(t)
  const gate = new OutputGate({ write: () => true, onDrain: () => {} })
  const plumbing = { gate, pipes: testPipes(t) }
  for (let seed = 1; seed <= 6; seed++) {
    const random = randomNumbers(seed)
    let reapedAt = Number.POSITIVE_INFINITY
    const child = await new Promise<Child>(resolve => {
      const spec = {
        entry,
        nodeArgs: [],
        credentials: null,
        title: 'a child',
        cwd: folder,
        env: {},
        stdout: 'pipe',
        descriptors: [],
        limits: {
          budget: new ChannelBudget({ messagesPerSecond: 1000, messages: 1000, bytesPerSecond: 1e6, bytes: 1e6 }),
        },
      } as const
      const living: Child = new Child(spec, plumbing, {
        message: () => {
          if (random(2) === 0) living.kill()
          else living.send({ type: 'stop' })
          return true
        },
        slowed: () => {},
        // The channel may close before the exit is known: a kill in between is a matter of the kernel's.
        channelClosed: () => random(2) === 0 && living.kill(),
        exit: () => {
          reapedAt = signalled.length
          resolve(living)
        },
      })
    })
    for (let late = 0; late < 5; late++) {
      child.kill()
      child.send({ type: 'stop' })
    }
    t.equal(signalled.length, reapedAt, `seed ${seed}: no signal after the end`)
  }
  t.ok(signalled.length > 0, 'some were killed')
})

/** Every `process.kill` from now on, which is carried out all the same. */
function watchKill(t: { teardown(work: () => void): void }): unknown[] {
  const calls: unknown[] = []
  const { kill } = process
  process.kill = (...args): true => {
    calls.push(args)
    return kill.apply(process, args)
  }
  t.teardown(() => {
    process.kill = kill
  })
  return calls
}
