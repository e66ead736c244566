/**
 * A proxy as the master sees it: one process, one life. Executes the effects that `proxy-phase.ts` decides. The process
 * inherits the listening sockets. Its own code is `proxy/`.
 */

import { ChannelBudget } from '../../kit/channel/channel.js'
import { ChannelTurns } from '../../kit/channel/channel-turns.js'
import type { ToldFields } from '../../kit/channel/child-events.js'
import {
  type Credentials,
  type MasterToProxy,
  PROXY_MESSAGE_BOUNDS,
  type ProxyToMaster,
} from '../../kit/channel/messages.js'
import { TokenBucket } from '../../kit/ground/token-bucket.js'
import { readProcessStat } from '../../kit/process/process-stat.js'
import { readProxyMessage } from '../child/child-message.js'
import type { MasterContext, PlainEvent } from '../child/master-context.js'
import { Child } from '../child/spawn-child.js'
import { userEnvironment } from '../child/spawn-environment.js'
import { type ProcessNames, processName } from '../host/process-names.js'
import { PROXY_YOUNG_GENERATION } from '../host/young-generation.js'
import { lookAtKilled } from '../user/killed-child.js'
import { newProxyLife, type ProxyEffect, type ProxyEvent, type ProxyLife, stepProxy } from './proxy-phase.js'

/** Events of proxies in the queue of the master. */
export type ProxiesEvent =
  | PlainEvent
  | { type: 'proxy'; proxy: ProxyHandle; event: ProxyEvent }
  | { type: 'proxy-message'; proxy: ProxyHandle; message: ProxyToMaster }
  /** A proxy that was given up has ended after all. */
  | { type: 'proxy-ended'; proxy: ProxyHandle; code: number | null; signal: string | null }

/**
 * The destination of access lines: the master's standard output, the same through a pipe to the master, or nothing
 * (there is a log file).
 */
export type ProxyOutput = 'inherit' | 'pipe' | 'ignore'

/** Which proxy to start, and with what. */
export interface ProxySpec {
  /** The number of its place, from 1. Its successor in that place has the same number. */
  proxyId: number
  /** A number that no other proxy of this master has. */
  life: number
  why: string
  names: ProcessNames
  credentials: Credentials | null
  /**
   * Its working folder. Processes of the same user can read it through /proc, whatever the modes of the folders above.
   */
  folder: string
  stdout: ProxyOutput
  descriptors: readonly number[]
  /** What the channel of the life before it in that place may still send; null: it is the first one. */
  budgetBefore: ChannelBudget | null
}

/**
 * Far more than a proxy sends: metrics once a second, an event for a failed request, the work left on each retiring
 * worker. `work` is the cost of metrics (`MetricsStore.update`). The store looks at 20,000 samples of a message, so an
 * honest proxy never waits, however many mounts it has. With 100 mounts, each with 16 pairs of method and class of
 * status, its first message costs 24,189 units and each later one, a second after the other, 20,057; with 500 mounts
 * 36,279 and 20,057. One unit costs at most about 6 µs, so a proxy takes at most 15 % of a core of the master.
 */
const PACE = {
  messagesPerSecond: 2000,
  messages: 10_000,
  bytesPerSecond: 8 * 1024 ** 2,
  bytes: 16 * 1024 ** 2,
  work: { atOnce: 60_000, perSecond: 24_000 },
}

/** More events than a proxy sends: for each name it sends at most 50 at once and 10 a second. */
const EVENT_RATE = { atOnce: 1000, perSecond: 200 }

/** Shared by all proxies. The workers have turns of their own, so that no proxy waits for workers. */
const TURNS = new ChannelTurns()

/** One life of a proxy. */
export class ProxyHandle {
  readonly proxyId: number
  /** The key of the metrics of this life. */
  readonly sourceId: string
  /** What it may still send. It belongs to the place: the next proxy there continues with the rest. */
  readonly budget: ChannelBudget
  /** Why the process of a proxy that was given up still exists; null: not given up, or ended. */
  stays: string | null = null
  readonly #context: MasterContext<ProxiesEvent>
  readonly #child: Child
  readonly #credentials: Credentials | null
  readonly #events: TokenBucket
  #hasTalkedTooMuch = false
  #life: ProxyLife
  /** The number of the last `sync` that was sent, and of the last one that was answered. */
  #syncSent = 0
  #syncAnswered = 0

  constructor(spec: ProxySpec, context: MasterContext<ProxiesEvent>) {
    this.proxyId = spec.proxyId
    this.sourceId = `proxy-${spec.proxyId}-${spec.life}`
    this.#context = context
    this.#credentials = spec.credentials
    this.budget = new ChannelBudget(PACE, spec.budgetBefore ?? undefined)
    this.#events = new TokenBucket(EVENT_RATE, context.nowMs())
    this.#life = newProxyLife(context.nowMs(), spec.why, context.proxySilentMs)
    this.#child = this.#spawn(spec)
  }

  get life(): ProxyLife {
    return this.#life
  }

  get pid(): number | null {
    return this.#life.phase === 'gone' ? null : this.#child.pid
  }

  /** The pid, also of a proxy that was given up while its process still exists. */
  get ownPid(): number | null {
    return this.#child.pid
  }

  /** The proxy was given up before, and has ended now. */
  endedLate(code: number | null, signal: string | null): void {
    this.stays = null
    this.report('proxy-exit', { code: code ?? undefined, signal: signal ?? undefined, why: this.#life.why })
  }

  /** Handles an event of the proxy for the log. */
  takeEvent(event: string, fields: ToldFields): void {
    if (this.#events.takeOne(this.#context.nowMs())) this.report(event, fields)
    else this.#talksTooMuch()
  }

  /** Whether it can be told about workers, and answers. */
  get isServing(): boolean {
    return this.#life.phase === 'starting' || this.#life.phase === 'listening'
  }

  /** Whether it has done all messages of `tell`. */
  get isInStep(): boolean {
    return this.#syncAnswered === this.#syncSent
  }

  /** Applies one event to the life. */
  apply(event: ProxyEvent): void {
    if (event.type === 'exit') this.stays = event.stays ?? null
    const { next, effects } = stepProxy(this.#life, event, this.#context.nowMs())
    this.#life = next
    for (const effect of effects) this.#execute(effect)
  }

  /**
   * Sends a message. Does nothing after the proxy's death. `sent`: the kernel has the message, or will never get it.
   */
  send(message: MasterToProxy, sent?: () => void): void {
    this.#child.send(message, sent)
  }

  /** Sends a message whose effect somebody waits for: `isInStep` says when it is done. */
  tell(message: MasterToProxy): void {
    this.send(message)
    this.send({ type: 'sync', number: ++this.#syncSent })
  }

  /** Ignores forged numbers: only the true answer ends a wait. */
  synced(number: number): void {
    if (number > this.#syncAnswered && number <= this.#syncSent) this.#syncAnswered = number
  }

  /** Logs an event of this proxy. */
  report(event: string, fields: Parameters<MasterContext['log']>[1]): void {
    const identity = { proxy: this.proxyId, pid: this.#child.pid }
    // Fields that a proxy sends never replace these.
    this.#context.log(event, { ...identity, ...fields, ...identity })
  }

  /** The last lines of its standard error. */
  errorLines(): string[] {
    return this.#child.errorLines()
  }

  /** Logged once in its life. */
  #talksTooMuch(): void {
    if (!this.#hasTalkedTooMuch) this.report('proxy-talks-too-much', {})
    this.#hasTalkedTooMuch = true
  }

  #spawn({ proxyId, why, names, credentials, folder, stdout, descriptors }: ProxySpec): Child {
    const { environment, proxyEntry, put, installation, log } = this.#context
    return new Child(
      {
        entry: proxyEntry,
        nodeArgs: PROXY_YOUNG_GENERATION,
        credentials,
        title: processName(`daimyo: proxy ${proxyId}`, names),
        cwd: folder,
        env: userEnvironment(environment, credentials),
        stdout,
        descriptors,
        limits: { budget: this.budget, bounds: PROXY_MESSAGE_BOUNDS, turns: TURNS },
        obstacle: installation.look().obstacle,
      },
      this.#context,
      {
        message: value => {
          const message = readProxyMessage(value)
          if (message !== null) put({ type: 'proxy-message', proxy: this, message })
          return message !== null
        },
        channelClosed: broken => {
          if (broken !== null) this.report('proxy-broke-channel', { why: broken })
          put({ type: 'proxy', proxy: this, event: { type: 'ipc-closed' } })
        },
        started: pid => log('proxy-start', { proxy: proxyId, pid, why }),
        slowed: () => this.#talksTooMuch(),
        exit: (code, signal, error, stays) => {
          if (error !== null) put({ type: 'proxy', proxy: this, event: { type: 'failed', reason: error } })
          put({ type: 'proxy', proxy: this, event: { type: 'exit', code, signal, stays } })
        },
        endedLate: (code, signal) => put({ type: 'proxy-ended', proxy: this, code, signal }),
      },
    )
  }

  /** State `t` is a stop by a tracer, which only the tracer ends. */
  #wakeIfStopped(): void {
    const { pid } = this.#child
    if (pid === null || readProcessStat(pid)?.state !== 'T') return
    this.#child.wake()
    this.report('proxy-woken', { why: 'stopped' })
  }

  #endTracers(): void {
    const { pid } = this
    if (pid === null) return
    lookAtKilled(pid, {
      credentials: this.#credentials,
      tell: (event, fields) => this.report(event, fields),
      letGo: () => this.#child.letGo(),
    })
  }

  #execute(effect: ProxyEffect): void {
    switch (effect.type) {
      case 'send-drain':
        return this.send({ type: 'drain', mercyMs: effect.mercyMs })
      case 'look':
        return this.#wakeIfStopped()
      case 'kill':
        return this.#child.kill()
      case 'end-tracers':
        return this.#endTracers()
      case 'give-up':
        return this.#child.giveUp()
      case 'report':
        return this.report(effect.event, effect.fields)
    }
  }
}
