/**
 * What a child may tell for the log, and with which fields. The master adds who tells it, from the channel that it came on: a worker runs other
 * people's code, and must not speak of another process, or say what only the master may say.
 */

/** Texts are cut at LONGEST_EVENT_TEXT by whoever tells, numbers are finite. */
type FieldKind = 'text' | 'number'

type EventTable = Record<string, Record<string, FieldKind>>

const TROUBLE = { why: 'text' } as const

export const WORKER_EVENTS = {
  'affinity-trouble': TROUBLE,
  'watchdog-trouble': TROUBLE,
  'metrics-trouble': TROUBLE,
  'autopsy-written': { path: 'text', bytes: 'number', tookMs: 'number' },
  'autopsy-failed': { path: 'text', why: 'text' },
} as const satisfies EventTable

export const PROXY_EVENTS = {
  'accept-trouble': TROUBLE,
  'accept-paused': { limit: 'text', connections: 'number' },
  'accept-resumed': { connections: 'number' },
  'access-log-trouble': TROUBLE,
  'bad-answer': { request: 'text', slot: 'number', mount: 'text', upstream: 'text', why: 'text' },
  'named-file-refused': { request: 'text', slot: 'number', file: 'text', why: 'text' },
  'request-harakiri': { request: 'text', elapsedMs: 'number', slot: 'number' },
  'request-quarantined': { request: 'text', deaths: 'number', seconds: 'number' },
  'signal-ignored': { signal: 'text' },
  'upstream-back': { mount: 'text', upstream: 'text' },
  'upstream-out': { mount: 'text', upstream: 'text', reason: 'text', why: 'text', graceMs: 'number' },
} as const satisfies EventTable

export type WorkerEventName = keyof typeof WORKER_EVENTS
export type ProxyEventName = keyof typeof PROXY_EVENTS

/** Fields of an event on their way to the master. */
export type ToldFields = Record<string, string | number>

/** In characters. */
export const LONGEST_EVENT_TEXT = 4000

/** The fields with every text cut to what the master takes. */
export function cutFields(fields: ToldFields): ToldFields {
  const cut = Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === 'string' ? value.slice(0, LONGEST_EVENT_TEXT) : value,
  ])
  return Object.fromEntries(cut)
}

/** Whether `event` stands in the table and each field is one of its own, of its kind. Any of them may be missing. */
export function isToldEvent(table: EventTable, event: unknown, fields: unknown): boolean {
  if (typeof event !== 'string' || !Object.hasOwn(table, event)) return false
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return false
  const kinds = table[event] ?? {}
  return Object.entries(fields).every(([name, value]) => {
    if (!Object.hasOwn(kinds, name)) return false
    if (kinds[name] === 'number') return typeof value === 'number' && Number.isFinite(value)
    return typeof value === 'string' && value.length <= LONGEST_EVENT_TEXT
  })
}
