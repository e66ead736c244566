/**
 * How many workers the load calls for, between `cheaper` and `processes`: uWSGI's cheaper algorithms, adapted to
 * workers that answer many requests at the same time. `scaler.ts` asks once a second. Pure.
 *
 * What must stay true: the number is never below `cheaper` and never above `processes`. There is no decision while an
 * earlier one is being carried out. High or low load must last before it counts, so the number does not swing back at
 * the next look.
 */

import type { CheaperAlgorithm } from '../../kit/options/values/value-types.js'
import type { Settings } from '../config/values/settings.js'

/** `cheaper` and all its options. */
export type CheaperSettings = Pick<Settings, Extract<keyof Settings, `cheaper${string}`>>

/** The figures of one look. */
export interface CheaperFacts {
  wanted: number
  /** `processes`. */
  most: number
  /** Workers that serve, or would serve at once, and how many of them have a request in flight. */
  serving: number
  busy: number
  /** The average event-loop utilisation of the serving workers, in percent. */
  busyness: number
  /** Requests that wait for a worker, and requests in flight. `room`: how many one worker takes at a time. */
  queued: number
  inFlight: number
  room: number
  rssBytes: number
  /** Workers are still starting or leaving, or a reload runs. */
  isSettling: boolean
}

/** The memory between looks. */
export interface CheaperMemory {
  /** How many looks in a row the load was too high, or too low. For `busyness`: cycles. */
  over: number
  under: number
  /** The current cycle: the number of looks and the sum of their percents. */
  looks: number
  percents: number
  /** How many cycles of low load remove a worker, and how many cycles have passed since the last removal. */
  multiplier: number
  sinceFewer: number
}

export interface CheaperStep {
  wanted: number
  /** The reason for the log. Null: nothing changes. */
  why: string | null
  memory: CheaperMemory
}

/** Between two looks. */
export const LOOK_MS = 1000

/** The memory before the first look. */
export function newCheaperMemory({ cheaperBusynessMultiplier: multiplier }: CheaperSettings): CheaperMemory {
  const sinceFewer = Number.POSITIVE_INFINITY
  return { over: 0, under: 0, looks: 0, percents: 0, multiplier, sinceFewer }
}

/** The number of workers at the start, and at a wake-up. */
export function workersAtFirst(settings: Pick<Settings, 'cheaper' | 'cheaperInitial' | 'processes'>): number {
  const { cheaper, cheaperInitial, processes } = settings
  return cheaper === 0 ? processes : clamp(cheaperInitial ?? cheaper, cheaper, processes)
}

/** The wanted number after one look. */
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
  /** uWSGI's algorithm: too high if no worker is free, too low if two are. */
  spare({ serving, busy }, memory, settings) {
    const free = serving - busy
    return count(serving > 0 && free === 0, free >= 2, memory, settings)
  },
  /** Too high if requests wait. Too low if one worker fewer would leave the rest at most half full. */
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
  /** Only signals and `daimyo scale` change the number. */
  manual: (_facts, memory) => ({ call: null, memory }),
}

/** High or low load must last. A look with neither resets both counts. */
function count(isOver: boolean, isUnder: boolean, memory: CheaperMemory, settings: CheaperSettings): Call {
  const over = isOver ? memory.over + 1 : 0
  const under = isUnder && !isOver ? memory.under + 1 : 0
  if (over >= looksIn(settings.cheaperOverloadMs)) return { call: 'more', memory: { ...memory, over: 0, under: 0 } }
  if (under >= looksIn(settings.cheaperIdleMs)) return { call: 'fewer', memory: { ...memory, over: 0, under: 0 } }
  return { call: null, memory: { ...memory, over, under } }
}

/** A worker is removed only if the remaining ones would not exceed the maximum at once. */
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
