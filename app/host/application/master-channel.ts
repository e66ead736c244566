/**
 * The worker's line to the master: the channel of `kit/channel/channel.ts` on descriptors of its own. It is not one of
 * Node's IPC channels, and nothing of it reaches the application: the application's `process.send` and messages are
 * others (`application-channel.ts`). Must stay true: the channel keeps the process alive, or a worker on a busy machine
 * ends before its first message has come. While the application loads it does not count (`load-application.ts`).
 */

import { Channel, type ChannelEnds, openChannelEnds } from '../../../kit/channel/channel.js'
import { cutFields, type ToldFields, WORKER_EVENTS, type WorkerEventName } from '../../../kit/channel/child-events.js'
import {
  LONGEST_CHILD_MESSAGE_BYTES,
  LONGEST_REASON,
  LONGEST_STACK,
  type MasterToWorker,
  readMessageToWorker,
  WORKER_MESSAGE_BOUNDS,
  type WorkerToMaster,
} from '../../../kit/channel/messages.js'
import type { MetricFamily, MetricSample } from '../../../kit/channel/metric-family.js'

/** Keeps the process alive, unless it is told not to. */
export interface Hold {
  ref(): void
  unref(): void
}

export interface MasterChannel extends Hold {
  send(message: WorkerToMaster): void
  /** For the log; texts that are too long are cut. Resolves when the kernel has it. */
  event(event: WorkerEventName, fields: ToldFields): Promise<void>
  /**
   * In as many messages as needed. Throws if one family is longer than a message may be, after the others have been
   * sent, and if the master has not read earlier messages.
   */
  metrics(families: MetricFamily[]): void
  /** The last message of a worker that will never serve; resolves when the kernel has it. */
  failed(reason: string, stack: string): Promise<void>
}

/** A message of this many samples and families is far below the master's limit, unless its labels are very long. */
const ROOM = 1000
/** Past that the metrics of this second are not sent: the master reads slowly, and later it gets newer values. */
const MOST_WAITING_BYTES = 4 * LONGEST_CHILD_MESSAGE_BYTES

/**
 * Takes the channel over. `onGone`: the master died, or one end gave the channel up; in both cases nothing more can be
 * sent, and the worker ends. Throws if the process was not started by a master.
 */
export function openMasterChannel(onMessage: (message: MasterToWorker) => void, onGone: () => void): MasterChannel {
  const channel = new Channel(openEnds(), {
    mostBytes: Number.POSITIVE_INFINITY,
    message: value => {
      const message = readMessageToWorker(value)
      if (message === null) process.stderr.write('a message of the master is left out: it is of another version\n')
      else onMessage(message)
      return true
    },
    closed: onGone,
  })
  const send = (message: WorkerToMaster, sent?: () => void) =>
    channel.send(message, LONGEST_CHILD_MESSAGE_BYTES, sent, WORKER_MESSAGE_BOUNDS)
  return {
    ref: () => channel.ref(),
    unref: () => channel.unref(),
    send: message => void send(message),
    event: (event, fields) =>
      new Promise(resolve => send({ type: 'event', event, fields: cutFields(WORKER_EVENTS, event, fields) }, resolve)),
    metrics: families => {
      if (channel.waitingBytes > MOST_WAITING_BYTES) throw new Error('the master does not read')
      const tooLong = batches(families.map(withNumbers)).flatMap(batch => sendFamilies(batch, send))
      if (tooLong.length > 0) throw new Error(`too long to be shipped: ${tooLong.join(', ').slice(0, LONGEST_REASON)}`)
    },
    failed: (reason, stack) =>
      new Promise(resolve => {
        const message = { reason: reason.slice(0, LONGEST_REASON), stack: stack.slice(0, LONGEST_STACK) }
        send({ type: 'failed', ...message }, resolve)
      }),
  }
}

function openEnds(): ChannelEnds {
  try {
    return openChannelEnds()
  } catch (error) {
    throw new Error('a worker is started by the master, not by hand', { cause: error })
  }
}

/**
 * The families of each message. A family without samples takes room too: the master accepts a limited number of them at
 * once.
 */
export function batches(families: readonly MetricFamily[]): MetricFamily[][] {
  const result: MetricFamily[][] = []
  let room = 0
  for (const family of families) {
    const needed = 1 + family.values.length
    if (needed > room) {
      result.push([])
      room = ROOM
    }
    result.at(-1)?.push(family)
    room -= needed
  }
  return result
}

/**
 * A text that V8 may hash to its own value: the master takes next to none (`kit/channel/json-bounds.ts`). A number
 * prints as the same label value.
 */
const NUMERAL = /^(0|[1-9]\d{0,9})$/
const isNumeral = (value: unknown): boolean => typeof value === 'string' && value.length <= 10 && NUMERAL.test(value)

/** The family with numbers in place of label values such as `'200'`; itself if it has none. */
export function withNumbers(family: MetricFamily): MetricFamily {
  const hasNumeral = ({ labels }: MetricSample) => {
    for (const name in labels) if (isNumeral(labels[name])) return true
    return false
  }
  if (!family.values.some(hasNumeral)) return family
  return { ...family, values: family.values.map(sample => ({ ...sample, labels: numbersOf(sample.labels) })) }
}

function numbersOf(labels: MetricSample['labels']): MetricSample['labels'] {
  const entries = Object.entries(labels).map(([name, value]) => [name, isNumeral(value) ? Number(value) : value])
  return Object.fromEntries(entries)
}

/** Halves batches that are too long; returns the names of families that are too long by themselves. */
function sendFamilies(families: MetricFamily[], send: (message: WorkerToMaster) => boolean): string[] {
  if (families.length === 0 || send({ type: 'metrics', families })) return []
  if (families.length === 1) return families.map(({ name }) => name)
  const half = families.length >> 1
  return [...sendFamilies(families.slice(0, half), send), ...sendFamilies(families.slice(half), send)]
}
