/**
 * From the entries of the INI and the flags of the command line to one value for each option, with all mistakes at
 * once. Pure but for the files that `@(…)` names.
 *
 * The command line goes before the INI wherever it stands: the last value of an option counts, and flags come last;
 * those of a repeatable option are added; a placeholder that the command line sets hides the one of the file.
 */

import type { Kind, ValueContext } from '../../kit/options/kinds/option-kinds.js'
import {
  acceptedKeys,
  isOptionKey,
  OPTIONS,
  type OptionName,
  optionNamed,
  optionNames,
  rowOf,
} from '../../kit/options/options.js'
import { defaultOf, type LocationValues, type OptionValues, optionsIn } from '../../kit/options/settings.js'
import { IGNORED_OPTIONS, REFUSED_OPTIONS } from '../../kit/options/words/ignored-options.js'
import { didYouMean } from '../../kit/options/words/nearest-name.js'
import { HIDDEN } from '../../kit/options/words/secret-names.js'
import { whatIsMeant } from './foreign-names.js'
import { type IniEntry, isForAll, SETTERS, splitPlaceholder } from './ini/ini-reader.js'
import { type ExpandContext, expand } from './ini/placeholders.js'
import type { ScopeSection } from './ini/scope-sections.js'
import type { EffectiveValue, Finding } from './values/settings.js'

/** One option of the command line; `place` is how it was written, such as `--processes`. */
export interface Flag {
  name: string
  value: string
  place: string
}

/** `places` holds the places of each given option, as many as it has values. */
export interface ReadValues {
  values: OptionValues
  places: Map<OptionName, string[]>
  /** Options that have a line or a flag, be it a wrong one. */
  given: ReadonlySet<OptionName>
  /** The values of the sections that narrow options to a place, in the order in which they were first named. */
  locations: { prefix: string; values: LocationValues }[]
  effective: EffectiveValue[]
  mistakes: Finding[]
  remarks: Finding[]
}

interface Given {
  text: string
  place: string
  isSecret: boolean
}

export interface ValueSource {
  entries: IniEntry[]
  flags: readonly Flag[]
  /** Keys that were already used as placeholders. */
  usedKeys: ReadonlySet<string>
  environment: Record<string, string | undefined>
  read: ExpandContext['read']
  cwd: string
  cores: number
}

/** The most hints: each costs a millisecond, and only the first mistakes are shown. */
const HINTS = 100

/** The flags as entries: they are expanded like lines of the file, but hold no magic variables. */
export function flagEntries(flags: readonly Flag[]): IniEntry[] {
  return flags.map(({ name, value, place }) => {
    const entry = { key: name, value, place, placeholderOnly: false, isSecret: false, scope: null }
    const pair = SETTERS.has(name) ? splitPlaceholder(value) : null
    return pair === null ? entry : { ...entry, ...pair, placeholderOnly: true }
  })
}

/** Judges every key and reads every value. */
export function readValues(source: ValueSource): ReadValues {
  const mistakes: Finding[] = []
  const remarks: Finding[] = []
  const { given, scoped } = gather(source, mistakes, remarks)
  const context = contextOf(source, given.get('chdir'))
  const values = new Map<OptionName, unknown>()
  const places = new Map<OptionName, string[]>()
  const effective: EffectiveValue[] = []
  for (const name of optionNames()) {
    const texts = given.get(name) ?? []
    const read = readOption(name, texts, context, mistakes, remarks)
    values.set(name, read.value)
    if (read.places.length > 0) places.set(name, read.places)
    effective.push(...read.effective)
  }
  // The loop above visits every row and reads it with the row's own kind: nothing is left out.
  const complete = Object.fromEntries(values) as OptionValues
  const locations = scoped.map(({ scope, given }) => {
    const values: [OptionName, unknown][] = []
    for (const [name, texts] of given) {
      const read = readOption(name, texts, context, mistakes, remarks)
      if (read.places.length === 0) continue
      values.push([name, read.value])
      effective.push(...read.effective.map(value => ({ ...value, name: `${scope.name} ${value.name}` })))
    }
    return { prefix: scope.prefix, values: Object.fromEntries(values) as LocationValues }
  })
  return { values: complete, places, given: new Set(given.keys()), locations, effective, mistakes, remarks }
}

/** The lines of the sections for one place. */
interface Scoped {
  scope: ScopeSection
  given: Map<OptionName, Given[]>
}

/** Sorts the lines by option; keys that are no options become placeholders, remarks or mistakes. */
function gather(
  source: ValueSource,
  mistakes: Finding[],
  remarks: Finding[],
): { given: Map<OptionName, Given[]>; scoped: Scoped[] } {
  const flags = flagEntries(source.flags)
  const used = new Set(source.usedKeys)
  const context = expandContext([...flags, ...source.entries], source, used)
  const given = new Map<OptionName, Given[]>()
  const scoped = new Map<string, Scoped>()
  const others: IniEntry[] = []
  for (const entry of [...source.entries, ...flags]) {
    const expanded = expand(entry.value, context)
    const name = entry.placeholderOnly ? null : optionNamed(entry.key)
    for (const problem of expanded.problems) mistakes.push({ place: entry.place, message: `${entry.key}: ${problem}` })
    if (name === null) others.push(entry)
    else if (entry.scope !== null && !isAllowed(name, entry.scope)) mistakes.push(misplaced(name, entry, entry.scope))
    else {
      const { text, isSecret } = expanded
      const item = { text, place: entry.place, isSecret: isSecret || entry.isSecret }
      const ofPlace = entry.scope === null ? given : placeIn(scoped, entry.scope)
      const items = ofPlace.get(name) ?? []
      if (expanded.problems.length === 0) items.push(item)
      ofPlace.set(name, items)
    }
  }
  // After all values were expanded, because only then it is known which keys they use.
  for (const entry of others) judgeKey(entry, used, mistakes, remarks)
  return { given, scoped: [...scoped.values()] }
}

function isAllowed(name: OptionName, { kind }: ScopeSection): boolean {
  return rowOf(name).scopes?.includes(kind) === true
}

function misplaced(name: OptionName, { place }: IniEntry, { kind, name: section }: ScopeSection): Finding {
  const accepted = optionsIn(kind).map(each => `\`${each}\``)
  return {
    place,
    message: `${name}: holds for the whole service, not for ${section}: accepted in [uwsgi]; here ${accepted.join(', ')}`,
  }
}

/** Sections for the same place add up. */
function placeIn(scoped: Map<string, Scoped>, scope: ScopeSection): Scoped['given'] {
  const known = scoped.get(scope.prefix) ?? { scope, given: new Map() }
  scoped.set(scope.prefix, known)
  return known.given
}

function expandContext(entries: IniEntry[], source: ValueSource, used: Set<string>): ExpandContext {
  const first = new Map<string, string>()
  for (const entry of entries) if (isForAll(entry) && !first.has(entry.key)) first.set(entry.key, entry.value)
  return {
    environment: source.environment,
    read: source.read,
    firstValue(key) {
      used.add(key)
      return first.get(key)
    },
  }
}

function judgeKey(
  { key, place, placeholderOnly }: IniEntry,
  used: Set<string>,
  mistakes: Finding[],
  remarks: Finding[],
): void {
  const ignored = Object.hasOwn(IGNORED_OPTIONS, key) ? IGNORED_OPTIONS[key]?.why : undefined
  const refused = Object.hasOwn(REFUSED_OPTIONS, key) ? REFUSED_OPTIONS[key] : undefined
  if (placeholderOnly) {
    if (isOptionKey(key))
      mistakes.push({ place, message: `placeholder ${key}: received the name of an option: accepted any other name` })
  } else if (ignored !== undefined) remarks.push({ place, message: `${key}: means nothing in Node: ${ignored}` })
  else if (refused !== undefined) mistakes.push({ place, message: `${key}: cannot work here: ${refused}` })
  else if (SETTERS.has(key)) mistakes.push({ place, message: `${key}: received no key: accepted KEY=VALUE` })
  else if (!used.has(key)) {
    const hint = mistakes.length < HINTS ? whatIsMeant(key, acceptedKeys()) : ''
    mistakes.push({
      place,
      message: `unknown option: received ${key}: accepted an option of \`daimyo --help\`, or a placeholder that another line uses${hint}`,
    })
  }
}

/** `chdir` is read first: other paths count from it. A wrong one is told when its turn comes. */
function contextOf({ cwd, cores }: ValueSource, chdir: Given[] | undefined): ValueContext {
  const context = { cwd, chdir: cwd, cores }
  const parsed = OPTIONS.chdir.kind.parse(chdir?.at(-1)?.text ?? '', context)
  return parsed.ok ? { ...context, chdir: parsed.value } : context
}

interface ReadOption {
  value: unknown
  places: string[]
  effective: EffectiveValue[]
}

function readOption(
  name: OptionName,
  given: Given[],
  context: ValueContext,
  mistakes: Finding[],
  remarks: Finding[],
): ReadOption {
  const row = rowOf(name)
  const good: { value: unknown; shown: string; place: string }[] = []
  for (const { text, place, isSecret } of given) {
    const parsed = row.kind.parse(text, context)
    const shown = parsed.ok && !isSecret ? row.kind.print(parsed.value) : HIDDEN
    if (parsed.ok) good.push({ value: parsed.value, place, shown })
    else {
      const hint = parsed.hint ?? withoutComment(text, row.kind, context)
      mistakes.push({ place, message: refusal(name, row.kind, text, isSecret, hint) })
    }
    if (parsed.ok && row.kind.symbol === 'PATH' && COMMENT.test(text))
      remarks.push({ place, message: `${name}: ${shown} is the whole value: a comment stands on a line of its own` })
  }
  if (row.repeatable !== true && good.length > 1) remarkRepeated(name, good, remarks)
  const counting = row.repeatable === true ? good : good.slice(-1)
  if (counting.length === 0) return otherwise(name, context)
  return {
    value: row.repeatable === true ? counting.flatMap(item => item.value) : counting[0]?.value,
    places: counting.map(item => item.place),
    effective: counting.map(({ shown, place }) => ({ name, text: shown, place })),
  }
}

/** A comment behind a value, as most other files have it. */
const COMMENT = /\s+[;#].*$/

/** The value without its comment, if that comment is the only mistake. */
function withoutComment(text: string, kind: Kind<unknown>, context: ValueContext): string | null {
  const bare = text.replace(COMMENT, '')
  return bare !== text && kind.parse(bare, context).ok ? bare : null
}

function refusal(name: OptionName, kind: Kind<unknown>, text: string, isSecret: boolean, hint: string | null): string {
  const hide = isSecret || OPTIONS_WITH_SECRETS.has(name) ? () => HIDDEN : kind.hide
  const shown = hide?.(text) ?? shorten(text)
  // The intended value is as secret as the written one.
  const told = hint !== null && (hide?.(hint) ?? hint) === hint ? hint : null
  return `${name}: received ${shown || 'nothing'}: accepted ${kind.accepts}${didYouMean(told)}`
}

const OPTIONS_WITH_SECRETS: ReadonlySet<string> = new Set(optionNames().filter(name => rowOf(name).secret === true))

/** Only lines of files. A flag that goes before the file is no repetition. */
function remarkRepeated(name: OptionName, good: { shown: string; place: string }[], remarks: Finding[]): void {
  const [last, ...earlier] = good.filter(item => !item.place.startsWith('--')).reverse()
  for (const item of earlier.reverse()) {
    if (last === undefined || item.shown === last.shown) continue
    remarks.push({
      place: item.place,
      message: `${name}: ${item.shown} does not count: ${last.place} says ${last.shown}`,
    })
  }
}

function otherwise(name: OptionName, context: ValueContext): ReadOption {
  const { kind, default: text } = rowOf(name)
  const parsed = text === null ? null : kind.parse(text, context)
  const effective = parsed?.ok ? [{ name, text: kind.print(parsed.value), place: 'default' }] : []
  return { value: defaultOf(name, context), places: [], effective }
}

function shorten(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
