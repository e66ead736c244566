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

/** Plain where it cannot be misread, a JSON string otherwise, so that no value can forge a second field or line. */
function printValue(value: string | number | boolean | null): string {
  if (typeof value !== 'string') return String(value)
  return /^[\w./:@%+,\-[\]]+$/.test(value) ? value : JSON.stringify(value)
}
