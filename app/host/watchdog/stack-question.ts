/**
 * The expression that the watchdog has the main thread evaluate while its loop is blocked (`blocked-stack.ts`). It runs
 * amid the application's own code, so it leaves everything as it was, and returns names and places only.
 */

/**
 * Innermost first; `file` empty: built into V8. `in-use`: an inspector's port is open (`--inspect`, `inspector.open()`,
 * SIGUSR1).
 */
export type AnsweredStack = { name: string; file: string; line: number }[] | 'in-use'

/** It may use globals only: just its text is sent to the main thread. */
function answerStack(): AnsweredStack {
  if (process.getBuiltinModule?.('inspector').url() !== undefined) return 'in-use'
  const { findSourceMap } = process.getBuiltinModule?.('module') ?? {}
  const { prepareStackTrace, stackTraceLimit } = Error
  /** As with `--enable-source-maps`; without that option there are no maps. */
  const original = (file: string, line: number, column: number) => {
    const entry = findSourceMap?.(file)?.findEntry(line - 1, column - 1)
    return entry !== undefined && 'originalSource' in entry ? entry : null
  }
  try {
    Error.stackTraceLimit = 22
    Error.prepareStackTrace = (_, sites) =>
      sites.map(site => {
        const file = site.getScriptNameOrSourceURL() ?? ''
        const line = site.getLineNumber() ?? 0
        const entry = file === '' ? null : original(file, line, site.getColumnNumber() ?? 1)
        const place = entry === null ? { file, line } : { file: entry.originalSource, line: entry.originalLine + 1 }
        return { name: site.getFunctionName() ?? '', ...place }
      })
    const frames = new Error().stack as unknown as Exclude<AnsweredStack, 'in-use'>
    // The first two are this function and the expression.
    return frames.slice(2)
  } finally {
    Error.prepareStackTrace = prepareStackTrace
    Error.stackTraceLimit = stackTraceLimit
  }
}

export const stackQuestion = `(${answerStack})()`
