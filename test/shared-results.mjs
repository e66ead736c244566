/** Reads what `shared-process.mjs` printed: what became of each of the files that shared a process. */

/** On the first level; whatever is further in belongs to one of the files. */
const RESULT = /^(ok|not ok) \d+ - (\S+)(?: # time=([\d.]+)ms)?/

/**
 * `results` has each file that has begun, with all that was printed meanwhile. It has failed when it says so, when the process ended or hung before its
 * end, or when tap itself failed meanwhile, as with an error that no test was told of. Where the process failed and all this says nothing, the last file
 * has failed: it left something open, so that nothing could follow it. `unseen` have not begun.
 */
export function resultsOf(paths, { passed, printed }) {
  const results = []
  let lines = []
  let isWhole = true
  for (const line of printed.split('\n')) {
    lines.push(line)
    const [, word, path, ms] = RESULT.exec(line) ?? []
    if (paths.includes(path)) {
      results.push({ path, passed: word === 'ok' && isWhole, printed: lines.join('\n'), ms: Number(ms ?? 0) })
      lines = []
      isWhole = true
    } else if (word === 'not ok') isWhole = false
  }
  const rest = lines.join('\n')
  const ended = results.map(({ path }) => path)
  const begun = paths.find(path => !ended.includes(path) && lines.includes(`# Subtest: ${path}`))
  if (begun !== undefined) results.push({ path: begun, passed: false, printed: rest, ms: 0 })
  else if (!passed && results.every(result => result.passed)) failLast(results, paths, rest)
  const seen = results.map(({ path }) => path)
  return { results, unseen: paths.filter(path => !seen.includes(path)) }
}

/** A process that ended before its first file has begun fails that one. */
function failLast(results, paths, rest) {
  const last = results.pop() ?? { path: paths[0], printed: '', ms: 0 }
  results.push({ ...last, passed: false, printed: `${last.printed}\n${rest}` })
}
