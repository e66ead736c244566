/**
 * The messages of the master and its children on the channel between them (`channel.ts`, JSON). The only contract
 * between `supervisor/` on one side and `proxy/` and `app/host/` on the other; requests never travel here.
 */

import type { LocationSettings, ProxyOptions, WorkerOptions } from '../options/settings.js'
import type { UpstreamAddress } from '../options/values/value-types.js'
import type { ProxyEventName, ToldFields, WorkerEventName } from './child-events.js'
import type { MetricFamily } from './metric-family.js'

/**
 * The user of the children of a root master; `user` also gives their supplementary groups. Without an entry in
 * /etc/passwd there is no `home` and no `shell`.
 */
export interface Credentials {
  user: string | null
  uid: number
  gid: number
  home?: string
  shell?: string
}

/**
 * A public listener: the descriptor that the proxy inherited, and how it is printed (`http://127.0.0.1:8080`,
 * `unix:/run/x.sock`).
 */
export interface InheritedListener {
  fd: number
  url: string
  /** Connections that may wait there for an accept. */
  backlog: number
}

/** Which paths go where; `prefix` begins with `/` and matches whole segments. */
export type RouteSpec =
  | { kind: 'app'; prefix: string }
  | { kind: 'upstream'; prefix: string; upstreams: UpstreamAddress[] }
  /** `keepsMount`: the prefix is a part of the path in the folder too (`static-map2`). */
  | { kind: 'static'; prefix: string; folder: string; keepsMount?: boolean }
  | { kind: 'metrics'; prefix: string }

/**
 * Places in which applications may name files: by URL for X-Accel-Redirect, by path for X-Sendfile. Prefixes have no
 * slash at the end; folders are real paths.
 */
export interface FileRoots {
  internal: { prefix: string; folder: string }[]
  sendfile: { prefix: string; folder: string }[]
}

/**
 * All settings of a proxy that may change while it runs: those of the option rows that name proxies
 * (`kit/options/sections/`), and those that the master derives from several options or from the disk. The folders of
 * `checkStatic` and `staticSafe` are real paths; of `mountHarakiri` the longest mount comes first, and each ends with a
 * slash.
 */
export interface ProxySettings extends ProxyOptions {
  /** `mount`, `static-map`, `static-map2`, `http-to` and `metrics-path`. */
  routes: RouteSpec[]
  /** `[location:PREFIX]`, in the order of the INI. */
  locations: { prefix: string; settings: LocationSettings }[]
  /** `internal` and `x-sendfile-root`. */
  fileRoots: FileRoots
  /** `disable-logging` and `logto`. null = none, an empty path = standard output. */
  accessLog: { path: string } | null
  /**
   * `asset-grace`: folders of earlier releases in which a file is looked for that its folder lacks, newest first, until
   * a time of the monotonic clock that all processes of a machine share (`process.hrtime`).
   */
  previousFolders: { folder: string; before: string; untilMs: number }[]
}

/** How files are looked up and sent. */
export type StaticSettings = Pick<ProxySettings, Extract<keyof ProxySettings, `static${string}`> | 'previousFolders'>

/**
 * Why a worker has ended. `asked`: the master stopped or killed it, harakiri included; `killed`: SIGKILL from another
 * process; `crashed`: by itself, by the kernel because it took too much memory, or because it broke the protocol of a
 * link.
 */
export type WorkerEnd = 'asked' | 'killed' | 'crashed'

/**
 * A worker as a proxy sees it. `workerId` is unique in the life of the master; a slot's next worker has another one.
 */
export interface WorkerAddress {
  workerId: number
  slot: number
  pid: number
  generation: number
  /** HTTP on a unix socket, for `curl --unix-socket`. */
  socketPath: string
  linkPath: string
  /** WebSocket tunnels, each with a line about the client in front: `kit/link/tunnel-preamble.ts`. */
  tunnelPath: string
}

/**
 * Between a proxy's goodbye to both sides of a tunnel and its end: time for the client's close, and for the application
 * to see it.
 */
export const TUNNEL_CLOSE_MS = 3000

export type MasterToProxy =
  | {
      type: 'configure'
      proxyId: number
      listeners: InheritedListener[]
      settings: ProxySettings
    }
  | { type: 'settings'; settings: ProxySettings }
  /** Connect and take it into rotation; answered by `worker-linked`. */
  | { type: 'worker-ready'; worker: WorkerAddress }
  /**
   * Take the worker out of rotation: it gets nothing new, and its tunnels are closed within `tunnelMs`. Answered by
   * `worker-draining` while work is left, then by `worker-drained`. Sent again when the time has become shorter.
   */
  | { type: 'worker-retire'; workerId: number; tunnelMs: number }
  | { type: 'worker-gone'; workerId: number; end: WorkerEnd }
  | { type: 'reopen-logs' }
  /** Answered by `in-flight`. */
  | { type: 'in-flight-wanted'; requestId: number }
  /** Whether requests wait in the queue instead of going to workers; ends with the drain. */
  | { type: 'pause'; isPaused: boolean }
  /** Answered by `synced`: all that was sent before is done. */
  | { type: 'sync'; number: number }
  /**
   * Accept nothing new, finish the requests in flight for at most `mercyMs`, exit 0. The master starts no worker any
   * more.
   */
  | { type: 'drain'; mercyMs: number }
  | { type: 'metrics'; requestId: number; text: string }

/**
 * A blocked loop as a proxy found it, for the log: `others` is the fate of the other requests in flight, empty =
 * nothing; `at` is `file:line`, `-` = unknown.
 */
export interface BlockedLoop {
  request: string
  elapsedMs: number
  at: string
  stack: string
  inFlight: number
  others: string
}

export type ProxyToMaster =
  /** Accepting on all listeners. */
  | { type: 'listening' }
  | { type: 'failed'; reason: string }
  | { type: 'worker-linked'; workerId: number }
  | { type: 'worker-drained'; workerId: number }
  /**
   * Work of a retiring worker that this proxy still has: `requests` without a response, open `tunnels`. At least one of
   * them.
   */
  | { type: 'worker-draining'; workerId: number; requests: boolean; tunnels: boolean }
  /**
   * A request is past its deadline, and no answer to a ping came: the worker's loop is blocked, kill it. `request` is
   * the guilty one, printable.
   */
  | ({ type: 'worker-blocked'; workerId: number } & BlockedLoop)
  /** The worker has broken the protocol of its link, which is closed: kill it. `why` is printable and short. */
  | { type: 'link-broken'; workerId: number; why: string }
  /**
   * Counters and histograms since this proxy started (never deltas), and the load of each worker as this proxy sees it;
   * `queued` requests wait.
   */
  | { type: 'metrics'; families: MetricFamily[]; workers: WorkerLoad[]; queued: number }
  /**
   * Requests wait, and there is no worker that could take them. With `lazy` also: there are more requests than workers.
   */
  | { type: 'worker-wanted' }
  | { type: 'metrics-wanted'; requestId: number }
  | { type: 'synced'; number: number }
  /** The oldest requests of this proxy, at most 20. */
  | { type: 'in-flight'; requestId: number; requests: InFlightRequest[] }
  | { type: 'event'; event: ProxyEventName; fields: ToldFields }

/** A request without a response. `path` without its query; `slot` 0: it waits for a worker. */
export interface InFlightRequest {
  method: string
  path: string
  ageMs: number
  slot: number
}

/** One worker as one proxy sees it; the master adds them up. `lagMs` is the event-loop lag of the last pong. */
export interface WorkerLoad {
  workerId: number
  requests: number
  inFlight: number
  lagMs: number
  /**
   * Since the link came up: responses and passed deadlines, how many of them were 5xx, and the sum of the times to
   * their first bytes.
   */
  answered: number
  failed: number
  waitedMs: number
}

/**
 * The port in `address()` for an application that leaves its port to the kernel: the first dynamic port of RFC 6335 §6.
 */
export const UNCHOSEN_PORT = 49_152

/**
 * PORT if nothing sets it and no listener of `http` has a port. It differs from UNCHOSEN_PORT, or a server on port 0
 * would count as one on PORT.
 */
export const NO_PORT = 49_153

/**
 * Settings of a worker beyond its environment, working directory and argv, which the master sets at the spawn. Those of
 * the option rows that name workers (`maxRequests` is that of the worker's slot), and those below.
 */
export interface WorkerSettings extends WorkerOptions {
  workerId: number
  slot: number
  generation: number
  /** `cpu-affinity`: the CPUs that it may use; null: all that it inherits. */
  cpus: number[] | null
  /** Absolute path of the application's entry file, links resolved once per generation. */
  app: string
  /**
   * How long a worker waits for the server on PORT before it takes another server for the site; 0: it does not wait.
   */
  portMs: number
  /** `lazy`: only `load` loads the application. */
  waits: boolean
  socketPath: string
  linkPath: string
  tunnelPath: string
  /** Mode of the application's own socket; the other sockets are for the service's user alone. */
  socketMode: number
  /** How often the worker reports the utilization of its event loop, 0 = never. */
  utilizationMs: number
}

/**
 * Which responses are streams, and how long they may go on once the application was told to end: `stream-after` and
 * `stream-mercy`.
 */
export interface StreamLimits {
  /**
   * Event streams are streams from their first byte on; other responses when they have been under way for so long. 0:
   * only event streams.
   */
  afterMs: number
  mercyMs: number
}

export type MasterToWorker =
  | { type: 'configure'; settings: WorkerSettings }
  /** The event that the application waited for has come: load it. */
  | { type: 'load' }
  /**
   * The worker's time has come, and responses are still under way: the application is told to end within `mercyMs`.
   * `stream`: its endless responses, as `StreamLimits` says, are cut; null: they have the whole mercy.
   */
  | { type: 'farewell'; mercyMs: number; stream: StreamLimits | null }
  /**
   * Out of rotation at all proxies: finish, send the last metrics, write a heap snapshot if there is a path for one,
   * exit 0 within `mercyMs`.
   */
  | { type: 'stop'; mercyMs: number; snapshotPath: string | null }

export type WorkerToMaster =
  /** Follows `WorkerSettings.waits`. `bootMs` since the process started. */
  | { type: 'waiting'; bootMs: number }
  /** A client has connected to the socket of an application that is not loaded. */
  | { type: 'load-wanted' }
  /**
   * The application listens, both sockets are open. `bootMs` since the process started, or since `load`. `ignoresPort`:
   * its site is another server than one on PORT.
   */
  | { type: 'ready'; bootMs: number; ignoresPort?: boolean }
  /**
   * The worker never becomes ready: the application threw while loading, or exports nothing that can be served. `stack`
   * is the application's own.
   */
  | { type: 'failed'; reason: string; stack: string }
  /** The metrics whose values changed since the last message; values since the worker started, never deltas. */
  | { type: 'metrics'; families: MetricFamily[] }
  /** Asks the master to replace this worker, then stop it. */
  | { type: 'recycle'; reason: 'max-requests' | 'disconnected' }
  /** The busy share of the event loop since the last message, 0 to 1. */
  | { type: 'utilization'; share: number }
  | { type: 'event'; event: WorkerEventName; fields: ToldFields }

/**
 * The longest message that a child may send, in bytes of JSON: twice what the master keeps of one process as printed
 * (`metrics-store.ts`).
 */
export const LONGEST_CHILD_MESSAGE_BYTES = 4 * 1024 * 1024

/** For `failed`: the reason, and the application's own stack. In characters; the child cuts both. */
export const LONGEST_REASON = 4000
export const LONGEST_STACK = 32_000

/**
 * The most structure of a message that a worker may send. The deepest is a sample with an exemplar: message,
 * `families`, family, `values`, sample, exemplar, its labels. The largest is one family of the 10,000 series that the
 * master keeps of a process, with eight labels each: two brackets and nine commas make 110,000. No object has more
 * members than a sample has labels, of which the master takes 64; the different beginnings of objects are those of all
 * label sets. A label value that is a numeral travels as a number (`app/host/application/master-channel.ts`): what is
 * left is a help text or two.
 */
export const WORKER_MESSAGE_BOUNDS = { depth: 10, values: 125_000, members: 100, beginnings: 4000, numerals: 20 }

/**
 * The same for a proxy, which has metrics and a load for each worker. A proxy is bounded too: another process of the
 * service's user can write on its channel (pidfd_getfd(2)).
 */
export const PROXY_MESSAGE_BOUNDS = { ...WORKER_MESSAGE_BOUNDS, values: 500_000 }

/*
 * What a child accepts as a message of the master. The children trust the master: each runs the build of its master,
 * or a build that speaks the same channel (`CHANNEL_VERSION`). A child skips a message that it does not know, or that
 * lacks a member it needs: ending the child would end its requests too. A child ignores members that it does not know.
 * The check is in this file because one more file costs each start of a worker half a millisecond.
 */

type Fields = Record<string, unknown>
type Check = (fields: Fields) => boolean

const isNumber = (value: unknown): boolean => typeof value === 'number'
const isText = (value: unknown): boolean => typeof value === 'string'
const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const TO_WORKER: { [T in MasterToWorker['type']]: Check } = {
  configure: ({ settings }) => isRecord(settings),
  load: () => true,
  farewell: ({ mercyMs, stream }) => isNumber(mercyMs) && (stream === null || isRecord(stream)),
  stop: ({ mercyMs, snapshotPath }) => isNumber(mercyMs) && (snapshotPath === null || isText(snapshotPath)),
}

const TO_PROXY: { [T in MasterToProxy['type']]: Check } = {
  configure: ({ proxyId, listeners, settings }) => isNumber(proxyId) && Array.isArray(listeners) && isRecord(settings),
  settings: ({ settings }) => isRecord(settings),
  'worker-ready': ({ worker }) =>
    isRecord(worker) && isNumber(worker.workerId) && isText(worker.linkPath) && isText(worker.tunnelPath),
  'worker-retire': ({ workerId, tunnelMs }) => isNumber(workerId) && isNumber(tunnelMs),
  'worker-gone': ({ workerId, end }) => isNumber(workerId) && isText(end),
  'reopen-logs': () => true,
  'in-flight-wanted': ({ requestId }) => isNumber(requestId),
  pause: ({ isPaused }) => typeof isPaused === 'boolean',
  // Sent back unchanged.
  sync: () => true,
  drain: ({ mercyMs }) => isNumber(mercyMs),
  metrics: ({ requestId, text }) => isNumber(requestId) && isText(text),
}

/** The message for a worker; null: it is skipped. */
export function readMessageToWorker(value: unknown): MasterToWorker | null {
  return isOneOf(value, TO_WORKER) ? (value as unknown as MasterToWorker) : null
}

/** The message for a proxy; null: it is skipped. */
export function readMessageToProxy(value: unknown): MasterToProxy | null {
  return isOneOf(value, TO_PROXY) ? (value as unknown as MasterToProxy) : null
}

function isOneOf(value: unknown, checks: Record<string, Check>): value is Fields {
  if (!isRecord(value) || typeof value.type !== 'string' || !Object.hasOwn(checks, value.type)) return false
  return checks[value.type]!(value)
}
