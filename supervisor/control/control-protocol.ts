/**
 * The protocol between the `daimyo` command and a running master on the control socket (`<run-dir>/control.sock`, mode
 * 0600): one JSON object a line. The command sends one request and reads until the last answer (`done`); then the
 * master closes.
 */

import type { InFlightRequest } from '../../kit/channel/messages.js'
import type { UnendedProcess } from '../../kit/process/tracers.js'

/** The last answer to a control request. */
export type ControlDone = Extract<ControlAnswer, { type: 'done' }>

/** `reload`, `stop`, `scale` and `restart-worker` answer `done` only after the order was carried out or has failed. */
export type ControlRequest =
  | { command: 'status' }
  | { command: 'top' }
  | { command: 'reload' }
  | { command: 'stop' }
  | { command: 'reopen-logs' }
  /** `wanted`: the number of workers, from 1 to 1024; `auto`: as the INI says. */
  | { command: 'scale'; wanted: number | 'auto' }
  | { command: 'restart-worker'; slot: number }
  | { command: 'pause' }
  | { command: 'resume' }

export type ControlAnswer =
  | { type: 'progress'; text: string }
  /** `unended`: processes that have not ended at a stop. */
  | { type: 'done'; ok: true; status?: StatusReport; top?: TopReport; unended?: UnendedProcess[] }
  /** `lines`: the worker's last lines on standard error, if a worker was the reason. */
  | { type: 'done'; ok: false; reason: string; lines: string[] }

/** The content of `daimyo top` at one moment. */
export interface TopReport {
  status: StatusReport
  /** Responses since the start by duration, cumulative: `seconds` is the bound of the bucket, null for the last. */
  latency: { seconds: number | null; count: number }[]
  queued: number
  connections: number
  /** The oldest first. */
  inFlight: InFlightRequest[]
  /** Lines of the log, the newest last. */
  events: string[]
}

/**
 * The state of a running master. Times are milliseconds since the epoch, sizes bytes. `sinceMs` of a child leaves out
 * the time in which all processes stood still.
 */
export interface StatusReport {
  version: string
  pid: number
  generation: number
  sinceMs: number
  iniPath: string | null
  /** The section of the INI, if it is not `[uwsgi]`. */
  iniSection?: string
  /** URLs that clients can open: `http://127.0.0.1:8080`, `unix:/run/x.sock`. */
  urls: string[]
  metricsUrl: string | null
  /** `processes` as wanted now, after `scale`, TTIN and TTOU. */
  wanted: number
  stopping: boolean
  reloading: boolean
  /** Requests wait in the proxies. */
  paused: boolean
  /** Why a restart is due: daimyo or Node were upgraded since the start. */
  restart?: string[]
  workers: WorkerReport[]
  proxies: ProxyReport[]
  /** Former children whose processes are still there. */
  unended?: UnendedProcess[]
}

export interface WorkerReport {
  slot: number
  workerId: number
  pid: number | null
  /** A phase of `worker-life.ts`; `linking`: it is ready, and a proxy that accepts has no link to it yet. */
  phase: string
  /** Why the worker is in that phase, as the log says it. */
  why: string
  generation: number
  requests: number
  inFlight: number
  rssBytes: number | null
  cpuPercent: number | null
  lagMs: number | null
  /** How often a worker of this slot ended without an order, since the slot exists. */
  deaths: number
  sinceMs: number
  socketPath: string
}

export interface ProxyReport {
  proxyId: number
  pid: number | null
  phase: string
  rssBytes: number | null
  cpuPercent: number | null
  /** How often a proxy of this number ended without an order. */
  deaths: number
  sinceMs: number
}
