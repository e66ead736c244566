/**
 * Runs the suite, three files at a time: `npm test` calls it. `npm test -- proxy e2e/websockets` runs the files below `dist/test/` whose paths begin so.
 *
 * Prints TAP: a line for each file, and under it all that a failed one printed, or what one of several has skipped. No preloaded modules, which
 * the tests' many child processes would inherit: those of a general runner cost 8 of 28 minutes of CPU.
 */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runFile } from './run-file.mjs'

const top = fileURLToPath(new URL('..', import.meta.url))
/** One more than the cores that CI has: most tests wait for processes rather than work. */
const JOBS = 3
/**
 * They compare times or count what a while is enough for, which another file beside them would change, or have the kernel count an OOM kill, which is
 * the whole machine's: one after the other, at the end.
 */
const ALONE = [
  'e2e/kills-every-200-ms-fail-no-get.js',
  'e2e/memory-that-runs-out-costs-two-workers.js',
  'e2e/proxy-death-keeps-the-port.js',
  'e2e/reload-loops-fail-nobody.js',
  'e2e/thousands-of-clients.js',
]
const LONGEST_MS = 240_000 * Number(process.env.TEST_TIME_FACTOR ?? 1)

const wanted = process.argv.slice(2).map(path => path.replace(/^(\.\/)?(dist\/)?(test\/)?/, '').replace(/\.[jt]s$/, ''))
const files = readdirSync(join(top, 'dist/test'), { recursive: true })
  .filter(path => path.endsWith('.js') && !/(^|\/)(fixtures|fuzz)\/|-fixture\.js$/.test(path))
  .filter(path => wanted.length === 0 || wanted.some(start => path.startsWith(start)))
  .sort()

const env = { ...process.env, TAP_TIMEOUT: String(LONGEST_MS / 1000) }
const waiting = files.filter(path => !ALONE.includes(path))
const end = new AbortController()
let done = 0
let failed = 0

async function runNext() {
  for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
    const startMs = performance.now()
    const args = ['--enable-source-maps', join('dist/test', path)]
    const { passed, printed } = await runFile(process.execPath, args, {
      cwd: top,
      env,
      longestMs: LONGEST_MS,
      signal: end.signal,
    })
    done += 1
    if (!passed) failed += 1
    const shown = passed ? printed.match(/^ *ok .* # SKIP.*$/gm)?.join('\n') : printed
    if (shown !== undefined) process.stdout.write(`${shown.replace(/^/gm, '    ')}\n`)
    process.stdout.write(
      `${passed ? 'ok' : 'not ok'} ${done} - ${path} # time=${Math.round(performance.now() - startMs)}ms\n`,
    )
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    waiting.length = 0
    end.abort()
  })
}
process.stdout.write(`TAP version 14\n1..${files.length}\n`)
await Promise.all(Array.from({ length: JOBS }, runNext))
if (!end.signal.aborted) waiting.push(...files.filter(path => ALONE.includes(path)))
await runNext()
process.stdout.write(`# ${done - failed} of ${files.length} files passed\n`)
if (done - failed < files.length || files.length === 0) process.exitCode = 1
