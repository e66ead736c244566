/**
 * The master: owns the listening sockets, the proxies, the workers and the clock of their lives. Composed and started by
 * `run-command.ts`; everything outside comes in through `MasterDeps`.
 *
 * Signals, messages, exits and deadlines only queue an event. The loop takes one, hands it to its owner, and then compares
 * what is with what is wanted. What must stay true: the master reads no byte of a public client, runs no application code,
 * never waits in the loop, and leaves no child behind when `finished` resolves.
 */

import { fileURLToPath } from 'node:url'
import { EXIT, Failure, reasonOf } from '../kit/failure.js'
import type { Log } from '../kit/log.js'
import type { ProxyToMaster } from '../kit/messages.js'
import { Alarm } from './alarm.js'
import type { Reading, Settings } from './config/settings.js'
import type { StatusReport } from './control-protocol.js'
import { deferred } from './deferred.js'
import { EventQueue } from './event-queue.js'
import { type Listener, openListeners } from './listeners.js'
import type { MasterContext, MasterEvent, MetricsSink, ReloadOutcome } from './master-context.js'
import { MetricsState } from './metrics-state.js'
import { proxyReports, type StatusSources, toEpoch, urlsOf, workerReports } from './master-status.js'
import type { MasterMetricsState } from './metrics/master-families.js'
import { OutputGate, type OutputSink } from './output-lines.js'
import { Pool } from './pool.js'
import { ProcessUsage } from './process-usage.js'
import { Proxies } from './proxies.js'
import type { ProxyProcess } from './proxy-process.js'
import { proxySettings } from './proxy-settings.js'
import { resolveRelease } from './release.js'
import { Reloads } from './reload.js'
import { Shutdown } from './shutdown.js'
import { listenToSignals, type SignalEvent, type SignalSource } from './signals.js'
import type { BootFailure, Worker } from './worker.js'
import { WorkerLoads } from './worker-loads.js'

export interface MasterDeps {
  settings: Settings
  readSettings: () => Reading | Promise<Reading>
  log: Log
  /** Gets what the workers print. */
  output: OutputSink
  /** SIGUSR1: the master's own logs; the proxies are told to reopen theirs. */
  reopenLogs: () => void
  metrics: MetricsSink
  /** The text of `/metrics`, for proxies that serve it. */
  renderMetrics: () => string | Promise<string>
  version: string
  /** Where the metrics endpoint really listens, once it does. */
  metricsUrl?: () => string | null
  environment?: NodeJS.ProcessEnv
  signals?: SignalSource
  nowMs?: () => number
  /** How long a ready worker may be without a link from every proxy. */
  linkMs?: number
  /** Where a proxy's access lines go when no log file is set. */
  proxyStdout?: 'inherit' | 'ignore'
  entries?: { worker: string; proxy: string }
}

type Parts = { listeners: Listener[]; proxies: Proxies; pool: Pool; reloads: Reloads; usage: ProcessUsage }

export class Master {
  readonly #deps: MasterDeps
  readonly #context: MasterContext
  readonly #queue: EventQueue<MasterEvent>
  readonly #alarm: Alarm
  readonly #loads = new WorkerLoads()
  readonly #metrics = new MetricsState()
  readonly #started = deferred<void>()
  readonly #finished = deferred<number>()
  readonly #bornMs: number
  #endSignals: () => void = () => {}
  #parts: Parts | null = null
  #settings: Settings
  #isStarted = false
  #shutdown: Shutdown | null = null
  /** Why the start failed. */
  #failure: Failure | null = null

  constructor(deps: MasterDeps) {
    this.#deps = deps
    this.#settings = deps.settings
    const nowMs = deps.nowMs ?? (() => performance.now())
    this.#bornMs = nowMs()
    this.#queue = new EventQueue(
      event => this.#take(event),
      () => this.#settle(),
    )
    this.#alarm = new Alarm(nowMs, () => this.#queue.put({ type: 'tick' }))
    this.#context = {
      nowMs,
      linkMs: deps.linkMs ?? LINK_MS,
      log: deps.log,
      put: this.#queue.put,
      gate: new OutputGate(deps.output),
      metrics: deps.metrics,
      environment: deps.environment ?? process.env,
      workerEntry: deps.entries?.worker ?? fileURLToPath(new URL('../app/host/main.js', import.meta.url)),
      proxyEntry: deps.entries?.proxy ?? fileURLToPath(new URL('../proxy/main.js', import.meta.url)),
    }
  }

  /**
   * Opens the listeners and starts the tree. Resolves when all proxies accept and a first worker is linked (at once without
   * an application). Rejects with a Failure when that cannot be; everything is cleaned up then.
   */
  async start(): Promise<void> {
    const signals = this.#deps.signals ?? process
    this.#endSignals = listenToSignals(signals, (signal, event) => this.#queue.put({ type: 'signal', signal, event }))
    try {
      const generation = { number: 1, settings: this.#settings, release: resolveRelease(this.#settings) }
      const { listeners: addresses, credentials: owner } = this.#settings
      const { environment } = this.#context
      const listeners = await openListeners({ addresses, owner, environment })
      this.#refuseIfStopped(listeners)
      this.#parts = this.#assemble(listeners, generation)
    } catch (error) {
      this.#endSignals()
      this.#finished.resolve(error instanceof Failure ? error.exitCode : EXIT.software)
      throw error
    }
    this.#queue.put({ type: 'tick' })
    return this.#started.promise
  }

  /** Reloads, after those that were asked for before; `progress` gets a line for each thing done. */
  reload(progress: (text: string) => void): Promise<ReloadOutcome> {
    return new Promise(done => this.#queue.put({ type: 'reload', request: { progress, done } }))
  }

  /** Drains, stops and resolves when everything is gone; `why` is for the log. */
  async stop(why: string): Promise<void> {
    this.#queue.put({ type: 'stop', why })
    await this.finished
  }

  /** The exit code, once everything is gone. */
  get finished(): Promise<number> {
    return this.#finished.promise
  }

  /** What SIGUSR1 does. */
  reopenLogs(): void {
    this.#deps.reopenLogs()
    this.#parts?.proxies.reopenLogs()
    this.#context.log('logs-reopened')
  }

  status(): StatusReport {
    const parts = this.#parts
    const nowMs = this.#context.nowMs()
    const epochMs = Date.now()
    const sources: StatusSources | null = parts && { ...parts, loads: this.#loads, nowMs, epochMs }
    return {
      version: this.#deps.version,
      pid: process.pid,
      generation: parts?.pool.target.base.number ?? 0,
      sinceMs: toEpoch(this.#bornMs, { nowMs, epochMs }),
      iniPath: this.#settings.iniPath,
      urls: urlsOf(parts?.listeners ?? []),
      metricsUrl: this.#deps.metricsUrl?.() ?? null,
      wanted: parts?.pool.target.wanted ?? 0,
      stopping: this.#shutdown !== null,
      reloading: parts?.reloads.isRunning ?? false,
      workers: sources === null ? [] : workerReports(sources),
      proxies: sources === null ? [] : proxyReports(sources),
    }
  }

  /** What `masterFamilies` prints; null before the start and after the end. */
  metricsState(): MasterMetricsState | null {
    if (this.#parts === null) return null
    const startedMs = toEpoch(this.#bornMs, { nowMs: this.#context.nowMs(), epochMs: Date.now() })
    const facts = { version: this.#deps.version, startedMs, reloads: this.#parts.reloads.outcomes }
    return this.#metrics.state(facts, this.#parts, this.#loads)
  }

  /** A signal may arrive while the listeners are opened. */
  #refuseIfStopped(listeners: readonly Listener[]): void {
    if (this.#shutdown === null) return
    for (const listener of listeners) listener.close()
    throw interrupted(this.#shutdown.why)
  }

  #assemble(listeners: Listener[], generation: Pool['target']['base']): Parts {
    const settings = this.#settings
    const proxies: Proxies = new Proxies(
      {
        count: settings.httpProcesses,
        listeners,
        backlog: settings.backlog,
        credentials: settings.credentials,
        settings: proxySettings(settings),
        stdout: this.#deps.proxyStdout ?? (settings.logto === null ? 'inherit' : 'ignore'),
      },
      this.#context,
      {
        rotation: () => pool.rotation(),
        gone: proxy => this.#proxyGone(proxy),
        startFailed: (proxyId, reason, lines) => this.#failStart(`proxy ${proxyId}`, reason, lines),
      },
    )
    const wanted = generation.release.app === null ? 0 : settings.processes
    const target = { wanted, base: generation, target: generation, move: { why: 'reload', atOnce: true } }
    const pool = new Pool(target, this.#context, proxies, {
      bootFailed: failure => this.#bootFailed(failure),
      gone: worker => this.#workerGone(worker),
    })
    const { readSettings } = this.#deps
    const reloads = new Reloads({ context: this.#context, pool, readSettings, apply: next => this.#apply(next) })
    const usage = new ProcessUsage(() => this.#childPids())
    return { listeners, proxies, pool, reloads, usage }
  }

  #take(event: MasterEvent): void {
    const parts = this.#parts
    if (event.type === 'stop') return this.#beginStop(event.why, this.#settings.reloadMercyMs)
    if (event.type === 'signal') return this.#signal(event.signal, event.event)
    if (event.type === 'reload' && this.#shutdown !== null) return event.request.done(refusal(this.#shutdown.why))
    if (parts === null) return
    const { pool, proxies, reloads } = parts
    switch (event.type) {
      case 'worker':
        return pool.apply(event.worker, event.event)
      case 'worker-message':
        return pool.take(event.worker, event.message)
      case 'worker-exit':
        return pool.exit(event.worker, event.code, event.signal, event.error)
      case 'proxy':
        return proxies.apply(event.proxy, event.event)
      case 'proxy-message':
        return this.#hear(event.proxy, event.message, parts)
      case 'reload':
        return reloads.request(event.request)
      case 'reading':
        return reloads.read(event.reading)
      case 'tick':
        for (const worker of pool.workers()) pool.apply(worker, { type: 'tick' })
        for (const proxy of proxies.alive()) proxies.apply(proxy, { type: 'tick' })
    }
  }

  #signal(signal: string, event: SignalEvent): void {
    switch (event.type) {
      case 'stop':
        if (signal === 'SIGINT' && this.#shutdown?.isImpatient && this.#parts) {
          return this.#shutdown.kill(signal, this.#parts)
        }
        return this.#beginStop(event.why, this.#settings.reloadMercyMs)
      case 'reload':
        return this.#queue.put({ type: 'reload', request: { progress: () => {}, done: () => {} } })
      case 'reopen-logs':
        return this.reopenLogs()
      case 'resize':
        return this.#resize(event.by, signal)
    }
  }

  #hear(proxy: ProxyProcess, message: ProxyToMaster, { pool, proxies }: Parts): void {
    switch (message.type) {
      case 'worker-linked':
        return pool.linked(message.workerId, proxy.proxyId)
      case 'worker-drained':
        return pool.drained(message.workerId, proxy.proxyId)
      case 'worker-blocked': {
        const { request, elapsedMs, inFlight } = message
        return pool.blocked(message.workerId, { type: 'blocked', request, elapsedMs, inFlight })
      }
      case 'metrics':
        this.#loads.update(proxy.proxyId, message.workers)
        return this.#deps.metrics.update(proxy.sourceId, message.families)
      case 'metrics-wanted':
        void this.#answerMetrics(proxy, message.requestId)
        return
      default:
        return proxies.take(proxy, message)
    }
  }

  /** Compares what is with what is wanted. */
  #settle(): void {
    const parts = this.#parts
    if (parts === null) return
    const { pool, proxies, reloads } = parts
    pool.reconcile()
    reloads.check()
    const waits = [pool.reconcile(), proxies.reconcile()]
    this.#checkStarted(parts)
    this.#checkStopped(parts)
    for (const worker of pool.workers()) waits.push(worker.life.deadlineMs)
    for (const proxy of proxies.alive()) waits.push(proxy.life.deadlineMs)
    if (this.#parts !== null) this.#alarm.set(waits)
  }

  #checkStarted({ pool, proxies, reloads }: Parts): void {
    if (this.#isStarted || this.#shutdown !== null || !proxies.areListening) return
    if (pool.target.wanted > 0 && !pool.slots.some(slot => pool.isServing(slot.current))) return
    this.#isStarted = true
    this.#context.log('master-ready', {
      workers: pool.target.wanted,
      bootMs: Math.round(this.#context.nowMs() - this.#bornMs),
    })
    this.#started.resolve()
    reloads.open()
  }

  #bootFailed(failure: BootFailure): void {
    if (!this.#parts?.pool.hasProven) this.#failStart('the application', failure.reason, failure.lines)
    this.#parts?.reloads.bootFailed(failure)
  }

  /** Nothing has ever worked: to try again would only hide the reason. */
  #failStart(what: string, reason: string, lines: string[]): void {
    if (this.#isStarted || this.#shutdown !== null) return
    const detail = lines.map(line => `\n    ${line}`).join('')
    this.#failure = new Failure('start', `cannot start: ${what}: ${reason}${detail}`, EXIT.unavailable)
    this.#beginStop('start-failed', 0)
  }

  #beginStop(why: string, mercyMs: number): void {
    if (this.#shutdown !== null) return
    this.#parts?.reloads.close(why)
    this.#shutdown = new Shutdown(why, mercyMs, this.#context, this.#parts)
  }

  #checkStopped(parts: Parts): void {
    if (this.#shutdown === null || !this.#shutdown.check(parts)) return
    const { why } = this.#shutdown
    this.#parts = null
    parts.usage.stop()
    this.#alarm.clear()
    this.#endSignals()
    this.#context.log('master-stopped', { why })
    this.#started.reject(this.#failure ?? interrupted(why))
    this.#finished.resolve(this.#failure?.exitCode ?? EXIT.ok)
  }

  #resize(by: number, why: string): void {
    const pool = this.#parts?.pool
    if (pool === undefined || pool.target.wanted === 0 || this.#shutdown !== null) return
    const wanted = Math.min(MOST_WORKERS, Math.max(1, pool.target.wanted + by))
    pool.target = { ...pool.target, wanted }
    this.#context.log('workers-wanted', { wanted, why })
  }

  #apply(settings: Settings): void {
    this.#settings = settings
    this.#parts?.proxies.change(proxySettings(settings))
  }

  #workerGone(worker: Worker): void {
    this.#loads.workerGone(worker.address.workerId)
    if (this.#parts !== null) this.#metrics.gone(worker, this.#parts.usage)
  }

  #proxyGone(proxy: ProxyProcess): void {
    this.#loads.proxyGone(proxy.proxyId)
    this.#parts?.pool.proxyGone(proxy.proxyId)
  }

  async #answerMetrics(proxy: ProxyProcess, requestId: number): Promise<void> {
    let text: string
    try {
      text = await this.#deps.renderMetrics()
    } catch (error) {
      this.#context.log('metrics-failed', { why: reasonOf(error) })
      text = '# the metrics cannot be rendered, see the log\n'
    }
    proxy.send({ type: 'metrics', requestId, text })
  }

  #childPids(): number[] {
    if (this.#parts === null) return []
    const children = [...this.#parts.pool.workers(), ...this.#parts.proxies.alive()]
    return children.flatMap(({ pid }) => (pid === null ? [] : [pid]))
  }
}

/** A link is a connect on the same machine; a proxy that has none by then hangs. */
const LINK_MS = 10_000

const MOST_WORKERS = 1024

function interrupted(why: string): Failure {
  return new Failure('stopped', `the start was interrupted: ${why}`, EXIT.ok)
}

function refusal(why: string): ReloadOutcome {
  return { ok: false, reason: `the master stops: ${why}`, lines: [] }
}
