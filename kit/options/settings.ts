/**
 * The settings of master, proxies and workers, derived from the option rows: their types, their values, and what a
 * child is sent of them. A new row is a new setting; nothing is written a second time. Pure.
 */

import type { Kind, ValueContext } from './kinds/option-kinds.js'
import type { Reader, Scope } from './kinds/option-row.js'
import { type OPTIONS, type OptionName, optionNames, rowOf } from './options.js'
import type { ContentCoding, ErrorPageSpec, ExpiresRule } from './values/value-types.js'

type Rows = typeof OPTIONS

/**
 * The value of a row: null where there is none and no default. The lists of an option that is given several times are
 * one list.
 */
type ValueOf<Row> = Row extends { kind: Kind<infer T> }
  ? Row extends { repeatable: true }
    ? (T extends readonly (infer Item)[] ? Item : T)[]
    : Row extends { default: string }
      ? T
      : T | null
  : never

/** A value for every option, its default where none was given. */
export type OptionValues = { [Name in OptionName]: ValueOf<Rows[Name]> }

/**
 * The settings that `Who` needs by its rows. `Composed`: the types of those that are not the value of one option as it
 * is.
 */
export type SettingsFor<Who extends Reader, Composed> = {
  [Name in OptionName as Who extends Rows[Name]['neededBy'][number]
    ? NonNullable<Rows[Name]['setting']>
    : never]: Rows[Name]['setting'] extends keyof Composed ? Composed[Rows[Name]['setting']] : ValueOf<Rows[Name]>
}

/** The composed settings of proxies; `supervisor/config/composed-settings.ts` makes them. */
export interface ComposedForProxies {
  /** `error-page`, with the text of each file. */
  errorPage: ErrorPageSpec[]
  /** `static-precompressed` and `static-gzip-all`, in the order in which codings are preferred. */
  staticPrecompressed: ContentCoding[]
  /** `static-expires` and its variants, in the order in which they are tried. */
  staticExpires: ExpiresRule[]
}

/** The options that may stand in a section of this kind. */
type NamesIn<Where extends Scope> = {
  [Name in OptionName]: Rows[Name] extends { scopes: readonly (infer Each)[] }
    ? Where extends Each
      ? Name
      : never
    : never
}[OptionName]

/** The values that a `[location:…]` section gives. */
export type LocationValues = { [Name in NamesIn<'location'>]?: OptionValues[Name] }

/** The settings that a `[location:…]` section gives. */
export type LocationSettings = {
  [Name in NamesIn<'location'> as NonNullable<Rows[Name]['setting']>]?: OptionValues[Name]
}

/** The options that may stand in a section of this kind, in the order of the table. */
export function optionsIn(scope: Scope): OptionName[] {
  return optionNames().filter(name => rowOf(name).scopes?.includes(scope) === true)
}

/** Each value of a `[location:…]` section under the name of its setting. */
export function locationSettingsOf(values: LocationValues): LocationSettings {
  const named = Object.entries(values).map(([name, value]) => [rowOf(name as OptionName).setting ?? '', value])
  return Object.fromEntries(named) as LocationSettings
}

/** The settings that the rows give to proxies. */
export type ProxyOptions = SettingsFor<'proxy', ComposedForProxies>

/** The settings that the rows give to workers. */
export type WorkerOptions = SettingsFor<'worker', object>

/** The part of the settings that the rows give to proxies. */
export function proxyOptions(settings: ProxyOptions): ProxyOptions {
  return pick('proxy', settings)
}

/** The part of the settings that the rows give to workers. */
export function workerOptions(settings: WorkerOptions): WorkerOptions {
  return pick('worker', settings)
}

/** The settings that `who` needs, in the order of the table. */
export function settingNames(who: Reader): string[] {
  const rows = optionNames().map(rowOf)
  return [
    ...new Set(rows.flatMap(({ setting, neededBy }) => (neededBy.includes(who) && setting !== null ? setting : []))),
  ]
}

function pick<Settings extends object>(who: Reader, settings: Settings): Settings {
  const names = new Set(settingNames(who))
  return Object.fromEntries(Object.entries(settings).filter(([name]) => names.has(name))) as Settings
}

/** Each value under the name of its setting; composed settings do not have their final values yet. */
export function settingsOf(values: OptionValues): SettingsFor<Reader, object> {
  const named = optionNames().map(name => [rowOf(name).setting ?? '', values[name]])
  return Object.fromEntries(named.filter(([setting]) => setting !== '')) as SettingsFor<Reader, object>
}

/** The value of an option that the configuration does not give. */
export function defaultOf(name: OptionName, context: ValueContext): unknown {
  const { kind, default: text, repeatable } = rowOf(name)
  const parsed = text === null ? null : kind.parse(text, context)
  if (parsed === null || !parsed.ok) return repeatable === true ? [] : null
  return repeatable === true ? [parsed.value].flat() : parsed.value
}

/** The values of an empty configuration. */
export function defaultValues(context: ValueContext): OptionValues {
  return Object.fromEntries(optionNames().map(name => [name, defaultOf(name, context)])) as OptionValues
}
