/**
 * What the master and its children say to each other over the channel between them (`channel.ts`, JSON).
 * The only contract between `supervisor/` on one side and `proxy/` and `app/host/` on the other; requests never travel here.
 */

import type { ContentCoding, ExpiresRule, UpstreamAddress } from '../options/values/value-types.js'
import type { ProxyEventName, ToldFields, WorkerEventName } from './child-events.js'
import type { MetricFamily } from './metric-family.js'

/** Who the children of a root master are; `user` also gives their supplementary groups. Without an entry in /etc/passwd there is no `home` and no `shell`. */
export interface Credentials {
  user: string | null
  uid: number
  gid: number
  home?: string
  shell?: string
}

/** A public listener: the descriptor that the proxy inherited, and how it is printed (`http://127.0.0.1:8080`, `unix:/run/x.sock`). */
export interface InheritedListener {
  fd: number
  url: string
  /** Connections that may wait there to be accepted. */
  backlog: number
}

/** Which paths go where; `prefix` begins with `/` and matches whole segments. */
export type RouteSpec =
  | { kind: 'app'; prefix: string }
  | { kind: 'upstream'; prefix: string; upstreams: UpstreamAddress[] }
  /** `keepsMount`: the prefix is a part of the path in the folder too (`static-map2`). */
  | { kind: 'static'; prefix: string; folder: string; keepsMount?: boolean }
  | { kind: 'metrics'; prefix: string }

/** How files are looked up and sent; all folders are real paths, resolved once per generation. */
export interface StaticSettings {
  /** Names looked up in a folder, in their order. */
  index: string[]
  /** Endings of names that are not served. */
  skipExt: string[]
  /** Folders that links may lead into. */
  safe: string[]
  /** Which compressed siblings are looked for. */
  precompressed: ContentCoding[]
  expires: ExpiresRule[]
  /** Names with a hash of the content are called immutable. */
  immutable: boolean
  /** Paths below `mount` that nobody answers get this one, where a browser navigates. */
  fallbacks: { mount: string; path: string }[]
  /** Bounds of the memory cache; 0 bytes: none. */
  cacheBytes: number
  cacheFileBytes: number
  cacheEntries: number
  /**
   * Folders of earlier releases in which what a folder lacks is looked for, newest first, until a time of the monotonic clock that all processes
   * of a machine share (`process.hrtime`).
   */
  previous: { folder: string; before: string; untilMs: number }[]
}

/** How answers are compressed on their way. */
export interface CompressionSettings {
  /** In order of preference among those that the client likes equally. */
  codings: { coding: ContentCoding; level: number }[]
  /** Media types in small letters: `text/html`, `text/*`, `*`. */
  types: string[]
  /** Answers with a smaller Content-Length are left as they are. */
  minBytes: number
  /** Compressors that one proxy may have open at the same time. */
  streams: number
}

/** Where applications may name files: by URL for X-Accel-Redirect, by path for X-Sendfile. Prefixes have no slash at the end; folders are real paths. */
export interface FileRoots {
  internal: { prefix: string; folder: string }[]
  sendfile: { prefix: string; folder: string }[]
}

/** A page for the statuses that the proxy answers in its own name; `text` is what the file held when the configuration was read. */
export interface ErrorPageSpec {
  statuses: number[]
  file: string
  text: string
}

/** Everything that a proxy may change while it runs. Sizes in bytes, times in milliseconds, 0 = no limit. */
export interface ProxySettings {
  /** What a worker has started stays when a proxy has to kill it. */
  keepChildren: boolean
  routes: RouteSpec[]
  /** Folders in which every path is looked up before the application is asked (`check-static`). */
  checkStatic: string[]
  files: StaticSettings
  harakiriMs: number
  /** Other deadlines below a path (0 = none), the longest `prefix` first; it ends with a slash. */
  mountHarakiri: { prefix: string; ms: number }[]
  /** Requests that have to wait before there is harakiri. */
  harakiriQueue: number
  headBytes: number
  /** Field lines of a head, bytes of its target, bytes of a body. */
  headFields: number
  targetBytes: number
  postBytes: number
  postBufferingBytes: number
  /** Requests that may wait for a worker, and how long. */
  queueRequests: number
  queueMs: number
  /** Requests in flight per worker over all connections of one proxy. */
  workerConnections: number
  /** Workers may wait with their application: whoever has more than one request for each worker asks for another one (`worker-wanted`). */
  lazy: boolean
  /** Foreign upstreams: how long a connection may take; after how many failures within the grace time one is left alone for as long, 0 = never. */
  upstreamConnectMs: number
  upstreamMaxFails: number
  upstreamGraceMs: number
  /** Deadline for a request's whole head, and idle time between two requests of a connection. */
  headMs: number
  keepAliveMs: number
  /** How long nothing may pass through a tunnel. */
  tunnelIdleMs: number
  keepAliveRequests: number
  /** A body's longest silence and its least pace, and how long an answer may wait for its reader. */
  bodyMs: number
  bodyBytesPerSecond: number
  sendMs: number
  /** How long the first byte of a response may take where the client has ended its half together with its request; 0: it has left. */
  halfCloseMs: number
  /** Open client connections, in all and of one address. */
  connections: number
  connectionsPerAddress: number
  /** Access log: null = none, an empty path = standard output. */
  accessLog: { path: string } | null
  /** `user:hash` for the `metrics` route, null = open. */
  metricsAuth: string | null
  compression: CompressionSettings | null
  fileRoots: FileRoots
  errorPages: ErrorPageSpec[]
  /** Networks of proxies whose forwarding fields are believed: `10.0.0.0/8`, `::1`, `unix`. */
  trustedProxies: string[]
  /** Name of the cookie that keeps a client at one slot, null = none. */
  sticky: string | null
  /** Whether X-Request-Id stands on the answers, and at the end of each access line. */
  requestIdOnAnswers: boolean
  requestIdInLog: boolean
  /** So many crashes within a window hold a request back for a time; `deaths` 0 = never. */
  quarantine: { deaths: number; windowMs: number; holdMs: number }
}

/**
 * Why a worker is gone. `asked`: the master stopped or killed it, harakiri included; `killed`: SIGKILL of somebody else's;
 * `crashed`: by itself, by the kernel's when it took too much memory, or because it broke the protocol of a link.
 */
export type WorkerEnd = 'asked' | 'killed' | 'crashed'

/** A worker as a proxy sees it. `workerId` is unique in the life of the master; a slot's next worker has another one. */
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

/** Between a proxy's goodbye to both sides of a tunnel and its end: for the client's answer, and for the application to see it. */
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
   * Out of rotation, nothing new; its tunnels are closed within `tunnelMs`. Answered by `worker-draining` as long as there is something left and
   * by `worker-drained` then. Sent again with less time when that has become short.
   */
  | { type: 'worker-retire'; workerId: number; tunnelMs: number }
  | { type: 'worker-gone'; workerId: number; end: WorkerEnd }
  | { type: 'reopen-logs' }
  /** Answered by `in-flight`. */
  | { type: 'in-flight-wanted'; requestId: number }
  /** Whether requests are held in the queue in place of being given to workers; ends with the drain. */
  | { type: 'pause'; isPaused: boolean }
  /** Answered by `synced`: all that was sent before is done. */
  | { type: 'sync'; number: number }
  /** Accept nothing new, finish what is in flight for at most `mercyMs`, exit 0. The master starts no worker any more. */
  | { type: 'drain'; mercyMs: number }
  | { type: 'metrics'; requestId: number; text: string }

/** A blocked loop as a proxy found it, for the log: `others` is what becomes of the rest in flight, empty = nothing; `at` is `file:line`, `-` = unknown. */
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
  /** What a retiring worker still has at this proxy: `requests` without an answer, open `tunnels`. At least one of them. */
  | { type: 'worker-draining'; workerId: number; requests: boolean; tunnels: boolean }
  /** Past a deadline and no answer to a ping: the worker's loop is blocked, kill it. `request` is the guilty one, printable. */
  | ({ type: 'worker-blocked'; workerId: number } & BlockedLoop)
  /** The worker has broken the protocol of its link, which is closed: kill it. `why` is printable and short. */
  | { type: 'link-broken'; workerId: number; why: string }
  /** Counters and histograms since this proxy started (never deltas), and the load of each worker as this proxy sees it; `queued` requests wait. */
  | { type: 'metrics'; families: MetricFamily[]; workers: WorkerLoad[]; queued: number }
  /** Requests wait, and no worker is there that could ever take one. With `lazy` also: there are more requests than workers. */
  | { type: 'worker-wanted' }
  | { type: 'metrics-wanted'; requestId: number }
  | { type: 'synced'; number: number }
  /** The oldest requests of this proxy, at most 20. */
  | { type: 'in-flight'; requestId: number; requests: InFlightRequest[] }
  | { type: 'event'; event: ProxyEventName; fields: ToldFields }

/** A request that is not answered yet. `path` without its query; `slot` 0: it waits for a worker. */
export interface InFlightRequest {
  method: string
  path: string
  ageMs: number
  slot: number
}

/** One proxy's view of one worker; the master adds them up. `lagMs` is the event-loop lag of the last pong. */
export interface WorkerLoad {
  workerId: number
  requests: number
  inFlight: number
  lagMs: number
  /** Since the link came up: answers and passed deadlines, how many of them were 5xx, and the sum of the times to their first bytes. */
  answered: number
  failed: number
  waitedMs: number
}

/** What `address()` says to an application that leaves its port to the kernel: the first dynamic port of RFC 6335 §6. */
export const UNCHOSEN_PORT = 49_152

/** PORT where nobody has chosen one and clients have none: not the one above, or whatever listens on port 0 would be on PORT. */
export const NO_PORT = 49_153

/** What a worker needs beyond its environment, working directory and argv, which the master sets when it spawns it. */
export interface WorkerSettings {
  workerId: number
  slot: number
  generation: number
  /** Those that it may use; null: all that it inherits. */
  cpus: number[] | null
  /** Absolute path of the application's entry file, links resolved once per generation. */
  app: string
  /** What stands behind it in `process.argv`. */
  args: string[]
  /** Its site listens there, by its own code; null: where PORT says, or first. */
  appPort: string | null
  /** So long the server on PORT is waited for before another one is the site; 0: not at all. */
  portMs: number
  /** `node:cluster` is to say that it is a worker. */
  clusterWorker: boolean
  /** How long it may take until it listens. */
  startMs: number
  /** The application is loaded by `load` only. */
  waits: boolean
  /** What the application has started stays when the worker has to end by itself. */
  keepChildren: boolean
  socketPath: string
  linkPath: string
  tunnelPath: string
  /** Mode of the application's own socket; the others are for the service's user alone. */
  socketMode: number
  /** It is ready only once the application has said so (`process.send('ready')`). */
  waitReady: boolean
  /** Ask to be recycled after so many requests, 0 = never. */
  maxRequests: number
  /** Tell the utilisation of the event loop so often, 0 = never. */
  utilizationMs: number
}

/** Which answers are streams, and how long they may go on once the application was told to end. */
export interface StreamLimits {
  /** Event streams are from their first byte on; others when they have been under way for so long. 0: only event streams. */
  afterMs: number
  mercyMs: number
}

export type MasterToWorker =
  | { type: 'configure'; settings: WorkerSettings }
  /** What the application waited for is there. */
  | { type: 'load' }
  /**
   * Its time has come, and answers are still under way: the application is told to end within `mercyMs`. `stream`: its endless answers, as
   * `StreamLimits` says, are cut; null: they have the whole mercy.
   */
  | { type: 'farewell'; mercyMs: number; stream: StreamLimits | null }
  /** Out of rotation everywhere: finish, send the last metrics, write a heap snapshot if there is a path for one, exit 0 within `mercyMs`. */
  | { type: 'stop'; mercyMs: number; snapshotPath: string | null }

export type WorkerToMaster =
  /** As `WorkerSettings.waits` asks for. `bootMs` since the process started. */
  | { type: 'waiting'; bootMs: number }
  /** Somebody has connected to the socket of the application that waits. */
  | { type: 'load-wanted' }
  /**
   * The application listens, both sockets are open. `bootMs` since the process started, or since `load`. `ignoresPort`: its site is another server than one on
   * PORT.
   */
  | { type: 'ready'; bootMs: number; ignoresPort?: boolean }
  /** It will never be: the application threw while loading, or exports nothing that can be served. `stack` is the application's own. */
  | { type: 'failed'; reason: string; stack: string }
  /** The metrics whose values changed since the last message; values since the worker started, never deltas. */
  | { type: 'metrics'; families: MetricFamily[] }
  /** Please replace me, then stop me. */
  | { type: 'recycle'; reason: 'max-requests' | 'disconnected' }
  /** The share of the time since the last one that the event loop has worked, 0 to 1. */
  | { type: 'utilization'; share: number }
  | { type: 'event'; event: WorkerEventName; fields: ToldFields }

/** The longest message that a child may send, in bytes of JSON: twice what the master keeps of one process as printed (`metrics-store.ts`). */
export const LONGEST_CHILD_MESSAGE_BYTES = 4 * 1024 * 1024

/** Of `failed`: what was wrong, and the application's own stack. In characters; both are cut by the child. */
export const LONGEST_REASON = 4000
export const LONGEST_STACK = 32_000

/**
 * The most structure of a message that a worker may send. The deepest is a sample with an exemplar: message, `families`, family, `values`, sample, exemplar, its
 * labels. The largest is one family of the 10,000 series that the master keeps of a process, with eight labels each: two brackets and nine commas make 110,000.
 * No object has more members than a sample has labels, of which the master takes 64; the different keys are the names of all labels.
 */
export const WORKER_MESSAGE_BOUNDS = { depth: 10, values: 125_000, members: 100, keys: 2000 }

/** Of a proxy's: it counts for each worker, and tells the load of each. A process of the service's user can write on its channel (pidfd_getfd(2)). */
export const PROXY_MESSAGE_BOUNDS = { ...WORKER_MESSAGE_BOUNDS, values: 500_000 }
