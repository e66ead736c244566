/**
 * Reads an INI and what it includes into one ordered list of entries, each with its place: uWSGI's "top-bottom and
 * expand asap". It knows no options; their keys and values are judged by `option-values.ts`.
 *
 * Directives that are done here: `ini` and `include` (`file.ini`, `file.ini:section`, `:section` of the same file, in
 * their place), `set-placeholder` (`set-ph`, `set`) and the blocks of `ini-blocks.ts`.
 */

import { resolve } from 'node:path'
import { didYouMean, nearestName } from '../../../kit/options/words/nearest-name.js'
import { looksSecret } from '../../../kit/options/words/secret-names.js'
import type { ConfigFile } from '../values/run-folder-path.js'
import type { Finding } from '../values/settings.js'
import type { ConfigFiles } from './config-files.js'
import { BLOCK_ENDS, type Block, openBlock, opensBlock } from './ini-blocks.js'
import { type IniLine, splitIni } from './ini-lines.js'
import { type MagicFacts, replaceMagic } from './magic-variables.js'
import { expand, shield } from './placeholders.js'
import { type ScopeSection, scopeNamed } from './scope-sections.js'

/** `value` is not expanded yet. */
export interface IniEntry {
  key: string
  value: string
  place: string
  /** The key was set by `set-placeholder` and may not be an option. */
  placeholderOnly: boolean
  /** The value may hold a secret that came from the block around it, as in `if-env = API_TOKEN`. */
  isSecret: boolean
  /** The section that narrows the option to a place; null: it holds for the whole service. */
  scope: ScopeSection | null
}

export interface IniSource {
  facts: MagicFacts
  environment: Record<string, string | undefined>
  files: ConfigFiles
  /** The value that the command line gives a key; it goes before the file. */
  flagValue(key: string): string | undefined
}

/** Keys that include another file, and those that set a placeholder. */
export const INCLUDES: ReadonlySet<string> = new Set(['ini', 'include'])
export const SETTERS: ReadonlySet<string> = new Set(['set-placeholder', 'set-ph', 'set'])

export const MAIN_SECTION = 'uwsgi'

/** Bounds of one reading, against files that include each other many times over and loops of loops. */
const INCLUDE_DEPTH = 16
const FILES = 200
const ENTRIES = 10_000

/**
 * `usedKeys` are those that `if-…` and `include` lines named as placeholders; `files` those that were read, absolute.
 */
export interface IniReading {
  entries: IniEntry[]
  usedKeys: Set<string>
  mistakes: Finding[]
  remarks: Finding[]
  files: string[]
}

interface Reader extends Omit<IniSource, 'files'>, Omit<IniReading, 'files'> {
  files: ConfigFiles
  main: ConfigFile
  filesRead: number
  told: Set<string>
  /** The sections of each file, and those of them that were read. */
  sections: Map<string, FileSections>
  /** Of the lines that are being read. */
  scope: ScopeSection | null
}

interface FileSections {
  file: ConfigFile
  all: readonly string[]
  lines: readonly IniLine[]
  read: Set<string>
}

/** Reads the file named as on the command line: `farm.ini` or `farm.ini:section`. */
export function readIni(name: string, source: IniSource): IniReading {
  const main = fileNamed(name, source.facts.cwd)
  const reader: Reader = {
    ...source,
    main,
    filesRead: 0,
    told: new Set(),
    sections: new Map(),
    entries: [],
    usedKeys: new Set(),
    mistakes: [],
    remarks: [],
    scope: null,
  }
  readFile(main, main.given, [], reader)
  readScopes(reader)
  const { entries, usedKeys, mistakes } = reader
  return { entries, usedKeys, mistakes, remarks: misspeltSections(reader), files: [...reader.sections.keys()] }
}

/** The sections that narrow options to a place, of each file that was read. Their lines come after all others. */
function readScopes(reader: Reader): void {
  for (const { file, all, lines, read } of [...reader.sections.values()]) {
    for (const section of all) {
      const named = read.has(section) ? { is: 'foreign' as const } : scopeNamed(section)
      const wanted = lines.filter(line => line.section === section)
      if (named.is === 'mistake') mistake(reader, `${file.given}:${wanted[0]?.line ?? 1}`, named.message)
      if (named.is !== 'scope') continue
      read.add(section)
      reader.scope = named.scope
      readLines(file, wanted, [`${file.absolute}:${section}`], reader)
    }
  }
  reader.scope = null
}

/**
 * Other sections are meant for commands that name them. But a section whose name is almost ours was meant to be read.
 */
function misspeltSections({ sections }: Reader): Finding[] {
  return [...sections.values()].flatMap(({ file, all, read }) => {
    const others = all.filter(name => name !== MAIN_SECTION && !read.has(name))
    const near = others.filter(name => nearestName(name, [MAIN_SECTION]) !== null)
    return near.map(name => ({
      place: file.given,
      message: `section [${name}] is not read (did you mean [${MAIN_SECTION}]?)`,
    }))
  })
}

/** Takes `file.ini:section` apart, at the last colon of the last part of the path. */
export function fileNamed(name: string, cwd: string): ConfigFile {
  const [, given = name, section = ''] = /^(.*):([^/:]*)$/s.exec(name) ?? []
  return { given, absolute: resolve(cwd, given), section }
}

/** One `key=value` of `set-placeholder`; null when there is no key. */
export function splitPlaceholder(text: string): { key: string; value: string } | null {
  const at = text.indexOf('=')
  return at < 1 ? null : { key: text.slice(0, at).trim(), value: text.slice(at + 1).trim() }
}

/** `trail` are the files that are being read, as `path:section`. `place` is where the file was asked for. */
function readFile(file: ConfigFile, place: string, trail: readonly string[], reader: Reader): void {
  const section = file.section || MAIN_SECTION
  const identity = `${file.absolute}:${section}`
  if (trail.includes(identity)) return mistake(reader, place, `include in a circle: received ${file.given}:${section}`)
  if (trail.length >= INCLUDE_DEPTH) return mistake(reader, place, `include: nested deeper than ${INCLUDE_DEPTH} files`)
  if (++reader.filesRead > FILES) return mistake(reader, place, `include: more than ${FILES} files`)
  const read = reader.files.read(file.absolute)
  if (!read.ok) return mistake(reader, place, `cannot read the configuration: ${file.given}: ${read.why}`)
  const { lines, sections, mistakes } = splitIni(read.text, file.given)
  for (const found of mistakes) mistake(reader, found.place, found.message)
  const known = reader.sections.get(file.absolute) ?? { file, all: sections, lines, read: new Set() }
  reader.sections.set(file.absolute, known)
  known.read.add(section)
  if (!sections.includes(section)) return mistake(reader, place, sectionMissing(section, sections, file.given))
  const wanted = lines.filter(line => line.section === section)
  readLines(file, wanted, [...trail, identity], reader)
}

function sectionMissing(section: string, sections: string[], file: string): string {
  const names = sections.slice(0, 10).map(name => `[${name}]`)
  const near = nearestName(section, sections)
  const hint = near === null && names.length > 0 ? `: accepted \`${file}:NAME\` of one of them` : didYouMean(near)
  return `section [${section}] not found: ${file}: it has ${names.join(', ') || 'no section at all'}${hint}`
}

function readLines(
  file: ConfigFile,
  lines: { key: string; value: string; line: number }[],
  trail: readonly string[],
  reader: Reader,
): void {
  let block: Block | null = null
  for (const line of lines) {
    if (reader.filesRead > FILES) return
    const place = `${file.given}:${line.line}`
    const key = withoutMagic(line.key, place, file, reader)
    const value = withoutMagic(line.value, place, file, reader)
    if (opensBlock(key) || BLOCK_ENDS.has(key) || key === 'else') {
      block = turnBlock(block, { key, value, place }, reader)
      continue
    }
    for (const item of block?.values ?? [null]) {
      const text = item === null ? value : value.replaceAll('%(_)', () => shield(item))
      const { scope } = reader
      const entry = { key, value: text, place, placeholderOnly: false, isSecret: block?.isSecret === true, scope }
      take(entry, file, trail, reader)
    }
  }
  if (block === null) return
  mistake(reader, block.place, `${block.opener}: its end is missing: accepted \`endif\` or \`endfor\` below it`)
}

function withoutMagic(text: string, place: string, file: ConfigFile, reader: Reader): string {
  const { text: replaced, unknown } = replaceMagic(text, { file, main: reader.main, facts: reader.facts })
  for (const variable of unknown) {
    mistake(
      reader,
      place,
      `unknown magic variable: received ${variable}: accepted \`%%\` for a percent sign, or one of the reference`,
    )
  }
  return replaced
}

/** The effect on the open block of a line that opens, turns or ends a block. */
function turnBlock(
  block: Block | null,
  line: { key: string; value: string; place: string },
  reader: Reader,
): Block | null {
  const { key, place } = line
  if (opensBlock(key)) {
    if (block !== null)
      mistake(reader, place, `${key}: blocks cannot be nested: ${block.opener} of ${block.place} is open`)
    return openAt(line, reader)
  }
  if (block === null) {
    mistake(reader, place, `${key}: there is no open block: accepted below \`if-…\` or \`for\``)
    return null
  }
  if (key !== 'else') return null
  if (block.opener.startsWith('for'))
    mistake(reader, place, `else: \`${block.opener}\` has none: accepted below \`if-…\``)
  return { ...block, values: block.values.length === 0 ? [''] : [] }
}

function openAt({ key, value, place }: { key: string; value: string; place: string }, reader: Reader): Block {
  const argument = expandNow(value, place, key, reader)
  const { cwd, hostname } = reader.facts
  const facts = {
    cwd,
    hostname,
    environment: reader.environment,
    files: reader.files,
    firstValue(name: string): string | undefined {
      const given = valueSoFar(reader)(name)
      return given === undefined ? undefined : expandNow(given, place, key, reader)
    },
  }
  const opened = openBlock(key, argument, facts)
  if (!opened.ok) mistake(reader, place, `${key}: ${opened.why}`)
  return { opener: key, place, values: opened.ok ? opened.values : [], isSecret: looksSecret(value) }
}

function take(entry: IniEntry, file: ConfigFile, trail: readonly string[], reader: Reader): void {
  if (INCLUDES.has(entry.key)) return include(entry, file, trail, reader)
  if (reader.entries.length === ENTRIES) return
  if (reader.entries.length === ENTRIES - 1)
    mistake(reader, entry.place, `too many lines: accepted fewer than ${ENTRIES}`)
  if (!SETTERS.has(entry.key)) return void reader.entries.push(entry)
  const pair = splitPlaceholder(entry.value)
  if (pair === null)
    return mistake(reader, entry.place, `${entry.key}: received no key: accepted \`${entry.key} = key=value\``)
  reader.entries.push({ ...entry, ...pair, placeholderOnly: true })
}

function include({ key, value, place }: IniEntry, file: ConfigFile, trail: readonly string[], reader: Reader): void {
  const name = expandNow(value, place, key, reader)
  if (name === '')
    return mistake(
      reader,
      place,
      `${key}: received nothing: accepted \`file.ini\`, \`file.ini:section\` or \`:section\``,
    )
  const named = fileNamed(name, reader.facts.cwd)
  const included = named.given === '' ? { ...file, section: named.section } : named
  readFile(included, place, trail, reader)
}

/** Lines that control the reading are expanded at once, with the keys so far. */
function expandNow(text: string, place: string, key: string, reader: Reader): string {
  const firstValue = valueSoFar(reader)
  const expanded = expand(text, {
    environment: reader.environment,
    read: path => reader.files.read(resolve(reader.facts.cwd, path)),
    firstValue: name => {
      reader.usedKeys.add(name)
      return firstValue(name)
    },
  })
  for (const problem of expanded.problems) mistake(reader, place, `${key}: ${problem}`)
  return expanded.text
}

function valueSoFar(reader: Reader): (key: string) => string | undefined {
  return key => reader.flagValue(key) ?? reader.entries.find(entry => entry.key === key && isForAll(entry))?.value
}

/** Whether `%(key)` finds the value: that of an option in a place is its own. */
export function isForAll({ scope, placeholderOnly }: IniEntry): boolean {
  return scope === null || placeholderOnly
}

/** Reported once, though a file may be read several times for several of its sections. */
function mistake(reader: Reader, place: string, message: string): void {
  const identity = `${place} ${message}`
  if (!reader.told.has(identity)) reader.mistakes.push({ place, message })
  reader.told.add(identity)
}
