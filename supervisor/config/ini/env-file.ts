/**
 * The text of an `env-file`, NAME=VALUE lines as systemd's EnvironmentFile= (systemd.exec(5)) and dotenv have them.
 * Pure.
 *
 * Blank lines and lines that begin with `#` or `;` do not count; `export` before a name, blanks around name and value
 * neither. A value in quotes is taken as it stands, line breaks too. Must stay true: what the two would read
 * differently (a backslash outside single quotes, `#` outside quotes, text behind a closing quote) is a mistake, and no
 * message repeats a line, which may hold a secret.
 */

/** `why` begins with what was received; lines count from 1. */
export interface EnvFile {
  variables: { name: string; value: string }[]
  mistakes: { line: number; why: string }[]
}

/** One part of the text, up to `end`: a variable, a mistake or nothing. */
interface Entry {
  end: number
  variable?: { name: string; value: string }
  why?: string
}

const ASSIGNMENT = /^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*/

/** Reads all of it, with all mistakes; a quote that is never closed is the last one. */
export function parseEnvFile(text: string): EnvFile {
  const found: EnvFile = { variables: [], mistakes: [] }
  const lines = text.replaceAll('\r\n', '\n')
  for (let at = 0, line = 1; at < lines.length; ) {
    const { end, variable, why } = readEntry(lines, at)
    if (variable !== undefined) found.variables.push(variable)
    if (why !== undefined) found.mistakes.push({ line, why })
    line += countLines(lines, at, end)
    at = end
  }
  return found
}

function readEntry(text: string, at: number): Entry {
  const end = lineEnd(text, at)
  const line = text.slice(at, end)
  if (/^\s*([#;]|$)/.test(line)) return { end: end + 1 }
  const [head = '', name] = ASSIGNMENT.exec(line) ?? []
  if (name === undefined) {
    return { end: end + 1, why: 'received something else: accepted NAME=VALUE with a name of letters, digits and `_`' }
  }
  const quote = text[at + head.length]
  if (quote === '"' || quote === "'") return readQuoted(text, at + head.length, name)
  const value = line.slice(head.length).trimEnd()
  return entry(end + 1, name, value, whyNotPlain(value))
}

/** `at` is the opening quote. */
function readQuoted(text: string, at: number, name: string): Entry {
  const quote = text[at] ?? ''
  const close = text.indexOf(quote, at + 1)
  if (close === -1) return { end: text.length, why: `received a quote that is not closed: accepted a second ${quote}` }
  const end = lineEnd(text, close)
  const value = text.slice(at + 1, close)
  const behind = text.slice(close + 1, end).trim()
  return entry(end + 1, name, value, behind === '' ? whyNotQuoted(value, quote) : BEHIND_QUOTE)
}

const BEHIND_QUOTE = 'received text behind the closing quote: accepted none'
const ESCAPES = 'which systemd and dotenv read differently: accepted in single quotes'

function whyNotPlain(value: string): string | null {
  if (value.includes('\\')) return `received a backslash, ${ESCAPES}`
  if (value.includes('#'))
    return 'received `#` in a value, which systemd and dotenv read differently: accepted in quotes'
  if (value.startsWith('`')) return 'received a backtick: accepted single and double quotes'
  return whyNotText(value)
}

function whyNotQuoted(value: string, quote: string): string | null {
  return quote === '"' && value.includes('\\') ? `received a backslash, ${ESCAPES}` : whyNotText(value)
}

function whyNotText(value: string): string | null {
  return value.includes('\0') ? 'received NUL: accepted text' : null
}

function entry(end: number, name: string, value: string, why: string | null): Entry {
  return why === null ? { end, variable: { name, value } } : { end, why }
}

function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end === -1 ? text.length : end
}

function countLines(text: string, from: number, to: number): number {
  let lines = 0
  for (let at = text.indexOf('\n', from); at !== -1 && at < to; at = text.indexOf('\n', at + 1)) lines++
  return lines
}
