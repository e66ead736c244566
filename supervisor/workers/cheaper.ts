/**
 * How many workers the load calls for, between `cheaper` and `processes`: uWSGI's cheaper algorithms, for workers that
 * answer many requests at the same time. Asked by `scaler.ts` once a second. Pure.
 *
 * Must stay true: never below `cheaper`, never above `processes`; no decision while an earlier one is still being
 * carried out; and each way has to last before it counts, so that a number that was just left is not taken up again at
 * the next look.
 */

import type { CheaperAlgorithm } from '../../kit/options/values/value-types.js'
import type { Settings } from '../config/values/settings.js'

/** `cheaper` and all options that go with it. */
export type CheaperSettings = Pick<Settings, Extract<keyof Settings, `cheaper${string}`>>

/** What is seen at one look. */
export interface CheaperFacts {
  wanted: number
  /** `processes`. */
  most: number
  /** Workers that serve, or would at once, and those of them that have a request in their hands. */
  serving: number
  busy: number
  /** Event-loop utilisation of those that serve, on average, in percent. */
  busyness: number
  /** Requests that wait for a worker, and those in flight; `room`: what one worker takes at a time. */
  queued: number
  inFlight: number
  room: number
  rssBytes: number
  /** Workers still start or leave, or a reload runs. */
  isSettling: boolean
}

/** What is remembered from look to look. */
export interface CheaperMemory {
  /** Looks in a row at which it was too much, or too little; for `busyness` cycles. */
  over: number
  under: number
  /** The cycle that runs: looks and the sum of their percents. */
  looks: number
  percents: number
  /** Cycles until a worker goes, and cycles since the last one went. */
  multiplier: number
  sinceFewer: number
}

export interface CheaperStep {
  wanted: number
  /** For the log, null: nothing changes. */
  why: string | null
  memory: CheaperMemory
}

/** Between two looks. */
export const LOOK_MS = 1000

/** Before the first look. */
export function newCheaperMemory({ cheaperBusynessMultiplier: multiplier }: CheaperSettings): CheaperMemory {
  const sinceFewer = Number.POSITIVE_INFINITY
  return { over: 0, under: 0, looks: 0, percents: 0, multiplier, sinceFewer }
}

/** How many workers to start with, and to wake up with. */
export function workersAtFirst(settings: Pick<Settings, 'cheaper' | 'cheaperInitial' | 'processes'>): number {
  const { cheaper, cheaperInitial, processes } = settings
  return cheaper === 0 ? processes : clamp(cheaperInitial ?? cheaper, cheaper, processes)
}

/** The number wanted after one look. */
export function nextWanted(facts: CheaperFacts, memory: CheaperMemory, settings: CheaperSettings): CheaperStep {
  const { wanted, most } = facts
  const least = Math.min(settings.cheaper, most)
  if (wanted < least || wanted > most) return { wanted: clamp(wanted, least, most), why: 'bounds', memory }
  if (facts.isSettling) return { wanted, why: null, memory }
  if (isOver(facts.rssBytes, settings.cheaperRssLimitHardBytes) && wanted > least) {
    return { wanted: wanted - 1, why: 'rss-limit-hard', memory: newCheaperMemory(settings) }
  }
  const { call, memory: next } = ALGORITHMS[settings.cheaperAlgo](facts, memory, settings)
  if (call === 'more' && wanted < most && !isOver(facts.rssBytes, settings.cheaperRssLimitSoftBytes)) {
    return { wanted: Math.min(most, wanted + settings.cheaperStep), why: settings.cheaperAlgo, memory: next }
  }
  if (call === 'fewer' && wanted > least) return { wanted: wanted - 1, why: settings.cheaperAlgo, memory: next }
  return { wanted, why: null, memory: next }
}

interface Call {
  call: 'more' | 'fewer' | null
  memory: CheaperMemory
}

type Algorithm = (facts: CheaperFacts, memory: CheaperMemory, settings: CheaperSettings) => Call

const ALGORITHMS: { [A in CheaperAlgorithm]: Algorithm } = {
  /** uWSGI's: too much when nobody is free, too little when two are. */
  spare({ serving, busy }, memory, settings) {
    const free = serving - busy
    return count(serving > 0 && free === 0, free >= 2, memory, settings)
  },
  /** Too much when requests wait; too little when one worker fewer would be half empty. */
  queue({ queued, inFlight, serving, room }, memory, settings) {
    return count(queued > 0, queued === 0 && inFlight <= ((serving - 1) * room) / 2, memory, settings)
  },
  busyness(facts, memory, settings) {
    const looks = memory.looks + 1
    const percents = memory.percents + facts.busyness
    if (looks < looksIn(settings.cheaperOverloadMs)) return { call: null, memory: { ...memory, looks, percents } }
    const cycle = { ...memory, looks: 0, percents: 0, sinceFewer: memory.sinceFewer + 1 }
    return endCycle(percents / looks, facts.serving, cycle, settings)
  },
  /** Signals and `daimyo scale` alone. */
  manual: (_facts, memory) => ({ call: null, memory }),
}

/** Either has to last; whatever is neither starts both again. */
function count(isOver: boolean, isUnder: boolean, memory: CheaperMemory, settings: CheaperSettings): Call {
  const over = isOver ? memory.over + 1 : 0
  const under = isUnder && !isOver ? memory.under + 1 : 0
  if (over >= looksIn(settings.cheaperOverloadMs)) return { call: 'more', memory: { ...memory, over: 0, under: 0 } }
  if (under >= looksIn(settings.cheaperIdleMs)) return { call: 'fewer', memory: { ...memory, over: 0, under: 0 } }
  return { call: null, memory: { ...memory, over, under } }
}

/** Fewer workers only where those that stay would not be too busy at once. */
function endCycle(percent: number, serving: number, memory: CheaperMemory, settings: CheaperSettings): Call {
  const { cheaperBusynessMax: max, cheaperBusynessMultiplier, cheaperBusynessPenalty } = settings
  if (percent > max) {
    const isMissed = memory.sinceFewer <= memory.multiplier
    const multiplier = isMissed ? memory.multiplier + cheaperBusynessPenalty : cheaperBusynessMultiplier
    return { call: 'more', memory: { ...memory, under: 0, multiplier, sinceFewer: Number.POSITIVE_INFINITY } }
  }
  const isLow = percent < settings.cheaperBusynessMin
  const isUnder = isLow && serving > 1 && (percent * serving) / (serving - 1) <= max
  const under = isUnder ? memory.under + 1 : 0
  if (under < memory.multiplier) return { call: null, memory: { ...memory, under } }
  return { call: 'fewer', memory: { ...memory, under: 0, sinceFewer: 0 } }
}

function looksIn(timeMs: number): number {
  return Math.max(1, Math.ceil(timeMs / LOOK_MS))
}

function isOver(bytes: number, limitBytes: number): boolean {
  return limitBytes > 0 && bytes > limitBytes
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value))
}
