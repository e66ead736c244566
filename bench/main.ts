/**
 * `npm run bench`: measures daimyo beside nginx and other peers, and prints tables. The entry file.
 * Whatever happens, it ends every process that it started and removes its temporary folder.
 * Exit code: 0 done (a peer may be missing); 1 a stack failed, left processes behind, or had more invalid runs than it may; 64 usage;
 * 69 without wrk; 130 or 143 when told to stop.
 */

import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { EXIT, Failure, reasonOf } from '../kit/ground/failure.js'
import { type BenchArguments, helpText, parseArguments } from './arguments.js'
import { freePorts } from './ask.js'
import { type Case, selectCases } from './cases.js'
import { busyWarning, describeMachine } from './machine.js'
import { type CaseResult, type Conditions, measureCase, wrkScript } from './measure.js'
import { endAll, findExecutable } from './program.js'
import { isUnfit, type Results, renderCase, renderConditions, renderDocument } from './report.js'
import { topFolder } from './repository.js'
import { makeFolder } from './site.js'
import { STACKS } from './stacks/list.js'
import { type RunningStack, startStack } from './stacks/stack.js'

const EXIT_OF_SIGNAL = { SIGINT: 130, SIGTERM: 143 } as const

/** The stacks that were started, and notes about the others. `failed`: the exit code must report a failure. */
interface Started {
  stacks: RunningStack[]
  notes: string[]
  failed: boolean
}

const stop = new AbortController()
process.on('exit', endAll)
for (const [signal, code] of Object.entries(EXIT_OF_SIGNAL)) {
  process.on(signal, () => {
    // The second signal: leave at once. `endAll` ends the programs.
    if (stop.signal.aborted) process.exit(code)
    stop.abort(new Failure('BENCH_STOPPED', `stopped: ${signal}`, code))
  })
}
try {
  process.exitCode = await run(parseArguments(process.argv.slice(2)), stop.signal)
} catch (error) {
  say([error instanceof Failure ? error.message : String(error instanceof Error ? error.stack : error)])
  process.exitCode = error instanceof Failure ? error.exitCode : EXIT.software
}

async function run(args: BenchArguments, signal: AbortSignal): Promise<number> {
  if (args.help) {
    process.stdout.write(helpText())
    return EXIT.ok
  }
  const cases = selectCases(args.only, args.all, args.connections)
  const { wrk, app } = findNeeds(args)
  const machine = describeMachine()
  process.stdout.write(`${renderConditions({ machine, ...args })}\n`)
  const { folder, siteFolder } = makeFolder()
  const started: Started = { stacks: [], notes: [], failed: false }
  const remarks: string[] = []
  try {
    await startStacks(started, { folder, siteFolder, app }, signal)
    const { stacks, notes } = started
    const { seconds, rounds } = args
    const measured = await measureAll(cases, stacks, { wrk, folder, seconds, rounds, signal })
    if (measured.some(isUnfit)) started.failed = true
    const complete = stacks.length === STACKS.length && !started.failed
    if (!save({ machine, seconds, rounds, cases: measured, notes }, args, complete)) started.failed = true
  } finally {
    for (const stack of started.stacks) remarks.push(...(await stack.stop()), ...((await stack.counting?.stop()) ?? []))
    rmSync(folder, { recursive: true, force: true })
    say(remarks)
  }
  return started.failed || remarks.length > 0 ? EXIT.failed : EXIT.ok
}

/**
 * The load generator and the application, without which nothing can be measured; a Failure that says what is missing.
 */
function findNeeds(args: BenchArguments): { wrk: string; app: string } {
  const wrk = findExecutable('wrk')
  const app = args.app === null ? join(topFolder, 'app/farm/farm.js') : resolve(args.app)
  if (!existsSync('/proc/self/stat')) return lacks('/proc: not found: the bench needs Linux')
  if (wrk === null) return lacks('wrk: not found: install the Debian package wrk')
  if (!existsSync(app)) return lacks(`${app}: not found: accepted: the entry file of an application`)
  return { wrk, app }
}

function lacks(what: string): never {
  throw new Failure('BENCH_NEEDS', `bench failed: ${what}`, EXIT.unavailable)
}

/** Starts all that can be started; a peer that is missing or broken leaves a note and the rest goes on. */
async function startStacks(
  started: Started,
  bed: { folder: string; siteFolder: string; app: string },
  signal: AbortSignal,
): Promise<void> {
  const ports = await freePorts(STACKS.length * 4)
  for (const [index, stack] of STACKS.entries()) {
    const missing = stack.missing()
    if (missing !== null) {
      note(started, `left out: ${missing}`)
      continue
    }
    const [port = 0, sparePort = 0, countingPort = 0, countingSparePort = 0] = ports.slice(index * 4)
    try {
      const folder = join(bed.folder, String(index))
      const running = await startStack(stack, { ...bed, folder, port, sparePort }, signal)
      started.stacks.push(running)
      if (stack.counting === undefined) continue
      const countingBed = { ...bed, folder: `${folder}-gc`, port: countingPort, sparePort: countingSparePort }
      running.counting = await startStack(stack.counting, countingBed, signal)
    } catch (error) {
      signal.throwIfAborted()
      started.failed = true
      note(started, `left out: ${stack.name}: ${reasonOf(error)}`)
    }
  }
  const warning = busyWarning()
  if (warning !== null) note(started, warning)
}

async function measureAll(
  cases: readonly Case[],
  stacks: readonly RunningStack[],
  conditions: Conditions,
): Promise<CaseResult[]> {
  const results: CaseResult[] = []
  for (const row of cases) {
    const script = wrkScript(row)
    if (script !== null) writeFileSync(join(conditions.folder, script.name), script.text)
    for (const connections of row.connections) {
      const result = await measureCase(row, connections, stacks, conditions)
      process.stdout.write(`${renderCase(result)}\n`)
      results.push(result)
    }
  }
  return results
}

/**
 * False if the document was asked for and not written: without a stack, or with too many invalid runs of one, it would
 * be wrong.
 */
function save(results: Results, args: BenchArguments, complete: boolean): boolean {
  if (args.json !== null) writeFileSync(args.json, `${JSON.stringify(results, null, 2)}\n`)
  if (!args.write) return true
  if (complete) writeFileSync(join(topFolder, 'docs/benchmarks.md'), renderDocument(STACKS, results))
  else say(['writing docs/benchmarks.md failed: a stack is left out or has too many invalid runs: the old one stays'])
  return complete
}

function note(started: Started, text: string): void {
  started.notes.push(text)
  say([text])
}

function say(lines: readonly string[]): void {
  for (const line of lines) process.stderr.write(`${line}\n`)
}
