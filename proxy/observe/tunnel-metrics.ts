/** What a proxy counts about tunnels. Its families are among those of `request-metrics.ts`. */

import type { MetricFamily } from '../../kit/channel/metric-family.js'

/**
 * Why a tunnel ended. client, application: that side ended first. restart: its worker is replaced. stop: the proxy
 * stops. idle: nothing passed for `ws-idle-timeout`.
 */
export type TunnelReason = 'client' | 'application' | 'restart' | 'stop' | 'idle'

export class TunnelMetrics {
  opened = 0
  fromClientBytes = 0
  toClientBytes = 0
  readonly #closed = new Map<TunnelReason, number>()

  closed(reason: TunnelReason): void {
    this.#closed.set(reason, (this.#closed.get(reason) ?? 0) + 1)
  }

  /** `open`: tunnels that are open now. */
  families(open: number): MetricFamily[] {
    return [
      {
        name: 'daimyo_tunnels',
        help: 'WebSocket tunnels open now.',
        type: 'gauge',
        aggregator: 'sum',
        values: [{ labels: {}, value: open }],
      },
      counter('daimyo_tunnels_opened_total', 'WebSocket tunnels opened.', [{ labels: {}, value: this.opened }]),
      counter(
        'daimyo_tunnels_closed_total',
        'WebSocket tunnels ended, by who or what ended them.',
        [...this.#closed].map(([reason, value]) => ({ labels: { reason }, value })),
      ),
      counter('daimyo_tunnel_bytes_total', 'Bytes that passed through tunnels, by direction.', [
        { labels: { direction: 'from-client' }, value: this.fromClientBytes },
        { labels: { direction: 'to-client' }, value: this.toClientBytes },
      ]),
    ]
  }
}

function counter(name: string, help: string, values: MetricFamily['values']): MetricFamily {
  return { name, help, type: 'counter', aggregator: 'sum', values }
}
