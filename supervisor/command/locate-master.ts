/**
 * Finds the running master of an INI, for commands such as status, reload, stop and get. Must stay true: a master
 * counts as ours only if it says that it runs our INI, and its control socket is in our run folder or in a folder where
 * root or our own user decides who listens. Without an INI our run folder is enough. The socket that responded is held
 * for the order that follows. If another user has made a run folder where everybody may make one, nothing in it is
 * read. "Not running" is said only after all possible places were looked at.
 */

import { existsSync, lstatSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { EXIT, Failure } from '../../kit/ground/failure.js'
import { MAIN_SECTION } from '../config/ini/ini-reader.js'
import { ANSWER_MS, askStatus } from '../control/control-client.js'
import { notRunning } from '../control/control-failures.js'
import type { StatusReport } from '../control/control-protocol.js'
import { type HeldSocket, holdSocket } from '../control/held-socket.js'
import { MASTER_NAME } from '../host/process-names.js'
import { commandOf, userOf } from '../host/process-presence.js'
import { controlPathOf } from '../run-folder/run-folder.js'
import { claimHolder } from '../run-folder/run-folder-claim.js'
import { userName } from '../user/account-names.js'
import { namesIn } from '../user/folder-names.js'

/**
 * The master to look for. `runDir` null: the settings cannot be read, and only the path of the INI is known.
 * `serviceUid`: its `uid`.
 */
export interface MasterSought {
  runDir: string | null
  serviceUid?: number | null
  iniPath: string | null
  iniSection: string
}

/**
 * A master that responded. `socket`: the one it responded on, for further requests. `remark`: to be printed first;
 * empty if the response comes from root or from our own user.
 */
export interface MasterFound {
  socket: HeldSocket
  report: StatusReport
  remark: string
}

/** A response, and the socket that it came from. */
type Response = Pick<MasterFound, 'socket' | 'report'>

interface Asking {
  withinMs: number
  trusted: readonly number[]
}

const mostFolders = 200
/** More than the time in which a master notices that its run folder is gone (`run-folder-keeper.ts`). */
const RESTORE_MS = 3000
const LOOK_MS = 100

/**
 * Failures: `not-running` (69), `no-answer` (69, with the pid where it is known), `not-allowed` and `not-trusted` (77).
 * `withinMs`: for one answer.
 */
export async function locateMaster(
  sought: MasterSought,
  environment: NodeJS.ProcessEnv,
  withinMs = ANSWER_MS,
): Promise<MasterFound> {
  const expected = sought.runDir === null ? null : controlPathOf(sought.runDir)
  const asking = { withinMs, trusted: trustedOf(sought) }
  if (expected !== null) {
    const response = await askIfRunning(expected, asking)
    if (response !== null) return found(response, sought)
  }
  const elsewhere = await lookElsewhere(sought, expected, environment, withinMs)
  if (elsewhere === null && expected !== null && isNamed(sought)) {
    const response = await untilRestored(expected, asking)
    if (response !== null) return found(response, sought)
  }
  if (elsewhere === null) throw notRunning(expected ?? sought.iniPath ?? 'the command line', whyUnknown(sought.iniPath))
  return elsewhere
}

/**
 * Users that are believed besides root and our own: the INI names the user of the service, and the owner of the INI
 * could change that name.
 */
function trustedOf({ iniPath, serviceUid = null }: MasterSought): number[] {
  return [...(serviceUid === null ? [] : [serviceUid]), ...(iniPath === null ? [] : [ownerOf(iniPath)])]
}

/**
 * Whether a process says that it is the master of this INI. Its run folder may have been removed; it makes it again
 * every other second.
 */
function isNamed(sought: MasterSought): boolean {
  const { iniPath } = sought
  const users = [0, process.geteuid?.() ?? 0, ...trustedOf(sought)]
  const name = `${MASTER_NAME} ${iniPath}`
  return iniPath !== null && allPids().some(pid => isOf(pid, users) && commandOf(pid)?.includes(name))
}

/** Another user's process can delay the reading of its command line: the kernel reads it from that process's memory. */
function isOf(pid: number, users: readonly number[]): boolean {
  const uid = userOf(pid)
  return uid !== null && users.includes(uid)
}

async function untilRestored(controlPath: string, asking: Asking): Promise<Response | null> {
  for (const endMs = performance.now() + RESTORE_MS; performance.now() < endMs; await delay(LOOK_MS)) {
    const response = await askIfRunning(controlPath, asking)
    if (response !== null) return response
  }
  return null
}

function allPids(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger)
  } catch {
    // ENOENT: a system without /proc.
    return []
  }
}

/**
 * A running master may have an INI that was removed since. If no master runs, a misspelt name of the INI is more
 * likely.
 */
function whyUnknown(iniPath: string | null): string {
  return iniPath === null || existsSync(iniPath) ? '' : `, and there is no file ${iniPath}`
}

/**
 * A service has its run folder from systemd, or from the environment of another user. So the usual places are searched
 * for a folder of the same name, which holds a hash of the INI's path, or for a master with the same INI. Masters of
 * other users that may not be asked are skipped. All are asked at once, so those that do not respond cost one deadline
 * together.
 */
async function lookElsewhere(
  sought: MasterSought,
  known: string | null,
  environment: NodeJS.ProcessEnv,
  withinMs: number,
): Promise<MasterFound | null> {
  const asking = { withinMs, trusted: trustedOf(sought) }
  const look = async (controlPath: string): Promise<MasterFound | Failure | null> => {
    try {
      const response = await ask(controlPath, asking)
      if (isSought(response, sought)) return found(response, sought)
      response.socket.release()
      return null
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      return error.code === 'another-ini' ? error : null
    }
  }
  const paths = usualFolders(environment, sought.iniPath).map(controlPathOf)
  const outcomes = await Promise.all(paths.filter(path => path !== known).map(look))
  const others = outcomes.filter(outcome => outcome instanceof Failure)
  const masters = outcomes.filter(outcome => outcome !== null && !(outcome instanceof Failure)) as MasterFound[]
  if (masters.length > 1) throw ambiguous(masters)
  const [master = null] = masters
  if (master === null && others[0] !== undefined) throw others[0]
  return master
}

/**
 * Failure `another-ini` (69): it is the master of another INI. Root may ask a master of another user, as with systemd's
 * `User=`, but can only rely on that user's word.
 */
function found(response: Response, sought: MasterSought): MasterFound {
  const { foreignOwner, path } = response.socket
  const said = foreignOwner === null ? '' : `said by a process of ${userName(foreignOwner)}: ${path}`
  if (sought.iniPath !== null && !isIniOf(response.report, sought)) {
    response.socket.release()
    throw anotherIni(response, sought, said)
  }
  return { ...response, remark: said === '' ? '' : `daimyo: what follows is ${said}\n` }
}

function isSought({ socket, report }: Response, { runDir, iniPath }: MasterSought): boolean {
  const name = basename(dirname(socket.path))
  if (runDir !== null && name === basename(runDir)) return true
  // Another INI's folder, or another section's of the same INI.
  if (/-[0-9a-f]{8}$/.test(name)) return false
  return iniPath !== null && isFileOf(report, iniPath)
}

/**
 * The same file and section. A link whose target was changed since the start still names the INI that the master reads.
 */
function isIniOf(report: StatusReport, { iniPath, iniSection }: MasterSought): boolean {
  return iniPath !== null && isFileOf(report, iniPath) && sectionOf(report.iniSection) === sectionOf(iniSection)
}

function isFileOf(report: StatusReport, iniPath: string): boolean {
  return report.iniPath !== null && (report.iniPath === iniPath || realPath(report.iniPath) === realPath(iniPath))
}

/** Empty for the usual section, whether it was named or not. */
function sectionOf(section = ''): string {
  return section === MAIN_SECTION ? '' : section
}

/** The words of another user's process stay on one line. */
function anotherIni({ socket, report }: Response, sought: MasterSought, said: string): Failure {
  const runDir = dirname(socket.path)
  const running =
    report.iniPath === null
      ? 'without an INI'
      : `another INI, ${nameOf(report.iniPath, report.iniSection).replaceAll('\n', ' ')}`
  const asked = nameOf(sought.iniPath ?? '', sought.iniSection)
  const accepted = report.iniPath === null ? '' : 'that INI, or '
  const message = `not running: ${asked}: in run-dir=${runDir} pid ${report.pid} runs ${running}: accepted ${accepted}--run-dir=${runDir} without an INI${said === '' ? '' : ` (${said})`}`
  return new Failure('another-ini', message, EXIT.unavailable)
}

function nameOf(path: string, section = ''): string {
  return section === '' ? path : `${path}:${section}`
}

function ambiguous(found: MasterFound[]): Failure {
  const folders = found.map(({ socket, report }) => `${dirname(socket.path)} (pid ${report.pid})`).join(', ')
  const message = `cannot tell which daimyo is meant: ${folders}: accepted: --run-dir with one of these`
  return new Failure('ambiguous', message, EXIT.usage)
}

/** The folders below each base, and the bases themselves. */
function usualFolders(environment: NodeJS.ProcessEnv, iniPath: string | null): string[] {
  const bases = ['/run/daimyo', join(tmpdir(), `daimyo-${process.getuid?.() ?? 0}`)]
  if (environment.XDG_RUNTIME_DIR) bases.push(join(environment.XDG_RUNTIME_DIR, 'daimyo'))
  const own = bases.filter(base => isFolderOf(base, [0, process.geteuid?.()]))
  return [...own, ...foldersOfOwner(iniPath)]
    .flatMap(base => [base, ...firstNamesIn(base).map(name => join(base, name))])
    .slice(0, mostFolders)
}

/**
 * For root only: where the owner of the INI has masters. The words of any other user about that INI are not looked for.
 */
function foldersOfOwner(iniPath: string | null): string[] {
  const owner = iniPath === null || process.geteuid?.() !== 0 ? 0 : ownerOf(iniPath)
  if (owner === 0) return []
  const bases = [join(tmpdir(), `daimyo-${owner}`), `/tmp/daimyo-${owner}`, `/run/user/${owner}/daimyo`]
  return [...new Set(bases)].filter(base => isFolderOf(base, [owner]))
}

/** Root, if the owner is not known. */
function ownerOf(path: string): number {
  try {
    return statSync(path).uid
  } catch {
    // ENOENT, EACCES (a file system of the network).
    return 0
  }
}

/** In /tmp any user may make a folder with a name that another user expects. */
function isFolderOf(folder: string, owners: readonly (number | undefined)[]): boolean {
  const stats = lstatSync(folder, { throwIfNoEntry: false })
  return stats?.isDirectory() === true && owners.includes(stats.uid) && (stats.mode & 0o002) === 0
}

/** Failures as `holdSocket` and `askStatus`. */
async function ask(controlPath: string, { withinMs, trusted }: Asking): Promise<Response> {
  const socket = holdSocket(controlPath, trusted)
  try {
    return { socket, report: await askStatus(socket, { withinMs }) }
  } catch (error) {
    socket.release()
    throw error
  }
}

async function askIfRunning(controlPath: string, asking: Asking): Promise<Response | null> {
  try {
    return await ask(controlPath, asking)
  } catch (error) {
    // Another user decides about such a folder, and so about the pid that claims it: the pid is not reported.
    if (!(error instanceof Failure) || ['not-allowed', 'not-trusted'].includes(error.code)) throw error
    if (error.code === 'not-running') return null
    const pid = claimHolder(dirname(controlPath))
    throw pid === null ? error : new Failure(error.code, `${error.message} (its pid is ${pid})`, error.exitCode, error)
  }
}

function firstNamesIn(folder: string): string[] {
  try {
    return namesIn(folder).names
  } catch {
    // ENOENT: this place was never used. EACCES: it belongs to another user.
    return []
  }
}

function realPath(path: string): string {
  try {
    // The kernel bounds the links that it follows. Node's own walk costs minutes for a path that another user made up.
    return realpathSync.native(path)
  } catch {
    // ENOENT: the INI was removed while its master runs.
    return path
  }
}
