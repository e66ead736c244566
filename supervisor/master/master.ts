/**
 * The master owns the listening sockets, the proxies and the workers, and keeps their deadlines. `run-command.ts`
 * composes and starts it; everything outside comes in through `MasterDeps`.
 *
 * Signals, messages, exits and deadlines only queue an event. The loop takes one event, and the part that owns it
 * handles it. Then the master compares the actual state with the wanted one. What must stay true: the master reads no
 * byte of a public client, runs no application code, never waits in the loop, and leaves no child behind when
 * `finished` resolves.
 */

import type { InFlightRequest } from '../../kit/channel/messages.js'
import { EXIT, Failure } from '../../kit/ground/failure.js'
import { RunningClock } from '../../kit/ground/running-clock.js'
import type { Log } from '../../kit/log/log.js'
import type { UnendedProcess } from '../../kit/process/tracers.js'
import { HookPoints } from '../attached/hook-points.js'
import { HookFailure } from '../attached/hooks.js'
import { PROXY_ENTRY, WORKER_ENTRY } from '../child/child-programs.js'
import type { MasterContext, MetricsSink } from '../child/master-context.js'
import { type Release, releaseTask } from '../child/release.js'
import { HERE, type Tasks } from '../child/task-children.js'
import { meansTheSame } from '../config/changed-options.js'
import type { Reading, Settings } from '../config/values/settings.js'
import type { StatusReport } from '../control/control-protocol.js'
import type { ClockFinding } from '../host/clock-findings.js'
import { ClockWatch } from '../host/clock-watch.js'
import { type Installation, NOTHING_CHANGED } from '../host/installation.js'
import { type CountKills, OomKills } from '../host/oom-kills.js'
import type { UsageOptions } from '../host/process-usage.js'
import type { PassedSockets } from '../listen/inherited-sockets.js'
import { demandInherited, openListeners, publicPortOf, socketAccess } from '../listen/listeners.js'
import { NOTHING_PASSED } from '../listen/socket-activation.js'
import { OutputGate, type OutputSink } from '../log/output-lines.js'
import type { MasterMetricsState } from '../metrics/master-families.js'
import type { ProxyOutput } from '../proxies/proxy-handle.js'
import { PROXY_SILENT_MS } from '../proxies/proxy-phase.js'
import type { ReloadOutcome, SettingsWanted } from '../reload/reload.js'
import { describeReloadWait } from '../reload/reload-wait.js'
import type { Pipes } from '../user/pipes.js'
import { Alarm } from './alarm.js'
import { deferred } from './deferred.js'
import { EventQueue } from './event-queue.js'
import type { MasterEvent } from './master-events.js'
import { proxyReports, unendedProcesses, urlsOf, workerReports } from './master-status.js'
import type { Order, OrderOutcome } from './orders.js'
import { ProcessTree, type StartFailure } from './process-tree.js'
import { Shutdown } from './shutdown.js'
import { listenToSignals, type SignalEvent, type SignalSource } from './signals.js'
import { removeSocketBy } from './socket-removal.js'

/** The world outside. Production leaves the optional members out and gets their defaults. */
export interface MasterDeps {
  settings: Settings
  readSettings: () => Reading | Promise<Reading>
  /** Work in folders of the service's user. */
  tasks?: Tasks
  log: Log
  /** Output of the workers. */
  output: OutputSink
  /** Pipes of the children. */
  pipes: Pipes
  /** Reopens the master's own logs (SIGUSR1). Resolves with null, or with the reason why it failed. */
  reopenLogs: (move?: () => Promise<void>) => Promise<string | null>
  /** Restores the parts of the run folder that were removed. */
  keepRunFolder?: () => void
  metrics: MetricsSink
  /** The text of `/metrics`, for proxies that serve it. */
  renderMetrics: () => string | Promise<string>
  version: string
  /** The URL of the metrics endpoint. Null: it does not listen yet. */
  metricsUrl?: () => string | null
  environment?: NodeJS.ProcessEnv
  /** Sockets of systemd. */
  passed?: PassedSockets
  signals?: SignalSource
  nowMs?: () => number
  /** How long a ready worker may be without a link from every proxy. */
  linkMs?: number
  /** How long a proxy that accepts may be silent. */
  proxySilentMs?: number
  backOffShare?: number
  /** How the kernel's OOM kills are counted. */
  countOomKills?: CountKills
  /** How the memory of the children is read. */
  usage?: UsageOptions
  /** Where a proxy's access lines go when no log file is set. */
  proxyStdout?: ProxyOutput
  entries?: { worker: string; proxy: string }
  installation?: Pick<Installation, 'look'>
}

/** A link is a connect on the same machine. A proxy without a link after this time hangs. */
const LINK_MS = 10_000

/**
 * A proxy inherits our standard output only if it runs as our user. Another user could read root's terminal, or
 * overwrite root's file.
 */
function proxyOutput({ logto, credentials }: Settings): ProxyOutput {
  if (logto !== null) return 'ignore'
  return credentials === null ? 'inherit' : 'pipe'
}

/** One life: started once, stopped once. */
export class Master {
  readonly #deps: MasterDeps
  readonly #context: MasterContext<MasterEvent>
  readonly #queue: EventQueue<MasterEvent>
  readonly #alarm: Alarm
  readonly #started = deferred<void>()
  readonly #finished = deferred<number>()
  readonly #bornMs: number
  readonly #clock = new RunningClock()
  readonly #clockWatch = new ClockWatch(this.#clock, finding => this.#found(finding))
  /**
   * The start of the master by the wall clock as it is set now. It is stored, so that every report shows the same time.
   */
  #startedMs = Date.now()
  readonly #hooks: HookPoints
  #endSignals: () => void = () => {}
  #tree: ProcessTree | null = null
  #isStarted = false
  #shutdown: Shutdown | null = null
  #left: UnendedProcess[] = []
  /** Why the start failed. */
  #failure: Failure | null = null

  constructor(deps: MasterDeps) {
    this.#deps = deps
    const nowMs = deps.nowMs ?? this.#clock.now
    this.#bornMs = nowMs()
    this.#queue = new EventQueue(
      event => this.#take(event),
      () => this.#settle(),
    )
    this.#alarm = new Alarm(nowMs, () => this.#queue.put({ type: 'tick' }))
    this.#context = {
      nowMs,
      linkMs: deps.linkMs ?? LINK_MS,
      proxySilentMs: deps.proxySilentMs ?? PROXY_SILENT_MS,
      oomKills: new OomKills(deps.countOomKills),
      backOffShare: deps.backOffShare ?? 1,
      log: deps.log,
      put: this.#queue.put,
      keepRunFolder: deps.keepRunFolder ?? (() => {}),
      gate: new OutputGate(deps.output),
      pipes: deps.pipes,
      tasks: deps.tasks ?? HERE,
      metrics: deps.metrics,
      environment: deps.environment ?? process.env,
      installation: deps.installation ?? { look: () => NOTHING_CHANGED },
      publicPort: null,
      workerEntry: deps.entries?.worker ?? WORKER_ENTRY,
      proxyEntry: deps.entries?.proxy ?? PROXY_ENTRY,
    }
    this.#hooks = new HookPoints(this.#context)
  }

  /**
   * Opens the listeners and starts the tree. Resolves when all proxies accept and all workers are linked (without an
   * application: when all proxies accept). If the start fails, it cleans up and rejects with a Failure.
   */
  async start(): Promise<void> {
    const signals = this.#deps.signals ?? process
    this.#endSignals = listenToSignals(signals, (signal, event) => this.#queue.put({ type: 'signal', signal, event }))
    this.#clockWatch.start()
    try {
      this.#tree = await this.#plant()
    } catch (error) {
      this.#endSignals()
      this.#clockWatch.stop()
      const failure = this.#shutdown === null ? startFailure(error) : interrupted(this.#shutdown.why)
      this.#finished.resolve(failure instanceof Failure ? failure.exitCode : EXIT.software)
      throw failure
    }
    this.#queue.put({ type: 'tick' })
    return this.#started.promise
  }

  /**
   * Requests a reload, which runs after those that were requested before. `progress` gets a line for each step. `why`
   * is for the log.
   */
  reload(progress: (text: string) => void, why = 'command'): Promise<ReloadOutcome> {
    return new Promise(done => {
      this.#queue.put({ type: 'reload', request: { why, scope: 'configuration', progress, done } })
    })
  }

  /** What the running reload waits for. `daimyo reload` prints it. */
  reloadWait(): string {
    const tree = this.#tree
    return describeReloadWait(tree?.reloads.wait(workerId => tree.loads.of(workerId).inFlight, Date.now()) ?? null)
  }

  /** An operator's order to the running tree; resolves when it is done or has failed. */
  order(order: Order, progress: (text: string) => void): Promise<OrderOutcome> {
    if (order.type === 'reopen-logs' && (this.#tree === null || this.#shutdown !== null)) {
      // The log is reopened at once: an operator who has moved the file need not wait for the end of a long start, and
      // a long stop must not go on writing to the moved file.
      return this.reopenLogs().then(why => (why === null ? { ok: true } : { ok: false, reason: why, lines: [] }))
    }
    return new Promise(done => this.#queue.put({ type: 'order', request: { order, progress, done } }))
  }

  /** Drains, stops and resolves when everything is gone; `why` is for the log. */
  async stop(why: string): Promise<void> {
    this.#queue.put({ type: 'stop', why })
    await this.finished
  }

  /** A letter of the master FIFO: the same as a signal. */
  signal(name: string, event: SignalEvent): void {
    this.#queue.put({ type: 'signal', signal: name, event })
  }

  /** The exit code, once everything is gone. */
  get finished(): Promise<number> {
    return this.#finished.promise
  }

  /**
   * The work of SIGUSR1. `move`: work that comes first. Resolves with the reason why the log could not be opened, or
   * null. Never rejects.
   */
  async reopenLogs(move?: () => Promise<void>): Promise<string | null> {
    const why = await this.#deps.reopenLogs(move)
    // The logs of the proxies may be other files.
    if (why === null || move === undefined) this.#tree?.proxies.reopenLogs()
    if (why === null) this.#context.log('logs-reopened')
    return why
  }

  /** Processes that SIGKILL does not end; after the end of the master, those that still exist. */
  get unended(): UnendedProcess[] {
    return this.#tree === null ? this.#left : unendedProcesses(this.#tree)
  }

  /** The report on everything that runs now. */
  status(): StatusReport {
    const tree = this.#tree
    const nowMs = this.#context.nowMs()
    const epochMs = Date.now()
    const sources = tree && { ...this.#known(tree), nowMs, epochMs }
    return {
      version: this.#deps.version,
      pid: process.pid,
      generation: tree?.workers.target.base.number ?? 0,
      sinceMs: this.#startedMs,
      iniPath: this.#deps.settings.iniPath,
      iniSection: this.#deps.settings.iniSection,
      urls: urlsOf(tree?.listeners ?? []),
      metricsUrl: this.#deps.metricsUrl?.() ?? null,
      wanted: tree?.workers.target.wanted ?? 0,
      stopping: this.#shutdown !== null,
      reloading: tree?.reloads.isRunning ?? false,
      paused: tree?.proxies.arePaused ?? false,
      restart: this.#context.installation.look().notices,
      workers: sources === null ? [] : workerReports(sources),
      proxies: sources === null ? [] : proxyReports(sources),
      ...(this.unended.length > 0 && { unended: this.unended }),
    }
  }

  /** How many ready workers answered a proxy within the last `withinMs`. */
  answering(withinMs: number): number {
    const tree = this.#tree
    if (tree === null) return 0
    const nowMs = this.#context.nowMs()
    const ready = tree.workers.all().filter(worker => worker.life.phase === 'ready')
    return ready.filter(worker => tree.loads.answers(worker.address.workerId, nowMs, withinMs)).length
  }

  /** The oldest requests without a response. */
  async inFlight(): Promise<InFlightRequest[]> {
    return (await this.#tree?.survey.ask(this.#tree.proxies.alive())) ?? []
  }

  /** What `masterFamilies` prints; null before the start and after the end. */
  metricsState(): MasterMetricsState | null {
    if (this.#tree === null) return null
    const facts = { version: this.#deps.version, startedMs: this.#startedMs, reloads: this.#tree.reloads.outcomes }
    return this.#tree.metrics.state(facts, this.#known(this.#tree))
  }

  /**
   * The clock was stepped or stood still. No process is killed for that. Work that the wall clock makes due (cron) runs
   * now.
   */
  #found(finding: ClockFinding): void {
    const { event, ...fields } = finding
    if (finding.event === 'clock-stepped')
      this.#startedMs += finding.direction === 'forward' ? finding.stepMs : -finding.stepMs
    this.#context.log(event, fields)
    this.#queue.put({ type: 'tick' })
  }

  #known({
    workers,
    proxies,
    usage,
    loads,
  }: ProcessTree): Pick<ProcessTree, 'workers' | 'proxies' | 'usage' | 'loads'> {
    return { workers, proxies, usage, loads }
  }

  async #plant(): Promise<ProcessTree> {
    const { settings, renderMetrics, proxyStdout } = this.#deps
    await this.#hooks.beforeListening(settings)
    const generation = { number: 1, settings, release: await this.#resolveRelease(settings) }
    const passed = this.#deps.passed ?? NOTHING_PASSED
    const listeners = await openListeners({
      ...settings,
      addresses: settings.http,
      backlog: settings.listen,
      others: settings.metrics === null ? [] : [settings.metrics],
      ...socketAccess(settings),
      passed,
      ...(this.#deps.tasks !== undefined && { remove: (path: string) => void this.#removeSocket(path) }),
    })
    try {
      if (settings.dieOnIdle) demandInherited(listeners)
      // After the listeners: if the port is taken, no migration runs.
      await this.#hooks.beforeApplication(settings)
      if (this.#shutdown !== null) throw interrupted(this.#shutdown.why)
    } catch (error) {
      for (const listener of listeners) listener.close()
      throw error
    }
    return new ProcessTree(
      listeners,
      generation,
      { ...this.#context, publicPort: publicPortOf(listeners) },
      {
        readSettings: wanted => this.#readAgain(wanted),
        resolveRelease: settings => this.#resolveRelease(settings),
        renderMetrics,
        usage: this.#deps.usage ?? {},
        proxyStdout: proxyStdout ?? proxyOutput(settings),
        reopenLogs: () => this.reopenLogs(),
        startFailed: (what, failure) => this.#failStart(what, failure),
        served: generation => this.#hooks.served(generation),
        accepting: settings => this.#hooks.accepting(settings),
      },
    )
  }

  /** A socket that is not removed in time stays; the next start removes it. */
  #removeSocket(path: string): Promise<void> {
    const { tasks, log } = this.#context
    return removeSocketBy(tasks, path, this.#deps.settings.credentials, log)
  }

  async #resolveRelease(settings: Settings): Promise<Release> {
    return await this.#context.tasks.run(releaseTask, settings, { ...settings, what: 'cannot look up the release' })
  }

  /** For a reload: the new settings, after the hooks that must run before their application. */
  async #readAgain({ scope, ifChanged, inForce }: SettingsWanted): Promise<Reading> {
    const asBefore: Reading = { settings: inForce, mistakes: [], remarks: [] }
    const reading = scope === 'workers' ? asBefore : await this.#deps.readSettings()
    const { settings, mistakes } = reading
    const isNeeded = settings !== null && !(ifChanged && meansTheSame(inForce, settings))
    if (isNeeded && mistakes.length === 0) {
      const { credentials } = this.#deps.settings
      await this.#hooks.beforeApplication({ ...settings, credentials })
    }
    return reading
  }

  #take(event: MasterEvent): void {
    if (event.type === 'stop') return this.#beginStop(event.why)
    if (event.type === 'signal') return this.#signal(event.signal, event.event)
    if (event.type === 'command-end') return event.owner.ended(event.end)
    if ((event.type === 'reload' || event.type === 'order') && (this.#tree === null || this.#shutdown !== null)) {
      return event.request.done(refusal(this.#shutdown?.why ?? null))
    }
    this.#tree?.take(event)
  }

  #signal(signal: string, event: SignalEvent): void {
    switch (event.type) {
      case 'stop':
        if (signal === 'SIGINT' && this.#shutdown?.isImpatient && this.#tree !== null) {
          return this.#kill(signal)
        }
        return this.#beginStop(event.why)
      case 'reload':
        return void this.reload(() => {}, signal)
      case 'reopen-logs':
        void this.reopenLogs()
        return
      case 'kill':
        return this.#shutdown === null ? this.#beginStop(signal, 0) : this.#kill(signal)
      case 'toggle-pause':
        if (this.#shutdown === null) this.#tree?.orders.togglePause()
        return
      case 'tell-status':
        return this.#tellStatus()
      case 'resize':
        if (this.#shutdown === null) this.#tree?.scaler.resize(event, signal)
    }
  }

  /** From now on the stop waits for nothing. */
  #kill(why: string): void {
    if (this.#shutdown === null || this.#tree === null) return
    this.#tree.attached.kill()
    this.#hooks.close()
    this.#shutdown.kill(why, this.#tree)
  }

  #tellStatus(): void {
    const { wanted, paused, workers, proxies } = this.status()
    this.#context.log('status', { wanted, paused, workers: workers.length, proxies: proxies.length })
    for (const { slot, pid, phase, generation, requests, inFlight, lagMs, rssBytes } of workers)
      this.#context.log('worker-status', { slot, pid, phase, generation, requests, inFlight, lagMs, rssBytes })
  }

  /** Runs after each event. */
  #settle(): void {
    const tree = this.#tree
    if (tree === null) return
    if (this.#shutdown?.check(tree) && this.#isSwept(tree)) return this.#end(tree, this.#shutdown.why)
    this.#alarm.set(tree.reconcile())
    if (!this.#isStarted && this.#shutdown === null && tree.isWhole) this.#succeed(tree)
  }

  /** Runs when the workers have ended. Ends daemons, cron jobs and hooks. */
  #isSwept({ settings, attached }: ProcessTree): boolean {
    return this.#hooks.atExit(settings) && attached.end(settings.reloadMercyMs) && this.#hooks.close()
  }

  #succeed(tree: ProcessTree): void {
    this.#isStarted = true
    const bootMs = Math.round(this.#context.nowMs() - this.#bornMs)
    this.#context.log('master-ready', { workers: tree.workers.target.wanted, bootMs })
    this.#started.resolve()
    this.#hooks.served(tree.workers.target.base)
    tree.reloads.open()
  }

  /**
   * The first worker or proxy failed during the start. The start is given up, because a second try would hide the
   * reason.
   */
  #failStart(what: string, { reason, lines, arePrinted }: StartFailure): void {
    if (this.#isStarted || this.#shutdown !== null) return
    this.#failure = (arePrinted ? printedFailure : longFailure)(`cannot start: ${what}: ${reason}`, lines)
    this.#beginStop('start-failed', 0)
  }

  #beginStop(why: string, mercyMs = (this.#tree?.settings ?? this.#deps.settings).reloadMercyMs): void {
    if (this.#shutdown !== null) return
    this.#tree?.reloads.close(why)
    this.#tree?.orders.close(why)
    if (this.#tree === null) this.#hooks.close()
    this.#shutdown = new Shutdown(why, mercyMs, this.#context, this.#tree)
  }

  #end(tree: ProcessTree, why: string): void {
    this.#left = unendedProcesses(tree)
    this.#tree = null
    tree.usage.stop()
    tree.watch.stop()
    this.#alarm.clear()
    this.#clockWatch.stop()
    this.#endSignals()
    const left = this.#left.map(({ pid }) => pid).join(',')
    this.#context.log('master-stopped', { why, left: left === '' ? undefined : left })
    this.#started.reject(this.#failure ?? interrupted(why))
    this.#finished.resolve(this.#failure?.exitCode ?? EXIT.ok)
  }
}

/** The message includes the last lines of the hook. */
function startFailure(error: unknown): unknown {
  if (!(error instanceof HookFailure)) return error
  return printedFailure(`cannot start: ${error.message}`, error.lines)
}

/** The child has printed these lines already. */
function printedFailure(message: string, lines: readonly string[]): Failure {
  const failure = longFailure(message, lines)
  failure.brief = message
  return failure
}

function longFailure(message: string, lines: readonly string[]): Failure {
  return new Failure('start', [message, ...lines].join('\n    '), EXIT.unavailable)
}

function interrupted(why: string): Failure {
  return new Failure('stopped', `the start was interrupted: ${why}`, EXIT.ok)
}

function refusal(stopWhy: string | null): ReloadOutcome & { ok: false } {
  const reason = stopWhy === null ? 'the master has not started' : `the master stops: ${stopWhy}`
  return { ok: false, reason, lines: [] }
}
