/**
 * The checks of `daimyo doctor`: does the host provide what the INI asks for? `doctor-command.ts` looks up the facts.
 * Pure. Must stay true: a fact that could not be looked up is reported as unknown, never as right; every row that is
 * not right has a remedy.
 */

import { SOCKET_PATH_BYTES } from '../../kit/options/values/listen-address.js'
import { REACH_REMEDY } from '../child/child-programs.js'
import { describeReadiness } from '../control/readiness.js'
import { SETPRIV_REMEDY } from '../user/become-user.js'
import type { UnitFound, UnwritablePaths } from './unwritable-paths.js'

export type Verdict = 'ok' | 'warn' | 'bad'

/** One row of the table. */
export interface Diagnosis {
  verdict: Verdict
  what: string
  found: string
  /** Empty if all is well. */
  remedy: string
}

/** The wishes of the INI. Times in milliseconds. */
export interface Wanted {
  backlog: number
  descriptors: number
  /** The longest time that the end of the whole tree may take. */
  stopMs: number
  harakiriMs: number
  runDir: string
  /** The longest path of a socket in the run folder, or of a listener. */
  longestSocketPath: string
  /** NODE_ENV of the workers. */
  nodeEnv: string | undefined
  /** Whether there are workers at all. */
  hasApplication: boolean
}

/** The facts of the host; null: not known. */
export interface Found {
  somaxconn: number | null
  master: {
    pid: number
    ready: number
    waiting: number
    wanted: number
    descriptors: number | null
    iniIsNewer: boolean
    /** Why a restart is due. */
    restart: readonly string[]
  } | null
  /** Why a master that seems to run could not be asked. */
  trouble: string | null
  unit: UnitFound | null
  /** The soft limit of this process, which a start from here would have. */
  descriptors: number | null
  clock: { isSynchronized: boolean | null; source: string | null; isBehindIni: boolean }
  runFolder: { mode: number; uid: number; isOpenAbove: boolean } | null
  /** Where the file of `logto` is; null: there is no such file, or not known. */
  logDisk: { folder: string; freeBytes: number; allBytes: number } | null
  /** The user of the service. */
  uid: number
  /** Why the children cannot get their user; null: they can. */
  noSetpriv: string | null
  /** Why the children's user cannot run daimyo; null: it can; undefined: the children do not change their user. */
  outOfReach?: string | null
  /** Null: root writes everywhere, or the kernel could not be asked. */
  unwritable: UnwritablePaths | null
}

const RESTART_REMEDY = 'systemctl restart, or daimyo stop and daimyo start'

const OTHERS = 0o007
const GROUP_READS = 0o040
const LISTED = 'who lists this folder may delay a stop'
/** Below this free space the row of the log is `bad`; below the share that follows it is `warn`. */
const NO_ROOM_BYTES = 1024 ** 2
const LITTLE_ROOM = 0.05
const SLOW_CLOCKS = ['hpet', 'acpi_pm', 'jiffies']

/** All rows, in the order in which they are printed. */
export function examine(wanted: Wanted, found: Found): Diagnosis[] {
  return [
    master(found),
    backlog(wanted, found),
    descriptors(wanted, found),
    ...(found.unit === null ? [noUnit()] : unit(wanted, found.unit)),
    ...clock(found),
    socketPath(wanted),
    runFolder(wanted, found),
    ...identity(found),
    ...reach(found),
    ...writable(found),
    ...logDisk(found),
    ...nodeEnvironment(wanted),
  ]
}

function row(verdict: Verdict, what: string, found: string, remedy = ''): Diagnosis {
  return { verdict, what, found, remedy: verdict === 'ok' ? '' : remedy }
}

function master({ master, trouble }: Found): Diagnosis {
  const what = 'master'
  if (trouble !== null)
    return row('bad', what, trouble, 'ask as the user of the service, or as root; if it hangs, look into the log')
  if (master === null) return row('ok', what, 'not running')
  const { pid, ready, waiting, wanted, iniIsNewer, restart } = master
  const text = `runs with pid ${pid}, ${describeReadiness({ ready, waiting }, wanted)}`
  const inPlace = ready + waiting
  if (inPlace === 0 && wanted > 0) return row('bad', what, text, 'look into the log: why do the workers not get ready?')
  if (inPlace < wanted) return row('warn', what, text, 'look into the log: why are some workers not ready?')
  if (restart.length > 0) return row('warn', what, `${text}, ${restart.join(', ')}`, RESTART_REMEDY)
  return iniIsNewer ? row('warn', what, `${text}, the INI has changed since`, 'daimyo reload') : row('ok', what, text)
}

function backlog({ backlog }: Wanted, { somaxconn }: Found): Diagnosis {
  const what = 'backlog'
  if (somaxconn === null) return row('warn', what, 'net.core.somaxconn is not known', 'mount /proc')
  const remedy = `sysctl -w net.core.somaxconn=${backlog}, and the same in /etc/sysctl.d/, then restart`
  return row(somaxconn < backlog ? 'warn' : 'ok', what, `listen=${backlog}, net.core.somaxconn=${somaxconn}`, remedy)
}

function descriptors({ descriptors: wanted }: Wanted, { master, unit, descriptors }: Found): Diagnosis {
  const [limit, whose] =
    master !== null
      ? [master.descriptors, 'of the running master']
      : unit === null
        ? [descriptors, 'of this shell']
        : [unit.descriptors, `of ${unit.name}`]
  const what = 'descriptors'
  if (limit === null) return row('warn', what, `the limit ${whose} is not known`, 'run it as the same user, or as root')
  const remedy = `LimitNOFILE=${wanted} in the unit, or ulimit -n ${wanted}, or a smaller http-connections`
  return row(limit < wanted ? 'warn' : 'ok', what, `${limit} ${whose}, http-connections may need ${wanted}`, remedy)
}

function noUnit(): Diagnosis {
  return row('warn', 'systemd unit', 'none found', 'daimyo systemd INI prints one')
}

function unit(wanted: Wanted, unit: UnitFound): Diagnosis[] {
  const { name } = unit
  const isNotifying = unit.type.startsWith('notify')
  const changed = `${name}, but its file has changed since it was loaded`
  const blocks = 'MemoryDenyWriteExecute=no: V8 compiles at run time and is killed'
  return [
    row(
      unit.needsDaemonReload ? 'warn' : 'ok',
      'systemd unit',
      unit.needsDaemonReload ? changed : name,
      'systemctl daemon-reload',
    ),
    row(
      isNotifying ? 'ok' : 'warn',
      'Type',
      unit.type,
      'Type=notify: otherwise "started" says only that a process exists',
    ),
    row(
      isNotifying && unit.notifyAccess !== 'all' ? 'bad' : 'ok',
      'NotifyAccess',
      unit.notifyAccess,
      'NotifyAccess=all: READY comes from systemd-notify, a child of the master',
    ),
    stopTimeout(wanted, unit, isNotifying && unit.notifyAccess === 'all'),
    killMode(unit),
    watchdog(wanted, unit),
    row(
      unit.deniesExecutableMemory ? 'bad' : 'ok',
      'executable memory',
      unit.deniesExecutableMemory ? 'denied' : 'allowed',
      blocks,
    ),
  ]
}

/** `mayExtend`: the messages of the master reach systemd, so it can ask for more time while it drains. */
function stopTimeout({ stopMs }: Wanted, unit: UnitFound, mayExtend: boolean): Diagnosis {
  const seconds = Math.ceil(stopMs / 1000)
  const text = `TimeoutStopSec=${printSeconds(unit.stopMs)}, the INI may need ${seconds}s`
  if (unit.stopMs >= stopMs) return row('ok', 'stop timeout', text)
  return row(
    mayExtend ? 'warn' : 'bad',
    'stop timeout',
    text,
    `TimeoutStopSec=${seconds + 15}, or systemd kills what still drains`,
  )
}

function killMode({ killMode }: UnitFound): Diagnosis {
  const remedy =
    killMode === 'control-group'
      ? 'KillMode=mixed: SIGTERM goes to the applications too, which end in the middle of their requests'
      : 'KillMode=mixed: processes stay behind when the master is killed'
  return row(killMode === 'mixed' ? 'ok' : 'bad', 'KillMode', killMode, remedy)
}

function watchdog({ harakiriMs }: Wanted, { watchdogMs }: UnitFound): Diagnosis {
  const what = 'watchdog'
  if (watchdogMs === 0 || watchdogMs === Number.POSITIVE_INFINITY) return row('ok', what, 'off')
  const text = `WatchdogSec=${printSeconds(watchdogMs)}, harakiri=${printSeconds(harakiriMs)}`
  const remedy =
    'a longer WatchdogSec: systemd would restart everything before harakiri replaces the one worker that hangs'
  return row(watchdogMs <= harakiriMs ? 'warn' : 'ok', what, text, remedy)
}

function clock({ clock: { isSynchronized, source, isBehindIni } }: Found): Diagnosis[] {
  const synchronized =
    isSynchronized === null
      ? 'whether it is synchronized is not known'
      : isSynchronized
        ? 'synchronized'
        : 'not synchronized'
  const remedy = isBehindIni
    ? 'set the clock: the INI was written in its future'
    : 'timedatectl set-ntp true: log lines and expiry need the right time'
  const isSlow = source !== null && SLOW_CLOCKS.includes(source)
  return [
    row(
      isBehindIni ? 'bad' : isSynchronized === true ? 'ok' : 'warn',
      'clock',
      isBehindIni ? 'behind the INI' : synchronized,
      remedy,
    ),
    row(
      isSlow || source === null ? 'warn' : 'ok',
      'clock source',
      source ?? 'not known',
      isSlow
        ? 'clocksource=tsc on the kernel command line, where the machine has a steady one: each look at this clock is slow'
        : 'mount /sys',
    ),
  ]
}

function socketPath({ longestSocketPath: path }: Wanted): Diagnosis {
  const bytes = Buffer.byteLength(path)
  const text = `${bytes} of ${SOCKET_PATH_BYTES} bytes, ${path}`
  return row(bytes > SOCKET_PATH_BYTES ? 'bad' : 'ok', 'socket path', text, 'a shorter run-dir')
}

function runFolder({ runDir }: Wanted, { runFolder: folder, uid }: Found): Diagnosis {
  const what = 'run folder'
  if (folder === null) return row('ok', what, `${runDir}, made at the start`)
  const mode = folder.mode & 0o777
  const text = `${runDir}, mode ${mode.toString(8).padStart(4, '0')}, owner ${folder.uid}`
  if ((mode & OTHERS) !== 0)
    return row('bad', what, text, `chmod 0710 ${runDir}: everybody reaches the workers past the proxy`)
  if (folder.isOpenAbove)
    return row('bad', what, text, 'a run-dir whose parent only its owner can write, or with the sticky bit')
  if ((mode & GROUP_READS) !== 0)
    return row('warn', what, text, `chmod 0710 ${runDir}, in a unit RuntimeDirectoryMode=0710: ${LISTED}`)
  if (folder.uid !== 0 && folder.uid !== uid)
    return row('warn', what, text, `chown it to the user of the service, ${uid}`)
  return row('ok', what, text)
}

function identity({ noSetpriv }: Found): Diagnosis[] {
  return noSetpriv === null ? [] : [row('bad', 'setpriv', noSetpriv, SETPRIV_REMEDY)]
}

/** Children run as the user from their first instruction on, so that user must be able to read Node and daimyo. */
function reach({ outOfReach }: Found): Diagnosis[] {
  if (outOfReach === undefined) return []
  const found = outOfReach ?? 'the user of the service can run daimyo'
  return [row(outOfReach === null ? 'ok' : 'bad', 'reach', found, REACH_REMEDY)]
}

function writable({ unwritable }: Found): Diagnosis[] {
  if (unwritable === null) return []
  const { user, paths } = unwritable
  const what = 'writable'
  if (paths.length === 0) return [row('ok', what, `${user} can write what the INI names`)]
  return paths.map(({ option, path }) =>
    row('bad', what, `${user} cannot write ${path} (${option})`, `chown it to ${user}, or another ${option}`),
  )
}

/** A full disk stops no process, but the lines of that time are lost, including the one that would report it. */
function logDisk({ logDisk: disk }: Found): Diagnosis[] {
  if (disk === null) return []
  const { folder, freeBytes, allBytes } = disk
  const text = `${Math.floor(freeBytes / 1024 ** 2)} MB free in ${folder}`
  const verdict = freeBytes < NO_ROOM_BYTES ? 'bad' : freeBytes < allBytes * LITTLE_ROOM ? 'warn' : 'ok'
  return [row(verdict, 'log', text, 'make room, and bound the log by log-maxsize and log-backups: lines are lost')]
}

function nodeEnvironment({ nodeEnv, hasApplication }: Wanted): Diagnosis[] {
  if (!hasApplication) return []
  const remedy = 'env = NODE_ENV=production, if it is: Express, for one, shows stacks to clients otherwise'
  return [row(nodeEnv === 'production' ? 'ok' : 'warn', 'NODE_ENV', nodeEnv ?? 'not set', remedy)]
}

function printSeconds(ms: number): string {
  return ms === Number.POSITIVE_INFINITY ? 'infinity' : `${Math.round(ms / 100) / 10}s`
}
