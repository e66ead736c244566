/**
 * What the configuration says once it was read and found valid: the values that the master works with.
 * Made by `read-settings.ts` from the option table; everything else reads it. Sizes in bytes, times in milliseconds, paths absolute.
 */

import type { Credentials, ErrorPageSpec, StaticSettings, StreamLimits } from '../../../kit/channel/messages.js'
import type {
  BoundAddress,
  CheaperAlgorithm,
  CronSpec,
  DaemonSpec,
  ListenAddress,
  ReadyCheck,
  UpstreamAddress,
} from '../../../kit/options/values/value-types.js'
import type { InheritedLimits } from '../../host/inherited-limits.js'
import type { ProcessNames } from '../../host/process-names.js'
import type { SocketOwner } from '../../user/accounts.js'

/** The limits in force for the workers of a generation. Times in milliseconds, sizes in bytes, 0 = none. */
export interface RecycleLimits {
  /** So many requests more for each slot number: not all at the same time. */
  maxRequestsDelta: number
  maxLifetimeMs: number
  maxLifetimeDeltaMs: number
  /** null: none, but for `reload-on-rss` REST_MS. */
  minLifetimeMs: number | null
  reloadOnRssBytes: number
  evilReloadOnRssBytes: number
}

/** `folder` null: none are written. */
export interface LeakAutopsySettings {
  folder: string | null
  files: number
}

/** From the options `cheaper` and `cheaper-*`. Times in milliseconds, sizes in bytes. */
export interface CheaperSettings {
  /** Workers at least, 0: always `processes`. */
  least: number
  /** Workers at the start; null: `least`. */
  initial: number | null
  step: number
  algorithm: CheaperAlgorithm
  /** How long it must be too much; for `busyness` the length of a cycle. */
  overloadMs: number
  /** How long it must be too little; not for `busyness`. */
  idleMs: number
  /** Percent. `multiplier`: cycles below `min` before a worker goes; `penalty`: so many more when one is missed soon after. */
  busyness: { min: number; max: number; multiplier: number; penalty: number }
  /** Resident memory of all workers above which none is added, and above which they become fewer; 0 = no limit. */
  rssSoftBytes: number
  rssHardBytes: number
}

/** A variable that children get (null: do not get), whatever they inherit. */
export interface EnvironmentChange {
  name: string
  value: string | null
}

/** What the start waits for, and what it runs first of all. */
export interface StartingSettings {
  waitForFiles: string[]
  waitForFileMs: number
  waitForSockets: BoundAddress[]
  waitForSocketMs: number
  execAsap: string[]
}

/** What runs around the application. */
export interface AroundSettings {
  execPreApp: string[]
  execPostApp: string[]
  accepting1: string[]
  execAtExit: string[]
  execMs: number
  daemons: DaemonSpec[]
  crons: CronSpec[]
  /** 0 = none. */
  cronHarakiriMs: number
}

export interface Settings {
  /** The INI that was read, null when everything came from the command line. */
  iniPath: string | null
  /** Of that INI; empty: the usual one. */
  iniSection: string
  /** Every file whose text went into this, the INI first, and every folder of `envdir`: what `ini-reload` watches. */
  configFiles: string[]
  /** Entry file of the application as written, not yet resolved through links; null: static files only. */
  app: string | null
  /** Words behind the application's file in `process.argv`. */
  args: string[]
  /** A port or a path, as the application writes it; null: what PORT says, or the first. */
  appPort: string | null
  /** `node:cluster` says that it is a worker. */
  clusterWorker: boolean
  chdir: string | null
  /** The folder in which daimyo was started, absolute: where the application and commands run without `chdir`. */
  startFolder: string
  /** `processes`: workers wanted. */
  processes: number
  httpProcesses: number
  /** `http` and `http-socket`, in their order; port 0 lets the kernel choose. */
  listeners: ListenAddress[]
  /** `listen`: the backlog of each. */
  backlog: number
  /** The same of one that systemd opened: as many as the kernel allows, unless the INI sets `listen`. */
  passedBacklog: number
  /** `chmod-socket` and `chown-socket`, of the public unix sockets; null: 0660, and the service's own. */
  socketMode: number | null
  socketOwner: SocketOwner | null
  /** `keepsMount`: the mount is a part of the path in the folder too (`static-map2`). Folders as written, absolute. */
  staticMaps: { mount: string; folder: string; keepsMount?: true }[]
  checkStatic: string[]
  /** How files are looked up and sent; `safe` as written. */
  files: Omit<StaticSettings, 'previous'>
  assetGraceMs: number
  mounts: string[]
  /** `http-to`. */
  upstreams: { mount: string; addresses: UpstreamAddress[] }[]
  /** Whether answers are compressed with each coding, which, how and how many at the same time. */
  autoGzip: boolean
  autoBr: boolean
  autoZstd: boolean
  gzipTypes: string[]
  gzipMinBytes: number
  gzipLevel: number
  brotliLevel: number
  zstdLevel: number
  gzipStreams: number
  /** Where the application may name files: `internal` and `x-sendfile-root`. */
  internalMaps: { mount: string; folder: string }[]
  sendfileRoots: string[]
  /** With their texts, so that a changed file is a changed setting. */
  errorPages: ErrorPageSpec[]
  /** 0 = no deadline. */
  harakiriMs: number
  /** `mount-harakiri`, in its order; 0 = none. */
  mountHarakiri: { mount: string; ms: number }[]
  /** Requests that have to wait before there is harakiri. */
  harakiriQueue: number
  /** What a blocked worker gets before it is killed. */
  harakiriGracefulMs: number
  /** How long a worker may take to finish when it is replaced, and the whole tree when it stops. */
  workerReloadMercyMs: number
  reloadMercyMs: number
  /** `ws-mercy`: how long the tunnels of a replaced worker may stay. */
  tunnelMercyMs: number
  /** What a stop does with answers that have no end. */
  stream: StreamLimits
  /** Retired workers that a reload does not wait for; null: as many as are wanted. */
  reloadOverlap: number | null
  /** `ws-idle-timeout`, 0 = none. */
  tunnelIdleMs: number
  /** What a worker has started stays after its end. */
  keepChildren: boolean
  /** How long a new worker may take until it listens (`worker-start-timeout`). */
  workerStartMs: number
  /** What a new worker must answer before it serves. */
  readyCheck: ReadyCheck | null
  /** A new worker's application must say `ready` (`process.send('ready')`). */
  waitReady: boolean
  /** How long a reload's first new worker serves beside the old ones, 0 = not at all. */
  soakMs: number
  /** Paths whose change starts a reload, absolute; `iniReload`: so do `configFiles`. */
  touchReload: string[]
  touchWorkersReload: string[]
  touchChainReload: string[]
  fsReload: string[]
  iniReload: boolean
  lazyApps: boolean
  /** `cpu-affinity`: CPUs of each worker, 0 = all. */
  cpuAffinity: number
  processNames: ProcessNames
  maxRequests: number
  /** `max-requests-delta` to `evil-reload-on-rss`. */
  recycling: RecycleLimits
  memoryReport: boolean
  leakAutopsy: LeakAutopsySettings
  /** `cheaper` and `cheaper-*`. */
  cheaper: CheaperSettings
  cheap: boolean
  lazy: boolean
  /** 0 = never. */
  idleMs: number
  dieOnIdle: boolean
  /** `node-args`, word by word. */
  nodeArgs: string[]
  workerConnections: number
  upstreamConnectMs: number
  upstreamMaxFails: number
  upstreamGraceMs: number
  /** `trusted-proxies`: networks as written, and `unix`. */
  trustedProxies: string[]
  sticky: string | null
  requestIdOnAnswers: boolean
  requestIdInLog: boolean
  quarantine: { deaths: number; windowMs: number; holdMs: number }
  queueRequests: number
  queueMs: number
  headMs: number
  keepAliveMs: number
  /** 0 = no limit. */
  keepAliveRequests: number
  bodyMs: number
  /** 0 = no rate. */
  bodyBytesPerSecond: number
  sendMs: number
  halfCloseMs: number
  /** Client connections of one proxy, and of those with one address (0 = no limit). */
  connections: number
  connectionsPerAddress: number
  env: { name: string; value: string }[]
  /** What `env-file` and `envdir` say, in their order; `env` goes before it. */
  environmentFiles: EnvironmentChange[]
  starting: StartingSettings
  around: AroundSettings
  inherited: InheritedLimits
  /** Variables that children do not inherit. */
  unenv: string[]
  /** From `uid` and `gid`; null: stay who we are. */
  credentials: Credentials | null
  pidfile: string | null
  masterFifos: string[]
  logto: string | null
  /** `log-maxsize`, 0 = never rotated; `log-backups`. */
  logMaxBytes: number
  logBackups: number
  /** `vacuum`: remove pidfile and unix sockets at exit. */
  vacuum: boolean
  /** `disable-logging` false: one access line for each request. */
  accessLog: boolean
  headBytes: number
  headFields: number
  targetBytes: number
  /** `limit-post`, 0 = no limit. */
  postBytes: number
  postBufferingBytes: number
  /** Listener for `/metrics`; null: none. */
  metrics: ListenAddress | null
  /** `user:hash`; secret. */
  metricsAuth: string | null
  metricsPath: string | null
  /** Folder of worker sockets and the control socket. */
  runDir: string
}

/** A mistake or a remark about one value: `place` is `file:line` or `--option`. */
export interface Finding {
  place: string
  message: string
}

/** A value in effect as it may be shown: secrets are hidden. `place` is `file:line`, `--option` or `default`. */
export interface EffectiveValue {
  name: string
  text: string
  place: string
}

/** `mistakes` empty: `settings` is usable. `remarks` are lines to tell the operator in any case. */
export interface Reading {
  settings: Settings | null
  mistakes: Finding[]
  remarks: Finding[]
  /** What `check` lists, in the order of the option table. */
  values?: EffectiveValue[]
  /** Every file that was read, even for a reading with mistakes. */
  files?: string[]
  /** Where a running master of this configuration is found, even while the configuration has mistakes. */
  runDir?: string
}
