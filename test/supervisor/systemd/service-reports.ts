/** What systemd hears: `supervisor/systemd/service-reports.ts`, with clock and tree of the test's own. */

import t from 'tap'
import type { StatusReport } from '../../../supervisor/control/control-protocol.js'
import { isAlive, ServiceReports, serviceStatus, watchdogMs } from '../../../supervisor/systemd/service-reports.js'

const { pid } = process

function reportOf(change: Partial<StatusReport> = {}, phases = ['ready', 'ready', 'booting']): StatusReport {
  const workers = phases.map(phase => ({ phase })) as StatusReport['workers']
  const proxies = [{ phase: 'listening' }] as StatusReport['proxies']
  const flags = { stopping: false, reloading: false, wanted: 3, generation: 2, urls: ['http://a:1'] }
  return { ...flags, workers, proxies, ...change } as StatusReport
}

const watchdogs: [string, Record<string, string>, number | null][] = [
  ['none', {}, null],
  ['for any process', { WATCHDOG_USEC: '3000000' }, 3000],
  ['for us', { WATCHDOG_USEC: '3000000', WATCHDOG_PID: String(pid) }, 3000],
  ['for another', { WATCHDOG_USEC: '3000000', WATCHDOG_PID: '1' }, null],
  ['zero', { WATCHDOG_USEC: '0' }, null],
  ['no number', { WATCHDOG_USEC: '3s' }, null],
  ['negative', { WATCHDOG_USEC: '-1' }, null],
]
for (const [title, environment, expected] of watchdogs) {
  t.test(`watchdog: ${title}`, async t => t.equal(watchdogMs(environment, pid), expected))
}

const texts: [string, StatusReport, string][] = [
  ['serving', reportOf(), 'generation 2: 2 of 3 workers ready, 1 proxy, http://a:1'],
  [
    'waiting',
    reportOf({}, ['ready', 'waiting', 'waiting']),
    'generation 2: 1 of 3 workers ready, 2 waiting for requests, 1 proxy, http://a:1',
  ],
  ['reloading', reportOf({ reloading: true }), 'reloading, generation 2: 2 of 3 workers ready, 1 proxy, http://a:1'],
  [
    'stopping',
    reportOf({ stopping: true, reloading: true, proxies: [], urls: [] }),
    'stopping, generation 2: 2 of 3 workers ready, 0 proxies',
  ],
]
for (const [title, report, expected] of texts) {
  t.test(`status: ${title}`, async t => t.equal(serviceStatus(report), expected))
}

const lives: [string, StatusReport, number, boolean][] = [
  ['one worker answers', reportOf(), 1, true],
  ['none answers', reportOf(), 0, false],
  ['without a slot a proxy is enough', reportOf({}, []), 0, true],
  ['but one is needed', reportOf({ proxies: [] }, []), 0, false],
  ['slots that wait to be filled', reportOf({}, ['gone', 'gone']), 0, false],
  ['workers that wait for requests', reportOf({}, ['waiting', 'waiting']), 0, true],
  ['one that serves and does not answer', reportOf({}, ['ready', 'waiting']), 0, false],
]
for (const [title, report, answering, expected] of lives) {
  t.test(`alive: ${title}`, async t => t.equal(isAlive(report, answering), expected))
}

function make(environment: Record<string, string> = {}) {
  const told: string[] = []
  const world = { report: reportOf(), answering: 1, lagMs: 0, nowMs: 0 }
  const reports = new ServiceReports({
    notifier: {
      ready: text => told.push(`READY ${text}`),
      reloading: () => told.push('RELOADING'),
      stopping: () => told.push('STOPPING'),
      status: text => told.push(`STATUS ${text}`),
      watchdog: () => told.push('WATCHDOG'),
      extend: ms => told.push(`EXTEND ${ms}`),
      settled: async () => {},
    },
    environment,
    report: () => world.report,
    answering: withinMs => (withinMs > world.lagMs ? world.answering : 0),
    nowMs: () => world.nowMs,
  })
  /** What was told since the last call, after a beat at this time. */
  const at = (nowMs: number): string[] => {
    world.nowMs = nowMs
    reports.beat()
    return told.splice(0)
  }
  return { reports, world, told, at }
}

const steady = 'generation 2: 2 of 3 workers ready, 1 proxy, http://a:1'

t.test('a status is told once, and time only while something goes on', async t => {
  const { reports, world, told, at } = make()
  t.same(at(0), ['EXTEND 20000', `STATUS ${steady}`], 'the start asks for time')
  t.same(at(4999), [])
  t.same(at(5000), ['EXTEND 20000'])
  reports.ready()
  t.same(told.splice(0), [`READY ${steady}`])
  t.same(at(20_000), [], 'nothing is new, nothing goes on')
  world.report = reportOf({}, ['ready'])
  t.same(at(20_001), ['STATUS generation 2: 1 of 3 workers ready, 1 proxy, http://a:1'])
})

t.test('a reload and the stop are told at once', async t => {
  const { reports, told } = make()
  const logged: string[] = []
  const log = reports.hearing(event => logged.push(event))
  reports.ready()
  log('reload-start', { generation: 2 })
  log('reload-failed', { generation: 2, why: 'slot 1: no database' })
  log('worker-ready', {})
  log('reload-done', { generation: 3 })
  log('master-stopping', { why: 'SIGTERM' })
  t.same(told, [
    `READY ${steady}`,
    'RELOADING',
    'EXTEND 20000',
    `READY ${steady}; the last reload failed: slot 1: no database`,
    `READY ${steady}`,
    'STOPPING',
    'EXTEND 20000',
  ])
  t.same(logged, ['reload-start', 'reload-failed', 'worker-ready', 'reload-done', 'master-stopping'])
})

t.test('the watchdog is fed three times in its period, while a worker answers', async t => {
  const { reports, world, at } = make({ WATCHDOG_USEC: '3000000', WATCHDOG_PID: String(pid) })
  reports.ready()
  t.match(at(0), [/^READY/, 'WATCHDOG'])
  t.same(at(999), [])
  t.same(at(1000), ['WATCHDOG'])
  world.answering = 0
  t.same(at(2000), [])
  t.same(at(60_000), [])
  world.answering = 1
  t.same(at(60_001), ['WATCHDOG'])
})

t.test('behind a standstill of all the watchdog is fed at once, though every worker tells of its lag', async t => {
  const { reports, world, at } = make({ WATCHDOG_USEC: '3000000', WATCHDOG_PID: String(pid) })
  const log = reports.hearing(() => {})
  t.match(at(0), [/^EXTEND/, 'WATCHDOG', /^STATUS/])
  world.lagMs = 60_000
  world.nowMs = 60_000
  log('stood-still', { stillMs: 60_000, why: 'no-turn' })
  t.match(at(60_000), [/^EXTEND/, 'WATCHDOG'])
  t.same(at(63_000), [], 'but not for ever')
})

t.test('without a socket it does not beat', async t => {
  const { reports } = make({ WATCHDOG_USEC: '1000' })
  reports.start()()
  t.pass('and can be ended')
})
