/**
 * Kinds of values that only `application-options.ts` uses: where the site listens, and the words behind the
 * application's file. Pure.
 */

import type { Kind } from './option-kinds.js'

/** A port, or a path as the application writes it. */
export const appPort: Kind<string> = {
  symbol: 'PORT',
  accepts: 'the port that the application listens on, from 0 to 65535, or the path of a unix socket, as it writes it',
  parse(text) {
    if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return { ok: true, value: String(Number(text)) }
    const [, port] = /^[^/]*:(\d{1,5})$/.exec(text) ?? []
    return text.includes('/') ? { ok: true, value: text } : { ok: false, hint: port ?? null }
  },
  print: value => value,
}

const WORD = /"([^"]*)"|'([^']*)'|([^\s"']+)/y

/** Words separated by blanks, as in a shell, but without any substitution. */
export const words: Kind<string[]> = {
  symbol: 'WORDS',
  accepts: 'words separated by blanks; a word that contains blanks in `"` or `\'`',
  parse(text) {
    const found: string[] = []
    const rest = text.trim()
    for (let at = 0; at < rest.length; ) {
      WORD.lastIndex = at
      const [all, double, single, plain] = WORD.exec(rest) ?? []
      const end = at + (all?.length ?? 0)
      if (all === undefined || /\S/.test(rest.charAt(end))) return { ok: false, hint: null }
      found.push(double ?? single ?? plain ?? '')
      at = end + (/^\s*/.exec(rest.slice(end))?.[0].length ?? 0)
    }
    return found.length === 0 ? { ok: false, hint: null } : { ok: true, value: found }
  },
  print: value =>
    value.map(word => (/^[^\s"']+$/.test(word) ? word : word.includes('"') ? `'${word}'` : `"${word}"`)).join(' '),
}
