/** What the units of one INI say: `supervisor/systemd/unit-facts.ts`, with settings that were really read. */

import t from 'tap'
import { readSettings } from '../../../supervisor/config/read-settings.js'
import { socketUnit } from '../../../supervisor/systemd/service-unit.js'
import {
  descriptorsOf,
  secondsOf,
  type UnitSource,
  unitFacts,
  unitName,
} from '../../../supervisor/systemd/unit-facts.js'
import { DEFAULTS } from '../fixtures/tree.js'

const names: [string, string][] = [
  ['/srv/farm.ini', 'farm'],
  ['/srv/farm.ini:blue', 'farm-blue'],
  ['/srv/my farm.ini', 'my_farm'],
  ['/srv/daimyo', 'daimyo'],
  ['/srv/a.b.ini', 'a.b'],
]
for (const [ini, expected] of names) t.test(`name of ${ini}`, async t => t.equal(unitName(ini), expected))

const descriptors: [number, number][] = [
  [16_384, 65_536],
  [10, 4096],
  [1_000_000, 2_097_152],
]
for (const [connections, expected] of descriptors) {
  t.test(`${connections} connections`, async t => t.equal(descriptorsOf({ httpConnections: connections }), expected))
}

t.test('the deadlines of the unit are longer than those of the INI', async t => {
  const times = {
    ...DEFAULTS,
    reloadMercyMs: 60_000,
    workerReloadMercyMs: 90_500,
    workerStartTimeoutMs: 60_000,
    harakiriMs: 30_000,
  }
  t.same(secondsOf({ ...times, lazyApps: false }), { startSeconds: 150, stopSeconds: 106, watchdogSeconds: 120 })
  t.same(secondsOf({ ...times, lazyApps: true }), { startSeconds: 90, stopSeconds: 106, watchdogSeconds: 120 })
})

const files = { 'static-map': ['/=/usr'], metrics: ['false'] }
const mercy = { ...files, http: [':8080'], 'reload-mercy': ['20'], 'worker-reload-mercy': ['10'] }
const stops: [title: string, lines: Record<string, string[]>, seconds: number][] = [
  ['nothing else', {}, 35],
  ['commands at exit, one after the other', { 'exec-as-user-atexit': ['true', 'false'], 'exec-timeout': ['7'] }, 49],
  ['a command at exit has no more than the mercy', { 'exec-as-user-atexit': ['true'], 'exec-timeout': ['90'] }, 55],
  ['daemons, all at once', { 'attach-daemon': ['a', 'b'] }, 55],
  ['cron jobs', { cron: ['-1 -1 -1 -1 -1 a'] }, 55],
  ['all of it', { 'exec-as-user-atexit': ['true'], 'attach-daemon2': ['cmd=a'], cron: ['-1 -1 -1 -1 -1 a'] }, 75],
]
for (const [title, lines, stopSeconds] of stops) {
  t.test(`time to stop: ${title}`, async t => t.match(factsOf({ ...mercy, ...lines }).service.facts, { stopSeconds }))
}

t.test('public unix sockets are as the INI says, those of the metrics are not', async t => {
  const lines = { ...files, http: ['/run/a.sock'], metrics: ['/run/m.sock'], 'chmod-socket': ['664'] }
  const owned = factsOf({ ...lines, 'chown-socket': ['0:0'] }, { uid: 'app', gid: 'app', socketOwner: 'web:www' })
  t.match(owned.sockets, [
    { facts: { user: 'web', group: 'www', mode: 0o664 } },
    { facts: { user: 'app', group: 'app', mode: 0o660 } },
  ])
  t.match(owned.service.facts.remarks, [/./, /^Only root may give sockets away/])
  const { sockets, service } = factsOf(lines, { uid: 'app', gid: 'app', socketOwner: 'app' })
  t.match(sockets[0]?.facts, { user: 'app', group: 'app', mode: 0o664 })
  t.equal(service.facts.remarks.length, 1)
  t.match(socketUnit(sockets[0]!.facts), /^SocketMode=0664$/m)
})

function factsOf(lines: Record<string, string[]>, change: Partial<UnitSource> = {}) {
  const flags = Object.entries(lines).flatMap(([name, values]) =>
    values.map(value => ({ name, value, place: `--${name}` })),
  )
  const reading = readSettings({ iniPath: null, flags, environment: {}, cwd: '/', uid: 1000, gid: 1000 })
  t.same(reading.mistakes, [])
  return unitFacts({
    settings: reading.settings!,
    ini: '/srv/farm.ini',
    program: ['/usr/bin/node', '/opt/dai myo.js'],
    flags: [],
    uid: null,
    gid: null,
    socketOwner: null,
    caller: 'root',
    runDir: null,
    dependsOn: { folder: null, environment: false },
    ...change,
  })
}

t.test('the command line is quoted, and has the options of this one', async t => {
  const { service } = factsOf({ ...files, http: [':8080'] }, { flags: ['--processes=2'] })
  t.equal(service.file, 'farm.service')
  t.equal(service.facts.execStart, '/usr/bin/node "/opt/dai myo.js" /srv/farm.ini --processes=2')
  t.equal(service.facts.execReload, '/usr/bin/node "/opt/dai myo.js" reload /srv/farm.ini --processes=2')
})

const users: [string, Partial<UnitSource>, string, string | null][] = [
  ['uid and gid', { uid: 'app', gid: 'web' }, 'app', 'web'],
  ['a user asks', { caller: 'bo' }, 'bo', null],
  ['root asks', {}, 'www-data', null],
]
for (const [title, change, user, group] of users) {
  t.test(`user: ${title}`, async t => {
    t.match(factsOf({ ...files, http: [':8080'] }, change).service.facts, { user, group })
  })
}

t.test('folders that may be written', async t => {
  const written = { logto: ['/var/log/a.log'], pidfile: ['/run/a.pid'], http: ['/var/tmp/a.sock', ':80'] }
  const { facts } = factsOf({ ...files, ...written }, { runDir: '/srv/run' }).service
  t.same(facts.writable, ['/run', '/srv', '/var/log', '/var/tmp'])
  t.match(facts, { usesTmp: true, usesHome: false, bindsLowPorts: true, runtimeDirectory: 'daimyo/farm' })
  const plain = factsOf({ ...files, http: [':8080'], logto: ['/dev/stdout'] }, { runDir: '/run/my/farm' }).service.facts
  t.match(plain, { writable: [], usesTmp: false, bindsLowPorts: false, runtimeDirectory: 'my/farm' })
})

const logs: [logto: string, logsDirectory: string | null, writable: string[]][] = [
  // Of a folder that is there: the settings are really read.
  ['/var/log/apt/a.log', 'apt', []],
  ['/var/log/a.log', null, ['/var/log']],
  ['/srv/a.log', null, ['/srv']],
]
for (const [logto, logsDirectory, writable] of logs) {
  t.test(`the folder of ${logto}`, async t => {
    const { facts } = factsOf({ ...files, http: [':80'], logto: [logto] }, { runDir: '/run/my/farm' }).service
    t.match(facts, { logsDirectory, writable })
  })
}

t.test('sockets: one unit for the addresses, one for the metrics, one for each name', async t => {
  const http = ['0.0.0.0:80', '/run/a.sock', '[::1]:81', 'localhost:82', ':0', 'fd://admin']
  const { service, sockets } = factsOf({ ...files, http, metrics: ['127.0.0.1:9117'], listen: ['99'] }, { uid: 'app' })
  t.same(service.facts.sockets, ['farm-admin.socket'], 'what the INI cannot do without')
  t.match(sockets, [
    { file: 'farm.socket', facts: { name: 'http', service: null, streams: ['0.0.0.0:80', '/run/a.sock', '[::1]:81'] } },
    { file: 'farm-admin.socket', facts: { name: 'admin', service: 'farm.service', remarks: [/./, /put yours/] } },
    { file: 'farm-metrics.socket', facts: { name: 'metrics', streams: ['127.0.0.1:9117'], backlog: 99, user: 'app' } },
  ])
})
