/**
 * `daimyo start [INI]`: starts a master in the background and waits until it serves or has failed. Must stay true: it
 * ends with 0 only if clients get responses. A mistake in the INI, the pidfile or the log is reported here, on the
 * terminal, before anything is moved or started. A failed start leaves no process behind.
 *
 * Without `pidfile` and `logto` both lie in `logs/` of the working directory, and the earlier log becomes a backup. A
 * log that the INI names is appended to and never moved: it has a logrotate of its own.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, constants, fstatSync, mkdirSync, openSync, readSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { inspectorArguments } from '../../kit/process/uninvited-inspector.js'
import { checkLogReach } from '../child/child-programs.js'
import type { Settings } from '../config/values/settings.js'
import { findMaster } from '../control/control-client.js'
import { checkPidfile } from '../host/pidfile.js'
import { printable } from '../log/printable.js'
import { backUpMasterLog, openMasterLog } from '../rotation/master-log.js'
import { controlPathOf } from '../run-folder/run-folder.js'
import { alreadyRunning } from '../run-folder/run-folder-claim.js'
import { printBanner } from '../screen/banner.js'
import { onGuardedPath } from '../user/guarded-path.js'
import type { CommandContext } from './command-context.js'
import { starterVariable, waitForOutcome } from './starter.js'

/** `argv`: the command line that makes a master with these settings; `program`: what runs it, `daimyo.js`. */
export interface StartOptions {
  settings: Settings
  program: string
  argv: string[]
}

interface BackgroundFiles {
  log: string
  /** Options for the files that the settings do not name. */
  flags: string[]
}

const logName = 'daimyo.log'
const pidfileName = 'daimyo.pid'
const shownBytes = 2000

/** Failures: those of the master's own start, `already-running` (69), `log`, `pidfile`. */
export async function startCommand(options: StartOptions, context: CommandContext): Promise<number> {
  const { settings } = options
  const running = await findMaster(controlPathOf(settings.runDir), serviceOf(settings))
  if (running !== null) throw alreadyRunning(settings.runDir, running)
  const [files, child] = begin(options, context)
  const outcome = await waitForOutcome(child, settings.workerStartTimeoutMs + 30_000)
  if (outcome.type === 'started') {
    leave(child)
    context.print(printBanner({ ...context, report: outcome.report, log: files.log, mode: 'background' }))
    return EXIT.ok
  }
  // A master that is told to stop before it serves ends with 0, but for this command the start has failed.
  if (outcome.type === 'failed')
    throw new Failure('start', outcome.message, outcome.exitCode === EXIT.ok ? EXIT.unavailable : outcome.exitCode)
  child.kill('SIGKILL')
  const lastOf = (path: string) => printable(onGuardedPath(path, 'name', settings.credentials, () => endOf(path)))
  const how = outcome.type === 'silent' ? 'it is not ready in time' : `it ended without a word: ${outcome.how}`
  throw new Failure(
    'start',
    `cannot start: pid ${child.pid}: ${how}: the end of ${files.log}:\n${lastOf(files.log)}`,
    EXIT.unavailable,
  )
}

/** Users that the run folder may belong to, besides root and our own. */
function serviceOf({ credentials }: Settings): number[] {
  return credentials === null ? [] : [credentials.uid]
}

function begin(options: StartOptions, context: CommandContext): [BackgroundFiles, ChildProcess] {
  const { settings } = options
  const folder = join(context.cwd, 'logs')
  checkLogReach({ ...settings, logto: settings.logto ?? join(folder, logName) }, settings.logto === null)
  const isMade =
    (settings.logto === null || settings.pidfile === null) && makeFolder(folder, settings.credentials) !== undefined
  try {
    const files = prepareFiles(settings, folder)
    return [files, spawnMaster(options, files, context)]
  } catch (error) {
    if (isMade) removeEmptyFolder(folder, settings.credentials)
    throw error
  }
}

function prepareFiles({ logto, pidfile, credentials }: Settings, folder: string): BackgroundFiles {
  const flags: string[] = []
  if (pidfile === null) flags.push(`--pidfile=${join(folder, pidfileName)}`)
  if (pidfile === null) checkSharedPidfile(join(folder, pidfileName), credentials)
  else checkPidfile(pidfile, credentials)
  const log = logto ?? join(folder, logName)
  if (logto === null) {
    flags.push(`--logto=${log}`)
    backUpMasterLog(log, credentials)
  }
  return { log, flags }
}

/**
 * The master of this INI was looked for before. So the process of this pidfile is the master of another INI, started
 * from the same folder.
 */
function checkSharedPidfile(path: string, credentials: Credentials | null): void {
  try {
    checkPidfile(path, credentials)
  } catch (error) {
    if (!(error instanceof Failure) || error.exitCode !== EXIT.unavailable) throw error
    const remedy =
      'another INI was started from this folder: accepted `pidfile` and `logto` in this INI, or another folder'
    throw new Failure(error.code, `${error.message}: ${remedy}`, error.exitCode, error)
  }
}

/** The topmost folder that was made; undefined: the folder was there. */
function makeFolder(path: string, credentials: Credentials | null): string | undefined {
  try {
    return onGuardedPath(path, 'content', credentials, () => mkdirSync(path, { recursive: true }))
  } catch (error) {
    throw new Failure(
      'log',
      `cannot make the folder of the log and the pidfile: ${path}: ${reasonOf(error)}`,
      EXIT.permission,
      error,
    )
  }
}

function removeEmptyFolder(path: string, credentials: Credentials | null): void {
  try {
    onGuardedPath(path, 'name', credentials, () => rmdirSync(path))
  } catch {
    // ENOTEMPTY: something was written there. EACCES and similar errors: only the first failure is reported.
  }
}

/** Starts the master in a session of its own: neither signals nor the end of the terminal reach it. */
function spawnMaster(
  { settings, program, argv }: StartOptions,
  files: BackgroundFiles,
  context: CommandContext,
): ChildProcess {
  const output = openMasterLog(files.log, settings.credentials)
  try {
    return spawn(
      process.execPath,
      [...process.execArgv, ...inspectorArguments(process.execArgv, process.env), program, ...argv, ...files.flags],
      {
        cwd: context.cwd,
        env: { ...context.environment, [starterVariable]: String(process.pid) },
        stdio: ['ignore', output, output, 'ipc'],
        detached: true,
      },
    )
  } finally {
    closeSync(output)
  }
}

function leave(child: ChildProcess): void {
  child.removeAllListeners()
  if (child.connected) child.disconnect()
  child.unref()
}

/** A log may have any size: only its end is read. */
function endOf(path: string): string {
  try {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const { size } = fstatSync(descriptor)
      const bytes = Buffer.alloc(Math.min(size, shownBytes))
      readSync(descriptor, bytes, 0, bytes.length, size - bytes.length)
      return bytes.toString('utf8').trimEnd()
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    // Only the first failure is reported, not that of this read.
    return `(${reasonOf(error)})`
  }
}
