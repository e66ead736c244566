/**
 * Events of the program's own life, one line each: `2026-11-21T10:00:00.000Z worker-ready slot=3 pid=412 bootMs=812`.
 * The master writes them; proxies and workers send theirs to the master over their channel as an `event` message.
 */

export type EventFields = Record<string, string | number | boolean | null | undefined>

/** Tells one event. `fields` are printed in their order; an undefined field is left out. */
export type Log = (event: string, fields?: EventFields) => void

/** A log that hands each finished line, with its newline, to `write`. */
export function createLog(write: (line: string) => void, now: () => Date = () => new Date()): Log {
  return (event, fields = {}) => write(`${now().toISOString()} ${event}${printFields(fields)}\n`)
}

function printFields(fields: EventFields): string {
  let text = ''
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) text += ` ${name}=${printValue(value)}`
  }
  return text
}

/**
 * For a class of a regular expression: characters beyond C0 that move the cursor or set the terminal (DEL and C1), and
 * those that make a text look like another one: marks and overrides of the writing direction, line separators (UAX #9,
 * UAX #14). JSON leaves them as they are.
 */
export const UNFIT_BEYOND_C0 = '\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069'
const UNFIT = new RegExp(`[${UNFIT_BEYOND_C0}]`, 'g')

/** Plain where it cannot be misread, a JSON string otherwise, so that no value can forge a second field or line. */
function printValue(value: string | number | boolean | null): string {
  if (typeof value !== 'string') return String(value)
  if (/^[\w./:@%+,\-[\]]+$/.test(value)) return value
  return JSON.stringify(value).replace(UNFIT, unfit => `\\u${unfit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
