/**
 * The events that a child may send to the log, with their fields. The master adds the name of the child, which it knows
 * from the channel: a worker runs other people's code, and must not speak for another process or for the master.
 */

/**
 * Numbers are finite. The sender cuts a `text` at LONGEST_EVENT_TEXT, and a `quote` (a text from outside) at
 * LONGEST_QUOTE.
 */
type FieldKind = 'text' | 'quote' | 'number'

type EventTable = Record<string, Record<string, FieldKind>>

const TROUBLE = { why: 'text' } as const

/** This many events of this name were left out before this one: `proxy/process/event-budget.ts`. */
const OMITTED = { omitted: 'number' } as const

export const WORKER_EVENTS = {
  'affinity-trouble': TROUBLE,
  'watchdog-trouble': TROUBLE,
  'metrics-trouble': TROUBLE,
  'not-listening': { why: 'text', elapsedMs: 'number' },
  'site-doubtful': { site: 'text', other: 'text', remedy: 'text' },
  'site-late': { site: 'text', before: 'text', remedy: 'text' },
  'autopsy-written': { path: 'text', bytes: 'number', tookMs: 'number' },
  'autopsy-failed': { path: 'text', why: 'text' },
} as const satisfies EventTable

export const PROXY_EVENTS = {
  'accept-trouble': { ...TROUBLE, ...OMITTED },
  'accept-paused': { limit: 'text', connections: 'number', ...OMITTED },
  'accept-resumed': { connections: 'number', ...OMITTED },
  'access-log-trouble': { ...TROUBLE, ...OMITTED },
  'bad-answer': { request: 'quote', slot: 'number', mount: 'text', upstream: 'text', why: 'quote', ...OMITTED },
  'named-file-refused': { request: 'quote', slot: 'number', file: 'quote', why: 'quote', ...OMITTED },
  'request-harakiri': { request: 'quote', elapsedMs: 'number', slot: 'number', ...OMITTED },
  'request-quarantined': { request: 'quote', deaths: 'number', seconds: 'number', ...OMITTED },
  'signal-ignored': { signal: 'text', ...OMITTED },
  'upstream-back': { mount: 'text', upstream: 'text', ...OMITTED },
  'upstream-out': { mount: 'text', upstream: 'text', reason: 'text', why: 'text', graceMs: 'number', ...OMITTED },
} as const satisfies EventTable

export type WorkerEventName = keyof typeof WORKER_EVENTS
export type ProxyEventName = keyof typeof PROXY_EVENTS

/** Fields of an event on their way to the master. */
export type ToldFields = Record<string, string | number>

/** In characters. A target may have 64 KB, and an event may come with every request. */
export const LONGEST_EVENT_TEXT = 4000
export const LONGEST_QUOTE = 300

/** The fields with every text cut to what the master takes. */
export function cutFields(table: EventTable, event: string, fields: ToldFields): ToldFields {
  const cut = Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === 'string' ? value.slice(0, longestOf(table[event]?.[name])) : value,
  ])
  return Object.fromEntries(cut)
}

function longestOf(kind: FieldKind | undefined): number {
  return kind === 'quote' ? LONGEST_QUOTE : LONGEST_EVENT_TEXT
}

/** Whether `event` stands in the table, and each field is one of its own and of its kind. Any field may be missing. */
export function isToldEvent(table: EventTable, event: unknown, fields: unknown): boolean {
  if (typeof event !== 'string' || !Object.hasOwn(table, event)) return false
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return false
  const kinds = table[event] ?? {}
  return Object.entries(fields).every(([name, value]) => {
    if (!Object.hasOwn(kinds, name)) return false
    if (kinds[name] === 'number') return typeof value === 'number' && Number.isFinite(value)
    return typeof value === 'string' && value.length <= longestOf(kinds[name])
  })
}
