/**
 * The running tree from the moment at which the listeners are open: listeners, proxies, workers and their figures. It
 * hands each event to the part that owns it. Then each part compares the actual state with the desired one.
 */

import type { ProxyToMaster } from '../../kit/channel/messages.js'
import { reasonOf } from '../../kit/ground/failure.js'
import { sharedMs } from '../../kit/ground/shared-clock.js'
import { AttachedProcesses } from '../attached/attached-processes.js'
import { AssetGrace } from '../child/asset-grace.js'
import type { Generation, MasterContext } from '../child/master-context.js'
import type { Release } from '../child/release.js'
import { movedTask } from '../child/start-obstacle.js'
import type { Settings } from '../config/values/settings.js'
import { ProcessUsage, type UsageOptions } from '../host/process-usage.js'
import type { Listener } from '../listen/listeners.js'
import { InFlightSurvey } from '../proxies/in-flight-survey.js'
import { Proxies } from '../proxies/proxies.js'
import type { ProxyHandle, ProxyOutput } from '../proxies/proxy-handle.js'
import { nextProxyLookMs } from '../proxies/proxy-phase.js'
import { proxySettings } from '../proxies/proxy-settings.js'
import { PathWatch, type WatchedPath, watchedPaths } from '../reload/path-watch.js'
import { type ReloadDeps, type ReloadRequest, Reloads } from '../reload/reload.js'
import { MemoryWatch } from '../workers/memory-watch.js'
import { RepeatedEnds } from '../workers/repeated-ends.js'
import { Scaler, workersAtStart } from '../workers/scaler.js'
import { nextLookMs } from '../workers/worker-life.js'
import { WorkerLoads } from '../workers/worker-loads.js'
import { Workers } from '../workers/workers.js'
import type { MasterEvent, TreeEvent } from './master-events.js'
import { unendedProcesses } from './master-status.js'
import { MetricsAnswers } from './metrics-answers.js'
import { MetricsState } from './metrics-state.js'
import { Orders } from './orders.js'

/** Why a start is not complete. `arePrinted`: the child itself printed the lines, to the output of all children. */
export interface StartFailure {
  reason: string
  lines: string[]
  arePrinted: boolean
}

/** The outside world of the tree, besides the context. */
export interface TreeDeps {
  readSettings: ReloadDeps['readSettings']
  resolveRelease: ReloadDeps['resolveRelease']
  renderMetrics: () => string | Promise<string>
  proxyStdout: ProxyOutput
  usage: UsageOptions
  /**
   * Reopens the logs of the master and of the proxies. Resolves with the reason why the master's could not be opened,
   * or null.
   */
  reopenLogs(): Promise<string | null>
  /** A worker did not become ready, or a proxy gave up before any worked: a reason to end an incomplete start. */
  startFailed(what: string, failure: StartFailure): void
  /** The settings of the generation are in force: its first worker serves. */
  served(generation: Generation): void
  /** A worker of slot 1 has become ready, with `ready-check` too. */
  accepting(settings: Settings): void
}

/** Everything that one start has created. */
export class ProcessTree {
  readonly listeners: readonly Listener[]
  readonly proxies: Proxies
  readonly workers: Workers
  readonly reloads: Reloads
  readonly scaler: Scaler
  readonly orders: Orders
  readonly attached: AttachedProcesses
  readonly usage: ProcessUsage
  readonly survey = new InFlightSurvey()
  readonly watch: PathWatch
  readonly loads = new WorkerLoads(workerId => this.workers.find(workerId) !== undefined)
  readonly metrics = new MetricsState()
  readonly #memory: MemoryWatch
  readonly #context: MasterContext<MasterEvent>
  readonly #deps: TreeDeps
  readonly #grace = new AssetGrace()
  readonly #answers: MetricsAnswers
  /** The release that was tried last in place of a missing one. */
  #followed: Release | null = null
  #isFollowing = false
  /** The settings in force: a successful reload has changed them. */
  settings: Settings

  constructor(
    listeners: readonly Listener[],
    generation: Generation,
    context: MasterContext<MasterEvent>,
    deps: TreeDeps,
  ) {
    this.listeners = listeners
    this.settings = generation.settings
    this.#context = context
    this.#deps = deps
    this.#answers = new MetricsAnswers(deps.renderMetrics, error =>
      context.log('metrics-failed', { why: reasonOf(error) }),
    )
    this.proxies = this.#makeProxies(generation)
    this.workers = this.#makeWorkers(generation)
    this.reloads = new Reloads({
      context,
      workers: this.workers,
      readSettings: deps.readSettings,
      resolveRelease: deps.resolveRelease,
      apply: next => this.#apply(next),
      isInForce: () => this.proxies.areInStep,
      figuresOf: workerId => this.loads.of(workerId),
    })
    this.attached = new AttachedProcesses(generation.settings, context)
    this.usage = new ProcessUsage(() => this.#childPids(), {
      ...deps.usage,
      onRound: () => context.put({ type: 'usage' }),
    })
    this.#memory = new MemoryWatch(context, this.workers, this.usage)
    this.scaler = new Scaler(context, this)
    this.orders = new Orders(context, this.workers, this.proxies, this.scaler, deps.reopenLogs)
    const { credentials } = generation.settings
    const changed = (watched: WatchedPath) => context.put({ type: 'touched', watched })
    this.watch = new PathWatch({ credentials, pipes: context.pipes, log: context.log, changed })
    this.watch.watch(watchedPaths(generation.settings))
  }

  /** Every proxy accepts, and the worker of every slot is linked or waits for its first request. */
  get isWhole(): boolean {
    const { workers, proxies } = this
    const inPlace = workers.slots.filter(slot => workers.isInPlace(slot.current)).length
    return proxies.areListening && inPlace >= workers.target.wanted
  }

  /** Handles one event. */
  take(event: TreeEvent): void {
    const { workers, proxies, reloads } = this
    switch (event.type) {
      case 'worker':
        return workers.apply(event.worker, event.event)
      case 'worker-message':
        return workers.take(event.worker, event.message)
      case 'worker-exit':
        return workers.exit(event.worker, event.end)
      case 'worker-ended':
        return workers.endedLate(event.worker, event.code, event.signal)
      case 'proxy-ended':
        return proxies.endedLate(event.proxy, event.code, event.signal)
      case 'proxy':
        return proxies.apply(event.proxy, event.event)
      case 'proxy-message':
        return this.#hear(event.proxy, event.message)
      case 'reload':
        return reloads.request(event.request)
      case 'order':
        return this.orders.request(event.request)
      case 'reading':
        // The files of a refused configuration are watched too: a reload must follow when the mistake is fixed.
        if ('files' in event.reading) this.watch.watch(watchedPaths(this.settings, event.reading.files))
        return reloads.read(event.reading, event.release)
      case 'usage':
        this.#context.oomKills.look()
        this.#context.keepRunFolder()
        workers.replaceUnreachable()
        return this.#memory.look(this.settings.memoryReport)
      case 'touched':
        return this.#touched(event.watched)
      case 'tick':
        workers.replaceUnreachable(true)
        for (const worker of workers.all()) workers.apply(worker, { type: 'tick' })
        for (const proxy of proxies.alive()) proxies.apply(proxy, { type: 'tick' })
    }
  }

  /** Compares the actual state with the desired one; returns the times at which to look again if nothing happens. */
  reconcile(): (number | null)[] {
    const { workers, proxies, reloads } = this
    // A canary that failed moves the target back before its slot is filled: otherwise a second canary would start only
    // to be stopped.
    reloads.check()
    workers.reconcile()
    // A reload may have moved the target, and then there is more to do.
    reloads.check()
    this.orders.check()
    const waits = [this.scaler.check(), workers.reconcile(), proxies.reconcile(), reloads.wakeAtMs]
    waits.push(...this.attached.check())
    for (const { life } of workers.all()) waits.push(nextLookMs(life))
    for (const { life } of proxies.alive()) waits.push(nextProxyLookMs(life))
    return waits
  }

  #makeProxies(generation: Generation): Proxies {
    const { settings } = generation
    const options = {
      count: settings.httpProcesses,
      listeners: this.listeners,
      credentials: settings.credentials,
      startFolder: settings.startFolder,
      settings: proxySettings(generation, this.#grace.enter(generation, sharedMs())),
      names: settings.processNames,
      stdout: this.#deps.proxyStdout,
    }
    return new Proxies(options, this.#context, {
      rotation: () => this.workers.rotation(),
      gone: proxy => {
        this.loads.proxyGone(proxy.proxyId)
        this.workers.proxyGone(proxy.proxyId)
      },
      startFailed: (proxyId, reason, lines) =>
        this.#deps.startFailed(`proxy ${proxyId}`, { reason, lines, arePrinted: true }),
    })
  }

  #makeWorkers(generation: Generation): Workers {
    const wanted = workersAtStart(generation)
    const target = {
      wanted,
      base: generation,
      target: generation,
      move: { why: 'reload', atOnce: true, hold: 'none' as const },
    }
    const startEnds = new RepeatedEnds()
    const workers: Workers = new Workers(target, this.#context, this.proxies, {
      bootFailed: failure => {
        this.#deps.startFailed('the application', failure)
        this.reloads.bootFailed(failure)
        this.orders.bootFailed(failure)
        this.#follow(failure.generation)
      },
      ready: ({ address }) => {
        if (address.slot === 1) this.#deps.accepting(this.settings)
      },
      gone: worker => {
        const failure = startEnds.ended(worker, 'start')
        // It counts during the start only.
        if (failure !== null) this.#deps.startFailed('the application', failure)
        this.reloads.workerGone(worker)
        this.loads.workerGone(worker.address.workerId)
        this.metrics.gone(worker, this.usage)
      },
    })
    return workers
  }

  /**
   * The release of the workers is gone, and the settings lead to another one. Without a reload, one slot after the
   * other would become empty. Each release is tried only once: a second try would fail in the same way.
   */
  #follow(number: number): void {
    const { base } = this.workers.target
    if (number !== base.number || this.reloads.isRunning || this.#isFollowing) return
    this.#isFollowing = true
    const { settings, release } = base
    const options = { credentials: settings.credentials, what: 'cannot look for the release' }
    const looked = this.#context.tasks.run(movedTask, { number, settings, release }, options)
    // An error counts as no new release. The next failure starts another lookup.
    void looked
      .catch(() => null)
      .then(moved => {
        this.#isFollowing = false
        if (moved !== null && number === this.workers.target.base.number && !this.reloads.isRunning) this.#turnTo(moved)
      })
  }

  #turnTo(moved: Release): void {
    if (moved.chdir === this.#followed?.chdir && moved.app === this.#followed.app) return
    this.#followed = moved
    const request: ReloadRequest = { why: 'release-gone', scope: 'workers', progress: () => {}, done: () => {} }
    this.#context.put({ type: 'reload', request })
  }

  #hear(proxy: ProxyHandle, message: ProxyToMaster): void {
    this.proxies.apply(proxy, { type: 'heard' })
    switch (message.type) {
      case 'worker-linked':
        return this.workers.linked(message.workerId, proxy.proxyId)
      case 'worker-drained':
        return this.workers.left(message.workerId, proxy.proxyId, { requests: false, tunnels: false })
      case 'worker-draining':
        return this.workers.left(message.workerId, proxy.proxyId, message)
      case 'worker-blocked': {
        const { type: _, workerId, ...loop } = message
        return this.workers.blocked(workerId, { type: 'blocked', loop })
      }
      case 'link-broken':
        return this.workers.brokeLink(message.workerId, message.why)
      case 'metrics':
        this.loads.update(proxy.proxyId, message.workers, this.#context.nowMs(), message.queued)
        return proxy.budget.spendWork(this.#context.metrics.update(proxy.sourceId, message.families, 'proxy'))
      case 'in-flight':
        return this.survey.take(proxy.proxyId, message.requestId, message.requests)
      case 'worker-wanted':
        this.workers.loadOne()
        return this.scaler.wake()
      case 'metrics-wanted':
        return this.#answers.ask(proxy, message.requestId)
      default:
        return this.proxies.take(proxy, message)
    }
  }

  #touched({ option, path }: WatchedPath): void {
    this.#context.log('touched', { option, path })
    this.reloads.request({
      why: option,
      scope: option === 'touch-workers-reload' || option === 'touch-chain-reload' ? 'workers' : 'configuration',
      ifChanged: option === 'ini-reload',
      progress: () => {},
      done: () => {},
    })
  }

  #apply(generation: Generation): void {
    this.settings = generation.settings
    this.attached.apply(generation.settings)
    this.#deps.served(generation)
    this.watch.watch(watchedPaths(generation.settings))
    this.proxies.change(proxySettings(generation, this.#grace.enter(generation, sharedMs())))
  }

  #childPids(): number[] {
    const living = [...this.workers.all(), ...this.proxies.alive()].flatMap(({ pid }) => (pid === null ? [] : [pid]))
    return [...living, ...unendedProcesses(this).map(({ pid }) => pid)]
  }
}
