/** The effects of requests on the control socket. */

import type { MetricFamily, MetricSample } from '../../kit/channel/metric-family.js'
import type { ControlRequest, TopReport } from '../control/control-protocol.js'
import type { ControlHandler } from '../control/control-socket.js'
import type { Master } from './master.js'
import type { Order } from './orders.js'

/** The part of the master that a command may use. */
export type Commanded = Pick<Master, 'status' | 'reload' | 'reloadWait' | 'order' | 'stop' | 'unended' | 'inFlight'>

/** The sources of `daimyo top` besides the master. */
export interface TopFigures {
  /**
   * One metric family over all processes. Null: no process has it. Used only for the proxies' own families, whose size
   * is bounded.
   */
  family(name: string): MetricFamily | null
  events(): string[]
}

/** A client gives up on a silent master. During long work the master sends it a line this often. */
const STILL_MS = 4000

/** A handler for `startControlSocket`. `reload` and `stop` answer when they are complete. */
export function controlHandler(master: Commanded, figures: TopFigures): ControlHandler {
  return async (request, progress) => {
    switch (request.command) {
      case 'status':
        return { type: 'done', ok: true, status: master.status() }
      case 'top':
        return { type: 'done', ok: true, top: await topReport(master, figures) }
      case 'stop':
        await untilDone(master.stop('control'), () => progress(describeStop(master)))
        return { type: 'done', ok: true, ...(master.unended.length > 0 && { unended: master.unended }) }
      case 'scale':
      case 'restart-worker':
      case 'pause':
      case 'resume':
      case 'reopen-logs': {
        const outcome = await untilDone(master.order(orderOf(request), progress), () => progress('still in progress'))
        return { type: 'done', ...outcome }
      }
      case 'reload': {
        const outcome = await untilDone(master.reload(progress), () => progress(master.reloadWait()))
        if (!outcome.ok) return { type: 'done', ok: false, reason: outcome.reason, lines: outcome.lines }
        return { type: 'done', ok: true, status: master.status() }
      }
    }
  }
}

async function topReport(master: Commanded, { family, events }: TopFigures): Promise<TopReport> {
  const samplesOf = (name: string) => family(name)?.values ?? []
  const gauge = (name: string) => samplesOf(name).reduce((sum, { value }) => sum + value, 0)
  const inFlight = await master.inFlight()
  return {
    status: master.status(),
    latency: latencyOf(samplesOf('daimyo_request_duration_seconds')),
    queued: gauge('daimyo_queued_requests'),
    connections: gauge('daimyo_client_connections'),
    inFlight,
    events: events(),
  }
}

/** The buckets, summed over all label sets. */
function latencyOf(samples: MetricSample[]): TopReport['latency'] {
  const counts = new Map<string, number>()
  for (const { labels, value, metricName } of samples) {
    if (!metricName?.endsWith('_bucket')) continue
    const bound = String(labels.le)
    counts.set(bound, (counts.get(bound) ?? 0) + value)
  }
  const buckets = [...counts].map(([bound, count]) => ({ bound: Number(bound.replace('+Inf', 'Infinity')), count }))
  return buckets
    .sort((a, b) => a.bound - b.bound)
    .map(({ bound, count }) => ({ seconds: Number.isFinite(bound) ? bound : null, count }))
}

function orderOf(request: Extract<ControlRequest, { command: Order['type'] }>): Order {
  switch (request.command) {
    case 'scale':
      return { type: 'scale', wanted: request.wanted }
    case 'restart-worker':
      return { type: 'restart-worker', slot: request.slot }
    default:
      return { type: request.command }
  }
}

async function untilDone<T>(thing: Promise<T>, still: () => void): Promise<T> {
  const timer = setInterval(still, STILL_MS)
  try {
    return await thing
  } finally {
    clearInterval(timer)
  }
}

/** What a stop still waits for. */
export function describeStop(master: Pick<Commanded, 'status'>): string {
  const { workers, proxies } = master.status()
  const isThere = ({ pid }: { pid: number | null }) => pid !== null
  return `stopping: ${proxies.filter(isThere).length} proxies and ${workers.filter(isThere).length} workers are left`
}
