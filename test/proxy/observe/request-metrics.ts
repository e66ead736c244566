/** What is counted: families as the master takes them, labels that no client can multiply. */

import t from 'tap'
import type { MetricFamily } from '../../../kit/channel/metric-family.js'
import { RequestMetrics } from '../../../proxy/observe/request-metrics.js'

const IDLE = { connections: 0, queued: 0, tunnels: 0, accessLogLostBytes: 0 }

function named(metrics: RequestMetrics, name: string): MetricFamily {
  const family = metrics.families(IDLE).find(each => each.name === name)
  if (family === undefined) throw new Error(`no family ${name}`)
  return family
}

t.test('requests are counted by mount, method and class of status', async t => {
  const metrics = new RequestMetrics()
  metrics.finished('/api', 'GET', 200, 0.002)
  metrics.finished('/api', 'GET', 204, 100)
  metrics.finished('/api', 'GET', 404, 0)
  metrics.finished('/', 'POST', 502, 0.001)
  t.same(named(metrics, 'daimyo_requests_total').values, [
    { labels: { mount: '/api', method: 'GET', status: '2xx' }, value: 2 },
    { labels: { mount: '/api', method: 'GET', status: '4xx' }, value: 1 },
    { labels: { mount: '/', method: 'POST', status: '5xx' }, value: 1 },
  ])
})

t.test('a histogram is cumulative, bounds included, and ends with its sum and count', async t => {
  const metrics = new RequestMetrics()
  for (const seconds of [0, 0.001, 0.0011, 60, 61]) metrics.firstByte('/', seconds)
  const { values, type } = named(metrics, 'daimyo_request_first_byte_seconds')
  t.equal(type, 'histogram')
  const buckets = values.filter(sample => sample.metricName?.endsWith('_bucket'))
  t.same(
    buckets.map(sample => sample.value),
    [2, ...new Array<number>(13).fill(3), 4, 5],
  )
  t.equal(buckets.at(-1)?.labels.le, '+Inf')
  t.match(values.at(-2), { value: 121.0021, metricName: 'daimyo_request_first_byte_seconds_sum' })
  t.match(values.at(-1), { value: 5, metricName: 'daimyo_request_first_byte_seconds_count' })
})

t.test('a client cannot make labels', async t => {
  const metrics = new RequestMetrics()
  for (let count = 0; count < 100; count++) metrics.finished('/', `EVIL${count}`, 400, 0)
  t.same(named(metrics, 'daimyo_requests_total').values, [
    { labels: { mount: '/', method: 'other', status: '4xx' }, value: 100 },
  ])
})

t.test('each thing has its own counter, and gauges are what they are now', async t => {
  const metrics = new RequestMetrics()
  metrics.harakiri('/a')
  metrics.rescue('again')
  metrics.rescue('again')
  metrics.refused('bad-host')
  metrics.error('deadline')
  metrics.queued('/a', 1)
  metrics.connections = 7
  const load = { connections: 3, queued: 2, tunnels: 1, accessLogLostBytes: 9 }
  const values = Object.fromEntries(metrics.families(load).map(family => [family.name, family.values.at(-1)]))
  t.match(values, {
    daimyo_harakiris_total: { labels: { mount: '/a' }, value: 1 },
    daimyo_rescues_total: { labels: { outcome: 'again' }, value: 2 },
    daimyo_refused_requests_total: { labels: { reason: 'bad-host' }, value: 1 },
    daimyo_error_answers_total: { labels: { reason: 'deadline' }, value: 1 },
    daimyo_request_queue_seconds: { value: 1 },
    daimyo_connections_total: { value: 7 },
    daimyo_access_log_lost_bytes_total: { value: 9 },
    daimyo_client_connections: { value: 3 },
    daimyo_queued_requests: { value: 2 },
    daimyo_tunnels: { value: 1 },
  })
})
