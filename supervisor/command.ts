/**
 * The `daimyo` command: parses the command line, carries the command out, and turns its end into an exit status
 * (sysexits, `kit/ground/failure.ts`). The entry file `daimyo.ts` loads it; people, systemd and `daimyo start` start
 * that file. Must stay true: only this file and `daimyo.ts` end the process. An operating error is one line on standard
 * error without a stack; a bug shows its stack and ends with 70.
 */

import { fstatSync, statSync } from 'node:fs'
import { basename, relative } from 'node:path'
import { codeOf, EXIT, Failure, reasonOf } from '../kit/ground/failure.js'
import { hasStuckLog } from '../kit/log/log-sink.js'
import type { BoundAddress } from '../kit/options/values/value-types.js'
import type { CommandContext } from './command/command-context.js'
import { type CommandLine, type ConfigArguments, type HelpTopic, parseCommandLine } from './command/command-line.js'
import { locateMaster, type MasterSought } from './command/locate-master.js'
import type { OrderedRequest } from './command/order-command.js'
import { readOrRefuse } from './command/read-or-refuse.js'
import { takeStarter } from './command/starter.js'
import { fileNamed } from './config/ini/ini-reader.js'
import { readSettings, type SettingsSource } from './config/read-settings.js'
import type { Reading, Settings } from './config/values/settings.js'
import { configReference } from './help/config-reference.js'
import { describeCheck } from './help/describe-check.js'
import { explainWord, helpText, nearWord } from './help/help-text.js'
import { readVersion } from './host/version.js'
import { leadsToJournal, PRIORITY, withPriority } from './log/journal.js'
import { printable } from './log/printable.js'
import type { RunOptions } from './run-command.js'
import { PATIENCE_MS, PrintedOutput } from './screen/printed-output.js'
import { createNotifier } from './systemd/notify.js'
import { serviceUnit, socketUnit, TEMPLATE_SERVICE, TEMPLATE_SOCKET } from './systemd/service-unit.js'
import type { Opener } from './user/guarded-path.js'

const starter = takeStarter(process.env)
const output = new PrintedOutput(process.stdout)
const errors = new PrintedOutput(process.stderr)
const context: CommandContext = {
  environment: process.env,
  cwd: workingFolder(),
  // All output passes here, because much of it was written by others.
  print: text => output.print(printable(text)),
  writeError: text => writeError(text, PRIORITY.warning),
  program: programName(process.argv[1] ?? ''),
}

/** The journal of systemd gets the line with its priority. */
function writeError(text: string, priority: number): void {
  const shown = printable(text)
  errors.print(leadsToJournal(process.env, process.stderr.fd) ? withPriority(shown, priority) : shown)
}

const HELP: Record<HelpTopic, () => string> = {
  usage: helpText,
  options: configReference,
  service: () => serviceUnit(TEMPLATE_SERVICE),
  socket: () => socketUnit(TEMPLATE_SOCKET),
}

/** These commands ask and print; all others act. */
const PRINTING: ReadonlySet<CommandLine['command']> = new Set([
  'check',
  'status',
  'get',
  'systemd',
  'doctor',
  'help',
  'explain',
  'version',
])
/** These commands read no path. */
const PLACELESS: ReadonlySet<CommandLine['command']> = new Set(['help', 'explain', 'version', 'hash-password'])
let patienceMs: number = PATIENCE_MS.acting

const crashSteps: (() => Promise<void>)[] = []

// A terminal or a pipe that is gone (EPIPE, EIO) is no reason to stop serving.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
process.on('uncaughtException', error => end(error))
process.on('unhandledRejection', reason => end(reason))

/** Carries out what the command line says, and ends the process. `script`: the entry file. */
export async function run(script: string): Promise<never> {
  try {
    const line = parseCommandLine(process.argv.slice(2), process.env)
    if (PRINTING.has(line.command)) patienceMs = PATIENCE_MS.printing
    if (context.cwd === '' && !PLACELESS.has(line.command))
      throw new Failure('working-folder', 'this folder has been removed: change into one that is there', EXIT.os)
    // `context.cwd` makes all paths absolute. A path that is opened as another user must not lead through
    // /proc/self/cwd to root's own working directory.
    process.chdir('/')
    const code = await carryOut(line, script)
    await printed()
    exit(code)
  } catch (error) {
    return end(error)
  }
}

/** Loads what this command needs: `status` need not wait for the modules of a master. */
async function carryOut(line: CommandLine, script: string): Promise<number> {
  switch (line.command) {
    case 'run':
      isMaster = true
      return (await import('./run-command.js')).runCommand(runOptions(line), context)
    case 'start': {
      // The name as it was typed: by it the master sees when it leads to another build.
      const program = process.argv[1] ?? script
      return (await import('./command/start-command.js')).startCommand(
        { settings: settingsOf(line, 'cannot start'), program, argv: argvOf(line) },
        context,
      )
    }
    case 'check':
      return check(line)
    case 'status':
      return (await import('./command/status-command.js')).statusCommand(soughtBy(line), line.json, context)
    case 'reload':
      return (await import('./command/reload-command.js')).reloadCommand(soughtBy(line), line.waits, context)
    case 'stop':
      return (await import('./command/stop-command.js')).stopCommand(soughtBy(line), context)
    case 'top':
      return (await import('./command/top-command.js')).topCommand(soughtBy(line), context, {
        input: process.stdin,
        output: process.stdout,
      })
    case 'scale':
      return giveOrder(line, { command: 'scale', wanted: line.wanted })
    case 'restart-worker':
      return giveOrder(line, { command: 'restart-worker', slot: line.slot })
    case 'pause':
    case 'resume':
      return giveOrder(line, { command: line.command })
    case 'logs':
      return giveOrder(line, { command: 'reopen-logs' })
    case 'get':
      return (await import('./command/get-command.js')).getCommand(await addressFor(line), {
        path: line.path,
        opener: openerOf(read(line)),
        headers: line.head,
        output: process.stdout,
      })
    case 'systemd':
      return (await import('./systemd/systemd-command.js')).systemdCommand(
        { line, script, folder: line.folder },
        context,
      )
    case 'doctor': {
      const ini = line.iniPath === null ? null : fileNamed(line.iniPath, context.cwd).absolute
      return (await import('./doctor/doctor-command.js')).doctorCommand(
        { reading: read(line), sought: soughtBy(line), ini },
        context,
      )
    }
    case 'hash-password':
      return (await import('./command/hash-password-command.js')).hashPasswordCommand(process.stdin, context)
    case 'help':
      return say(HELP[line.topic]())
    case 'explain':
      return explain(line.word)
    case 'version':
      return say(`${readVersion()}\n`)
    case 'usage-error':
      throw new Failure('usage', line.message, line.exitCode)
  }
}

function say(text: string): number {
  context.print(text)
  return EXIT.ok
}

function explain(word: string): number {
  const text = explainWord(word)
  if (text !== null) return say(text)
  const accepted = 'accepted an option, a command, options, service, socket, or nothing for the whole help'
  throw new Failure('usage', `help: received ${printable(word)}: ${accepted}${nearWord(word)}`, EXIT.usage)
}

async function giveOrder(line: ConfigArguments, order: OrderedRequest): Promise<number> {
  return (await import('./command/order-command.js')).orderCommand(soughtBy(line), order, context)
}

function runOptions(line: ConfigArguments): RunOptions {
  const whenCrashing = (step: () => Promise<void>) => crashSteps.push(step)
  const settings = settingsOf(line, 'cannot start')
  isLogHere = isStandardError(settings.logto)
  return { settings, source: sourceOf(line), starter, whenCrashing }
}

function check(line: CommandLine & { command: 'check' }): number {
  const reading = read(line)
  context.print(describeCheck(reading, line.iniPath ?? 'command line', line.all))
  return reading.mistakes.length === 0 ? EXIT.ok : EXIT.config
}

function read(line: ConfigArguments): Reading {
  return readSettings(sourceOf(line))
}

/** Copies the environment, so that each reload uses the values of the start. */
function sourceOf({ iniPath, flags }: ConfigArguments): SettingsSource {
  return { iniPath, flags, environment: { ...context.environment }, cwd: context.cwd }
}

function settingsOf(line: ConfigArguments, what: string): Settings {
  return readOrRefuse(read(line), what, context)
}

/** To stop a server or to look at it, its INI need not be valid. It only says which server is meant. */
function soughtBy(line: ConfigArguments): MasterSought {
  const file = line.iniPath === null ? null : fileNamed(line.iniPath, context.cwd)
  const { runDir, settings } = read(line)
  return {
    runDir: runDir ?? null,
    serviceUid: settings?.credentials?.uid ?? null,
    iniPath: file?.absolute ?? null,
    iniSection: file?.section ?? '',
  }
}

/**
 * The first listener of the INI. If the kernel chose its port, systemd passes it, or the INI has become invalid, the
 * running master knows it.
 */
async function addressFor(line: ConfigArguments): Promise<BoundAddress> {
  const first = read(line).settings?.http[0]
  if (first?.kind === 'unix' || (first?.kind === 'tcp' && first.port !== 0)) return first
  const { report, remark } = await locateMaster(soughtBy(line), context.environment)
  context.writeError(remark)
  const [url] = report.urls
  if (url === undefined)
    throw new Failure('no-listener', `cannot get: pid ${report.pid}: it has no listener`, EXIT.unavailable)
  return (await import('./command/get-command.js')).addressOf(url)
}

/** Whether the log is standard error. Without a log the children print on standard output. */
function isStandardError(logto: string | null): boolean {
  try {
    const log = logto === null ? fstatSync(1) : statSync(logto)
    const own = fstatSync(2)
    return log.dev === own.dev && log.ino === own.ino
  } catch {
    // ENOENT: it is made later. EBADF: closed.
    return false
  }
}

/** As which user root follows paths of this configuration. */
function openerOf({ settings }: Reading): Opener {
  return settings === null ? 'unknown' : settings.credentials
}

/** The arguments that give a master in the background the same configuration. */
function argvOf({ iniPath, flags }: ConfigArguments): string[] {
  return [...(iniPath === null ? [] : [`--ini=${iniPath}`]), ...flags.map(({ name, value }) => `--${name}=${value}`)]
}

/** Empty: the folder was removed, and has no path any more. */
function workingFolder(): string {
  try {
    return process.cwd()
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return ''
  }
}

/** What a service of systemd prints is read elsewhere, so it names whole paths only. */
function placeOfReader(): string {
  return (process.env.INVOCATION_ID === undefined && workingFolder()) || '/nowhere'
}

/** The program as it was typed: `daimyo`, or, without an installation, `node dist/supervisor/daimyo.js`. */
function programName(script: string): string {
  if (basename(script) === 'daimyo') return 'daimyo'
  const near = relative(placeOfReader(), script)
  return `node ${near.startsWith('..') ? script : near}`
}

/**
 * Resolves when all output has left this process. If a master's log is stuck, its standard output is as a rule stuck
 * too.
 */
async function printed(): Promise<void> {
  if (hasStuckLog()) return
  await Promise.all([output.drained(patienceMs), errors.drained(patienceMs)])
}

/**
 * A device that accepts no more bytes holds a thread without end. The end of the process does not wait for it, and
 * loses the exit code.
 */
function exit(code: number): never {
  if (hasStuckLog()) process.kill(process.pid, 'SIGKILL')
  process.exit(code)
}

/** The last status in `systemctl status`: without it the unit would seem to be stopping. */
async function tellService(text: string): Promise<void> {
  const notifier = createNotifier({ environment: context.environment, log: () => {} })
  notifier.status(`failed: ${text.split('\n')[0]}`)
  await notifier.settled()
}

/** This process serves, or was meant to. Other commands have the unit's NOTIFY_SOCKET too (`ExecReload=`). */
let isMaster = false
/**
 * The output of the children stands where this process prints its last line: on a terminal, in the journal, or in the
 * log of a start in the background.
 */
let isLogHere = false

async function end(error: unknown): Promise<never> {
  const isFailure = error instanceof Failure
  const exitCode = isFailure ? error.exitCode : EXIT.software
  const text = isFailure ? error.message : error instanceof Error ? (error.stack ?? error.message) : reasonOf(error)
  const said = isFailure && isLogHere ? (error.brief ?? text) : text
  writeError(
    isFailure
      ? `daimyo: ${said}
`
      : `daimyo: a bug, please report it: ${text}
`,
    PRIORITY.error,
  )
  await starter?.tell({ type: 'failed', message: text, exitCode })
  if (isMaster) await tellService(text)
  for (const step of crashSteps) await step()
  await printed()
  exit(exitCode)
}
