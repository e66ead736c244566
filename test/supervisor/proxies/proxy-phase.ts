/** The lifecycle of a proxy: `supervisor/proxies/proxy-phase.ts`. */

import t from 'tap'
import { GIVE_UP_MS, REAP_LOOK_MS, REAP_MS } from '../../../kit/process/tracers.js'
import {
  DRAIN_GRACE_MS,
  newProxyLife,
  PROXY_LOOK_MS,
  PROXY_SILENT_MS,
  PROXY_START_MS,
  type ProxyEvent,
  type ProxyPhase,
  stepProxy,
} from '../../../supervisor/proxies/proxy-phase.js'

const listening: ProxyEvent = { type: 'listening' }
const heard: ProxyEvent = { type: 'heard' }
const failed: ProxyEvent = { type: 'failed', reason: 'no' }
const drain: ProxyEvent = { type: 'drain', why: 'SIGTERM', mercyMs: 100 }
const kill: ProxyEvent = { type: 'kill', why: 'SIGINT' }
const lost: ProxyEvent = { type: 'ipc-closed' }
const tick: ProxyEvent = { type: 'tick' }
const exit: ProxyEvent = { type: 'exit', code: null, signal: 'SIGKILL' }

type Happening = ProxyEvent | number

function live(happenings: readonly Happening[]) {
  let nowMs = 0
  let life = newProxyLife(nowMs, 'start')
  const acts: string[] = []
  for (const happening of happenings) {
    if (typeof happening === 'number') nowMs += happening
    else {
      const { next, effects } = stepProxy(life, happening, nowMs)
      life = next
      acts.push(...effects.flatMap(({ type }) => (type === 'report' ? [] : [type])))
    }
  }
  return { life, acts }
}

const lives: [string, Happening[], ProxyPhase, string, string[]][] = [
  ['a start', [listening], 'listening', 'start', []],
  ['a late start', [PROXY_START_MS, tick], 'killed', 'start-deadline', ['kill']],
  ['a start in time', [PROXY_START_MS - 1, tick], 'starting', 'start', ['look']],
  ['a failed start', [failed], 'killed', 'failed', ['kill']],
  ['a short silence', [listening, PROXY_LOOK_MS - 1, tick], 'listening', 'start', []],
  ['a silence', [listening, PROXY_LOOK_MS, tick], 'listening', 'start', ['look']],
  [
    'a silence, looked at again',
    [listening, PROXY_LOOK_MS, tick, tick, PROXY_LOOK_MS, tick],
    'listening',
    'start',
    ['look', 'look'],
  ],
  ['a silence before it accepts', [PROXY_LOOK_MS, tick], 'starting', 'start', ['look']],
  [
    'a silence while it drains',
    [listening, { ...drain, mercyMs: 60_000 }, PROXY_LOOK_MS, tick],
    'draining',
    'SIGTERM',
    ['send-drain', 'look'],
  ],
  ['a word before the look', [listening, PROXY_LOOK_MS - 1, heard, 1, tick], 'listening', 'start', []],
  ['a silence of the killed', [failed, PROXY_LOOK_MS, tick], 'killed', 'failed', ['kill']],
  ['nearly its end', [listening, PROXY_SILENT_MS - 1, tick], 'listening', 'start', ['look']],
  ['a silence that lasts', [listening, PROXY_SILENT_MS, tick], 'killed', 'silent', ['kill']],
  [
    'a word in between',
    [listening, PROXY_SILENT_MS - 1, heard, PROXY_SILENT_MS - 1, tick],
    'listening',
    'start',
    ['look'],
  ],
  ['a silence behind it', [listening, 1, heard, PROXY_SILENT_MS, tick, exit], 'gone', 'silent', ['kill']],
  ['a word does not prolong a start', [heard, PROXY_START_MS, tick], 'killed', 'start-deadline', ['kill']],
  [
    'a word does not prolong a drain',
    [listening, drain, 100 + DRAIN_GRACE_MS, heard, tick],
    'killed',
    'SIGTERM',
    ['send-drain', 'kill'],
  ],
  ['a death', [listening, exit], 'gone', 'died', []],
  ['a death that begins at the channel', [listening, lost, exit], 'gone', 'died', []],
  ['a lost channel', [listening, lost, DRAIN_GRACE_MS, tick], 'killed', 'ipc-closed', ['kill']],
  ['a drain', [listening, drain, exit], 'gone', 'SIGTERM', ['send-drain']],
  ['a drain in time', [listening, drain, 100 + DRAIN_GRACE_MS - 1, tick], 'draining', 'SIGTERM', ['send-drain']],
  ['a drain without end', [listening, drain, 100 + DRAIN_GRACE_MS, tick], 'killed', 'SIGTERM', ['send-drain', 'kill']],
  ['a drain before it listens', [drain], 'draining', 'SIGTERM', ['send-drain']],
  ['listening after the drain began', [drain, listening], 'draining', 'SIGTERM', ['send-drain']],
  ['a kill', [listening, drain, kill, kill], 'killed', 'SIGINT', ['send-drain', 'kill']],
  [
    'a kill that never ends',
    [listening, kill, REAP_MS, tick, GIVE_UP_MS, tick, 1e6, tick],
    'killed',
    'SIGINT',
    ['kill', 'end-tracers', 'end-tracers', 'give-up'],
  ],
  ['a kill that ends soon', [listening, kill, REAP_MS - 1, tick], 'killed', 'SIGINT', ['kill']],
  [
    'a kill that does not end',
    [listening, kill, REAP_MS, tick, tick, heard, REAP_LOOK_MS, tick, exit, 1e6, tick],
    'gone',
    'SIGINT',
    ['kill', 'end-tracers', 'end-tracers'],
  ],
  ['anything after the end', [exit, listening, heard, failed, drain, kill, lost, 1e6, tick, exit], 'gone', 'died', []],
]

for (const [title, happenings, phase, why, effects] of lives) {
  t.test(title, t => {
    const { life, acts } = live(happenings)
    t.match(life, { phase, why })
    t.same(acts, effects)
    t.end()
  })
}
