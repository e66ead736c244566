/** Prints the signals of `signals.ts` for the README. `test/tidy.ts` compares. Pure. */

import { SIGNAL_ROWS } from './signals.js'

/** The table as Markdown. Signals with the same effect share a row. */
export function printSignalTable(): string {
  const lines = new Map<string, string[]>()
  for (const [signal, { does }] of Object.entries(SIGNAL_ROWS)) lines.set(does, [...(lines.get(does) ?? []), signal])
  const rows = [...lines].map(([does, signals]) => `| ${signals.join(', ')} | ${does} |\n`)
  return `| signal | what it does |\n|---|---|\n${rows.join('')}`
}
