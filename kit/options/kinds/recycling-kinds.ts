/**
 * Kinds of values that only `recycling-options.ts` uses: megabytes, as uWSGI counts memory, and the arguments of Node.
 * Pure.
 */

import type { Kind } from './option-kinds.js'

const MEGABYTE = 1024 ** 2
const MOST_MEGABYTES = 1024 ** 2

/** Megabytes without a unit, read into bytes. */
export const megabytes: Kind<number> = {
  symbol: 'MEGABYTES',
  accepts: `megabytes as a whole number from 0 to ${MOST_MEGABYTES}, without a unit`,
  parse(text) {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
    if (number <= MOST_MEGABYTES) return { ok: true, value: number * MEGABYTE }
    const [, digits] = /^(\d{1,9}) ?(?:m|mb|mib)$/i.exec(text) ?? []
    return { ok: false, hint: digits ?? null }
  },
  print: bytes => String(bytes / MEGABYTE),
}

/** Options whose value may be the next word. */
const TAKES_WORD: ReadonlySet<string> = new Set(['-r', '--require', '--import', '-C', '--conditions'])

/** Options that run another program or none, or wait for a debugger. */
const RUNS_OTHERS =
  /^(-|--|-[ehipvc]+|-pe|--(eval|print|check|help|version|interactive|v8-options|run|test|watch|watch-path|build-sea|completion-bash|prof-process|inspect-brk|inspect-wait)(=.*)?)$/

/** Words for Node's own command line. */
export const nodeArguments: Kind<string[]> = {
  symbol: 'ARGUMENTS',
  accepts:
    'options of Node such as `--enable-source-maps` or `--import ./file.mjs`, none that runs another program, ends Node or waits for a debugger',
  parse(text) {
    const words = text.split(/\s+/).filter(word => word !== '')
    const isBad = (word: string, index: number) => {
      if (TAKES_WORD.has(words[index - 1] ?? '')) return word.startsWith('-')
      return !word.startsWith('-') || RUNS_OTHERS.test(word) || (TAKES_WORD.has(word) && index === words.length - 1)
    }
    return words.length === 0 || words.some(isBad) ? { ok: false, hint: null } : { ok: true, value: words }
  },
  print: words => words.join(' '),
}
