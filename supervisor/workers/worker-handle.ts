/**
 * A worker as the master sees it: one process, one life, never used again. Executes the effects that `worker-phase.ts`
 * decides. The code inside the process is `app/host/`.
 */

import { dirname, join } from 'node:path'
import { ChannelBudget } from '../../kit/channel/channel.js'
import { ChannelTurns } from '../../kit/channel/channel-turns.js'
import type { ToldFields } from '../../kit/channel/child-events.js'
import {
  LONGEST_CHILD_MESSAGE_BYTES,
  type MasterToWorker,
  WORKER_MESSAGE_BOUNDS,
  type WorkerAddress,
  type WorkerEnd,
  type WorkerToMaster,
} from '../../kit/channel/messages.js'
import { TokenBucket } from '../../kit/ground/token-bucket.js'
import { watchdogPathOf } from '../../kit/link/stack-report.js'
import { workerOptions } from '../../kit/options/settings.js'
import { readWorkerMessage } from '../child/child-message.js'
import type { Generation, MasterContext, PlainEvent } from '../child/master-context.js'
import { Child } from '../child/spawn-child.js'
import { workerEnvironment } from '../child/spawn-environment.js'
import {
  explainNotStarted,
  obstacleTask,
  roomObstacle,
  runFolderObstacle,
  type StartObstacle,
} from '../child/start-obstacle.js'
import { workersFolderOf } from '../config/values/run-folder-path.js'
import { affinityOf } from '../host/cpu-affinity.js'
import { processName } from '../host/process-names.js'
import { areThere, isGone, removeWorkerNames } from '../run-folder/workers-folder.js'
import { lookAtKilled } from '../user/killed-child.js'
import { LOOK_MS } from './cheaper.js'
import { nodeArguments } from './node-args.js'
import { PortWord } from './port-word.js'
import { ReadyProbe } from './ready-probe.js'
import { isOrdered, judgeAge, type RecycleVerdict, requestsOf } from './recycling.js'
import type { SlotWorker } from './slots.js'
import {
  CHANNEL_CLOSED,
  endOf,
  LINK_BROKEN,
  newWorkerLife,
  SOCKET_GONE,
  type WorkerEffect,
  type WorkerEvent,
  type WorkerLife,
} from './worker-life.js'
import { stepWorker } from './worker-phase.js'

/** Events of workers in the queue of the master. */
export type WorkersEvent =
  | PlainEvent
  | { type: 'worker'; worker: WorkerHandle; event: WorkerEvent }
  | { type: 'worker-message'; worker: WorkerHandle; message: WorkerToMaster }
  | { type: 'worker-exit'; worker: WorkerHandle; end: ChildEnd }
  /** A worker that was given up has ended after all. */
  | { type: 'worker-ended'; worker: WorkerHandle; code: number | null; signal: string | null }

/**
 * How a child ended. `error`: the child could not be started. `stays`: the child was given up, and the reason why its
 * process still exists.
 */
export interface ChildEnd {
  code: number | null
  signal: string | null
  error: string | null
  stays: string | null
}

/** Which worker to start, and why. */
export interface WorkerSpec {
  workerId: number
  slot: number
  generation: Generation
  why: string
  /** The worker loads its application on demand (`lazy`). */
  waits: boolean
  allowance: WorkerAllowance
}

/** Effects of a worker's life on the rest of the tree. */
export interface WorkerActions {
  announce(worker: WorkerHandle): void
  takeOut(worker: WorkerHandle): void
  closeTunnels(worker: WorkerHandle): void
  withdraw(worker: WorkerHandle, end: WorkerEnd): void
  accumulate(worker: WorkerHandle): void
  /**
   * The process has ended, or was given up, and processes that it started may be left. `startTicks`: of that process.
   */
  reaped(worker: WorkerHandle, pid: number, startTicks: string | null): void
  /** The path for a heap snapshot of the worker; null: it writes none. */
  snapshotPath(worker: WorkerHandle): string | null | Promise<string | null>
}

/** Work that a proxy still has in flight at a retiring worker. */
export interface WorkerLeft {
  requests: boolean
  tunnels: boolean
}

/** Why a worker did not become ready, or did not stay, with the lines that explain it. */
export interface BootFailure {
  slot: number
  generation: number
  reason: string
  lines: string[]
  /** The worker wrote the lines to standard error, so the log has them already. */
  arePrinted: boolean
}

/** The application's socket is for the service's own user and group, and for `curl --unix-socket` as root. */
const SOCKET_MODE = 0o660

const MOST_STACK_LINES = 30
/** How long a worker may be without a socket: its application may close its server and listen again. */
export const SOCKET_PATIENCE_MS = 1000
/** Between two looks at the sockets of a worker that lacks one: it may listen again in a moment. */
const SOCKET_LOOK_MS = 100

/** How long the end of a worker that did not become ready waits for the look at its release. */
const RELEASE_LOOK_MS = 3000
/** Messages of Node, and of open(2), for a file that does not exist. */
const MISSES = /Cannot find (module|package)|\b(ERR_)?MODULE_NOT_FOUND\b|\b(ENOENT|ENOTDIR|EACCES)\b|no such file/i
/** One look for all workers of a generation. */
const releaseLooks = new WeakMap<Generation, Promise<StartObstacle | null>>()

/** Null: the release exists, or the look took too long; the worker's own reason is logged then. */
function seeRelease(generation: Generation, { tasks }: MasterContext): Promise<StartObstacle | null> {
  const { number, settings, release } = generation
  const options = { credentials: settings.credentials, what: 'cannot look for the release', withinMs: RELEASE_LOOK_MS }
  const look =
    releaseLooks.get(generation) ??
    tasks
      .run(obstacleTask, { number, settings, release }, options)
      .catch(() => null)
      .finally(() => releaseLooks.delete(generation))
  releaseLooks.set(generation, look)
  return look
}
/**
 * How long a worker waits for its server on PORT after another server has listened. A server that is known to listen
 * late gets half of the start deadline.
 */
const PORT_MS = 2000

/** The reason if a worker has never reported what it waits for (`app/host/application/boot-remarks.ts`). */
const SILENT =
  'it has reported nothing: its process is still being started, or the application blocks its event loop while it loads'

/**
 * More than `app/host/` sends: metrics once a second, in as many messages as they need, and a rare event. The burst is
 * one message of the greatest length and the small ones beside it. `work` is the cost of metrics
 * (`MetricsStore.update`). A worker with the most series that are kept, 10,000, may send all of them once a second. One
 * unit costs about 6 µs, so a worker takes at most 10 % of a core of the master.
 */
const PACE = {
  messagesPerSecond: 50,
  messages: 400,
  bytesPerSecond: 1024 ** 2,
  bytes: LONGEST_CHILD_MESSAGE_BYTES + 1024 ** 2,
  work: { atOnce: 40_000, perSecond: 16_000 },
}

/** Log events of one worker, and their bytes as JSON. A character takes six bytes at most. */
const EVENT_RATE = { atOnce: 20, perSecond: 1 }
const EVENT_BYTES = { atOnce: 32 * 1024, perSecond: 2048 }

/** For all workers of this process. */
const TURNS = new ChannelTurns()

/**
 * What a worker may still send. The allowance belongs to the slot: the next worker of the slot continues with the rest.
 */
export class WorkerAllowance {
  readonly channel: ChannelBudget
  readonly events: TokenBucket
  readonly eventBytes: TokenBucket

  constructor(nowMs: number, before?: WorkerAllowance) {
    this.channel = new ChannelBudget(PACE, before?.channel)
    this.events = new TokenBucket(EVENT_RATE, nowMs, before?.events.leftAt(nowMs))
    this.eventBytes = new TokenBucket(EVENT_BYTES, nowMs, before?.eventBytes.leftAt(nowMs))
  }
}

/** What a worker did that made the master kill it, by `why`. */
const DEEDS: Record<string, string> = {
  harakiri: 'blocked its loop past harakiri',
  [LINK_BROKEN]: 'broke the protocol of its link',
  [CHANNEL_CLOSED]: 'closed its channel to the master',
}

/** One life of a worker. */
export class WorkerHandle {
  readonly address: WorkerAddress
  readonly generation: Generation
  /**
   * `linkedBy`: proxies that have the worker in rotation. `left`, per proxy: work still open on this retiring worker.
   */
  readonly linkedBy = new Set<number>()
  readonly left = new Map<number, WorkerLeft>()
  /** Why the process of a worker that was given up still exists; null: not given up, or ended. */
  stays: string | null = null
  /** The last report on its event loop: the busy share of the time. A blocked worker reports nothing. */
  utilization: { share: number; atMs: number } | null = null
  readonly #context: MasterContext<WorkersEvent>
  readonly #actions: WorkerActions
  readonly #child: Child
  #life: WorkerLife
  #loadFailure: { reason: string; stack: string } | null = null
  /** Why its release cannot be used any more. */
  #lost: StartObstacle | null = null
  #probe: ReadyProbe | null = null
  /** What the worker waits for before it listens, by its own report. */
  #awaited = SILENT
  /** How the worker ended, and by which signal. */
  #end = ''
  #signal: string | null = null
  /** Since when one of its sockets has been missing, from the first look that missed it. */
  #socketsLost: { sinceMs: number; nextLookMs: number } | null = null
  #isLooking = false
  readonly #allowance: WorkerAllowance
  #hasTalkedTooMuch = false
  /** How it broke the protocol of its link. */
  #breach: string | null = null
  readonly #portWord = new PortWord()
  /** The worker was told to wait, and has not confirmed it yet. */
  #mayWait: boolean
  /** Why and since when the worker is to be replaced. */
  #recycle: { why: string; sinceMs: number } | null = null

  constructor(spec: WorkerSpec, context: MasterContext<WorkersEvent>, actions: WorkerActions) {
    const { workerId, slot, generation, why, waits, allowance } = spec
    const { settings } = generation
    this.#allowance = allowance
    this.#context = context
    this.#actions = actions
    this.#mayWait = waits
    this.generation = generation
    this.#life = newWorkerLife(context.nowMs(), settings.workerStartTimeoutMs, why)
    context.keepRunFolder()
    const folder = workersFolderOf(settings.runDir)
    const socketPath = join(folder, `worker-${workerId}.sock`)
    const linkPath = join(folder, `worker-${workerId}.link`)
    const tunnelPath = join(folder, `worker-${workerId}.tunnel`)
    this.address = { workerId, slot, pid: 0, generation: generation.number, socketPath, linkPath, tunnelPath }
    const cpus = affinityOf(slot, settings.cpuAffinity)
    this.#child = this.#spawn(slot, pid => {
      this.address.pid = pid
      this.#report('worker-start', { why, cpus: cpus?.join(',') })
    })
    this.#configure(waits, cpus)
  }

  get life(): WorkerLife {
    return this.#life
  }

  get pid(): number | null {
    return this.#life.phase === 'gone' ? null : this.#child.pid
  }

  /** The key of the metrics of this life. */
  get sourceId(): string {
    return `worker-${this.address.workerId}`
  }

  /** The worker as `slots.ts` sees it. The owner knows the links. */
  view(links: Pick<SlotWorker, 'linked' | 'lackedSinceMs'>): SlotWorker {
    const { phase, sinceMs } = this.#life
    const { workerId, generation } = this.address
    return { workerId, generation, phase, sinceMs, ...links, recycle: this.age().why }
  }

  /** Why the worker is to be replaced: it asked for it, or a limit was passed. `age` says when. */
  get recycle(): string | null {
    return this.#recycle?.why ?? null
  }

  /** The first reason counts, but an operator's order replaces any other reason. */
  askForNext(why: string): void {
    if (this.#recycle === null || isOrdered(why)) this.#recycle = { why, sinceMs: this.#context.nowMs() }
  }

  /** Cancels the replacement. */
  keep(): void {
    this.#recycle = null
  }

  /** How long the worker has served, or had served when it asked for its replacement. */
  get servedMs(): number {
    return (this.#recycle?.sinceMs ?? this.#context.nowMs()) - (this.#life.readyMs ?? 0)
  }

  /** Whether the worker has reached a limit of its age. */
  age(): RecycleVerdict {
    const ageMs = this.#context.nowMs() - this.#life.startedMs
    return judgeAge({ slot: this.address.slot, ageMs, asked: this.recycle }, this.generation.settings)
  }

  /** Applies one event to the life. */
  apply(event: WorkerEvent): void {
    const { workerStartTimeoutMs: startMs, workerReloadMercyMs: mercyMs } = this.generation.settings
    const { wsMercyMs: tunnelMercyMs, harakiriGracefulTimeoutMs: gracefulMs } = this.generation.settings
    const hasTunnels = [...this.left.values()].some(({ tunnels }) => tunnels)
    const moment = { nowMs: this.#context.nowMs(), startMs, mercyMs, tunnelMercyMs, hasTunnels, gracefulMs }
    const { next, effects } = stepWorker(this.#life, event, moment)
    const hasBecomeReady = this.#life.readyMs === null && next.readyMs !== null
    this.#life = next
    if (hasBecomeReady) this.generation.portSite = this.#portWord.becameReady(this.generation.portSite)
    if (next.phase !== 'booting') this.#probe?.stop()
    for (const effect of effects) this.#execute(effect)
  }

  /** Handles a message of the child. */
  take(message: WorkerToMaster): void {
    switch (message.type) {
      case 'waiting':
        // A worker may send `waiting` only if it was told to wait: otherwise the message would cancel its start
        // deadline.
        if (this.#mayWait) this.apply(message)
        this.#mayWait = false
        return
      case 'load-wanted':
        return this.apply({ type: 'load', why: 'direct-connection' })
      case 'ready':
        this.#portWord.listens(this.#life.phase, message.ignoresPort ?? false)
        return this.#listens(message.bootMs)
      case 'failed':
        this.#loadFailure ??= { reason: message.reason, stack: message.stack }
        return this.apply({ type: 'load-failed', reason: message.reason })
      case 'metrics':
        return this.#allowance.channel.spendWork(
          this.#context.metrics.update(this.sourceId, message.families, 'worker'),
        )
      case 'recycle':
        if (this.#mayAskFor(message.reason)) this.askForNext(message.reason)
        return
      case 'utilization':
        this.utilization = { share: message.share, atMs: this.#context.nowMs() }
        return
      case 'event':
        if (message.event === 'site-late')
          this.generation.portSite = this.#portWord.cameLate(this.#life.phase, this.generation.portSite)
        if (message.event === 'not-listening') this.#awaited = String(message.fields.why ?? '')
        return this.#tell(message.event, message.fields)
    }
  }

  /** The child has ended. Its figures remain; if it was given up, so does its process. */
  exit({ code, signal, error, stays }: ChildEnd): void {
    this.#signal = signal
    this.stays = stays
    const isNotStarted = error !== null
    this.#end = signal === null ? `ended with code ${code}` : `ended by ${signal}`
    if (this.#life.readyMs === null) this.#explainEnd(error)
    const isOutOfMemory = signal === 'SIGKILL' && this.#context.oomKills.areRecent
    this.apply({ type: 'exit', code, signal, isOutOfMemory, isNotStarted, stays })
    if (stays !== null) this.#actions.reaped(this, this.address.pid, this.#child.startTicks)
    const { socketPath, linkPath, tunnelPath } = this.address
    const paths = [socketPath, linkPath, tunnelPath, watchdogPathOf(linkPath)]
    removeWorkerNames(paths, this.generation.settings.credentials)
  }

  /** The worker was given up before, and has ended now. */
  endedLate(code: number | null, signal: string | null): void {
    this.stays = null
    this.#report('worker-exit', { code: code ?? undefined, signal: signal ?? undefined, why: this.#life.why })
  }

  /** Why the worker did not become ready. `reason`: found by the master, for a worker that gave no reason itself. */
  bootFailure(reason = 'worker failed'): BootFailure {
    const { slot, generation } = this.address
    const stack = this.#loadFailure?.stack.trimEnd() ?? ''
    const arePrinted = stack === ''
    const lines = arePrinted ? this.#child.errorLines() : stack.split('\n').slice(0, MOST_STACK_LINES)
    return { slot, generation, reason: this.#loadFailure?.reason ?? reason, lines, arePrinted }
  }

  /** The worker died by itself: nobody ordered its end or killed it. */
  get hasCrashed(): boolean {
    return this.#life.phase === 'gone' && endOf(this.#life, this.#signal) === 'crashed'
  }

  /** Why the worker did not stay. `when` is appended to how it ended. */
  deathFailure(when: string): BootFailure {
    const how = this.#breach === null ? '' : `: ${this.#breach}`
    return this.judgement(`worker ${DEEDS[this.#life.why] ?? this.#end} ${when}${how}`)
  }

  /** Looks for its sockets. Asks for a replacement while one has been missing for `SOCKET_PATIENCE_MS`. */
  lookForSockets(): void {
    if (this.#isLooking) return
    const nowMs = this.#context.nowMs()
    if (!this.#hasPlace) return this.#noteSockets(true, nowMs)
    this.#isLooking = true
    const { socketPath, linkPath, tunnelPath } = this.address
    void areThere([socketPath, linkPath, tunnelPath]).then(areAll => {
      this.#isLooking = false
      const before = this.#socketsLost
      this.#noteSockets(areAll || !this.#hasPlace, nowMs)
      if (before !== null || this.#socketsLost !== null) this.#context.put({ type: 'tick' })
    })
  }

  /** Takes the result of a look that began at `beganMs`. A socket was missing when the look ended, or just before. */
  #noteSockets(areAll: boolean, beganMs: number): void {
    const nowMs = this.#context.nowMs()
    const sinceMs = areAll ? null : (this.#socketsLost?.sinceMs ?? nowMs)
    this.#socketsLost = sinceMs === null ? null : { sinceMs, nextLookMs: nowMs + SOCKET_LOOK_MS }
    if (sinceMs === null && this.recycle === SOCKET_GONE) this.keep()
    if (sinceMs !== null && beganMs - sinceMs >= SOCKET_PATIENCE_MS) this.askForNext(SOCKET_GONE)
  }

  /** The time of the next look of its own; null: at the next look for all workers. */
  get socketLookMs(): number | null {
    return this.recycle === null && this.#life.phase === 'ready' && !this.#isLooking
      ? (this.#socketsLost?.nextLookMs ?? null)
      : null
  }

  /**
   * False: missing sockets do not count, because a successor would find no folder for its sockets either. True: if a
   * socket is missing, the application has closed its server or another process has removed the file. New clients of
   * the socket, such as another proxy, cannot connect.
   */
  get #hasPlace(): boolean {
    return this.#life.phase === 'ready' && !isGone(dirname(this.address.socketPath))
  }

  reportBrokenLink(why: string): void {
    this.#breach = why
    this.#report('worker-broke-link', { why })
  }

  /** A failure of this worker that others report, with its last lines. */
  judgement(reason: string): BootFailure {
    const { slot, generation } = this.address
    return { slot, generation, reason, lines: this.#child.errorLines(), arePrinted: true }
  }

  /** The application listens; with `ready-check` the worker is not ready yet. */
  #listens(bootMs: number): void {
    const { readyCheck, credentials } = this.generation.settings
    if (readyCheck === null) return this.apply({ type: 'ready', bootMs })
    if (this.#life.phase !== 'booting' || this.#probe !== null) return
    const { nowMs, put } = this.#context
    const sinceMs = nowMs()
    this.#probe = new ReadyProbe(readyCheck, this.address.socketPath, credentials, {
      passed: () => {
        const event: WorkerEvent = { type: 'ready', bootMs: Math.round(bootMs + nowMs() - sinceMs) }
        put({ type: 'worker', worker: this, event })
      },
      failed: why => this.#report('worker-not-ready', { why }),
    })
  }

  /** Why the worker did not become ready: its own reason, unless its release is gone. */
  #explainEnd(error: string | null): void {
    const word =
      error === null ? { said: this.#lastWords(), by: 'worker' as const } : { said: error, by: 'system' as const }
    const noRoom = roomObstacle(word, this.generation)
    const obstacle = noRoom ?? (error === null ? this.#lost : explainNotStarted(error, this.generation, this.#lost))
    if (obstacle === null) {
      this.#loadFailure ??= { reason: this.#bootEnd(), stack: '' }
      return
    }
    const { why, remedy } = obstacle
    const told = remedy === '' ? why : `${why}: ${remedy}`
    this.#loadFailure = { reason: `worker cannot be started: ${told}`, stack: this.#loadFailure?.stack ?? '' }
    if (error !== null || noRoom !== null) this.#report('worker-not-started', { why, remedy: remedy || undefined })
    else this.#report('release-gone', { why, remedy })
  }

  /**
   * For a worker that did not become ready. Another process looks into folders of the service's user. If there is
   * nothing to find, the end is reported at once. Never rejects.
   */
  async #lookForRelease({ signal, error }: ChildEnd): Promise<void> {
    if (this.#life.readyMs !== null || signal !== null) return
    if (error === null && !MISSES.test(this.#lastWords())) return
    this.#lost = await seeRelease(this.generation, this.#context)
  }

  #lastWords(): string {
    return this.#loadFailure?.reason ?? this.#child.errorLines().join('\n')
  }

  #bootEnd(): string {
    const { settings } = this.generation
    const check = this.#probe === null ? '' : `: ready-check ${this.#probe.lastFailure}`
    if (this.#life.why === 'start-deadline')
      return `worker was not ready within ${settings.workerStartTimeoutMs} ms${check || `: ${this.#awaited}`}`
    return `worker ${this.#end} before it was ready${check}`
  }

  #spawn(slot: number, started: (pid: number) => void): Child {
    const { generation } = this
    const { environment, publicPort, workerEntry, put, installation } = this.#context
    const { settings } = generation
    const env = workerEnvironment(environment, settings, { slot, generation: generation.number, publicPort })
    let exitTold = Promise.resolve()
    return new Child(
      {
        entry: workerEntry,
        credentials: settings.credentials,
        title: processName(`daimyo: worker ${slot} generation ${generation.number}`, settings.processNames),
        cwd: generation.release.chdir,
        nodeArgs: nodeArguments(settings, env.NODE_OPTIONS ?? ''),
        env,
        stdout: 'pipe',
        descriptors: [],
        limits: { budget: this.#allowance.channel, bounds: WORKER_MESSAGE_BOUNDS, turns: TURNS },
        obstacle: installation.look().obstacle ?? runFolderObstacle(generation)?.why,
      },
      this.#context,
      {
        message: value => {
          const message = readWorkerMessage(value)
          if (message !== null) put({ type: 'worker-message', worker: this, message })
          return message !== null
        },
        channelClosed: broken => {
          if (broken !== null) this.#report('worker-broke-channel', { why: broken })
          put({ type: 'worker', worker: this, event: { type: 'ipc-closed' } })
        },
        started,
        slowed: () => this.#talksTooMuch(),
        reaped: pid => this.#actions.reaped(this, pid, this.#child.startTicks),
        exit: (code, signal, error, stays) => {
          const end = { code, signal, error, stays }
          exitTold = this.#lookForRelease(end).then(() => put({ type: 'worker-exit', worker: this, end }))
        },
        endedLate: (code, signal) => {
          void exitTold.then(() => put({ type: 'worker-ended', worker: this, code, signal }))
        },
      },
    )
  }

  #configure(waits: boolean, cpus: number[] | null): void {
    const { settings, release } = this.generation
    const { workerId, slot, generation, socketPath, linkPath, tunnelPath } = this.address
    this.#send({
      type: 'configure',
      settings: {
        ...workerOptions(settings),
        workerId,
        slot,
        generation,
        cpus,
        app: release.app ?? '',
        portMs: portMsOf(this.generation),
        waits,
        socketPath,
        linkPath,
        tunnelPath,
        socketMode: SOCKET_MODE,
        utilizationMs: settings.cheaper > 0 && settings.cheaperAlgo === 'busyness' ? LOOK_MS : 0,
        maxRequests: requestsOf(slot, settings),
      },
    })
  }

  #execute(effect: WorkerEffect): void {
    switch (effect.type) {
      case 'announce':
        return this.#actions.announce(this)
      case 'take-out':
        return this.#actions.takeOut(this)
      case 'close-tunnels':
        return this.#actions.closeTunnels(this)
      case 'withdraw':
        return this.#actions.withdraw(this, effect.end)
      case 'send-load':
        return this.#send({ type: 'load' })
      case 'send-farewell':
        return this.#send({ type: 'farewell', mercyMs: effect.mercyMs, stream: effect.stream })
      case 'send-stop':
        return this.#sendStop(effect.mercyMs)
      case 'kill':
        return this.#child.kill()
      case 'end-tracers':
        return this.#endTracers()
      case 'give-up':
        return this.#child.giveUp()
      case 'accumulate':
        return this.#actions.accumulate(this)
      case 'report':
        // There was never a process, so there is nothing else to report.
        if (this.#child.pid === null) return
        return this.#report(effect.event, effect.fields)
    }
  }

  #endTracers(): void {
    const { pid } = this
    if (pid === null) return
    lookAtKilled(pid, {
      credentials: this.generation.settings.credentials,
      tell: (event, fields) => this.#report(event, fields),
      letGo: () => this.#child.letGo(),
    })
  }

  /** Whether the INI has an option by which a worker may ask to be replaced. */
  #mayAskFor(reason: (WorkerToMaster & { type: 'recycle' })['reason']): boolean {
    const { maxRequests, clusterWorker } = this.generation.settings
    return reason === 'max-requests' ? maxRequests > 0 : clusterWorker
  }

  /**
   * An event of the worker for the log. A worker that sends events without end must not push the master's own lines out
   * of the log.
   */
  #tell(event: string, fields: ToldFields): void {
    const { events, eventBytes } = this.#allowance
    const nowMs = this.#context.nowMs()
    if (eventBytes.leftAt(nowMs) <= 0 || !events.takeOne(nowMs)) return this.#talksTooMuch()
    eventBytes.spend(JSON.stringify(fields).length, nowMs)
    this.#report(event, fields)
  }

  /** Logged once in its life. */
  #talksTooMuch(): void {
    if (!this.#hasTalkedTooMuch) this.#report('worker-talks-too-much', {})
    this.#hasTalkedTooMuch = true
  }

  /** The path of the snapshot may come late; the mercy of the worker runs meanwhile. */
  #sendStop(mercyMs: number): void {
    const snapshotPath = this.#actions.snapshotPath(this)
    if (snapshotPath === null || typeof snapshotPath === 'string')
      return this.#send({ type: 'stop', mercyMs, snapshotPath })
    const sinceMs = this.#context.nowMs()
    void snapshotPath.then(path => {
      const leftMs = Math.max(0, Math.round(mercyMs - (this.#context.nowMs() - sinceMs)))
      if (this.#life.phase !== 'gone') this.#send({ type: 'stop', mercyMs: leftMs, snapshotPath: path })
    })
  }

  #send(message: MasterToWorker): void {
    this.#child.send(message)
  }

  #report(event: string, fields: Parameters<MasterContext['log']>[1]): void {
    const { slot, pid, generation } = this.address
    // Fields that a worker sends never replace these.
    const identity = { slot, pid: pid || undefined, generation }
    this.#context.log(event, { ...identity, ...fields, ...identity })
  }
}

/** `WorkerSettings.portMs`. */
function portMsOf({ portSite, settings }: Generation): number {
  if (portSite === 'ignored') return 0
  return portSite === 'late' ? Math.max(PORT_MS, settings.workerStartTimeoutMs / 2) : PORT_MS
}
