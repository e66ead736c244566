/**
 * Damaged conversations on a worker's channel: legal messages, some with another value at one place, some with damaged bytes, in pieces of any size, into the real
 * reader, the real judge of messages and the real store of metrics. Used by the program `channel-messages.ts` and, for a short while, by the suite.
 */

import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { Channel, type ChannelEnds } from '../../kit/channel/channel.js'
import { LONGEST_CHILD_MESSAGE_BYTES, WORKER_MESSAGE_BOUNDS } from '../../kit/channel/messages.js'
import { createLog } from '../../kit/log/log.js'
import { readWorkerMessage } from '../../supervisor/child/child-message.js'
import { printExposition } from '../../supervisor/metrics/exposition.js'
import { MetricsStore } from '../../supervisor/metrics/metrics-store.js'
import { randomNumbers } from '../supervisor/fixtures/random-numbers.js'

/** What came of so many messages. */
export interface Played {
  messages: number
  /** Taken by the master, and channels that were given up. */
  taken: number
  broken: number
}

const ODD: unknown[] = [
  null,
  true,
  -1,
  0.5,
  1e308,
  -0,
  '',
  '200',
  'x',
  'x\ny z=1',
  '\u0000\u001b[2J',
  '\ud800',
  'x'.repeat(5000),
  [],
  [[]],
  {},
  { a: { b: 1 } },
  { toString: 1, valueOf: null },
  { length: 1e9 },
  '__proto__',
  'constructor',
  'hasOwnProperty',
]

const ODD_NAMES = ODD.filter(value => typeof value === 'string')

type Random = (below: number) => number

/** Plays whole conversations until `count` messages were sent. Throws what the master's side would have died of. */
export function playConversations(seed: number, count: number): Played {
  const random = randomNumbers(seed)
  const store = new MetricsStore({ log: createLog(() => {}) })
  const played: Played = { messages: 0, taken: 0, broken: 0 }
  for (let life = 1; played.messages < count; life++) playLife(`worker-${life}`, random, store, played)
  printExposition(store.families().families)
  return played
}

function playLife(source: string, random: Random, store: MetricsStore, played: Played): void {
  const socket = new FakeSocket()
  let isOpen = true
  new Channel(endsOf(socket), {
    mostBytes: LONGEST_CHILD_MESSAGE_BYTES,
    bounds: WORKER_MESSAGE_BOUNDS,
    message: value => {
      const message = readWorkerMessage(value)
      if (message === null) return false
      played.taken += 1
      if (message.type === 'metrics') store.update(source, message.families)
      if (message.type === 'event') createLog(line => assertOneLine(line))(message.event, message.fields)
      return true
    },
    closed: broken => {
      isOpen = false
      if (broken !== null) played.broken += 1
    },
  })
  for (let left = 1 + random(40); left > 0 && isOpen; left--) {
    played.messages += 1
    for (const piece of cut(damage(frame(change(legal(random), random)), random), random)) socket.emit('data', piece)
  }
  if (isOpen) socket.emit('end')
  store.retire(source)
}

function assertOneLine(line: string): void {
  if (line.indexOf('\n') !== line.length - 1) throw new Error(`a log line that is several: ${JSON.stringify(line)}`)
}

class FakeSocket extends EventEmitter {
  writable = true
  writableLength = 0
  destroy(): void {
    this.emit('close')
  }
  pause(): void {}
  resume(): void {}
}

function endsOf(socket: FakeSocket): ChannelEnds {
  const end = socket as unknown as Socket
  return { from: end, to: end }
}

function legal(random: Random): object {
  const names = ['requests_total', 'seconds', 'heap', `f${random(50)}`]
  const sample = () => ({ labels: { path: `/${random(5)}`, code: random(600) }, value: random(1000) })
  const family = () => ({
    name: names[random(names.length)],
    help: 'Something',
    type: ['counter', 'gauge', 'histogram', 'summary'][random(4)],
    aggregator: 'sum',
    values: Array.from({ length: random(6) }, sample),
  })
  const messages = [
    () => ({ type: 'waiting', bootMs: random(1000) }),
    () => ({ type: 'load-wanted' }),
    () => ({ type: 'ready', bootMs: random(1000) }),
    () => ({ type: 'failed', reason: 'no such module', stack: 'Error\n  at app.js:1' }),
    () => ({ type: 'metrics', families: Array.from({ length: random(5) }, family) }),
    () => ({ type: 'metrics', families: Array.from({ length: random(5) }, family) }),
    () => ({ type: 'recycle', reason: 'max-requests' }),
    () => ({ type: 'utilization', share: random(100) / 100 }),
    () => ({ type: 'event', event: 'metrics-trouble', fields: { why: 'a collect() that rejects' } }),
    () => ({ type: 'event', event: 'autopsy-written', fields: { path: '/tmp/x', bytes: 1, tookMs: 2 } }),
  ]
  return (messages[random(messages.length)] as () => object)()
}

/** In one of four messages one value is another, a field is missing, or there is one more. */
function change(message: object, random: Random): unknown {
  if (random(4) > 0) return message
  if (random(20) === 0) return ODD[random(ODD.length)]
  let place = message as Record<string, unknown>
  for (;;) {
    const keys = Object.keys(place)
    const key = keys[random(keys.length)] ?? 'x'
    const value = place[key]
    if (typeof value === 'object' && value !== null && random(3) > 0) {
      place = value as Record<string, unknown>
      continue
    }
    if (random(5) === 0) delete place[key]
    else place[random(5) === 0 ? ODD_NAMES[random(ODD_NAMES.length)]! : key] = ODD[random(ODD.length)]
    return message
  }
}

function frame(value: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(value) ?? '')
  const head = Buffer.alloc(4)
  head.writeUInt32LE(text.length)
  return Buffer.concat([head, text])
}

/** In one of twenty messages bytes are others, missing, or too many. */
function damage(bytes: Buffer, random: Random): Buffer {
  switch (random(80)) {
    case 0:
      bytes[random(bytes.length)] = random(256)
      return bytes
    case 1:
      return bytes.subarray(0, random(bytes.length))
    case 2:
      return Buffer.concat([bytes, bytes.subarray(random(bytes.length))])
    case 3:
      bytes.writeUInt32LE(random(2 ** 31), 0)
      return bytes
    default:
      return bytes
  }
}

function cut(bytes: Buffer, random: Random): Buffer[] {
  if (random(3) > 0) return [bytes]
  const at = random(bytes.length + 1)
  return [bytes.subarray(0, at), ...(random(3) === 0 ? cut(bytes.subarray(at), random) : [bytes.subarray(at)])]
}
