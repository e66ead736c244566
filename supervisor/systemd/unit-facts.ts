/**
 * The facts of the systemd units of one INI: times, folders, sockets and the command line, from its settings. Pure:
 * facts of the host are passed in.
 */

import { isIP } from 'node:net'
import { basename, dirname, extname } from 'node:path'
import { printListenAddress } from '../../kit/options/values/listen-address.js'
import type { BoundAddress, ListenAddress } from '../../kit/options/values/value-types.js'
import { longestStopMs, type StopSettings } from '../attached/stop-time.js'
import type { Settings } from '../config/values/settings.js'
import { quoteWord, type ServiceFacts, type SocketFacts } from './service-unit.js'

/** Facts that were looked up. */
export interface UnitSource {
  settings: Settings
  /** Absolute, with its section (`/srv/farm.ini:blue`). */
  ini: string
  /** The words that run the program: `/usr/bin/node /opt/daimyo/dist/supervisor/daimyo.js`. */
  program: readonly string[]
  /** `--name=value` of the command line; none is a secret. */
  flags: readonly string[]
  /** `uid` and `gid` as written. */
  uid: string | null
  gid: string | null
  /** `chown-socket` as written. */
  socketOwner: string | null
  /** The user of the command: stands in for `uid` unless it is root. */
  caller: string
  /** `run-dir` as configured. */
  runDir: string | null
  /** The INI reads differently from another folder, or without the caller's environment. */
  dependsOn: { folder: string | null; environment: boolean }
}

/** A unit and the name of its file. */
export interface NamedUnit<Facts> {
  file: string
  facts: Facts
}

/** Seconds for the end of the tree beyond its deadlines. */
const STOP_MARGIN = 15
const START_MARGIN = 30
const DEFAULT_USER = 'www-data'
const FEWEST_DESCRIPTORS = 4096

/** The service and its socket units; `sockets` may be empty. */
export function unitFacts(source: UnitSource): { service: NamedUnit<ServiceFacts>; sockets: NamedUnit<SocketFacts>[] } {
  const name = unitName(source.ini)
  const service = `${name}.service`
  const sockets = socketFacts(source, name, service)
  const required = sockets.filter(({ facts }) => facts.streams.length === 1 && facts.streams[0] === UNKNOWN_STREAM)
  return {
    service: {
      file: service,
      facts: serviceFacts(
        source,
        name,
        required.map(({ file }) => file),
      ),
    },
    sockets,
  }
}

function serviceFacts(source: UnitSource, name: string, sockets: string[]): ServiceFacts {
  const { settings, program, flags, ini, dependsOn } = source
  const user = userOf(source)
  const words = (...command: string[]) => [...program, ...command, ini, ...flags].map(quoteWord).join(' ')
  const folders = settings.staticMap.map(({ folder }) => folder)
  const paths = [...program, ini, ...settings.configFiles, settings.app, settings.chdir, ...folders]
  const used = [...paths, ...settings.checkStatic, ...writableOf(source)].filter(path => path !== null)
  const runtime = /^\/run\/(.+)$/.exec(source.runDir ?? '')?.[1] ?? `daimyo/${name}`
  // systemd makes the folder, with the owner of the service.
  const logs = /^\/var\/log\/(.+)\/[^/]+$/.exec(settings.logto ?? '')?.[1] ?? null
  return {
    remarks: remarksOf(source),
    description: `daimyo application server, ${name}`.replaceAll('%', '%%'),
    execStart: words(),
    execReload: words('reload'),
    user,
    group: source.gid,
    workingDirectory: dependsOn.folder,
    runtimeDirectory: runtime,
    logsDirectory: logs,
    stateDirectory: `daimyo/${name}`,
    writable: writableOf(source).filter(folder => folder !== `/var/log/${logs}`),
    descriptors: descriptorsOf(settings),
    ...secondsOf(settings),
    usesHome: used.some(path => /^\/(home|root|run\/user)(\/|$)/.test(path)),
    usesTmp: used.some(path => /^\/(var\/)?tmp(\/|$)/.test(path)),
    bindsLowPorts: [...settings.http, settings.metrics].some(isLowPort),
    sockets,
  }
}

/**
 * Rounded up to a power of two: clients, half of them WebSockets with a second descriptor each, links and files.
 * Bounds: `http-connections`.
 */
export function descriptorsOf({ httpConnections }: Pick<Settings, 'httpConnections'>): number {
  return Math.max(FEWEST_DESCRIPTORS, 2 ** Math.ceil(Math.log2(httpConnections * 2 + 1024)))
}

/** The deadlines of the unit, longer than those of the INI. */
export function secondsOf(
  settings: StopSettings & Pick<Settings, 'workerStartTimeoutMs' | 'harakiriMs' | 'lazyApps'>,
): Pick<ServiceFacts, 'startSeconds' | 'stopSeconds' | 'watchdogSeconds'> {
  const { workerStartTimeoutMs, harakiriMs, lazyApps } = settings
  // Without lazy-apps the first worker starts alone, and the others after it.
  const starts = lazyApps ? 1 : 2
  return {
    startSeconds: seconds(workerStartTimeoutMs * starts) + START_MARGIN,
    stopSeconds: seconds(longestStopMs(settings)) + STOP_MARGIN,
    watchdogSeconds: seconds(harakiriMs + workerStartTimeoutMs) + START_MARGIN,
  }
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000)
}

/** A valid name for systemd (systemd.unit(5)), from the name of the INI. */
export function unitName(ini: string): string {
  const [, file = ini, section] = /^(.*?\.[^:/]+)(?::([^/]*))?$/.exec(ini) ?? []
  const name = basename(file, extname(file)) + (section ? `-${section}` : '')
  return name.replace(/[^\w.-]/g, '_').slice(0, 100) || 'daimyo'
}

function userOf({ uid, caller }: UnitSource): string {
  return uid ?? (caller === 'root' ? DEFAULT_USER : caller)
}

function writableOf({ settings, runDir }: UnitSource): string[] {
  const { logto, pidfile, http: listeners, metrics } = settings
  const files = [
    logto,
    pidfile,
    ...[...listeners, metrics].map(address => (address?.kind === 'unix' ? address.path : null)),
  ]
  const folders = files.filter(path => path !== null && !path.startsWith('/dev/')).map(path => dirname(path ?? ''))
  if (runDir !== null && !runDir.startsWith('/run/')) folders.push(dirname(runDir))
  return [...new Set(folders)].filter(folder => folder !== runDir).sort()
}

function isLowPort(address: ListenAddress | null): boolean {
  return address?.kind === 'tcp' && address.port > 0 && address.port < 1024
}

function remarksOf(source: UnitSource): string[] {
  const { ini, uid, caller, dependsOn } = source
  const remarks = [
    `For ${ini}, printed by "daimyo systemd". After a change of its times, paths or listeners, print it again.`,
  ]
  if (uid === null && caller === 'root')
    remarks.push(`The INI has no uid: put the user of your application in place of ${DEFAULT_USER}.`)
  const [user, group] = publicOwner(source)
  if (user !== userOf(source) || group !== source.gid)
    remarks.push(
      'Only root may give sockets away (chown-socket): this unit needs the socket unit, which makes them so.',
    )
  if (dependsOn.environment)
    remarks.push('The INI reads variables of the environment: give them with Environment= or EnvironmentFile=.')
  return remarks
}

/** User and group of the public unix sockets. */
function publicOwner(source: UnitSource): [user: string, group: string | null] {
  const [user = userOf(source), group = source.gid] = source.socketOwner?.split(':') ?? []
  return [user, group]
}

/** Replaces an address if the INI only knows the name of a socket. */
const UNKNOWN_STREAM = '0.0.0.0:8080'

const OPTIONAL_SOCKET =
  'Optional where the service can open the address itself: with this unit a restart refuses no client.'
/** As daimyo itself makes them. */
const SOCKET_MODE = 0o660

type SocketAccess = Pick<SocketFacts, 'user' | 'group' | 'mode'>

function socketFacts(source: UnitSource, name: string, service: string): NamedUnit<SocketFacts>[] {
  const { http: listeners, metrics, chmodSocket } = source.settings
  const units = new Map<string, SocketFacts>()
  const add = (file: string, socket: string, stream: string | null, access: SocketAccess, remarks: string[]): void => {
    const names = { name, service: file === `${name}.socket` ? null : service, socket }
    const facts = units.get(file) ?? { ...makeSocket(source, names), ...access }
    const streams = stream === null ? facts.streams : [...facts.streams, stream]
    units.set(file, { ...facts, streams, remarks: [...facts.remarks, ...remarks] })
  }
  const addAll = (addresses: readonly ListenAddress[], file: string, socket: string, access: SocketAccess) => {
    for (const address of addresses) {
      if (address.kind === 'passed') {
        const remark = 'The INI does not say which address: put yours in place of this one.'
        add(`${name}-${unitName(address.name)}.socket`, address.name, UNKNOWN_STREAM, access, [remark])
      } else if (streamOf(address) !== null) add(file, socket, streamOf(address), access, [])
    }
  }
  const plain = { user: userOf(source), group: source.gid, mode: SOCKET_MODE }
  const [user, group] = publicOwner(source)
  addAll(listeners, `${name}.socket`, 'http', { user, group, mode: chmodSocket ?? SOCKET_MODE })
  addAll(metrics === null ? [] : [metrics], `${name}-metrics.socket`, 'metrics', plain)
  return [...units].map(([file, facts]) => ({ file, facts }))
}

function makeSocket(
  source: UnitSource,
  names: { name: string; service: string | null; socket: string },
): Omit<SocketFacts, keyof SocketAccess> {
  return {
    remarks: [OPTIONAL_SOCKET],
    description: `Socket ${names.socket} of daimyo, ${names.name}`.replaceAll('%', '%%'),
    service: names.service,
    name: names.socket,
    streams: [],
    backlog: source.settings.listen,
  }
}

/** Null: systemd cannot hold the address, because it is a host name, or the kernel chooses its port. */
function streamOf(address: BoundAddress): string | null {
  if (address.kind === 'unix') return address.path
  return isIP(address.host) === 0 || address.port === 0 ? null : printListenAddress(address)
}
