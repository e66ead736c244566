/**
 * Reloads, one at a time. `check` runs after every event.
 *
 *     reading → canary → soaking → rolling → done
 *         └────────┴─────────┴─────────┴→ rolled back
 *
 * A reload moves the target of the workers to a new generation; the slots do the rest. The first of the new workers
 * that all proxies have linked is the canary. It serves beside the old ones as long as it soaks (`soak.ts`), then the
 * new settings are in force. Any worker of the new generation that is not ready in time, or dies by itself, moves the
 * target back. What must stay true: until a reload is done, everything of the generation before it is still known, and
 * nothing of it was given up before a new worker stood in its place.
 */

import { reasonOf } from '../../kit/ground/failure.js'
import { describeUnended } from '../../kit/process/tracers.js'
import { HookFailure } from '../attached/hooks.js'
import type { Generation, MasterContext, PlainEvent } from '../child/master-context.js'
import type { Release } from '../child/release.js'
import { changedOptions, meansTheSame, settingsAfterReload } from '../config/changed-options.js'
import type { Reading, Settings } from '../config/values/settings.js'
import { workersAtFirst } from '../workers/cheaper.js'
import type { BootFailure, WorkerHandle } from '../workers/worker-handle.js'
import { diedUnasked } from '../workers/worker-life.js'
import type { ResponseFigures } from '../workers/worker-loads.js'
import type { Workers, WorkersTarget } from '../workers/workers.js'
import type { ReloadWait } from './reload-wait.js'
import { figuresSince, judgeSoak, type Soak, soakEnd } from './soak.js'

/** What reloads tell the master. */
export type ReloadEvent =
  | PlainEvent
  | { type: 'reload'; request: ReloadRequest }
  | { type: 'reading'; reading: Reading | Error; release: Release | null }

/**
 * Somebody asks for a reload, and may wait for it. `why` is for the log: a signal, `command`, the option that watches a
 * path.
 */
export interface ReloadRequest {
  why: string
  /** `workers`: new ones with the settings in force; nothing is read. */
  scope: 'configuration' | 'workers'
  /** Nobody is replaced when the configuration means the same as before. */
  ifChanged?: boolean
  progress(text: string): void
  done(outcome: ReloadOutcome): void
}

/** What a reload wants to work with: the configuration read again, or the settings in force. */
export type SettingsWanted = Pick<ReloadRequest, 'scope' | 'ifChanged'> & { inForce: Settings }

/** How a reload ended; what could not change without a restart is in `ignored`, by option name. */
export type ReloadOutcome =
  | { ok: true; generation: number; ignored: string[] }
  | { ok: false; reason: string; lines: string[] }

/** What a reload works with. */
export interface ReloadDeps {
  context: MasterContext<ReloadEvent>
  workers: Workers
  /** Reads, where that is wanted, and prepares what the new settings need. */
  readSettings: (wanted: SettingsWanted) => Reading | Promise<Reading>
  /** The release that settings lead to now; rejects with why there is none. */
  resolveRelease: (settings: Settings) => Promise<Release>
  /** Makes a generation's settings the ones in force: the proxies', and the master's own deadlines. */
  apply(generation: Generation): void
  /** The proxies go by what was applied last. */
  isInForce(): boolean
  /** What the proxies count of a worker's answers. */
  figuresOf(workerId: number): ResponseFigures
}

interface Running {
  phase: 'reading' | 'canary' | 'soaking' | 'rolling'
  requests: ReloadRequest[]
  before: WorkersTarget
  next: Generation | null
  ignored: string[]
  failure: BootFailure | null
  moved: number
  soak: Soak | null
}

/** What is known when the next step of a reload is decided. */
export interface ReloadFacts {
  phase: 'canary' | 'soaking' | 'rolling'
  failure: BootFailure | null
  /** The new generation has no application: nothing to prove. */
  isStatic: boolean
  /** A new worker serves, be it beside the one that it replaces; it has to soak, and has done so. */
  hasCanary: boolean
  mustSoak: boolean
  isSoaked: boolean
  /** Slots of the new generation whose worker serves or waits for its first request, and all slots that are wanted. */
  inPlace: number
  wanted: number
  /** Slots that are there, and how many of them belong to the new generation. */
  slots: number
  moved: number
  /** Workers of other generations that still finish what they have. */
  leaving: number
  /** All proxies go by the new settings. */
  isInForce: boolean
}

/** What to do now. Pure. */
export function nextReloadStep(facts: ReloadFacts): 'wait' | 'soak' | 'seek' | 'commit' | 'roll-back' | 'finish' {
  if (facts.failure !== null) return 'roll-back'
  if (facts.phase === 'canary') {
    if (facts.isStatic) return 'commit'
    if (!facts.hasCanary) return 'wait'
    return facts.mustSoak ? 'soak' : 'commit'
  }
  if (facts.phase === 'soaking') {
    if (!facts.hasCanary) return 'seek'
    return facts.isSoaked ? 'commit' : 'wait'
  }
  const isRolled = facts.moved === facts.slots && facts.slots === facts.wanted
  return isRolled && facts.inPlace >= facts.wanted && facts.leaving === 0 && facts.isInForce ? 'finish' : 'wait'
}

/** The reload that runs, and those who wait for the next. */
export class Reloads {
  readonly #deps: ReloadDeps
  #running: Running | null = null
  /** Whoever asks while a reload runs gets the next one, all the same. */
  #queued: ReloadRequest[] = []
  #isOpen = false
  #lastNumber: number
  /** Outcomes since the start: what `daimyo_reloads_total` counts. */
  readonly outcomes = { ok: 0, failed: 0 }

  constructor(deps: ReloadDeps) {
    this.#deps = deps
    this.#lastNumber = deps.workers.target.base.number
  }

  get isRunning(): boolean {
    return this.#running !== null
  }

  /**
   * What it waits for, null: none runs. `inFlightOf`: what the proxies have at a worker; `wallMs`: now, by the wall
   * clock.
   */
  wait(inFlightOf: (workerId: number) => number, wallMs: number): ReloadWait | null {
    const running = this.#running
    if (running === null) return null
    const { workers, context } = this.#deps
    const onWall = (ms: number | null) => (ms === null ? null : wallMs + ms - context.nowMs())
    const { phase, next } = running
    const leaving = next === null ? workers.draining : workers.drainingFor(next)
    const { inPlace, wanted } = next === null ? { inPlace: 0, wanted: 0 } : this.#facts(running, next)
    return {
      phase,
      untilMs: onWall(running.soak?.overMs ?? (phase === 'canary' ? this.#canaryDeadline(next) : null)),
      leaving: leaving.map(({ address, life }) => ({
        slot: address.slot,
        phase: life.phase,
        inFlight: inFlightOf(address.workerId),
        untilMs: onWall(life.deadlineMs),
      })),
      inPlace,
      wanted,
    }
  }

  /** When the first new worker has to be ready, as far as one is there. */
  #canaryDeadline(next: Generation | null): number | null {
    const canary = this.#deps.workers.all().find(({ generation, life }) => {
      return generation === next && life.phase === 'booting'
    })
    return canary?.life.deadlineMs ?? null
  }

  /** From now on reloads run; before, the start has to succeed first. */
  open(): void {
    this.#isOpen = true
    this.#beginQueued()
  }

  /** Takes a request in; it is answered when its reload has happened or has failed. */
  request(request: ReloadRequest): void {
    this.#queued.push(request)
    if (this.#running !== null) request.progress('waiting for the reload that runs')
    this.#beginQueued()
  }

  /** The INI was read again. `release`: of its settings, where workers are to be started. */
  read(reading: Reading | Error, release: Release | null): void {
    const running = this.#running
    if (running === null || running.phase !== 'reading') return
    if (reading instanceof Error) {
      const lines = reading instanceof HookFailure ? reading.lines : []
      return this.#finish({ ok: false, reason: reasonOf(reading), lines })
    }
    for (const { place, message } of reading.remarks) this.#progress(`${place}: ${message}`)
    if (reading.settings === null || reading.mistakes.length > 0) {
      const lines = reading.mistakes.map(({ place, message }) => `${place}: ${message}`)
      return this.#finish({ ok: false, reason: 'the configuration is not valid', lines })
    }
    this.#startCanary(running, reading.settings, release)
  }

  /** A worker ended before it was ready. */
  bootFailed(failure: BootFailure): void {
    if (this.#running?.next?.number === failure.generation) this.#running.failure ??= failure
  }

  /** A worker is gone. What the new ones do while they are judged counts; later only what cannot come from outside. */
  workerGone(worker: WorkerHandle): void {
    const running = this.#running
    const { pid, slot } = worker.address
    if (worker.stays !== null)
      this.#progress(describeUnended({ pid, what: `a worker of slot ${slot}`, why: worker.stays }))
    if (running === null || worker.generation !== running.next || worker.life.readyMs === null) return
    const isRolling = running.phase === 'rolling'
    if (isRolling ? !worker.hasCrashed : !diedUnasked(worker.life)) return
    running.failure ??= worker.deathFailure(
      isRolling ? 'while the others were replaced' : 'before it had proven itself',
    )
  }

  /** When to look again although nothing happens. */
  get wakeAtMs(): number | null {
    return this.#running?.soak?.overMs ?? null
  }

  /** Takes as many steps as can be taken now. */
  check(): void {
    while (this.#running?.next) {
      if (this.#running.soak !== null) this.#judge(this.#running, this.#running.soak)
      const step = nextReloadStep(this.#facts(this.#running, this.#running.next))
      if (step === 'commit') this.#commit(this.#running, this.#running.next)
      else if (step === 'soak') this.#soak(this.#running, this.#running.next)
      else if (step === 'seek') this.#seek(this.#running)
      else if (step === 'finish') this.#succeed(this.#running, this.#running.next)
      else if (step === 'roll-back') this.#rollBack(this.#running)
      else return this.#tellMoved(this.#running)
    }
  }

  /** The tree stops: nobody waits for a reload any more. */
  close(why: string): void {
    this.#isOpen = false
    if (this.#running !== null) this.#finish({ ok: false, reason: `the master stops: ${why}`, lines: [] })
    const queued = this.#queued
    this.#queued = []
    for (const request of queued) request.done({ ok: false, reason: `the master stops: ${why}`, lines: [] })
  }

  #beginQueued(): void {
    if (!this.#isOpen || this.#running !== null || this.#queued.length === 0) return
    const { workers, readSettings, context } = this.#deps
    this.#running = {
      phase: 'reading',
      requests: this.#queued,
      before: workers.target,
      next: null,
      ignored: [],
      failure: null,
      moved: 0,
      soak: null,
    }
    const requests = this.#queued
    this.#queued = []
    const why = [...new Set(requests.map(request => request.why))].join(', ')
    context.log('reload-start', { generation: workers.target.base.number, why })
    const wanted: SettingsWanted = {
      scope: requests.every(({ scope }) => scope === 'workers') ? 'workers' : 'configuration',
      ifChanged: requests.every(({ ifChanged }) => ifChanged),
      inForce: workers.target.base.settings,
    }
    for (const notice of context.installation.look().notices) this.#progress(notice)
    this.#progress(wanted.scope === 'workers' ? 'the settings in force stay' : 'reading the configuration')
    Promise.resolve()
      .then(() => readSettings(wanted))
      .then(async reading => ({ reading, release: await this.#releaseOf(reading, wanted) }))
      .catch((error: unknown) => ({
        reading: error instanceof Error ? error : new Error(reasonOf(error)),
        release: null,
      }))
      .then(read => context.put({ type: 'reading', ...read }))
  }

  /** Null: no worker is to be started. */
  async #releaseOf({ settings, mistakes }: Reading, { inForce, ifChanged }: SettingsWanted): Promise<Release | null> {
    if (settings === null || mistakes.length > 0 || (ifChanged && meansTheSame(inForce, settings))) return null
    return await this.#deps.resolveRelease(settingsAfterReload(inForce, settings))
  }

  #startCanary(running: Running, read: Settings, release: Release | null): void {
    const { workers, context } = this.#deps
    const before = running.before.base.settings
    const changed = changedOptions(before, read)
    const ignored = changed.filter(({ takesEffect }) => takesEffect === 'restart').map(({ name }) => name)
    const settings = settingsAfterReload(before, read)
    for (const option of ignored) {
      context.log('reload-ignored', { option, why: 'needs-restart' })
      this.#progress(`${option} changed: needs a restart, ignored`)
    }
    if (release === null) {
      const { number } = running.before.base
      this.#progress(`generation ${number}: the configuration means the same as before`)
      return this.#finish({ ok: true, generation: number, ignored })
    }
    const next: Generation = {
      number: this.#lastNumber + 1,
      settings,
      release,
      portSite: running.before.base.portSite === 'late' ? 'late' : undefined,
    }
    this.#lastNumber = next.number
    const isFirstApp = workers.target.wanted === 0 && next.release.app !== null
    Object.assign(running, { phase: 'canary', next, ignored })
    workers.target = {
      wanted: isFirstApp ? 1 : workers.target.wanted,
      base: isFirstApp ? next : workers.target.base,
      target: next.release.app === null ? workers.target.target : next,
      move: { why: 'reload', atOnce: true, hold: 'linked' },
    }
    if (next.release.app !== null) this.#progress(`generation ${next.number}: starting one worker`)
  }

  #facts(running: Running, next: Generation): ReloadFacts {
    const { workers } = this.#deps
    const moved = workers.slots.filter(slot => slot.generation === next)
    return {
      phase: running.phase === 'reading' ? 'canary' : running.phase,
      failure: running.failure,
      isStatic: next.release.app === null,
      hasCanary: this.#canary(next) !== null,
      mustSoak: next.settings.soakMs > 0,
      isSoaked: running.soak === null,
      inPlace: moved.filter(slot => slot.current?.generation === next && workers.isInPlace(slot.current)).length,
      wanted: workers.target.wanted,
      slots: workers.slots.length,
      moved: moved.length,
      leaving: workers.drainingFor(next).length,
      isInForce: this.#deps.isInForce(),
    }
  }

  /** The first new worker that serves; while it soaks, a proxy that starts anew may not have linked it yet. */
  #canary(next: Generation): WorkerHandle | null {
    const { workers } = this.#deps
    const soaks = this.#running?.phase === 'soaking'
    const ofSlots = workers.slots.flatMap(({ current, replacement }) => [replacement, current])
    return (
      ofSlots.find(worker => {
        return worker?.generation === next && (soaks ? worker.life.phase === 'ready' : workers.isServing(worker))
      }) ?? null
    )
  }

  #soak(running: Running, next: Generation): void {
    const { workers, context, figuresOf } = this.#deps
    const { soakMs } = next.settings
    const canary = this.#canary(next)!.address.workerId
    const before = new Map(this.#others(next).map(workerId => [workerId, figuresOf(workerId)]))
    running.phase = 'soaking'
    running.soak = { canary, overMs: soakEnd(context.nowMs(), soakMs), before }
    workers.target = { ...workers.target, move: { ...workers.target.move, hold: 'ready' } }
    context.log('reload-soaking', { generation: next.number, soakMs })
    this.#progress(`generation ${next.number}: the first worker is ready and soaks for ${soakMs / 1000} s`)
  }

  /** The canary was taken away for a reason that is not its own, such as fewer workers wanted. */
  #seek(running: Running): void {
    const { workers } = this.#deps
    running.phase = 'canary'
    running.soak = null
    workers.target = { ...workers.target, move: { ...workers.target.move, hold: 'linked' } }
  }

  #judge(running: Running, soak: Soak): void {
    const { context, figuresOf } = this.#deps
    const old = figuresSince(soak.before, this.#others(running.next!), figuresOf)
    const verdict = judgeSoak(figuresOf(soak.canary), old, context.nowMs() >= soak.overMs)
    if (verdict === null) return
    running.soak = null
    if (verdict.type === 'passed') return this.#progress(`generation ${running.next!.number}: soaked: ${verdict.text}`)
    running.failure ??= this.#deps.workers.find(soak.canary)?.judgement(verdict.reason) ?? null
  }

  /** The workers that serve and are not of the new generation. */
  #others(next: Generation): number[] {
    const others = this.#deps.workers.all().filter(({ generation, life }) => {
      return generation !== next && life.phase === 'ready'
    })
    return others.map(({ address }) => address.workerId)
  }

  /** The canary has proven itself: the new settings are in force, for the proxies too. */
  #commit(running: Running, next: Generation): void {
    const { workers, apply } = this.#deps
    running.phase = 'rolling'
    const wanted = this.#wantedAfter(running.before, next)
    workers.target = { wanted, base: next, target: next, move: { why: 'reload', atOnce: true, hold: 'none' } }
    apply(next)
  }

  /** What TTIN and TTOU made of the number stays, unless the INI has another one now. */
  #wantedAfter(before: WorkersTarget, { settings, release }: Generation): number {
    if (release.app === null) return 0
    const isSame = before.wanted > 0 && before.base.settings.processes === settings.processes
    // It slept, and goes on sleeping now that its new generation has proved itself.
    if (before.wanted === 0 && before.base.release.app !== null) return 0
    return isSame ? this.#deps.workers.target.wanted : workersAtFirst(settings)
  }

  #succeed(running: Running, next: Generation): void {
    this.#tellMoved(running)
    this.#finish({ ok: true, generation: next.number, ignored: running.ignored })
  }

  #rollBack(running: Running): void {
    const { workers, apply } = this.#deps
    const { failure, before } = running
    const isCommitted = running.phase === 'rolling'
    if (isCommitted) apply(before.base)
    const wanted = isCommitted || before.wanted === 0 ? before.wanted : workers.target.wanted
    workers.target = { ...before, wanted, move: { why: 'rollback', atOnce: false, hold: 'none' } }
    const reason = failure === null ? 'failed' : `slot ${failure.slot}: ${failure.reason}`
    this.#finish({ ok: false, reason, lines: failure?.lines ?? [] })
  }

  #tellMoved(running: Running): void {
    if (running.next === null) return
    const { number, settings } = running.next
    const { moved, inPlace, slots } = this.#facts(running, running.next)
    if (inPlace <= running.moved) return
    running.moved = inPlace
    const what = settings.lazy ? 'ready or waiting' : 'ready'
    this.#progress(`generation ${number}: ${Math.min(moved, inPlace)} of ${slots} workers ${what}`)
  }

  #finish(outcome: ReloadOutcome): void {
    const running = this.#running
    if (running === null) return
    this.#running = null
    this.#report(outcome)
    for (const request of running.requests) request.done(outcome)
    // In its own event: whoever was just answered sees a master at rest, or the next reload, never a half of both.
    setImmediate(() => this.#beginQueued())
  }

  #report(outcome: ReloadOutcome): void {
    const { log } = this.#deps.context
    if (outcome.ok) {
      this.outcomes.ok++
      log('reload-done', { generation: outcome.generation })
      return
    }
    this.outcomes.failed++
    log('reload-failed', { generation: this.#deps.workers.target.base.number, why: outcome.reason })
    for (const line of outcome.lines) log('reload-failed-line', { text: line })
  }

  #progress(text: string): void {
    for (const request of this.#running?.requests ?? []) request.progress(text)
  }
}
