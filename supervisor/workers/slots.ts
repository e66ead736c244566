/**
 * Which workers to start and which to end: compares the actual state with the desired one. Pure; `workers.ts` executes
 * the actions and asks again after every event.
 *
 * Each slot has at most one current worker and one replacement of it. The replacement starts beside the current worker.
 * It takes over when it is ready and all proxies have linked it, or when it waits for its first request; only then the
 * former worker retires. A slot that runs another generation than the target is replaced in the same way: a rolling
 * reload, and its rollback, is a number. Reloads and orders of an operator come before requests of workers. Among those
 * the oldest worker is first, so that a slot whose workers ask again and again delays no other slot. The generation of
 * a slot is that of its last current worker: a dead worker is replaced in that generation, whatever a reload is about
 * to do, unless a reload has refused it.
 */

import type { BackOff } from '../child/back-off.js'
import { isOrdered, isPaced } from './recycling.js'
import type { WorkerPhase } from './worker-life.js'

/**
 * How many replaced workers of a slot may still be alive. At this number only an order or a reload replaces the current
 * worker: the former workers may have long responses to finish, and so may the next one. Workers that SIGKILL does not
 * end count too; if all of them are such workers, only a reload fills an empty slot. At this number a worker with a
 * blocked loop is killed at once, and not left to end by itself (`harakiri-graceful`).
 */
export const MOST_PREDECESSORS = 2

/** A worker as far as slots need it. */
export interface SlotWorker {
  workerId: number
  generation: number
  phase: WorkerPhase
  sinceMs: number
  /** All accepting proxies have the worker in rotation, and there is one. */
  linked: boolean
  /** Since when a proxy has accepted without a link to it; null: no proxy has. */
  lackedSinceMs: number | null
  /** Why the worker asked to be replaced. */
  recycle: string | null
}

/** The actual state of a slot. */
export interface SlotView {
  slot: number
  /** The generation of the next current worker of this slot. */
  generation: number
  current: SlotWorker | null
  replacement: SlotWorker | null
  backOff: BackOff
  /** When the worker may be replaced for a reason of its own. Its death is made good before that. */
  pace: BackOff
  /** Its leaving workers, except one that lingers for its tunnels. */
  predecessors: number
  /** Leaving and dead workers of the slot that SIGKILL does not end. */
  unended: number
  /** No worker of this slot has died yet. */
  isNew: boolean
}

/** The desired state, and the limits on the way to it. */
export interface DesiredState {
  /** Workers wanted. */
  wanted: number
  /** The generation that new slots get: the last one that proved itself. */
  generation: number
  /** The generation that all slots shall run in the end. */
  target: number
  /**
   * `why`: the reason to move a slot to the target. `atOnce`: the move ignores the slot's back-off (a reload may be the
   * cure). `hold`: which new worker stays beside the current one until the reload has judged it: one that is linked, or
   * one that is ready, linked or not.
   */
  move: { why: string; atOnce: boolean; hold: 'none' | 'linked' | 'ready' }
  /** Workers of other generations than the target that still finish their requests. */
  leaving: number
  /** How many of them may exist when the next slot is rolled. */
  overlap: number
  /** How long a ready worker may wait for its links. */
  linkMs: number
  nowMs: number
}

/** One step towards the desired state. */
export type SlotAction =
  | { type: 'add'; slot: number; generation: number }
  | { type: 'remove'; slot: number; why: string }
  | { type: 'spawn'; slot: number; generation: number; place: 'current' | 'replacement'; why: string }
  /** The replacement becomes the current worker; `why` is the reason for the end of the former one. */
  | { type: 'promote'; slot: number; why: string }
  | { type: 'give-up'; slot: number; why: string }

/** The actions to take now, and when to ask again. */
export interface Plan {
  actions: SlotAction[]
  /** When to ask again if nothing happens; null: never. */
  wakeAtMs: number | null
  held: HeldBack[]
}

/**
 * A slot that waits for its next worker. `leaving`: its former workers must end first. `unended`: SIGKILL does not end
 * some of them. `pace`: its workers ask for replacements too often, and `untilMs` is the end of the wait.
 */
export interface HeldBack {
  slot: number
  why: 'leaving' | 'unended' | 'pace'
  untilMs: number | null
}

/** The next actions. An empty list: the desired state is reached, or an event has to come first. */
export function reconcile(slots: readonly SlotView[], desired: DesiredState): Plan {
  const actions: SlotAction[] = []
  const kept = slots.filter(slot => slot.slot <= desired.wanted)
  for (const slot of slots)
    if (slot.slot > desired.wanted) actions.push({ type: 'remove', slot: slot.slot, why: 'fewer' })
  for (let number = 1; number <= desired.wanted; number++) {
    if (!kept.some(slot => slot.slot === number))
      actions.push({ type: 'add', slot: number, generation: desired.generation })
  }
  const waits: number[] = []
  const held: HeldBack[] = []
  for (const slot of kept) {
    const action =
      fill(slot, desired, waits, held) ?? settleReplacement(slot, desired, waits) ?? giveWay(slot, kept, desired)
    if (action !== null) actions.push(action)
  }
  const replacing = kept.some(slot => slot.replacement !== null)
  const replace = replacing || actions.length > 0 ? null : replaceOne(kept, desired, waits, held)
  if (replace !== null) actions.push(replace)
  return { actions, wakeAtMs: waits.length === 0 ? null : Math.min(...waits), held }
}

/**
 * An empty slot gets a worker, unless its replacement is the worker that it needs. A generation that a reload has
 * refused is not started again.
 */
function fill(slot: SlotView, desired: DesiredState, waits: number[], held: HeldBack[]): SlotAction | null {
  const { nowMs, generation: proven, target } = desired
  if (slot.current !== null) return null
  if (slot.replacement?.generation === slot.generation) return { type: 'promote', slot: slot.slot, why: 'replaced' }
  // Each holds the memory of an application for an unknown time. If the kernel holds one, it will hold the next.
  if (slot.unended >= MOST_PREDECESSORS && target === slot.generation) {
    held.push({ slot: slot.slot, why: 'unended', untilMs: null })
    return null
  }
  if (isWaiting(slot, nowMs, waits)) return null
  const isRefused = slot.generation > proven && slot.generation !== target
  if (isRefused && slot.replacement !== null) return null
  const generation = isRefused ? proven : slot.generation
  return { type: 'spawn', slot: slot.slot, generation, place: 'current', why: isRefused ? 'rollback' : whyFilled(slot) }
}

/**
 * A replacement that is ready takes over when all proxies have linked it. One that some proxy does not link in time is
 * given up.
 */
function settleReplacement(slot: SlotView, desired: DesiredState, waits: number[]): SlotAction | null {
  const { replacement } = slot
  if (replacement === null) return null
  const moves = replacement.generation !== slot.generation
  if (moves && replacement.generation !== desired.target)
    return { type: 'give-up', slot: slot.slot, why: desired.move.why }
  if (replacement.phase !== 'ready' && replacement.phase !== 'waiting') return null
  const why = moves ? desired.move.why : (slot.current?.recycle ?? 'replaced')
  const { hold } = desired.move
  if (moves && (hold === 'ready' || (hold === 'linked' && replacement.linked))) return null
  if (replacement.linked || replacement.phase === 'waiting') return { type: 'promote', slot: slot.slot, why }
  return isOverdue(replacement, desired, waits) ? { type: 'give-up', slot: slot.slot, why: 'link-deadline' } : null
}

/**
 * A replacement that the worker itself asked for, and that cannot take over yet, is given up when a reload or an order
 * could replace a worker now: it may hang while it loads. The worker serves meanwhile, and is replaced afterwards.
 */
function giveWay(slot: SlotView, slots: readonly SlotView[], desired: DesiredState): SlotAction | null {
  const { current, replacement } = slot
  if (current === null || replacement === null || replacement.generation !== slot.generation) return null
  if (isOrdered(current.recycle ?? '')) return null
  const first = inTurn(slots, desired, []).find(
    asking =>
      asking.rank < REQUESTED &&
      (asking.moves || asking.slot.replacement === null) &&
      mayReplace(asking, desired, [], []),
  )
  return first === undefined ? null : { type: 'give-up', slot: slot.slot, why: first.why }
}

/** A proxy accepts clients, cannot reach this worker, and has had enough time to. */
function isOverdue({ sinceMs, lackedSinceMs }: SlotWorker, { nowMs, linkMs }: DesiredState, waits: number[]): boolean {
  if (lackedSinceMs === null) return false
  const deadlineMs = Math.max(sinceMs, lackedSinceMs) + linkMs
  if (nowMs >= deadlineMs) return true
  waits.push(deadlineMs)
  return false
}

/** The rank of requests of workers. */
const REQUESTED = 2

/** A slot whose current worker is to be replaced. The lowest `rank` is first. */
interface Asking {
  slot: SlotView
  why: string
  moves: boolean
  rank: number
}

/** One replacement at a time in all slots: each costs the memory and the start of a second application. */
function replaceOne(
  slots: readonly SlotView[],
  desired: DesiredState,
  waits: number[],
  held: HeldBack[],
): SlotAction | null {
  for (const asking of inTurn(slots, desired, waits)) {
    if (!mayReplace(asking, desired, waits, held)) continue
    const { slot, why, moves } = asking
    const generation = moves ? desired.target : slot.generation
    return { type: 'spawn', slot: slot.slot, generation, place: 'replacement', why }
  }
  return null
}

/**
 * A reload goes from slot to slot. Orders come after it, then the other reasons, the oldest worker first each time: a
 * worker that was just replaced is the youngest.
 */
function inTurn(slots: readonly SlotView[], desired: DesiredState, waits: number[]): Asking[] {
  const asking: Asking[] = []
  for (const slot of slots) {
    const why = whyReplaced(slot, desired, waits)
    const moves = slot.generation !== desired.target
    if (why !== null) asking.push({ slot, why, moves, rank: moves ? 0 : isOrdered(why) ? 1 : REQUESTED })
  }
  const ageOf = ({ slot, moves }: Asking) => (moves ? 0 : (slot.current?.workerId ?? 0))
  return asking.sort((a, b) => a.rank - b.rank || ageOf(a) - ageOf(b))
}

/** Whether a replacement may start now. A refusal only delays it: the current worker serves meanwhile. */
function mayReplace({ slot, why, moves }: Asking, desired: DesiredState, waits: number[], held: HeldBack[]): boolean {
  const { nowMs, leaving, overlap, move } = desired
  if (moves && leaving > overlap) return false
  if (!moves && !isOrdered(why) && slot.predecessors >= MOST_PREDECESSORS) {
    held.push({ slot: slot.slot, why: slot.unended === slot.predecessors ? 'unended' : 'leaving', untilMs: null })
    return false
  }
  if (!moves && isPaced(why) && isBefore(slot.pace, nowMs, waits)) {
    held.push({ slot: slot.slot, why: 'pace', untilMs: slot.pace.notBeforeMs })
    return false
  }
  return (moves && move.atOnce) || !isWaiting(slot, nowMs, waits)
}

/** Why the current worker of a slot is to be replaced; null: it stays. */
function whyReplaced(slot: SlotView, desired: DesiredState, waits: number[]): string | null {
  if (slot.generation !== desired.target) return desired.move.why
  if (slot.current?.phase !== 'ready') return null
  return slot.current.recycle ?? (isOverdue(slot.current, desired, waits) ? 'link-deadline' : null)
}

function whyFilled(slot: SlotView): string {
  return slot.isNew ? 'start' : 'respawn'
}

function isWaiting({ backOff }: SlotView, nowMs: number, waits: number[]): boolean {
  return isBefore(backOff, nowMs, waits)
}

function isBefore({ notBeforeMs }: BackOff, nowMs: number, waits: number[]): boolean {
  if (notBeforeMs <= nowMs) return false
  waits.push(notBeforeMs)
  return true
}
