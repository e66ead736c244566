/**
 * All workers: the slots with their current workers and replacements, and the workers that leave. Executes what
 * `slots.ts` decides. Must stay true: until it is reaped a worker is in one place only, a slot or `leaving`; then it is
 * in none. A worker that SIGKILL does not end is in `unended` from the moment at which it was given up, and nothing
 * waits for it there.
 */

import type { StreamLimits, WorkerAddress, WorkerEnd, WorkerToMaster } from '../../kit/channel/messages.js'
import { afterDeath, afterKill, type BackOff, NO_BACK_OFF, shortened } from '../child/back-off.js'
import { EarlySignals } from '../child/early-signals.js'
import type { Generation, MasterContext } from '../child/master-context.js'
import { LeakAutopsies } from './leak-autopsies.js'
import { paceAfter } from './recycling.js'
import {
  type DesiredState,
  type HeldBack,
  MOST_PREDECESSORS,
  reconcile,
  type SlotAction,
  type SlotView,
} from './slots.js'
import {
  type BootFailure,
  type ChildEnd,
  type WorkerActions,
  WorkerAllowance,
  WorkerHandle,
  type WorkerLeft,
  type WorkersEvent,
} from './worker-handle.js'
import { diedUnasked, endOf, LINK_BROKEN, OUT_OF_MEMORY, type WorkerEvent, type WorkerPhase } from './worker-life.js'
import { HURRY_MS } from './worker-phase.js'
import { WorkerRemains } from './worker-remains.js'

/** The proxies' rotation, as lives of workers change it. */
export interface ProxyRotation {
  announce(worker: WorkerAddress): void
  /** Returns the proxies that still have work in flight at the worker. */
  takeOut(workerId: number, tunnelMs: number): number[]
  withdraw(workerId: number, end: WorkerEnd): void
  haveLinked(linkedBy: ReadonlySet<number>): boolean
  lackedSince(linkedBy: ReadonlySet<number>): number | null
}

/** Events of ends of workers, for the process tree. */
export interface WorkerEndEvents {
  /** A worker ended before it was ready without an order, or no proxy could reach it. */
  bootFailed(failure: BootFailure): void
  /** The worker has become ready: told once in its life, however often it says so. */
  ready(worker: WorkerHandle): void
  gone(worker: WorkerHandle): void
}

/** How many workers of which generation are wanted; see `DesiredState`. */
export interface WorkersTarget {
  wanted: number
  /** The generation of new slots. */
  base: Generation
  /** The generation that all slots reach in the end. */
  target: Generation
  move: DesiredState['move']
}

/**
 * A slot and its workers. `last`: the worker that died in it last, for the status of an empty slot. `deaths`: ends of
 * its workers that nobody had ordered, in whatever phase they were.
 */
export interface WorkerSlot {
  slot: number
  generation: Generation
  current: WorkerHandle | null
  replacement: WorkerHandle | null
  backOff: BackOff
  pace: BackOff
  deaths: number
  last: WorkerHandle | null
}

/** Between two lines of the log about one slot that waits for its next worker. */
export const HELD_EVERY_MS = 60_000
/** A shorter wait between two workers is not logged. */
const SHORT_PACE_MS = 1000

/** All workers of a master. */
export class Workers {
  readonly slots: WorkerSlot[] = []
  readonly leaving = new Set<WorkerHandle>()
  /** Workers that were given up and have left their slots, but whose processes have not ended. */
  readonly unended = new Set<WorkerHandle>()
  target: WorkersTarget
  readonly #context: MasterContext<WorkersEvent>
  readonly #proxies: ProxyRotation
  readonly #events: WorkerEndEvents
  readonly #workerActions: WorkerActions
  readonly #autopsies: LeakAutopsies
  /** By slot: the allowance of its last worker. Slots that come and go with the load keep theirs. */
  readonly #allowances = new Map<number, WorkerAllowance>()
  /** Workers replaced by another generation. A reload waits for no other worker that leaves. */
  readonly #moved = new WeakSet<WorkerHandle>()
  readonly #earlySignals = new EarlySignals()
  /** Processes that ended workers have left. */
  readonly remains: WorkerRemains
  /** By slot: when the log last said that the slot waits for its next worker. */
  readonly #heldMs = new Map<number, number>()
  #workers = 0
  #hasProven = false
  #isStopping = false

  constructor(
    target: WorkersTarget,
    context: MasterContext<WorkersEvent>,
    proxies: ProxyRotation,
    events: WorkerEndEvents,
  ) {
    this.target = target
    this.#context = context
    this.#autopsies = new LeakAutopsies(context)
    this.remains = new WorkerRemains(context)
    this.#proxies = proxies
    this.#events = events
    this.#workerActions = {
      announce: worker => {
        proxies.announce(worker.address)
        events.ready(worker)
      },
      takeOut: worker => this.#takeOut(worker),
      closeTunnels: worker => void proxies.takeOut(worker.address.workerId, HURRY_MS),
      withdraw: (worker, end) => proxies.withdraw(worker.address.workerId, end),
      accumulate: worker => context.metrics.retire(worker.sourceId),
      reaped: ({ address, generation }, pid, startTicks) => {
        const { slot } = address
        const ended = { slot, pid, generation: generation.number, startTicks }
        this.remains.sweep(ended, generation.settings.keepChildren)
      },
      snapshotPath: worker => this.#autopsies.begin(worker),
    }
  }

  /** Every worker that has not ended, workers in slots first. */
  all(): WorkerHandle[] {
    const inSlots = this.slots.flatMap(({ current, replacement }) => [current, replacement])
    return [...inSlots.filter(worker => worker !== null), ...this.leaving]
  }

  /** A worker that has not ended. */
  find(workerId: number): WorkerHandle | undefined {
    return this.all().find(worker => worker.address.workerId === workerId)
  }

  /** The workers that proxies may use. */
  rotation(): WorkerAddress[] {
    return this.all().flatMap(worker => (worker.life.phase === 'ready' ? [worker.address] : []))
  }

  /** All accepting proxies have the worker in rotation. If no proxy accepts, one proxy has it. */
  isLinked({ linkedBy }: WorkerHandle): boolean {
    return linkedBy.size > 0 && this.#proxies.lackedSince(linkedBy) === null
  }

  /** Ready and in rotation at all proxies. */
  isServing(worker: WorkerHandle | null): boolean {
    return worker !== null && worker.life.phase === 'ready' && this.#proxies.haveLinked(worker.linkedBy)
  }

  /** The worker serves, or will load as soon as a request comes. */
  isInPlace(worker: WorkerHandle | null): boolean {
    return worker?.life.phase === 'waiting' || this.isServing(worker)
  }

  /**
   * There are more requests than ready workers: loads one worker that waits (`lazy`), preferably in a slot without
   * deaths. The first one loads alone, to prove that the application loads. After that no more workers load at a time
   * than serve: the serving ones still need the processors.
   */
  loadOne(): void {
    const inPhase = (phase: WorkerPhase) => this.slots.filter(({ current }) => current?.life.phase === phase)
    const [slot] = inPhase('waiting').toSorted((a, b) => a.backOff.deaths - b.backOff.deaths)
    if (this.#isStopping || !slot?.current) return
    if (inPhase('booting').length >= Math.max(1, inPhase('ready').length)) return
    this.apply(slot.current, { type: 'load', why: 'first-request' })
  }

  /** Moves the slots nearer to the target; returns when to look again if nothing happens. */
  reconcile(): number | null {
    if (this.#isStopping) return null
    for (;;) {
      const { actions, wakeAtMs, held } = reconcile(
        this.slots.map(slot => this.#view(slot)),
        this.#desired(),
      )
      for (const one of held) this.#tellHeld(one)
      if (actions.length === 0) return earliest([wakeAtMs, ...this.#recycleTimes(), ...this.#socketLooks()])
      for (const action of actions) this.#execute(action)
    }
  }

  /** Logged once a minute for each slot: the cause may last for hours, or return again and again. */
  #tellHeld({ slot, why, untilMs }: HeldBack): void {
    const nowMs = this.#context.nowMs()
    const waitMs = untilMs === null ? undefined : Math.round(untilMs - nowMs)
    if (waitMs !== undefined && waitMs < SHORT_PACE_MS) return
    if (nowMs - (this.#heldMs.get(slot) ?? Number.NEGATIVE_INFINITY) < HELD_EVERY_MS) return
    this.#heldMs.set(slot, nowMs)
    const leaving = [...this.leaving, ...this.unended].filter(({ address }) => address.slot === slot).length
    this.#context.log('slot-held-back', { slot, why, waitMs, leaving: leaving || undefined })
  }

  /** Leaving workers that have more than tunnels to finish. Nobody waits for the others. */
  get draining(): WorkerHandle[] {
    return [...this.leaving].filter(({ life }) => life.phase !== 'lingering')
  }

  /**
   * The draining workers that a move to this generation replaces. Workers of that generation itself are only recycled,
   * and the move does not wait for them.
   */
  drainingFor(target: Generation): WorkerHandle[] {
    return this.draining.filter(({ generation }) => generation !== target)
  }

  /** Applies an event to the life of one worker. */
  apply(worker: WorkerHandle, event: WorkerEvent): void {
    const before = worker.life.phase
    worker.apply(event)
    this.#noteProof(worker, before)
    if (worker.life.phase === 'lingering' && before !== 'lingering') this.#hurryOthers(worker)
  }

  /** Handles a message of one worker. */
  take(worker: WorkerHandle, message: WorkerToMaster): void {
    const before = worker.life.phase
    worker.take(message)
    this.#noteProof(worker, before)
  }

  /** Handles the end of a child. */
  exit(worker: WorkerHandle, end: ChildEnd): void {
    const { signal } = end
    worker.exit(end)
    if (worker.stays !== null) this.unended.add(worker)
    const hasFailed = worker.life.readyMs === null && diedUnasked(worker.life)
    const isAccident = hasFailed && this.#earlySignals.isAccident(signal)
    this.#forget(worker, signal, isAccident)
    this.#autopsies.end(worker)
    if (hasFailed && !isAccident) this.#events.bootFailed(worker.bootFailure())
    this.#events.gone(worker)
  }

  /** A worker that was given up has ended. */
  endedLate(worker: WorkerHandle, code: number | null, signal: string | null): void {
    this.unended.delete(worker)
    worker.endedLate(code, signal)
  }

  /**
   * Replaces workers whose sockets are gone. As with recycling, the replacement starts first. `isDue`: checks only
   * workers whose next look of their own is due.
   */
  replaceUnreachable(isDue = false): void {
    const nowMs = this.#context.nowMs()
    for (const { current, replacement } of this.slots) {
      // A worker with a replacement is replaced in any case.
      if (current === null || replacement !== null) continue
      if (!isDue || (current.socketLookMs ?? Number.POSITIVE_INFINITY) <= nowMs) current.lookForSockets()
    }
  }

  /** A proxy has the worker in rotation. */
  linked(workerId: number, proxyId: number): void {
    this.find(workerId)?.linkedBy.add(proxyId)
  }

  /** Work that a proxy still has in flight at a retiring worker. */
  left(workerId: number, proxyId: number, { requests, tunnels }: WorkerLeft): void {
    const worker = this.find(workerId)
    if (!worker?.left.has(proxyId)) return
    if (requests || tunnels) worker.left.set(proxyId, { requests, tunnels })
    else worker.left.delete(proxyId)
    this.#settle(worker)
  }

  /** A proxy reports that the loop of the worker is blocked. */
  blocked(workerId: number, event: WorkerEvent & { type: 'blocked' }): void {
    const worker = this.find(workerId)
    if (worker === undefined) return
    this.apply(worker, { ...event, isCrowded: this.#predecessors(worker.address.slot) >= MOST_PREDECESSORS })
    if (worker.life.phase === 'retiring') this.#vacate(worker)
  }

  /**
   * A proxy reports that the worker broke the protocol of its link. No other report about this worker is trusted then,
   * so it is killed.
   */
  brokeLink(workerId: number, why: string): void {
    const worker = this.find(workerId)
    if (worker === undefined || worker.life.phase === 'killed') return
    worker.reportBrokenLink(why)
    this.apply(worker, { type: 'kill', why: LINK_BROKEN, isUnasked: true })
  }

  /** Requests of a dead proxy need no response any more. */
  proxyGone(proxyId: number): void {
    for (const worker of this.all()) {
      worker.linkedBy.delete(proxyId)
      if (worker.left.delete(proxyId)) this.#settle(worker)
    }
  }

  /** The end: tells all workers to stop. No worker starts after that. */
  stop(why: string, mercyMs: number): void {
    this.#isStopping = true
    for (const worker of this.all()) this.apply(worker, { type: 'stop', why, mercyMs })
  }

  kill(why: string): void {
    this.#isStopping = true
    this.remains.hurry()
    for (const worker of this.all()) this.apply(worker, { type: 'kill', why })
  }

  /**
   * No worker starts any more, and workers that are not ready are stopped. The ready ones keep serving while the
   * proxies drain. They get the message about their end before their mercy is over.
   */
  freeze(why: string, mercyMs: number): void {
    this.#isStopping = true
    for (const worker of this.all()) {
      const { phase } = worker.life
      if (phase === 'booting' || phase === 'waiting') this.apply(worker, { type: 'stop', why, mercyMs: 0 })
      else this.apply(worker, { type: 'farewell', why, mercyMs, stream: streamLimits(worker) })
    }
  }

  /** When each serving worker reaches a limit of its age. */
  #recycleTimes(): (number | null)[] {
    const nowMs = this.#context.nowMs()
    return this.slots.map(({ current }) => {
      const waitMs = current?.life.phase === 'ready' ? current.age().waitMs : null
      return waitMs === null ? null : nowMs + waitMs
    })
  }

  #socketLooks(): (number | null)[] {
    return this.slots.map(({ current, replacement }) => (replacement === null ? (current?.socketLookMs ?? null) : null))
  }

  #noteProof({ life }: WorkerHandle, before: WorkerPhase): void {
    if (life.phase !== 'ready' || before === 'ready') return
    this.#hasProven = true
    this.#earlySignals.cameUp()
  }

  #view({ slot, generation, current, replacement, backOff, pace, last }: WorkerSlot): SlotView {
    const view = (worker: WorkerHandle | null) =>
      worker?.view({
        linked: this.#proxies.haveLinked(worker.linkedBy),
        lackedSinceMs: this.#proxies.lackedSince(worker.linkedBy),
      }) ?? null
    return {
      slot,
      generation: generation.number,
      current: view(current),
      replacement: view(replacement),
      backOff,
      pace,
      predecessors: this.#predecessors(slot),
      unended: this.#unendedOf(slot),
      isNew: last === null,
    }
  }

  #unendedOf(slot: number): number {
    return [...this.unended].filter(({ address }) => address.slot === slot).length
  }

  /**
   * One worker per slot may linger for its tunnels without a limit. All other leaving workers count: they use memory,
   * although nothing waits for them.
   */
  #predecessors(slot: number): number {
    let lingering = 0
    let others = this.#unendedOf(slot)
    for (const { address, life } of this.leaving) {
      if (address.slot !== slot) continue
      if (life.phase === 'lingering') lingering++
      else others++
    }
    return others + Math.max(0, lingering - 1)
  }

  #desired(): DesiredState {
    const { wanted, base, target, move } = this.target
    const { lazyApps, lazy } = target.settings
    const mayStartAll = this.#hasProven || lazyApps || lazy
    return {
      wanted: mayStartAll ? wanted : Math.min(wanted, 1),
      generation: base.number,
      target: target.number,
      move,
      leaving: this.drainingFor(target).filter(worker => this.#moved.has(worker)).length,
      overlap: target.settings.reloadOverlap ?? wanted,
      linkMs: this.#context.linkMs,
      nowMs: this.#context.nowMs(),
    }
  }

  #execute(action: SlotAction): void {
    if (action.type === 'add') {
      const generation = this.#generation(action.generation)
      const slot = {
        slot: action.slot,
        generation,
        current: null,
        replacement: null,
        backOff: NO_BACK_OFF,
        pace: NO_BACK_OFF,
        deaths: 0,
        last: null,
      }
      this.slots.push(slot)
      this.slots.sort((a, b) => a.slot - b.slot)
      return
    }
    const slot = this.slots.find(candidate => candidate.slot === action.slot)!
    switch (action.type) {
      case 'remove':
        this.slots.splice(this.slots.indexOf(slot), 1)
        for (const worker of [slot.current, slot.replacement]) if (worker !== null) this.#retire(worker, action.why)
        return
      case 'spawn': {
        const worker = this.#spawn(slot, action)
        slot[action.place] = worker
        if (action.place === 'replacement') this.#pace(slot, action.why)
        // A slot of a refused generation returns to the generation before.
        if (action.place === 'current') slot.generation = worker.generation
        return
      }
      case 'promote':
        return this.#promote(slot, action.why)
      case 'give-up':
        return this.#giveUp(slot, action.why)
    }
  }

  #spawn(slot: WorkerSlot, action: SlotAction & { type: 'spawn' }): WorkerHandle {
    this.#workers++
    const generation = this.#generation(action.generation)
    const waits = generation.settings.lazy && !this.#isNeeded(slot, generation, action.place)
    const allowance = new WorkerAllowance(this.#context.nowMs(), this.#allowances.get(slot.slot))
    this.#allowances.set(slot.slot, allowance)
    const spec = { workerId: this.#workers, slot: slot.slot, generation, why: action.why, waits, allowance }
    return new WorkerHandle(spec, this.#context, this.#workerActions)
  }

  /**
   * Whether the new worker must load its application at once. A canary must prove that its application loads. A worker
   * that has loaded its application gets a successor that has loaded it too.
   */
  #isNeeded({ current }: WorkerSlot, generation: Generation, place: 'current' | 'replacement'): boolean {
    const { move, target } = this.target
    if (move.hold !== 'none' && generation === target) return true
    return place === 'replacement' && current !== null && current.life.phase !== 'waiting'
  }

  #promote(slot: WorkerSlot, why: string): void {
    const { current, replacement } = slot
    if (replacement === null) return
    const moves = replacement.generation !== slot.generation
    slot.current = replacement
    slot.replacement = null
    slot.generation = replacement.generation
    // If the worker that asked for its replacement died before the replacement was ready, that counts as a death.
    if (moves || current !== null) slot.backOff = NO_BACK_OFF
    if (moves) slot.pace = NO_BACK_OFF
    if (current === null) return
    if (moves) this.#moved.add(current)
    this.#retire(current, why)
  }

  /** The pace counts from the start of the replacement, whether or not that becomes ready. */
  #pace(slot: WorkerSlot, why: string): void {
    const { current, replacement } = slot
    if (current === null || replacement?.generation !== slot.generation) return
    const nowMs = this.#context.nowMs()
    slot.pace = shortened(paceAfter(slot.pace, why, current.servedMs, nowMs), nowMs, this.#context.backOffShare)
  }

  #giveUp(slot: WorkerSlot, why: string): void {
    const { replacement } = slot
    if (replacement === null) return
    slot.replacement = null
    slot.backOff = afterDeath(slot.backOff, null, this.#context.nowMs())
    this.#retire(replacement, why)
    if (why === 'link-deadline') {
      const { linkMs } = this.#context
      this.#events.bootFailed(replacement.bootFailure(`a proxy did not link to the ready worker within ${linkMs} ms`))
    }
  }

  #retire(worker: WorkerHandle, why: string): void {
    this.leaving.add(worker)
    this.apply(worker, { type: 'retire', why })
  }

  /** Frees the slot for a successor although the worker has not ended: it may never respond again. */
  #vacate(worker: WorkerHandle): void {
    for (const slot of this.slots) {
      if (slot.current !== worker) continue
      slot.current = null
      slot.last = worker
      this.leaving.add(worker)
    }
  }

  /** Takes a reaped worker out of its place. If it died too soon, the slot waits before its next worker starts. */
  #forget(worker: WorkerHandle, signal: string | null, isAccident: boolean): void {
    this.leaving.delete(worker)
    for (const slot of this.slots) {
      if (slot.slot === worker.address.slot && diedUnasked(worker.life)) slot.deaths++
      if (slot.current === worker) slot.current = null
      else if (slot.replacement === worker) slot.replacement = null
      else continue
      slot.last = worker
      slot.backOff = this.#backOffAfter(worker, signal, isAccident, slot.backOff)
    }
  }

  /** The harakiri of a healthy application is the request's fault, not the slot's. */
  #backOffAfter({ life }: WorkerHandle, signal: string | null, isAccident: boolean, backOff: BackOff): BackOff {
    if (!diedUnasked(life) || life.why === 'harakiri') return NO_BACK_OFF
    const servedMs = life.readyMs === null ? null : life.sinceMs - life.readyMs
    const isKilled = isAccident || endOf(life, signal) === 'killed' || life.why === OUT_OF_MEMORY
    const after = isKilled ? afterKill : afterDeath
    return shortened(after(backOff, servedMs, life.sinceMs), life.sinceMs, this.#context.backOffShare)
  }

  #takeOut(worker: WorkerHandle): void {
    const { workerId } = worker.address
    for (const proxyId of this.#proxies.takeOut(workerId, worker.generation.settings.wsMercyMs)) {
      worker.left.set(proxyId, { requests: true, tunnels: false })
    }
    if (worker.left.size === 0) this.#context.put({ type: 'worker', worker, event: { type: 'drained' } })
  }

  #settle(worker: WorkerHandle): void {
    if (worker.left.size === 0) return this.apply(worker, { type: 'drained' })
    const isAnswered = [...worker.left.values()].every(({ requests }) => !requests)
    // A worker that lingers for its tunnels may have lost the last of them.
    this.apply(worker, { type: isAnswered ? 'answered' : 'tick' })
  }

  /** One worker per slot may linger for its tunnels; otherwise each reload could leave one more process behind. */
  #hurryOthers(worker: WorkerHandle): void {
    for (const other of this.leaving) {
      if (other !== worker && other.address.slot === worker.address.slot) this.apply(other, { type: 'hurry' })
    }
  }

  /** A generation is known by its users: the target knows two, and each slot its own. */
  #generation(number: number): Generation {
    const known = [this.target.base, this.target.target, ...this.slots.map(slot => slot.generation)]
    return known.find(generation => generation.number === number)!
  }
}

/** null: never. */
function earliest(times: (number | null)[]): number | null {
  const known = times.filter(time => time !== null)
  return known.length === 0 ? null : Math.min(...known)
}

function streamLimits({ generation }: WorkerHandle): StreamLimits {
  const { streamAfterMs: afterMs, streamMercyMs: mercyMs } = generation.settings
  return { afterMs, mercyMs }
}
