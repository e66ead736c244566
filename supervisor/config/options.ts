/**
 * Every option, once. Reading, checking, the command line, `--help`, `docs/options.md`, `check` and the reload all work
 * from this table; there is no second list. Names are uWSGI's wherever uWSGI has one.
 *
 * To add an option: ARCHITECTURE.md, "Anatomy of changes".
 */

import { APPLICATION_OPTIONS } from './application-options.js'
import { FRONT_OPTIONS } from './front-options.js'
import { HOST_OPTIONS } from './host-options.js'
import { METRICS_OPTIONS } from './metrics-options.js'
import { MOOT_OPTIONS, REFUSED_OPTIONS } from './moot-options.js'
import type { Kind } from './option-kinds.js'
import { REQUEST_OPTIONS } from './request-options.js'
import type { Settings } from './settings.js'
import { WORKER_OPTIONS } from './worker-options.js'

/** Headings of the help and of the reference, in their order. */
export const SECTIONS = {
  application: 'The application',
  front: 'Listeners, routes and static files',
  requests: 'Requests and their deadlines',
  workers: 'Workers',
  around: 'Around the application',
  metrics: 'Metrics',
  host: 'Users, files and logs',
} as const

export type Section = keyof typeof SECTIONS

/** When a changed value counts: at the reload, for workers that start from then on, or after stop and start. */
export type TakesEffect = 'live' | 'next-generation' | 'restart'

export interface OptionRow {
  section: Section
  aliases?: readonly string[]
  kind: Kind<unknown>
  /** As an operator would write it; null: none. */
  default: string | null
  /** Each further line adds a value; otherwise the last one counts. */
  repeatable?: true
  secret?: true
  takesEffect: TakesEffect
  /** What it is called elsewhere: names with commas between, `…` for what belongs to a directive. Also how a foreign word is understood. */
  replaces?: { uwsgi?: string; nginx?: string; pm2?: string; gunicorn?: string }
  summary: string
  example: string
  /** The field of Settings that it fills; null: it only confirms what is always so. */
  setting: keyof Settings | null
}

/** The options that have a value, in the order in which they are printed. */
export const OPTIONS = {
  ...APPLICATION_OPTIONS,
  ...FRONT_OPTIONS,
  ...REQUEST_OPTIONS,
  ...WORKER_OPTIONS,
  ...METRICS_OPTIONS,
  ...HOST_OPTIONS,
} as const satisfies Record<string, OptionRow>

export type OptionName = keyof typeof OPTIONS

const NAMES = new Map<string, OptionName>()
for (const [name, row] of Object.entries(OPTIONS) as [OptionName, OptionRow][]) {
  for (const key of [name, ...(row.aliases ?? [])]) NAMES.set(key, name)
}

/** The option that a key names, itself or by an alias. */
export function optionNamed(key: string): OptionName | null {
  return NAMES.get(key) ?? null
}

/** A row seen as a row: with all its optional fields. */
export function rowOf(name: OptionName): OptionRow {
  return OPTIONS[name]
}

/** The options in the order of the table. */
export function optionNames(): OptionName[] {
  return Object.keys(OPTIONS) as OptionName[]
}

/** Whether any of the tables knows the key, so that it cannot be a placeholder. */
export function isOptionKey(key: string): boolean {
  return NAMES.has(key) || Object.hasOwn(MOOT_OPTIONS, key) || Object.hasOwn(REFUSED_OPTIONS, key)
}

/** Every key that is accepted with a value, for "did you mean". */
export function acceptedKeys(): string[] {
  return [...NAMES.keys(), ...Object.keys(MOOT_OPTIONS)]
}
