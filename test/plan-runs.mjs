/** Which files of the tests run in one process, and in which order: decisions of `suite.mjs`. */

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Files in one process at most: what is lost when one of them hangs is small, and all jobs have something to do until the end. */
const MOST_TOGETHER = 16
/** Their process does more than the tests of one module: it starts others, is timed, or is measured. */
const OWN_FOLDERS = /^(e2e|compat|app\/farm)\//
/**
 * Code that starts a process, or changes or counts something that the whole process has: environment, user, signals, descriptors, CPU time. What is
 * excepted only reads what never changes.
 */
const PROCESS_WIDE =
  /\bprocess\.(?!(pid|ppid|getuid|geteuid|getgid|getegid|platform|version|versions|execPath|nextTick|hrtime)\b)|['"]node:(child_process|worker_threads|cluster|async_hooks|v8|vm|inspector)\b|\bglobalThis\b|\/proc\/self/
/** What the tests of whole programs import; it starts them. */
const PROGRAMS = /(watched-site|program)\.js$/
/** The longest ones, by measurement: begun first, so that none of them is left over when all others are done. */
const LONGEST = [
  'e2e/systemd-runs-the-farm.js',
  'e2e/unmodified-applications-answer.js',
  'e2e/broken-code-keeps-the-old-serving.js',
  'e2e/applications-listen-as-they-like.js',
  'e2e/a-worker-cannot-hurt-the-master.js',
  'e2e/reload-drops-no-request.js',
  'e2e/worker-death-fails-no-get.js',
  'e2e/signals-for-the-master-cost-nothing.js',
  'e2e/soak-takes-bad-code-back.js',
  'e2e/bad-ini-keeps-the-old-one-serving.js',
  'e2e/gigabyte-bodies-stay-small.js',
]

/** Computes for longer than any other, and waits for nothing. */
const BUSIEST = 'types.js'

/**
 * The runs, each one or more files for one process: first the longest, then the other promises, then the rest, last those that share a process and the
 * busiest. These compute, while the first ones mostly wait: who takes runs from both ends keeps the cores busy.
 */
export function planRuns(folder, files) {
  const isOwn = needsOwnProcess(folder)
  const own = files.filter(path => isOwn(path) && path !== BUSIEST)
  const shared = files.filter(path => !isOwn(path))
  const rank = path =>
    LONGEST.includes(path) ? LONGEST.indexOf(path) : LONGEST.length + Number(!path.startsWith('e2e/'))
  const runs = own.sort((a, b) => rank(a) - rank(b)).map(path => [path])
  for (let at = 0; at < shared.length; at += MOST_TOGETHER) runs.push(shared.slice(at, at + MOST_TOGETHER))
  if (files.includes(BUSIEST)) runs.push([BUSIEST])
  return runs
}

/** Whether a file, or a fixture that it imports, touches what belongs to the process. */
function needsOwnProcess(folder) {
  const known = new Map()
  const touches = path => {
    if (!known.has(path)) {
      known.set(path, false)
      const text = readFileSync(join(folder, path), 'utf8')
      const fixtures = [...text.matchAll(/\bfrom '(\.[^']+)'/g)].map(([, name]) => join(dirname(path), name))
      const inTests = fixtures.filter(name => !name.startsWith('..'))
      known.set(path, PROCESS_WIDE.test(text) || inTests.some(name => PROGRAMS.test(name) || touches(name)))
    }
    return known.get(path)
  }
  return path => OWN_FOLDERS.test(path) || !path.includes('/') || touches(path)
}
