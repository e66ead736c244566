/**
 * `daimyo doctor INI`: compares the host with the INI, and prints each check, with a remedy for each mismatch. Must
 * stay true: it changes nothing and needs no running master; exit 0 if nothing is bad, else 1.
 */

import { execFile } from 'node:child_process'
import { readFileSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { codeOf, EXIT, Failure } from '../../kit/ground/failure.js'
import { SYSTEM_PATH } from '../../kit/ground/system-path.js'
import { longestStopMs } from '../attached/stop-time.js'
import { whyOutOfReach } from '../child/child-programs.js'
import { commandEnvironment } from '../child/spawn-environment.js'
import type { CommandContext } from '../command/command-context.js'
import { locateMaster, type MasterSought } from '../command/locate-master.js'
import { longestSocketOf } from '../config/values/run-folder-path.js'
import type { Reading, Settings } from '../config/values/settings.js'
import type { StatusReport } from '../control/control-protocol.js'
import { readiness } from '../control/readiness.js'
import { describeFindings } from '../help/describe-check.js'
import { descriptorsOf, unitName } from '../systemd/unit-facts.js'
import { whyNoSetpriv } from '../user/become-user.js'
import { type Diagnosis, examine, type Found, type Wanted } from './doctor-checks.js'
import { type UnitFound, unwritablePaths } from './unwritable-paths.js'

/** `ini` null: everything is on the command line. */
export interface DoctorOptions {
  reading: Reading
  sought: MasterSought
  ini: string | null
}

/** Prints the table. If the configuration is not valid, this is the only row. */
export async function doctorCommand({ reading, sought, ini }: DoctorOptions, context: CommandContext): Promise<number> {
  const rows = [configuration(reading, ini)]
  const { settings } = reading
  if (settings !== null && reading.mistakes.length === 0) {
    rows.push(...examine(wantedOf(settings, context), await look(settings, sought, ini, context)))
  }
  context.print(printDiagnoses(rows))
  for (const line of describeFindings(reading.mistakes)) context.print(`${line}\n`)
  return rows.some(({ verdict }) => verdict === 'bad') ? EXIT.failed : EXIT.ok
}

/** The table. Remedies stand below their rows, where the width of a terminal does not cut them. */
export function printDiagnoses(rows: readonly Diagnosis[]): string {
  const width = Math.max(...rows.map(({ what }) => what.length))
  return rows
    .map(({ verdict, what, found, remedy }) => {
      const line = `${verdict.padEnd(4)}  ${what.padEnd(width)}  ${found}\n`
      return remedy === '' ? line : `${line}${' '.repeat(width + 8)}→ ${remedy}\n`
    })
    .join('')
}

/** Parses the properties that `systemctl show` prints; null: there is no such unit. Pure. */
export function readUnit(text: string): UnitFound | null {
  const value = new Map(
    text.split('\n').map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
  const get = (name: string): string => value.get(name) ?? ''
  if (get('LoadState') !== 'loaded') return null
  return {
    name: get('Id'),
    type: get('Type'),
    notifyAccess: get('NotifyAccess'),
    killMode: get('KillMode'),
    stopMs: spanMs(get('TimeoutStopUSec')),
    watchdogMs: spanMs(get('WatchdogUSec')),
    descriptors: limitOf(get('LimitNOFILESoft')),
    deniesExecutableMemory: get('MemoryDenyWriteExecute') === 'yes',
    needsDaemonReload: get('NeedDaemonReload') === 'yes',
    user: get('User'),
    group: get('Group'),
    hasSockets: get('TriggeredBy').includes('.socket'),
  }
}

const PROPERTIES =
  'Id,LoadState,Type,NotifyAccess,KillMode,TimeoutStopUSec,WatchdogUSec,LimitNOFILESoft,MemoryDenyWriteExecute,NeedDaemonReload,User,Group,TriggeredBy'

const UNITS_MS: Record<string, number> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** Milliseconds of a time span such as `1min 30s`, as systemd prints it (systemd.time(7)). */
function spanMs(text: string): number {
  if (text === 'infinity') return Number.POSITIVE_INFINITY
  return [...text.matchAll(/([\d.]+)([a-z]*)/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (UNITS_MS[unit ?? ''] ?? 0.001),
    0,
  )
}

function limitOf(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : Number.POSITIVE_INFINITY
}

function configuration({ mistakes }: Reading, ini: string | null): Diagnosis {
  const count = `${mistakes.length} ${mistakes.length === 1 ? 'mistake' : 'mistakes'}`
  const found = mistakes.length === 0 ? (ini ?? 'command line') : count
  return {
    verdict: mistakes.length === 0 ? 'ok' : 'bad',
    what: 'configuration',
    found,
    remedy: mistakes.length === 0 ? '' : 'see below',
  }
}

function wantedOf(settings: Settings, { environment }: CommandContext): Wanted {
  const { runDir, http: listeners, metrics, listen: backlog, harakiriMs } = settings
  const paths = [...listeners, metrics].map(address => (address?.kind === 'unix' ? address.path : ''))
  const longest = [longestSocketOf(runDir), ...paths].sort((a, b) => b.length - a.length)[0] ?? ''
  const stopMs = longestStopMs(settings)
  const application = {
    nodeEnv: commandEnvironment(environment, settings).NODE_ENV,
    hasApplication: settings.app !== null,
  }
  return {
    backlog,
    descriptors: descriptorsOf(settings),
    stopMs,
    harakiriMs,
    runDir,
    longestSocketPath: longest,
    ...application,
  }
}

async function look(
  settings: Settings,
  sought: MasterSought,
  ini: string | null,
  context: CommandContext,
): Promise<Found> {
  const { report, trouble } = await runningReport(sought, context)
  const unit = await findUnit(report?.pid ?? null, ini)
  const own = Number(await told('/bin/sh', ['-c', 'ulimit -n']))
  return {
    somaxconn: numberIn('/proc/sys/net/core/somaxconn'),
    master: report === null ? null : masterFound(report, ini),
    trouble,
    unit,
    descriptors: Number.isInteger(own) && own > 0 ? own : null,
    clock: await lookAtClock(ini),
    runFolder: lookAtFolder(settings.runDir),
    logDisk: settings.logto === null ? null : lookAtDisk(dirname(settings.logto)),
    unwritable: await unwritablePaths(settings, unit),
    uid: settings.credentials?.uid ?? process.getuid?.() ?? 0,
    noSetpriv: whyNoSetpriv(settings.credentials),
    ...(settings.credentials === null ? {} : { outOfReach: whyOutOfReach(settings.credentials) }),
  }
}

async function runningReport(
  sought: MasterSought,
  context: CommandContext,
): Promise<{ report: StatusReport | null; trouble: string | null }> {
  try {
    return { report: (await locateMaster(sought, context.environment)).report, trouble: null }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return { report: null, trouble: error.code === 'not-running' ? null : error.message }
  }
}

function masterFound(report: StatusReport, ini: string | null): Found['master'] {
  const { pid, wanted, workers, sinceMs } = report
  const changedMs = ini === null ? 0 : (statSync(ini, { throwIfNoEntry: false })?.mtimeMs ?? 0)
  const startsMs = Math.max(sinceMs, ...workers.map(worker => worker.sinceMs))
  return {
    pid,
    wanted,
    ...readiness(workers),
    descriptors: limitOfProcess(pid),
    iniIsNewer: changedMs > startsMs,
    restart: report.restart ?? [],
  }
}

function limitOfProcess(pid: number): number | null {
  const [, soft] = /^Max open files +(\S+)/m.exec(contentOf(`/proc/${pid}/limits`)) ?? []
  return soft === undefined ? null : limitOf(soft)
}

/** The unit that the master runs in; without a master the one that `daimyo systemd` would print, or the template's. */
async function findUnit(pid: number | null, ini: string | null): Promise<UnitFound | null> {
  const [, running] = /\/([^/\n]+\.service)(\/|$)/m.exec(pid === null ? '' : contentOf(`/proc/${pid}/cgroup`)) ?? []
  const name = unitName(ini ?? 'daimyo')
  const names = running === undefined ? [`${name}.service`, `daimyo@${name}.service`] : [running]
  for (const unit of names) {
    const found = readUnit(await told('systemctl', ['show', unit, `--property=${PROPERTIES}`]))
    // Any instance of a template is "loaded": only one that was enabled or started counts.
    if (
      found !== null &&
      (running !== undefined || (await told('systemctl', ['is-enabled', unit])).startsWith('enabled'))
    )
      return found
  }
  return null
}

async function lookAtClock(ini: string | null): Promise<Found['clock']> {
  const synchronized = (await told('timedatectl', ['show', '--property=NTPSynchronized', '--value'])).trim()
  const source = contentOf('/sys/devices/system/clocksource/clocksource0/current_clocksource').trim()
  const writtenMs = ini === null ? 0 : (statSync(ini, { throwIfNoEntry: false })?.mtimeMs ?? 0)
  return {
    isSynchronized: synchronized === '' ? null : synchronized === 'yes',
    source: source === '' ? null : source,
    isBehindIni: writtenMs > Date.now(),
  }
}

function lookAtDisk(folder: string): Found['logDisk'] {
  const { bavail, blocks, bsize } = statfsSync(folder)
  return { folder, freeBytes: bavail * bsize, allBytes: blocks * bsize }
}

function lookAtFolder(runDir: string): Found['runFolder'] {
  const stats = statSync(runDir, { throwIfNoEntry: false })
  if (stats === undefined) return null
  const above = statSync(dirname(runDir)).mode
  return { mode: stats.mode, uid: stats.uid, isOpenAbove: (above & 0o002) !== 0 && (above & 0o1000) === 0 }
}

function numberIn(path: string): number | null {
  const text = contentOf(path).trim()
  return /^\d+$/.test(text) ? Number(text) : null
}

/** Empty if it cannot be read. */
function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (['ENOENT', 'EACCES', 'EPERM', 'ESRCH'].includes(codeOf(error))) return ''
    throw error
  }
}

/** The output of a program; empty if the program is missing, fails or takes too long. */
function told(program: string, words: string[]): Promise<string> {
  return new Promise(resolve => {
    execFile(program, words, { timeout: 5000, env: { ...process.env, PATH: SYSTEM_PATH } }, (error, out) =>
      resolve(error === null ? out : ''),
    )
  })
}
