/**
 * All proxies: keeps `http-processes` of them alive, tells them about workers, and decides whether they have linked a
 * worker. What must stay true: nothing waits for an answer of a dead proxy.
 */

import type { ChannelBudget } from '../../kit/channel/channel.js'
import type {
  Credentials,
  MasterToProxy,
  ProxySettings,
  ProxyToMaster,
  WorkerAddress,
  WorkerEnd,
} from '../../kit/channel/messages.js'
import { afterDeath, type BackOff, NO_BACK_OFF } from '../child/back-off.js'
import { mayEnter } from '../child/child-programs.js'
import { EarlySignals } from '../child/early-signals.js'
import type { MasterContext } from '../child/master-context.js'
import { FIRST_DESCRIPTOR } from '../child/spawn-child.js'
import type { ProcessNames } from '../host/process-names.js'
import type { Listener } from '../listen/listeners.js'
import { type ProxiesEvent, ProxyHandle, type ProxyOutput } from './proxy-handle.js'
import type { ProxyEvent } from './proxy-phase.js'

/** What all proxies of a master have in common. */
export interface ProxyOptions {
  count: number
  listeners: readonly Listener[]
  credentials: Credentials | null
  /** The folder in which the master was started. */
  startFolder: string
  settings: ProxySettings
  names: ProcessNames
  /** The destination of access lines. */
  stdout: ProxyOutput
}

/** The owner of the proxies: its data for them, and their events. */
export interface ProxiesOwner {
  /** The workers that a new proxy must know. */
  rotation(): WorkerAddress[]
  gone(proxy: ProxyHandle): void
  /** A proxy died or gave up before it ever accepted. */
  startFailed(proxyId: number, reason: string, lines: string[]): void
}

interface Place {
  proxyId: number
  proxy: ProxyHandle | null
  /** Of the last proxy of this place. */
  budget: ChannelBudget | null
  backOff: BackOff
  /** How often a proxy of this place ended without an order. */
  deaths: number
  failure: string | null
}

/** All proxies of a master. */
export class Proxies {
  /** Proxies that were given up and have left their places, while their processes still exist. */
  readonly unended = new Set<ProxyHandle>()
  readonly #context: MasterContext<ProxiesEvent>
  readonly #options: ProxyOptions
  readonly #owner: ProxiesOwner
  readonly #places: Place[]
  readonly #earlySignals = new EarlySignals()
  #settings: ProxySettings
  /**
   * The working folder of proxies. Looked up once: the look needs the user's identity, which the master may have to
   * wait for.
   */
  #folder: string
  #lives = 0
  #isDraining = false
  #isPaused = false

  constructor(options: ProxyOptions, context: MasterContext<ProxiesEvent>, owner: ProxiesOwner) {
    this.#options = options
    this.#context = context
    this.#owner = owner
    this.#settings = options.settings
    this.#folder = mayEnter(options.startFolder, options.credentials) ? options.startFolder : '/'
    this.#places = Array.from({ length: options.count }, (_, index) => ({
      proxyId: index + 1,
      proxy: null,
      budget: null,
      backOff: NO_BACK_OFF,
      deaths: 0,
      failure: null,
    }))
  }

  /** Proxies that have not ended. */
  alive(): ProxyHandle[] {
    return this.#places.flatMap(({ proxy }) => (proxy === null ? [] : [proxy]))
  }

  /** How often a proxy of this place ended without an order. */
  deathsOf(proxyId: number): number {
    return this.#places.find(place => place.proxyId === proxyId)?.deaths ?? 0
  }

  /** Whether every proxy accepts. */
  get areListening(): boolean {
    return this.#places.every(({ proxy }) => proxy?.life.phase === 'listening')
  }

  /** Whether at least one proxy accepts, and all accepting proxies have the worker in rotation. */
  haveLinked(linkedBy: ReadonlySet<number>): boolean {
    const listening = this.#listening()
    return listening.length > 0 && listening.every(({ proxyId }) => linkedBy.has(proxyId))
  }

  /** Since when an accepting proxy has not had the worker in rotation; null: all have it. */
  lackedSince(linkedBy: ReadonlySet<number>): number | null {
    const lacking = this.#listening().filter(({ proxyId }) => !linkedBy.has(proxyId))
    return lacking.length === 0 ? null : Math.min(...lacking.map(({ life }) => life.listeningMs ?? life.sinceMs))
  }

  /** Whether all proxies have done the last change of settings, pause and logs. */
  get areInStep(): boolean {
    return this.alive().every(proxy => !proxy.isServing || proxy.isInStep)
  }

  /** Fills empty places whose back-off is over. Returns the time of the next check. */
  reconcile(): number | null {
    if (this.#isDraining) return null
    const nowMs = this.#context.nowMs()
    const waits: number[] = []
    for (const place of this.#places) {
      if (place.proxy !== null) continue
      if (place.backOff.notBeforeMs <= nowMs) this.#start(place)
      else waits.push(place.backOff.notBeforeMs)
    }
    return waits.length === 0 ? null : Math.min(...waits)
  }

  announce(worker: WorkerAddress): void {
    this.#tell({ type: 'worker-ready', worker })
  }

  /**
   * Tells all proxies to send nothing new to a worker, and to end its tunnels after `tunnelMs`. Returns the proxies
   * that will answer.
   */
  takeOut(workerId: number, tunnelMs: number): number[] {
    this.#tell({ type: 'worker-retire', workerId, tunnelMs })
    return this.alive().flatMap(proxy => (proxy.isServing ? [proxy.proxyId] : []))
  }

  withdraw(workerId: number, end: WorkerEnd): void {
    this.#tell({ type: 'worker-gone', workerId, end })
  }

  /** New settings for running and future proxies. */
  change(settings: ProxySettings): void {
    this.#settings = settings
    this.#tellToDo({ type: 'settings', settings })
  }

  /** While the proxies are paused, requests wait in their queues. */
  pause(isPaused: boolean): void {
    this.#isPaused = isPaused
    this.#tellToDo({ type: 'pause', isPaused })
  }

  get arePaused(): boolean {
    return this.#isPaused
  }

  reopenLogs(): void {
    this.#tellToDo({ type: 'reopen-logs' })
  }

  /** Ends all proxies. No proxy starts after this call. */
  drain(why: string, mercyMs: number): void {
    this.#isDraining = true
    for (const proxy of this.alive()) proxy.apply({ type: 'drain', why, mercyMs })
  }

  kill(why: string): void {
    this.#isDraining = true
    for (const proxy of this.alive()) proxy.apply({ type: 'kill', why })
  }

  /** Applies an event to the life of one proxy. */
  apply(proxy: ProxyHandle, event: ProxyEvent): void {
    const place = this.#places.find(candidate => candidate.proxy === proxy)
    if (place === undefined) return
    if (event.type === 'failed') place.failure = event.reason
    if (event.type === 'listening') this.#earlySignals.cameUp()
    proxy.apply(event)
    if (proxy.stays !== null) this.unended.add(proxy)
    if (event.type === 'exit' && proxy.life.phase === 'gone') this.#vacate(place, proxy, event.signal)
  }

  /** A proxy that was given up has ended. */
  endedLate(proxy: ProxyHandle, code: number | null, signal: string | null): void {
    this.unended.delete(proxy)
    proxy.endedLate(code, signal)
  }

  /** Handles the messages of a proxy about itself. */
  take(proxy: ProxyHandle, message: ProxyToMaster & { type: 'listening' | 'failed' | 'synced' | 'event' }): void {
    if (message.type === 'event') proxy.takeEvent(message.event, message.fields)
    else if (message.type === 'synced') proxy.synced(message.number)
    else this.apply(proxy, message)
  }

  #listening(): ProxyHandle[] {
    return this.alive().filter(({ life }) => life.phase === 'listening')
  }

  #start(place: Place): void {
    const { listeners, credentials, names, stdout } = this.#options
    this.#lives++
    place.failure = null
    const proxy = new ProxyHandle(
      {
        proxyId: place.proxyId,
        life: this.#lives,
        why: place.backOff.deaths === 0 ? 'start' : 'respawn',
        names,
        credentials,
        folder: this.#folder,
        stdout,
        descriptors: listeners.map(listener => listener.fd),
        budgetBefore: place.budget,
      },
      this.#context,
    )
    place.proxy = proxy
    place.budget = proxy.budget
    proxy.send({
      type: 'configure',
      proxyId: place.proxyId,
      listeners: listeners.map(({ url, backlog }, index) => ({ fd: FIRST_DESCRIPTOR + index, url, backlog })),
      settings: this.#settings,
    })
    if (this.#isPaused) proxy.send({ type: 'pause', isPaused: true })
    // Sent before the proxy accepts, so that its first request finds the workers.
    for (const worker of this.#owner.rotation()) proxy.send({ type: 'worker-ready', worker })
  }

  #vacate(place: Place, proxy: ProxyHandle, signal: string | null): void {
    const { listeningMs, sinceMs, why } = proxy.life
    place.proxy = null
    // The proxy never accepted. Perhaps the folder was closed meanwhile.
    if (listeningMs === null) this.#folder = '/'
    if (!proxy.life.asked) place.deaths++
    place.backOff = afterDeath(place.backOff, listeningMs === null ? null : sinceMs - listeningMs, sinceMs)
    this.#context.metrics.retire(proxy.sourceId)
    this.#owner.gone(proxy)
    if (listeningMs === null && !proxy.life.asked && !this.#earlySignals.isAccident(signal)) {
      this.#owner.startFailed(
        place.proxyId,
        place.failure ?? `it ended before it was ready (${why})`,
        proxy.errorLines(),
      )
    }
  }

  #tell(message: MasterToProxy): void {
    for (const proxy of this.alive()) proxy.send(message)
  }

  /** Sends a message whose effect somebody waits for: `areInStep` says when it is done. */
  #tellToDo(message: MasterToProxy): void {
    for (const proxy of this.alive()) proxy.tell(message)
  }
}
