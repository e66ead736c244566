/**
 * All foreign upstreams of this proxy (`http-to`), one group per mount. One per proxy. A new configuration keeps its
 * unchanged groups, with their connections and the health of their upstreams.
 */

import type { ProxySettings } from '../../kit/channel/messages.js'
import type { MetricFamily, MetricSample } from '../../kit/channel/metric-family.js'
import type { Exchange } from '../exchange/exchange.js'
import type { Responder, ResponderEvents } from '../exchange/responder.js'
import type { Tunnels } from '../tunnel/tunnels.js'
import { type GroupWorld, type Upstream, UpstreamGroup } from './upstream-group.js'

export class Upstreams implements Responder {
  readonly #events: ResponderEvents
  readonly #world: GroupWorld
  readonly #tunnels: Tunnels
  /** By mount. */
  #groups = new Map<string, UpstreamGroup>()
  /** Groups of an earlier configuration, until their requests are complete. */
  #retiring: UpstreamGroup[] = []
  /** Failures counted by groups that are gone, by mount, index and reason: a counter never falls. */
  readonly #settled = new Map<string, MetricSample>()

  constructor(world: GroupWorld, tunnels: Tunnels, events: ResponderEvents) {
    this.#world = world
    this.#tunnels = tunnels
    this.#events = events
    this.apply(world.settings)
  }

  /** A new configuration, which the world has already. */
  apply(settings: ProxySettings): void {
    const earlier = this.#groups
    this.#groups = new Map()
    for (const spec of settings.routes) {
      if (spec.kind !== 'upstream') continue
      const { prefix, upstreams } = spec
      const known = earlier.get(prefix)
      if (known?.isMadeOf(upstreams, settings.httpConnectTimeoutMs)) {
        earlier.delete(prefix)
        this.#groups.set(prefix, known)
      } else this.#groups.set(prefix, new UpstreamGroup(prefix, upstreams, this.#world, this.#tunnels, this.#events))
    }
    this.#retiring.push(...earlier.values())
    this.#retire()
  }

  dispatch(exchange: Exchange, nowMs: number): void {
    const group = this.#groups.get(exchange.route?.mount ?? '')
    // The route went away with the old configuration while the request body was awaited.
    if (group === undefined) this.#events.failed(exchange, 'not-found')
    else group.dispatch(exchange, nowMs)
  }

  sweep(nowMs: number): void {
    for (const group of this.#all) group.sweep(nowMs)
    if (this.#retiring.length > 0) this.#retire()
  }

  destroy(): void {
    for (const group of this.#all) group.destroy()
  }

  families(): MetricFamily[] {
    if (this.#all.length === 0 && this.#settled.size === 0) return []
    const failures = new Map(this.#settled)
    for (const group of this.#all) addFailures(failures, group)
    const each = (value: (upstream: Upstream) => number): MetricSample[] =>
      [...this.#groups.values()].flatMap(group =>
        group.upstreams.map(upstream => ({ labels: labelsOf(group, upstream), value: value(upstream) })),
      )
    return [
      {
        name: 'daimyo_upstream_failures_total',
        help: 'Attempts at foreign upstreams that failed, by mount, place in the option and reason.',
        type: 'counter',
        aggregator: 'sum',
        values: [...failures.values()],
      },
      {
        name: 'daimyo_upstream_up',
        help: 'Whether a foreign upstream is in rotation: 0 as soon as one proxy has taken it out.',
        type: 'gauge',
        aggregator: 'min',
        values: each(({ outUntilMs }) => (outUntilMs === 0 ? 1 : 0)),
      },
      {
        name: 'daimyo_upstream_requests',
        help: 'Requests that a foreign upstream has now.',
        type: 'gauge',
        aggregator: 'sum',
        values: each(({ inFlight }) => inFlight),
      },
      {
        name: 'daimyo_upstream_queued_requests',
        help: 'Requests waiting for a foreign upstream now.',
        type: 'gauge',
        aggregator: 'sum',
        values: [...this.#groups.values()].map(({ mount, queued }) => ({ labels: { mount }, value: queued })),
      },
    ]
  }

  get #all(): UpstreamGroup[] {
    return [...this.#groups.values(), ...this.#retiring]
  }

  #retire(): void {
    for (const group of this.#retiring.filter(group => group.isIdle)) {
      addFailures(this.#settled, group)
      group.destroy()
    }
    this.#retiring = this.#retiring.filter(group => !group.isIdle)
  }
}

function addFailures(samples: Map<string, MetricSample>, group: UpstreamGroup): void {
  for (const upstream of group.upstreams) {
    for (const [reason, count] of upstream.failuresByReason) {
      const key = `${group.mount} ${upstream.index} ${reason}`
      const value = (samples.get(key)?.value ?? 0) + count
      samples.set(key, { labels: { ...labelsOf(group, upstream), reason }, value })
    }
  }
}

function labelsOf({ mount }: UpstreamGroup, { index }: Upstream): { mount: string; upstream: number } {
  return { mount, upstream: index }
}
