/** The types of option values that more than one module uses, and the lists from which they are made. */

/** An address that can be bound and connected to. */
export type BoundAddress = { kind: 'tcp'; host: string; port: number } | { kind: 'unix'; path: string }

/** `passed`: what systemd passes under this name (FileDescriptorName=) or as this descriptor's number. */
export type ListenAddress = BoundAddress | { kind: 'passed'; name: string }

/** A foreign HTTP server (`http-to`), as `net.connect` takes it. A name is resolved again for each connection. */
export type UpstreamAddress = { host: string; port: number } | { path: string }

/** Who a socket is given to (`chown-socket`), not yet looked up. */
export interface NamedOwner {
  user: string
  group: string | null
}

/** A content coding by its registered name, which is what `Content-Encoding` and `Accept-Encoding` say. */
export type ContentCoding = 'br' | 'zstd' | 'gzip'

/** What `static-expires` and its variants say: which files, how long, and from when on. */
export interface ExpiresRule {
  by: 'type' | 'file' | 'path' | 'uri'
  /** A content type, or a regular expression. */
  pattern: string
  seconds: number
  from: 'now' | 'modified'
}

/**
 * A page for statuses of responses that the proxy sends in its own name. `text` is the content of the file when the
 * configuration was read.
 */
export interface ErrorPageSpec {
  statuses: number[]
  file: string
  text: string
}

/** `ready-check`. `path` begins with `/`. `statuses`: the lowest and the highest one that count. */
export interface ReadyCheck {
  method: 'GET' | 'HEAD'
  path: string
  statuses: [number, number]
}

export const CHEAPER_ALGORITHMS = ['spare', 'busyness', 'manual', 'queue'] as const

export type CheaperAlgorithm = (typeof CHEAPER_ALGORITHMS)[number]

/** The signals that may stop a daemon. */
export type StopSignal = 'SIGHUP' | 'SIGINT' | 'SIGQUIT' | 'SIGTERM' | 'SIGUSR1' | 'SIGUSR2' | 'SIGWINCH' | 'SIGKILL'

/** `attach-daemon`. `pauseMs`: at least so long from its end to its next start. */
export interface DaemonSpec {
  name: string
  command: string
  stopSignal: StopSignal
  reloadSignal: StopSignal | null
  pauseMs: number
}

/**
 * -1: any; -N: where the number can be divided by N. `weekday` 0 and 7 are Sunday; day and weekday, both given, are an
 * "or".
 */
export interface CronTimes {
  minute: number
  hour: number
  day: number
  month: number
  weekday: number
}

/** `cron`. `harakiriMs` null: that of `cron-harakiri`. */
export interface CronSpec {
  name: string
  command: string
  times: CronTimes
  isUnique: boolean
  harakiriMs: number | null
}
