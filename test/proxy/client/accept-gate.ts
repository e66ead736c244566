/** When accepting pauses and goes on, and whom it costs the connection; with real listening sockets in `test/e2e/`. */

import type { Server, Socket } from 'node:net'
import t from 'tap'
import { AcceptGate } from '../../../proxy/client/accept-gate.js'

interface Fake {
  idleSinceMs: number
  evict(): void
}

class Bench {
  now = 10_000
  limit = 1024
  isOut = false
  readonly connections = new Set<Fake>()
  readonly evicted: number[] = []
  readonly limits: string[] = []
  readonly events: string[] = []
  readonly calls: string[] = []
  readonly gate: AcceptGate

  constructor(mostConnections: number) {
    this.gate = new AcceptGate(mostConnections, {
      connections: this.connections,
      now: () => this.now,
      descriptorLimit: () => {
        if (this.isOut) throw Object.assign(new Error('too many'), { code: 'EMFILE' })
        return this.limit
      },
      limited: name => void this.limits.push(name),
      event: name => void this.events.push(name),
    })
    const handle = { readStart: () => this.calls.push('start'), readStop: () => this.calls.push('stop') }
    this.gate.add({ _handle: handle } as unknown as Server)
  }

  accept(idleSinceMs: number, fd = 30): Fake {
    const connection: Fake = { idleSinceMs, evict: () => void this.evicted.push(idleSinceMs) }
    this.connections.add(connection)
    this.gate.accepted({ _handle: { fd } } as unknown as Socket)
    return connection
  }

  close(connection: Fake): void {
    this.connections.delete(connection)
    this.gate.closed()
  }
}

const BUSY = Number.POSITIVE_INFINITY

t.test('at the limit it pauses, and goes on when one has closed', async t => {
  const bench = new Bench(2)
  const first = bench.accept(BUSY)
  t.equal(bench.gate.paused, false)
  bench.accept(BUSY)
  t.equal(bench.gate.paused, true)
  t.same(bench.calls, ['start', 'stop'])
  bench.gate.sweep()
  t.equal(bench.gate.paused, true, 'a sweep changes nothing')
  bench.close(first)
  t.equal(bench.gate.paused, false)
  t.same(bench.calls, ['start', 'stop', 'start'])
  t.same(bench.limits, ['http-connections'])
})

t.test('the longest idle are closed, one for 64 connections, and none that may have a request under way', async t => {
  const bench = new Bench(130)
  for (let index = 0; index < 127; index++) bench.accept(BUSY)
  bench.accept(9000)
  bench.accept(3000)
  t.same(bench.evicted, [])
  bench.accept(9900)
  t.same(bench.evicted, [3000, 9000])
  t.same(bench.limits, ['http-connections', 'idle-evicted', 'idle-evicted'])
})

t.test('whoever becomes idle while it is paused makes room at the next sweep', async t => {
  const bench = new Bench(1)
  const only = bench.accept(BUSY)
  bench.gate.sweep()
  t.same(bench.evicted, [])
  only.idleSinceMs = bench.now
  bench.now += 600
  bench.gate.sweep()
  t.equal(bench.evicted.length, 1)
})

t.test('few descriptors left', async t => {
  const bench = new Bench(1000)
  bench.accept(BUSY, 895)
  t.equal(bench.gate.paused, false)
  const last = bench.accept(BUSY, 896)
  t.equal(bench.gate.paused, true, '128 of 1024 are left for files and links')
  t.same(bench.limits, ['descriptors'])
  bench.close(last)
  t.equal(bench.gate.paused, false)
  bench.accept(BUSY, 896)
  bench.gate.sweep()
  t.equal(bench.gate.paused, false, 'others have closed something meanwhile')
})

t.test('no descriptor left at all', async t => {
  const bench = new Bench(1000)
  const connection = bench.accept(BUSY)
  bench.isOut = true
  bench.gate.sweep()
  t.equal(bench.gate.paused, true)
  bench.isOut = false
  bench.gate.sweep()
  t.equal(bench.gate.paused, false)
  bench.limit = 40
  bench.gate.sweep()
  bench.accept(BUSY, 24)
  t.equal(bench.gate.paused, true, 'the limit was lowered from outside')
  bench.close(connection)
  t.equal(bench.gate.paused, false)
})

t.test('it is told once, however often it pauses, and once that it is over', async t => {
  const bench = new Bench(1)
  for (let count = 0; count < 5; count++) {
    bench.close(bench.accept(BUSY))
    bench.now += 5000
    bench.gate.sweep()
  }
  t.same(bench.events, ['accept-paused'])
  bench.now += 6000
  bench.gate.sweep()
  bench.gate.sweep()
  t.same(bench.events, ['accept-paused', 'accept-resumed'])
})

t.test('a changed limit counts at once', async t => {
  const bench = new Bench(1)
  bench.accept(BUSY)
  bench.gate.mostConnections = 2
  t.equal(bench.gate.paused, false)
})
