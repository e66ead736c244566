/**
 * Which workers to start and which to end: compares what is with what is wanted. Pure; `workers.ts` executes the
 * actions and asks again after every event.
 *
 * Each slot has at most one current worker and one replacement of it. A replacement is started beside the current
 * worker and takes its place when it is ready and linked by all proxies, or waits for its first request; only then is
 * the other one retired. So is every slot that runs another generation than the target: a rolling reload, and its
 * rollback, are a number. A reload and an operator's order are before what workers ask for; of those the oldest worker
 * is first, so that a slot whose workers ask again and again keeps no other one waiting. A slot's own generation is
 * that of its last current worker: what dies is made good in that generation, whatever a reload is about to do, unless
 * a reload has refused it.
 */

import type { BackOff } from '../child/back-off.js'
import { isOrdered, isPaced } from './recycling.js'
import type { WorkerPhase } from './worker-life.js'

/**
 * Workers of a slot that were replaced and have not ended yet, beyond which nothing but an order or a reload replaces
 * another: one that finishes long answers, and the next one that does. Those that SIGKILL does not end count too;
 * beyond that number of them a slot is not even filled, but by a reload. A worker whose loop is blocked is killed in
 * place of left (`harakiri-graceful`) where its slot has so many.
 */
export const MOST_PREDECESSORS = 2

/** A worker as far as it matters here. */
export interface SlotWorker {
  workerId: number
  generation: number
  phase: WorkerPhase
  sinceMs: number
  /** All proxies that accept have it in rotation, and there are some. */
  linked: boolean
  /** Since when a proxy has accepted without it, null: none has. */
  lackedSinceMs: number | null
  /** It asked to be replaced, and why. */
  recycle: string | null
}

/** A slot as it is. */
export interface SlotView {
  slot: number
  /** What a new current worker of this slot must run. */
  generation: number
  current: SlotWorker | null
  replacement: SlotWorker | null
  backOff: BackOff
  /** When its worker may be replaced for what the worker itself has brought about; its death is made good before. */
  pace: BackOff
  /** Its workers that leave, without one that stays for its tunnels. */
  predecessors: number
  /** Those of them, and of its workers that died, that SIGKILL does not end. */
  unended: number
  /** No worker has died in it yet. */
  isNew: boolean
}

/** What is wanted, and the limits on the way. */
export interface DesiredState {
  /** Workers wanted. */
  wanted: number
  /** The generation that new slots get: the last one that proved itself. */
  generation: number
  /** The generation that all slots shall run in the end. */
  target: number
  /**
   * Why a slot is moved to the target, and whether that may ignore its back-off (a reload may be the cure). `hold`:
   * which new worker stays beside the current one until the reload has judged it: one that is linked, or one that is
   * ready, whatever becomes of its links.
   */
  move: { why: string; atOnce: boolean; hold: 'none' | 'linked' | 'ready' }
  /** Workers of other generations than the target that still finish what they have. */
  leaving: number
  /** So many of them may be there when the next one is rolled. */
  overlap: number
  /** How long a ready worker may wait for its links. */
  linkMs: number
  nowMs: number
}

/** One step nearer to what is wanted. */
export type SlotAction =
  | { type: 'add'; slot: number; generation: number }
  | { type: 'remove'; slot: number; why: string }
  | { type: 'spawn'; slot: number; generation: number; place: 'current' | 'replacement'; why: string }
  /** The replacement becomes the current worker; `why` is what the former one is retired for. */
  | { type: 'promote'; slot: number; why: string }
  | { type: 'give-up'; slot: number; why: string }

/** What to do now, and when to think again. */
export interface Plan {
  actions: SlotAction[]
  /** When to ask again although nothing happened, null: never. */
  wakeAtMs: number | null
  held: HeldBack[]
}

/**
 * A slot that waits with its next worker, and for what: `leaving`, for its former workers to end; `unended`, for those
 * that SIGKILL does not end; `pace`, because its workers ask too soon (then until when).
 */
export interface HeldBack {
  slot: number
  why: 'leaving' | 'unended' | 'pace'
  untilMs: number | null
}

/** The next actions. An empty list means that the slots are as wanted, or that something must happen first. */
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
    const action = fill(slot, desired, waits, held) ?? settleReplacement(slot, desired, waits)
    if (action !== null) actions.push(action)
  }
  const replacing = kept.some(slot => slot.replacement !== null)
  const replace = replacing || actions.length > 0 ? null : replaceOne(kept, desired, waits, held)
  if (replace !== null) actions.push(replace)
  return { actions, wakeAtMs: waits.length === 0 ? null : Math.min(...waits), held }
}

/**
 * An empty slot gets a worker, unless its replacement is just what it needs. What a reload has refused is not started
 * again.
 */
function fill(slot: SlotView, desired: DesiredState, waits: number[], held: HeldBack[]): SlotAction | null {
  const { nowMs, generation: proven, target } = desired
  if (slot.current !== null) return null
  if (slot.replacement?.generation === slot.generation) return { type: 'promote', slot: slot.slot, why: 'replaced' }
  // Each holds the memory of an application, for nobody knows how long: where one is held by the kernel the next one
  // will be.
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

/** A replacement that is ready takes over when all proxies have it; one that they do not get is given up. */
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

/** A proxy accepts clients and cannot reach this worker, and has had the time to. */
function isOverdue({ sinceMs, lackedSinceMs }: SlotWorker, { nowMs, linkMs }: DesiredState, waits: number[]): boolean {
  if (lackedSinceMs === null) return false
  const deadlineMs = Math.max(sinceMs, lackedSinceMs) + linkMs
  if (nowMs >= deadlineMs) return true
  waits.push(deadlineMs)
  return false
}

/** A slot whose current worker is to be replaced. `rank`: the lowest goes first. */
interface Asking {
  slot: SlotView
  why: string
  moves: boolean
  rank: number
}

/** One replacement at a time in all slots: each costs a second application's memory and start. */
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
 * A reload goes from slot to slot. Behind it are orders, then the others, each time the oldest worker first: whoever
 * was just replaced is the youngest.
 */
function inTurn(slots: readonly SlotView[], desired: DesiredState, waits: number[]): Asking[] {
  const asking: Asking[] = []
  for (const slot of slots) {
    const why = whyReplaced(slot, desired, waits)
    const moves = slot.generation !== desired.target
    if (why !== null) asking.push({ slot, why, moves, rank: moves ? 0 : isOrdered(why) ? 1 : 2 })
  }
  const ageOf = ({ slot, moves }: Asking) => (moves ? 0 : (slot.current?.workerId ?? 0))
  return asking.sort((a, b) => a.rank - b.rank || ageOf(a) - ageOf(b))
}

/** Whether a replacement may be started now. It is delayed only: the current worker serves meanwhile. */
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

/** Why the current worker of a slot is to be replaced, null: it stays. */
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
