/**
 * `daimyo [INI]`: the master in the foreground; `daimyo start` runs the same in the background. Builds the parts in the
 * order of their dependencies, and takes them down in reverse order. Must stay true: READY, the pidfile and the banner
 * come only when clients get responses; after any failure nothing that was made here is left.
 */

import { closeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Credentials } from '../kit/channel/messages.js'
import { reasonOf } from '../kit/ground/failure.js'
import { createLog, type Log } from '../kit/log/log.js'
import { LogSink, type Reopening } from '../kit/log/log-sink.js'
import { SharedPage } from '../kit/page/shared-page.js'
import { checkLogReach, checkReach } from './child/child-programs.js'
import { guardLoop } from './child/loop-guard.js'
import { TaskChildren, type Tasks } from './child/task-children.js'
import type { CommandContext } from './command/command-context.js'
import type { Starter } from './command/starter.js'
import { readingTask, type SettingsSource } from './config/read-settings.js'
import type { Reading, Settings } from './config/values/settings.js'
import { startControlSocket } from './control/control-socket.js'
import { closeForeignDescriptors } from './host/foreign-descriptors.js'
import { setInheritedLimits } from './host/inherited-limits.js'
import { askNodeVersion, Installation, ownFiles } from './host/installation.js'
import { holdWritten, pidfileTasks, type WrittenPidfile } from './host/pidfile.js'
import { nameMaster } from './host/process-names.js'
import { readVersion } from './host/version.js'
import { keepYoungGenerationSmall } from './host/young-generation.js'
import type { PassedSockets } from './listen/inherited-sockets.js'
import { assignSockets, receiveSockets } from './listen/socket-activation.js'
import { journalLog, leadsToJournal } from './log/journal.js'
import type { OutputSink } from './log/output-lines.js'
import { printableLines } from './log/printable.js'
import { RecentEvents } from './log/recent-events.js'
import { controlHandler } from './master/control-commands.js'
import { Master } from './master/master.js'
import { startMasterFifo } from './master/master-fifo.js'
import type { SignalEvent } from './master/signals.js'
import { removeSocketBy } from './master/socket-removal.js'
import { masterFamilies } from './metrics/master-families.js'
import { startMetricsEndpoint } from './metrics/metrics-endpoint.js'
import { renderPage } from './metrics/metrics-page.js'
import { MetricsStore } from './metrics/metrics-store.js'
import { inSlices } from './metrics/slices.js'
import { LogChild } from './rotation/log-child.js'
import { LogRotation, type RotationOptions } from './rotation/log-rotation.js'
import { openFirstLog, openMasterLog } from './rotation/master-log.js'
import { type EndWorkersFolder, prepareRunFolder } from './run-folder/run-folder.js'
import { RunFolderKeeper } from './run-folder/run-folder-keeper.js'
import { workersTask } from './run-folder/workers-folder.js'
import { printBanner } from './screen/banner.js'
import { createNotifier } from './systemd/notify.js'
import { ServiceReports } from './systemd/service-reports.js'
import { checkSetpriv } from './user/become-user.js'
import { removals } from './user/file-removal.js'
import { PacedLooks } from './user/folder-names.js'
import type { KilledChild } from './user/killed-child.js'
import { PipeStock } from './user/pipes.js'
import { addThreadHolder, learnGroups, mayBecomeUser } from './user/service-user.js'

/** `source` is read again at each reload. `starter`: waits for the outcome of a start in the background. */
export interface RunOptions {
  settings: Settings
  source: SettingsSource
  starter: Starter | null
  /** Takes a step that has to be done when the program crashes. */
  whenCrashing: (step: () => Promise<void>) => void
}

/** How long a stop waits for the removal of the pidfile. */
const PIDFILE_MS = 3000
/** How long a stop waits for the removal of what workers left in the run folder. */
const RELEASE_MS = 3000
/** How long each step of a reload waits for the identity of the service's user. */
const RELOAD_MS = 5000

/** Steps that undo the start, last first. */
type Undo = (() => unknown)[]

/** Serves until the master has stopped; resolves with its exit code. Rejects with the failures of all parts. */
export async function runCommand(options: RunOptions, context: CommandContext): Promise<number> {
  const undo: Undo = []
  closeForeignDescriptors(context.environment.NODE_OPTIONS)
  keepYoungGenerationSmall()
  // A name like those of its children. Arguments of the command line, secrets among them, are not for everybody's ps.
  nameMaster(options.settings.iniPath, options.settings.processNames)
  try {
    return await serve(options, context, undo)
  } finally {
    for (const step of undo.reverse()) await takeDown(step, context)
  }
}

/** A part that cannot be taken down neither keeps the others running nor hides the reason of the end. */
async function takeDown(step: Undo[number], context: CommandContext): Promise<void> {
  try {
    await step()
  } catch (error) {
    context.writeError(`daimyo: cannot clean up: ${reasonOf(error)}\n`)
  }
}

async function serve(options: RunOptions, context: CommandContext, undo: Undo): Promise<number> {
  const settings = withoutDeviceLog(options.settings)
  checkSetpriv(settings.credentials)
  checkReach(settings.credentials)
  checkLogReach(settings)
  setInheritedLimits(settings)
  const passed = assignSockets(settings, receiveSockets(context.environment, process.pid))
  const { credentials } = settings
  const tasks = new TaskChildren()
  undo.push(() => tasks.settled())
  const pid = pidfileOf(settings, tasks)
  await pid?.check()
  const folder = await prepareRunFolder(settings.runDir, credentials, endOf(settings, tasks))
  undo.push(() => folder.release())
  const pipes = new PipeStock()
  undo.push(() => pipes.close())
  const filled = pipes.fill(settings.processes + settings.httpProcesses)
  const tellTracer: KilledChild['tell'] = (event, fields) => log(event, fields)
  const logChild =
    settings.logto === null ? null : new LogChild({ path: settings.logto, owner: credentials, pipes, tell: tellTracer })
  undo.push(() => logChild?.stop())
  const firstLog = settings.logto === null ? null : await openFirstLog(settings.logto, credentials, tasks)
  if (firstLog !== null) logChild?.learn(firstLog)
  const sink = new LogSink({
    path: settings.logto,
    owner: settings.credentials,
    open: (path, owner) => firstLog ?? openMasterLog(path, owner),
    writeError: context.writeError,
    ...(logChild !== null && { reopening: reopeningOf(settings, logChild) }),
  })
  tasks.doHere(quietlyIn(sink, credentials))
  undo.push(addThreadHolder(() => sink.holdsThread))
  undo.push(() => sink.close())
  options.whenCrashing(() => sink.close())
  const isJournal = settings.logto === null && leadsToJournal(context.environment, process.stdout.fd)
  const written = (isJournal ? journalLog : createLog)(line => sink.write(line))
  const notifier = createNotifier({ environment: context.environment, log: written })
  undo.push(() => notifier.settled())
  const service = new ServiceReports({
    notifier,
    environment: context.environment,
    report: () => master.status(),
    answering: withinMs => master.answering(withinMs),
  })
  const recent = new RecentEvents()
  const log = telling([service.hearing(written), recent.log])
  removals.telling(log)

  const keeper = new RunFolderKeeper(folder, log)
  const { master, store, rotation, startEndpoint } = assemble(
    {
      settings,
      passed,
      sink,
      logChild,
      isJournal,
      log,
      pipes,
      source: options.source,
      tasks,
      keepRunFolder: () => keeper.keep(),
    },
    context,
  )
  holdSignals(undo)
  undo.push(() => rotation?.stop())
  options.starter?.onGone(() => void master.stop('starter-gone'))
  await startEndpoint(undo)
  const figures = { family: (name: string) => store.family(name), events: () => recent.lines() }
  const control = await startControlSocket(folder.controlPath, controlHandler(master, figures))
  keeper.keepControl(control)
  undo.push(() => control.close())
  if (settings.masterFifo.length > 0) {
    const put = (letter: string, event: SignalEvent) => master.signal(letter, event)
    const fifo = await startMasterFifo({ paths: settings.masterFifo, opener: credentials, put, log, pipes, tasks })
    undo.push(() => fifo.close())
  }
  undo.push(service.start())
  await filled
  await pipes.fill()
  pipes.demand()
  await master.start()
  await announce(master, settings, options.starter, { sink, service, context, undo, pidfile: pid })
  // Taken down last: strange children may outlive the workers.
  undo.unshift(guardLoop({ log }))
  return master.finished
}

interface AssembleParts {
  settings: Settings
  passed: PassedSockets
  sink: LogSink
  logChild: LogChild | null
  /** The sink is the journal of systemd. */
  isJournal: boolean
  log: Log
  pipes: PipeStock
  source: SettingsSource
  tasks: Tasks
  keepRunFolder: () => void
}

/**
 * The master with its metrics. The endpoint shows the state of the master; the master reports the URL of the endpoint.
 */
function assemble(
  { settings, passed, sink, logChild, isJournal, log, pipes, source, tasks, keepRunFolder }: AssembleParts,
  context: CommandContext,
) {
  const version = readVersion()
  let metricsUrl: string | null = null
  const store = new MetricsStore({ log })
  const page = new SharedPage(() => {
    const state = master.metricsState()
    return inSlices(renderPage(state === null ? [] : masterFamilies(state), store))
  })
  const render = () => page.get()
  const textOf = oneTextEach()
  const rotation = rotationOf(settings, { sink, logChild, log, reopen: move => master.reopenLogs(move) })
  const master: Master = new Master({
    settings,
    readSettings: async () => readingWithoutDeviceLog(await readAgain(source, tasks, settings)),
    tasks,
    log,
    output: isJournal ? toJournal(sink) : outputOf(settings, sink, rotation),
    pipes,
    keepRunFolder,
    reopenLogs: async move => {
      const why = await sink.changeOver(move)
      if (why !== null && move === undefined) context.writeError(`daimyo: ${why}: the log is not reopened\n`)
      return why
    },
    metrics: store,
    renderMetrics: async () => textOf(await render()),
    version,
    metricsUrl: () => metricsUrl,
    environment: context.environment,
    passed,
    installation: new Installation({
      ...ownFiles(),
      log,
      nodeVersion: () => askNodeVersion(settings.credentials, pipes),
    }),
  })
  const startEndpoint = async (undo: Undo) => {
    if (settings.metrics === null) return
    const options = {
      address: settings.metrics,
      passed: passed.metrics,
      opener: settings.credentials,
      auth: settings.metricsAuth,
      render,
      log,
      remove: (path: string) => removeSocketBy(tasks, path, settings.credentials, log),
    }
    const endpoint = await startMetricsEndpoint(options)
    metricsUrl = endpoint.url
    undo.push(() => endpoint.close())
  }
  return { master, store, rotation, startEndpoint }
}

/** The text of a page, made once for each page: all who share the page get the same Buffer. */
function oneTextEach(): (page: Buffer) => string {
  const texts = new WeakMap<Buffer, string>()
  return page => {
    const text = texts.get(page) ?? page.toString()
    texts.set(page, text)
    return text
  }
}

interface RotationParts extends Pick<RotationOptions, 'log' | 'reopen'> {
  sink: LogSink
  logChild: LogChild | null
}

function rotationOf(
  { logto, logMaxsizeBytes, logBackups }: Settings,
  { sink, logChild, ...parts }: RotationParts,
): LogRotation | null {
  if (logto === null || logChild === null || logMaxsizeBytes === 0) return null
  const sizeBytes = () => sink.sizeBytes()
  const bounds = { folder: dirname(logto), maxBytes: logMaxsizeBytes, backups: logBackups }
  return new LogRotation({
    ...parts,
    ...bounds,
    sizeBytes,
    child: logChild,
    pruner: new LogChild(logChild.options),
    looks: new PacedLooks(),
  })
}

/** How the log is opened while the master runs. */
function reopeningOf({ credentials }: Settings, child: LogChild): Reopening {
  return {
    make: () => child.make(),
    open: () => child.open(),
    isQuiet: () => mayBecomeUser(credentials),
  }
}

/** A reload waits no longer than that for whoever has locked the log; then it is refused. */
function quietlyIn(sink: LogSink, credentials: Credentials | null): <T>(work: () => T) => Promise<T> {
  const isQuiet = () => mayBecomeUser(credentials)
  const changesIdentity = credentials !== null && process.geteuid?.() === 0
  return async work => (changesIdentity ? await sink.quietly(isQuiet, RELOAD_MS, work) : work())
}

/** The destination of the output of the children. */
function outputOf({ logto, credentials }: Settings, sink: LogSink, rotation: LogRotation | null): OutputSink {
  if (rotation !== null) return rotated(sink, rotation)
  const isOthersOnOurTerminal = logto === null && credentials !== null && process.stdout.isTTY === true
  return isOthersOnOurTerminal ? harmless(sink) : sink
}

/** The sink is the stream to the journal of systemd. */
function toJournal(sink: LogSink): OutputSink {
  return { write: chunk => sink.write(chunk), onDrain: listener => sink.onDrain(listener), isJournal: true }
}

/** Processes of another user print on root's terminal: they must not move its cursor or type on it. */
function harmless(sink: OutputSink): OutputSink {
  return {
    write: chunk => sink.write(Buffer.from(printableLines(Buffer.from(chunk).toString()))),
    onDrain: listener => sink.onDrain(listener),
  }
}

/** Output of children, counted for a rotation. */
function rotated(sink: LogSink, rotation: LogRotation): OutputSink {
  return {
    write: chunk => {
      rotation.wrote(chunk.byteLength)
      return sink.write(chunk)
    },
    onDrain: listener => sink.onDrain(listener),
  }
}

interface Audience {
  sink: LogSink
  service: ServiceReports
  context: CommandContext
  undo: Undo
  pidfile: Pidfile | null
}

/** Clients get responses now: tells everybody who waits for that. */
async function announce(
  master: Master,
  settings: Settings,
  starter: Starter | null,
  { sink, service, context, undo, pidfile }: Audience,
): Promise<void> {
  if (pidfile !== null) {
    // Before the write: an answer that comes late would leave the pidfile behind. A pidfile that does not name this
    // master is not removed.
    undo.push(async () => {
      const why = await pidfile.remove()
      if (why !== null)
        context.writeError(`daimyo: cannot remove the pidfile: ${why}: it stays, and the next start finds it stale\n`)
    })
    try {
      await pidfile.write()
    } catch (error) {
      await master.stop('pidfile')
      throw error
    }
  }
  const report = master.status()
  service.ready()
  if (starter !== null) return starter.tell({ type: 'started', report })
  // The reader of a service's journal has another working directory.
  const cwd = context.environment.INVOCATION_ID === undefined ? context.cwd : '/'
  const banner = printBanner({ ...context, cwd, report, log: settings.logto, mode: 'foreground' })
  // The log and the banner share a terminal. Through one sink they keep their order.
  if (settings.logto === null) sink.write(banner)
  else context.print(banner)
}

/** The next start clears what stays in `run/workers/`. */
function endOf({ credentials }: Settings, tasks: Tasks): EndWorkersFolder | undefined {
  if (credentials === null || process.geteuid?.() !== 0) return undefined
  return async request => {
    const options = { credentials, what: `cannot clear ${request.folder}`, withinMs: RELEASE_MS }
    await tasks.run(workersTask, request, options).catch(() => {})
  }
}

/** The pidfile of this master. */
interface Pidfile {
  check(): Promise<void>
  write(): Promise<void>
  /** Resolves with the reason why the pidfile stays; null: it was removed. */
  remove(): Promise<string | null>
}

function pidfileOf({ pidfile: path, credentials }: Settings, tasks: Tasks): Pidfile | null {
  if (path === null) return null
  const request = { path, credentials, own: process.pid }
  const options = { credentials, what: `cannot use the pidfile: pidfile=${path}` }
  let held: number | null = null
  return {
    check: () => tasks.run(pidfileTasks.check, request, options),
    async write() {
      const taking = (pid: number, written: unknown) => {
        held = holdWritten(pid, written as WrittenPidfile, request)
      }
      await tasks.run(pidfileTasks.write, request, { ...options, taking })
    },
    async remove() {
      // The removing process has the file open, so it is the last one to close it: its user may have given it blocks
      // that take minutes to free.
      const removed = tasks.run(pidfileTasks.remove, request, {
        ...options,
        withinMs: PIDFILE_MS,
        ...(held !== null && { descriptors: [held] }),
      })
      if (held !== null) closeSync(held)
      return await removed.then(isGone => (isGone ? null : path), reasonOf)
    },
  }
}

function telling(logs: readonly Log[]): Log {
  return (event, fields) => {
    for (const log of logs) log(event, fields)
  }
}

/**
 * While the parts are taken down, the master handles signals no more. A second Ctrl-C must not leave half of the parts,
 * and SIGUSR1 must not open an inspector, in which any local user could run code as the master.
 */
function holdSignals(undo: Undo): void {
  const ignore = () => {}
  const signals = ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const
  for (const signal of signals) process.on(signal, ignore)
  undo.unshift(() => {
    for (const signal of signals) process.off(signal, ignore)
  })
}

/**
 * `logto = /dev/stdout`, as in containers, means the same as no `logto`: the path is a link that differs from process
 * to process.
 */
function withoutDeviceLog(settings: Settings): Settings {
  return settings.logto === '/dev/stdout' ? { ...settings, logto: null } : settings
}

/** A reload takes the current groups of the service's user. */
async function readAgain(source: SettingsSource, tasks: Tasks, { credentials }: Settings): Promise<Reading> {
  const what = 'cannot read the configuration'
  const { reading, groups } = await tasks.run(readingTask, source, { credentials, what })
  const found = reading.settings?.credentials ?? null
  if (found !== null && groups !== null) learnGroups(found, groups)
  return reading
}

function readingWithoutDeviceLog(reading: Reading): Reading {
  return reading.settings === null ? reading : { ...reading, settings: withoutDeviceLog(reading.settings) }
}
