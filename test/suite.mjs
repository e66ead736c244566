/**
 * Runs the suite, some files at a time: `npm test` calls it. `npm test -- proxy e2e/websockets` runs the files below `dist/test/` whose paths begin so.
 * `npm test -- --changed` runs the files that import what differs from the last commit, directly or over other files, and `--changed=main` what differs from
 * `main`. A test that only starts the program is not among them: `npm test -- --changed e2e` runs those of `e2e/` too.
 *
 * Prints TAP: a line for each file, and above it all that a failed one printed, or what one of several has skipped. No preloaded modules, which
 * the tests' many child processes would inherit: those of a general runner cost 8 of 28 minutes of CPU. Files that touch nothing of their process share
 * one (`plan-runs.mjs`, `shared-process.mjs`); one that is run by itself has its own.
 */

import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleTap } from './bundle-tap.mjs'
import { changedFiles, testsThatReach } from './changed-tests.mjs'
import { planRuns } from './plan-runs.mjs'
import { runFile } from './run-file.mjs'
import { resultsOf } from './shared-results.mjs'

const top = fileURLToPath(new URL('..', import.meta.url))
/** More than there are cores: most tests wait for processes rather than work. */
const JOBS = availableParallelism() + 3
/** Of these, so many take the runs that compute. */
const BUSY_JOBS = 2
/**
 * They compare times or count what a while is enough for, which another file beside them would change, or have the kernel count an OOM kill, which is
 * the whole machine's: one after the other, at the end.
 */
const ALONE = [
  'e2e/a-full-queue-says-so-at-once.js',
  'e2e/full-proxy-refuses-nobody.js',
  'e2e/kills-every-200-ms-fail-no-get.js',
  'e2e/memory-that-runs-out-costs-two-workers.js',
  'e2e/proxy-death-keeps-the-port.js',
  'e2e/thousands-of-clients.js',
]
/** They hold a master to a second, and take long: they come first, and the jobs that compute begin when they are done. */
const TIMED = ['e2e/harakiri-spares-the-neighbours.js']
/** So many of them are named at the end. */
const SLOWEST = 10
const LONGEST_MS = 300_000 * Number(process.env.TEST_TIME_FACTOR ?? 1)

const isChange = word => /^--changed(=|$)/.test(word)
const words = process.argv.slice(2)
const [, commit] = words.find(isChange)?.split(/=(.*)/) ?? [null, null]
const wanted = words
  .filter(word => !isChange(word))
  .map(path => path.replace(/^(\.\/)?(dist\/)?(test\/)?/, '').replace(/\.[jt]s$/, ''))
const all = readdirSync(join(top, 'dist/test'), { recursive: true })
  .filter(path => path.endsWith('.js') && !/(^|\/)(fixtures|fuzz)\/|-fixture\.js$/.test(path))
  .sort()
const files = all.filter(isWanted())

await bundleTap(top, join(top, 'dist'))
const env = { ...process.env, TAP_TIMEOUT: String(LONGEST_MS / 1000) }
const timed = new Set(TIMED.filter(path => files.includes(path)))
const others = files.filter(path => !ALONE.includes(path) && !timed.has(path))
const runs = [...[...timed].map(path => [path]), ...planRuns(join(top, 'dist/test'), others)]
const end = new AbortController()
const times = []
let done = 0
let failed = 0

/** Whether a file is to be run. */
function isWanted() {
  const named = path => wanted.some(start => path.startsWith(start))
  if (commit === null) return path => wanted.length === 0 || named(path)
  const reached = testsThatReach(join(top, 'dist'), all, changedFiles(top, commit ?? 'HEAD'))
  return path => named(path) || reached.includes(path)
}

/** From the front or from the end, until none is left. */
async function runNext(take) {
  for (let run = take(); run !== undefined; run = take()) {
    if (run.length === 1) await runOne(run[0])
    else await runTogether(run)
  }
}

async function runOne(path) {
  const startMs = performance.now()
  const { passed, printed } = await runNode(['--enable-source-maps', join('dist/test', path)])
  tell({ path, passed, printed, ms: performance.now() - startMs })
  if (timed.delete(path)) startBusyJobs()
}

/** Those that one before them has kept from running are run again, each in its own process. */
async function runTogether(paths) {
  const { passed, printed } = await runNode(['test/shared-process.mjs', 'dist/test', ...paths], 2 * LONGEST_MS)
  const { results, unseen } = resultsOf(paths, { passed, printed })
  for (const result of results) tell(result)
  runs.push(...unseen.map(path => [path]))
}

function runNode(args, longestMs = LONGEST_MS) {
  return runFile(process.execPath, args, { cwd: top, env, longestMs, signal: end.signal })
}

function tell({ path, passed, printed, ms }) {
  done += 1
  times.push({ path, ms })
  if (!passed) failed += 1
  const shown = passed ? printed.match(/^ *ok .* # SKIP.*$/gm)?.join('\n') : printed
  if (shown !== undefined) process.stdout.write(`${shown.replace(/^/gm, '    ')}\n`)
  process.stdout.write(`${passed ? 'ok' : 'not ok'} ${done} - ${path} # time=${Math.round(ms)}ms\n`)
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    runs.length = 0
    end.abort()
  })
}
process.stdout.write(`TAP version 14\n1..${files.length}\n`)
const fromFront = () => runs.shift()
/** Where runs compute more than they wait. */
const fromEnd = () => runs.pop()
const busyJobs = []
function startBusyJobs() {
  if (timed.size === 0) while (busyJobs.length < BUSY_JOBS) busyJobs.push(runNext(fromEnd))
}
startBusyJobs()
await Promise.all(Array.from({ length: JOBS - BUSY_JOBS }, () => runNext(fromFront)))
await Promise.all(busyJobs)
if (!end.signal.aborted) runs.push(...files.filter(path => ALONE.includes(path)).map(path => [path]))
await runNext(fromFront)
const slowest = times.sort((a, b) => b.ms - a.ms).slice(0, SLOWEST)
if (times.length > SLOWEST)
  for (const { path, ms } of slowest) process.stdout.write(`# ${(ms / 1000).toFixed(1)} s ${path}\n`)
process.stdout.write(
  `# ${done - failed} of ${files.length} files passed in ${Math.round(performance.now() / 1000)} s\n`,
)
if (done - failed < files.length || files.length === 0) process.exitCode = 1
