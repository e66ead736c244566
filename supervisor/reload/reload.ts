/**
 * Reloads, one at a time. `check` runs after every event.
 *
 *     reading → canary → soaking → rolling → done
 *         └────────┴─────────┴─────────┴→ rolled back
 *
 * A reload moves the target of the workers to a new generation; the slots do the rest. The first new worker that all
 * proxies have linked is the canary. It serves beside the old workers while it soaks (`soak.ts`); then the new settings
 * are in force. If a worker of the new generation is not ready in time, or dies by itself, the target goes back. What
 * must stay true: until a reload is done, the generation before it is known completely, and none of its workers was
 * given up before a new worker took its place.
 */

import { reasonOf } from '../../kit/ground/failure.js'
import { describeUnended } from '../../kit/process/tracers.js'
import { HookFailure } from '../attached/hooks.js'
import type { Generation, MasterContext, PlainEvent } from '../child/master-context.js'
import type { Release } from '../child/release.js'
import { changedOptions, meansTheSame, settingsAfterReload } from '../config/changed-options.js'
import type { Reading, Settings } from '../config/values/settings.js'
import { workersAtFirst } from '../workers/cheaper.js'
import { RepeatedEnds } from '../workers/repeated-ends.js'
import type { BootFailure, WorkerHandle } from '../workers/worker-handle.js'
import { diedUnasked } from '../workers/worker-life.js'
import type { ResponseFigures } from '../workers/worker-loads.js'
import type { Workers, WorkersTarget } from '../workers/workers.js'
import type { ReloadWait } from './reload-wait.js'
import { figuresSince, judgeSoak, type Soak, soakEnd } from './soak.js'

/** Events of reloads in the queue of the master. */
export type ReloadEvent =
  | PlainEvent
  | { type: 'reload'; request: ReloadRequest }
  | { type: 'reading'; reading: Reading | Error; release: Release | null }

/**
 * A request for a reload, whose sender may wait for it. `why` is for the log: a signal, `command`, or the option that
 * watches a path.
 */
export interface ReloadRequest {
  why: string
  /** `workers`: new workers with the settings in force; the configuration is not read. */
  scope: 'configuration' | 'workers'
  /** No worker is replaced if the configuration means the same as before. */
  ifChanged?: boolean
  progress(text: string): void
  done(outcome: ReloadOutcome): void
}

/** The source of a reload's settings: the configuration read again, or the settings in force. */
export type SettingsWanted = Pick<ReloadRequest, 'scope' | 'ifChanged'> & { inForce: Settings }

/** How a reload ended. `ignored`: changes that need a restart, by option name. */
export type ReloadOutcome =
  | { ok: true; generation: number; ignored: string[] }
  | { ok: false; reason: string; lines: string[] }

/** The outside world of reloads. */
export interface ReloadDeps {
  context: MasterContext<ReloadEvent>
  workers: Workers
  /** Reads the configuration if wanted, and prepares what the new settings need. */
  readSettings: (wanted: SettingsWanted) => Reading | Promise<Reading>
  /** The release that the settings lead to now; rejects with the reason if there is none. */
  resolveRelease: (settings: Settings) => Promise<Release>
  /** Puts a generation's settings into force: in the proxies, and for the deadlines of the master. */
  apply(generation: Generation): void
  /** The proxies use the settings that were applied last. */
  isInForce(): boolean
  /** Counts and times of a worker's responses, as the proxies see them. */
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
  /** Of workers of the new generation. */
  ends: RepeatedEnds
}

/** The facts that decide the next step of a reload. */
export interface ReloadFacts {
  phase: 'canary' | 'soaking' | 'rolling'
  failure: BootFailure | null
  /** The new generation has no application, so there is nothing to prove. */
  isStatic: boolean
  /** `hasCanary`: a new worker serves, perhaps beside the one that it replaces. It must soak, and has soaked. */
  hasCanary: boolean
  mustSoak: boolean
  isSoaked: boolean
  /** Slots of the new generation whose worker serves or waits for its first request, and the number of wanted slots. */
  inPlace: number
  wanted: number
  /** All slots, and the slots of the new generation. */
  slots: number
  moved: number
  /** Workers of other generations that still finish their requests. */
  leaving: number
  /** All proxies use the new settings. */
  isInForce: boolean
}

/** The next step. Pure. */
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

/** The running reload, and the requests for the next one. */
export class Reloads {
  readonly #deps: ReloadDeps
  #running: Running | null = null
  /** All requests that come while a reload runs share the next one. */
  #queued: ReloadRequest[] = []
  #isOpen = false
  #lastNumber: number
  /** Outcomes since the start, for `daimyo_reloads_total`. */
  readonly outcomes = { ok: 0, failed: 0 }

  constructor(deps: ReloadDeps) {
    this.#deps = deps
    this.#lastNumber = deps.workers.target.base.number
  }

  get isRunning(): boolean {
    return this.#running !== null
  }

  /**
   * What the running reload waits for. Null: none runs. `inFlightOf`: the proxies' requests in flight at a worker.
   * `wallMs`: the present time by the wall clock.
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

  /** When the first new worker has to be ready, if there is one. */
  #canaryDeadline(next: Generation | null): number | null {
    const canary = this.#deps.workers.all().find(({ generation, life }) => {
      return generation === next && life.phase === 'booting'
    })
    return canary?.life.deadlineMs ?? null
  }

  /** Reloads may run from now on: the start has succeeded. */
  open(): void {
    this.#isOpen = true
    this.#beginQueued()
  }

  /** Takes a request. Its sender gets an answer when the reload is done or has failed. */
  request(request: ReloadRequest): void {
    this.#queued.push(request)
    if (this.#running !== null) request.progress('waiting for the running reload')
    this.#beginQueued()
  }

  /** The INI was read again. `release`: the release of its settings, if workers have to start. */
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

  /**
   * A worker has ended. While the new workers are judged, every unasked end of one counts. Later only crashes count,
   * not ends with an outside cause.
   */
  workerGone(worker: WorkerHandle): void {
    const running = this.#running
    const { pid, slot } = worker.address
    if (worker.stays !== null)
      this.#progress(describeUnended({ pid, what: `a worker of slot ${slot}`, why: worker.stays }))
    if (running === null || worker.generation !== running.next) return
    running.failure ??= running.ends.ended(worker, 'reload')
    if (worker.life.readyMs === null) return
    const isRolling = running.phase === 'rolling'
    if (isRolling ? !worker.hasCrashed : !diedUnasked(worker.life)) return
    running.failure ??= worker.deathFailure(
      isRolling ? 'while the others were replaced' : 'before it had proven itself',
    )
  }

  /** When to look again if nothing happens. */
  get wakeAtMs(): number | null {
    return this.#running?.soak?.overMs ?? null
  }

  /** Takes as many steps as are possible now. */
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

  /** The tree stops: each waiting request gets its answer. */
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
      ends: new RepeatedEnds(),
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

  /** Null: no worker has to start. */
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

  /**
   * The first new worker that serves. During the soak a ready worker is enough: a proxy that has just started may not
   * have linked it yet.
   */
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

  /**
   * The canary was removed for an outside reason, such as fewer wanted workers. The next new worker becomes the canary.
   */
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

  /** Workers that serve and belong to another generation. */
  #others(next: Generation): number[] {
    const others = this.#deps.workers.all().filter(({ generation, life }) => {
      return generation !== next && life.phase === 'ready'
    })
    return others.map(({ address }) => address.workerId)
  }

  /** The canary has proved itself: the new settings come into force, for the proxies too. */
  #commit(running: Running, next: Generation): void {
    const { workers, apply } = this.#deps
    running.phase = 'rolling'
    const wanted = this.#wantedAfter(running.before, next)
    workers.target = { wanted, base: next, target: next, move: { why: 'reload', atOnce: true, hold: 'none' } }
    apply(next)
  }

  /** A number that TTIN and TTOU have changed stays, unless the INI has a new number. */
  #wantedAfter(before: WorkersTarget, { settings, release }: Generation): number {
    if (release.app === null) return 0
    const isSame = before.wanted > 0 && before.base.settings.processes === settings.processes
    // No worker was wanted before (`idle`, `cheap`). The new generation has proved itself, so again none is wanted.
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
    // The next reload begins in an event of its own: a client that has just got its answer sees a master at rest or the
    // next reload, never a mix of both.
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
