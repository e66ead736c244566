/** The interface between the request lifecycle and the rest of the proxy. The proxy server implements it. */

import type { ProxyEventName, ToldFields } from '../kit/channel/child-events.js'
import type { ProxySettings } from '../kit/channel/messages.js'
import type { StackReport } from '../kit/link/stack-report.js'
import type { Link } from './link/link.js'
import type { AccessLog } from './observe/access-log.js'
import type { MetricsPage } from './observe/metrics-page.js'
import type { RequestMetrics } from './observe/request-metrics.js'

/** What the request lifecycle needs from the rest of the proxy. */
export interface RequestLifecycleWorld {
  settings: ProxySettings
  metrics: RequestMetrics
  accessLog: AccessLog | null
  metricsPage: MetricsPage
  linked(workerId: number): void
  linkBroken(workerId: number, why: string): void
  /** See `DispatcherEvents`. */
  left(workerId: number, requests: boolean, tunnels: boolean): void
  starved(): void
  blocked(link: Link, guilty: string, elapsedMs: number, stack: StackReport): void
  event(name: ProxyEventName, fields: ToldFields): void
}
