/**
 * The lines of an INI in uWSGI's grammar (its core/ini.c): blanks around keys and values do not count; `;` and `#`
 * begin a comment only as the first character of a line; a key without `=` has an empty value; sections of one name add
 * up. Pure. What uWSGI skips silently (text before a section, a broken header) is a mistake here.
 */

import type { Finding } from '../values/settings.js'

export interface IniLine {
  section: string
  key: string
  value: string
  /** From 1. */
  line: number
}

/** Longest line that is read. */
export const LINE_CHARS = 16_384

/** Splits the text of a file; `file` is the name that places are printed with. */
export function splitIni(text: string, file: string): { lines: IniLine[]; sections: string[]; mistakes: Finding[] } {
  const lines: IniLine[] = []
  const sections = new Set<string>()
  const mistakes: Finding[] = []
  let section: string | null = null
  for (const [index, raw] of withoutMark(text).split('\n').entries()) {
    const trimmed = raw.replace(/^[ \t\r]+|[ \t\r]+$/g, '')
    if (trimmed === '' || trimmed.startsWith(';') || trimmed.startsWith('#')) continue
    const place = `${file}:${index + 1}`
    const why = whyRefused(trimmed, section !== null)
    if (why !== null) mistakes.push({ place, message: why })
    if (trimmed.startsWith('[')) {
      // What follows a malformed header belongs to no section that can be asked for.
      section = why === null ? trimmed.slice(1, -1) : trimmed
      if (why === null) sections.add(section)
    } else if (why === null && section !== null) {
      lines.push({ section, ...splitPair(trimmed), line: index + 1 })
    }
  }
  return { lines, sections: [...sections], mistakes }
}

/** A byte order mark, as editors on Windows write it. */
function withoutMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text
}

/** No message repeats the line: it may hold a secret, or control characters that would forge output. */
function whyRefused(line: string, isInSection: boolean): string | null {
  if (line.length > LINE_CHARS)
    return `line too long: received ${line.length} characters: accepted at most ${LINE_CHARS}`
  const control = /[\0-\x08\x0b-\x1f\x7f]/.exec(line)?.[0]
  if (control !== undefined) {
    return `control character: received ${control === '\0' ? 'NUL' : `code ${control.charCodeAt(0)}`}: accepted text`
  }
  if (line.startsWith('[')) {
    return /^\[(?!\s)[^[\]]+(?<!\s)\]$/.test(line)
      ? null
      : 'section header: received a malformed one: accepted `[name]`, alone on its line and without blanks inside'
  }
  if (!isInSection) return 'line before the first section: accepted below a header such as `[uwsgi]`'
  return line.startsWith('=') ? 'key: received none before `=`: accepted `key = value`' : null
}

function splitPair(line: string): { key: string; value: string } {
  const at = line.indexOf('=')
  if (at === -1) return { key: line, value: '' }
  return { key: line.slice(0, at).trimEnd(), value: line.slice(at + 1).trimStart() }
}
