/**
 * Every option, once. Reading, checking, the command line, `--help`, `docs/options.md`, `check` and the reload all work
 * from this table; there is no second list. Names are uWSGI's wherever uWSGI has one.
 *
 * To add an option: CONTRIBUTING.md, "An option".
 */

import type { OptionRow } from './kinds/option-row.js'
import { APPLICATION_OPTIONS } from './sections/application-options.js'
import { FRONT_OPTIONS } from './sections/front-options.js'
import { HOST_OPTIONS } from './sections/host-options.js'
import { METRICS_OPTIONS } from './sections/metrics-options.js'
import { REQUEST_OPTIONS } from './sections/request-options.js'
import { WORKER_OPTIONS } from './sections/worker-options.js'
import { IGNORED_OPTIONS, REFUSED_OPTIONS } from './words/ignored-options.js'

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
  return NAMES.has(key) || Object.hasOwn(IGNORED_OPTIONS, key) || Object.hasOwn(REFUSED_OPTIONS, key)
}

/** Every key that is accepted with a value, for "did you mean". */
export function acceptedKeys(): string[] {
  return [...NAMES.keys(), ...Object.keys(IGNORED_OPTIONS)]
}
