/**
 * The configuration from its sources to `Settings`: reads the INI, expands and judges every value, checks them
 * together. For a start, every reload, and `daimyo check`. Must stay true: all mistakes are reported at once, and
 * nothing but reading happens.
 *
 * As in uWSGI, relative paths count from the folder in which daimyo was started; `app`, static folders and unix sockets
 * of listeners count from `chdir` if it is set.
 */

import { availableParallelism, hostname } from 'node:os'
import { resolve } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { MOST_BACKLOG } from '../../kit/options/kinds/option-kinds.js'
import { locationSettingsOf, type OptionValues } from '../../kit/options/settings.js'
import { type Accounts, accountName, findCredentials, findOwner } from '../user/accounts.js'
import { renewGroups } from '../user/service-user.js'
import { checkValues } from './check-values.js'
import { toSettings } from './composed-settings.js'
import { type NamedPath, readEnvironmentFiles } from './environment-files.js'
import { readErrorPages } from './error-page-files.js'
import { type ConfigFiles, filesFor, realFiles } from './ini/config-files.js'
import { judgeIniFiles, remarkFifos } from './ini/ini-changers.js'
import { fileNamed, type IniReading, readIni } from './ini/ini-reader.js'
import type { MagicFacts } from './ini/magic-variables.js'
import { remarkKeptState } from './kept-state.js'
import { type Flag, flagEntries, readValues } from './option-values.js'
import { runFolderPath, whyTooLong } from './values/run-folder-path.js'
import type { EffectiveValue, Finding, Reading } from './values/settings.js'

export interface SettingsSource {
  /** As on the command line: `farm.ini` or `farm.ini:section`, relative to `cwd`. Null: flags only. */
  iniPath: string | null
  flags: readonly Flag[]
  environment: Record<string, string | undefined>
  cwd: string
  /** For units that are printed: systemd makes the folders of the service, such as that of the log. */
  forUnits?: boolean
  /** The following are the machine's own if they are missing. */
  cores?: number
  uid?: number
  gid?: number
  files?: ConfigFiles
}

/**
 * The same, by another process (`child/task-children.ts`), with the groups that the service's user has by now. Null:
 * there is no such user.
 */
export const readingTask = {
  name: 'reading',
  work(source: SettingsSource): { reading: Reading; groups: readonly number[] | null } {
    const reading = readSettings(source)
    const credentials = reading.settings?.credentials ?? null
    return { reading, groups: credentials === null ? null : renewGroups(credentials) }
  },
}

/** Nobody reads more mistakes than this: the rest is counted. */
const MISTAKES = 100

const NO_INI: IniReading = { entries: [], usedKeys: new Set(), mistakes: [], remarks: [], files: [] }

/** Reads everything. `settings` is null when there is any mistake. */
export function readSettings(source: SettingsSource): Reading {
  const accounts = readAccounts(source, source.files ?? realFiles)
  const paths = new Set<string>()
  const files = noting(source.files ?? realFiles, paths)
  const file = source.iniPath === null ? null : fileNamed(source.iniPath, source.cwd)
  const ini = source.iniPath === null ? NO_INI : readIni(source.iniPath, iniSource(source, accounts, files))
  const read = readValues({
    ...ini,
    flags: source.flags,
    environment: source.environment,
    read: path => files.read(resolve(source.cwd, path)),
    cwd: source.cwd,
    cores: coresOf(source),
  })
  const { values, places } = read
  const { forUnits = false } = source
  const runDir = runFolderPath({ ...source, configured: values['run-dir'], file, uid: accounts.uid })
  const place = file?.given ?? 'command line'
  const isComplete = ini.mistakes.length === 0
  const found = credentialsOf(values, accounts)
  // From here on it is known as which user root looks and reads.
  const guarded = noting(source.files ?? filesFor(found.credentials), paths)
  const checked = checkValues({ ...read, files: guarded, place, isComplete, runDir, uid: accounts.uid, forUnits })
  const judged =
    source.files === undefined ? judgeIniFiles(ini.files, found.credentials) : { mistakes: [], remarks: [] }
  if (source.files === undefined) {
    const fifos = values['master-fifo'].map((path, at) => ({ path, place: places.get('master-fifo')?.[at] ?? place }))
    judged.remarks.push(...remarkFifos(fifos, found.credentials))
  }
  const tooLong = whyTooLong(runDir)
  const kept = remarkKeptState(values, source.files ?? filesFor(found.credentials))
  const pages = readErrorPages(
    values['error-page'].map((page, index) => ({ ...page, place: places.get('error-page')?.[index] ?? place })),
    guarded,
  )
  const named = (name: 'env-file' | 'envdir'): NamedPath[] =>
    values[name].map((path, index) => ({ path, place: places.get(name)?.[index] ?? place }))
  const environment = readEnvironmentFiles(named('env-file'), named('envdir'), guarded, found.credentials !== null)
  const owner = ownerOf(values, accounts)
  const parts = [ini, read, checked, pages, environment, judged]
  const mistakes = parts.flatMap(part => part.mistakes)
  if (found.mistake !== null) mistakes.push({ place: places.get(found.option)?.[0] ?? place, message: found.mistake })
  if (owner.mistake !== null) mistakes.push({ place: places.get('chown-socket')?.[0] ?? place, message: owner.mistake })
  if (tooLong !== null) mistakes.push({ place: places.get('run-dir')?.[0] ?? place, message: tooLong })
  const surroundings = {
    iniPath: file?.absolute ?? null,
    iniSection: file?.section ?? '',
    configFiles: [...paths],
    startFolder: source.cwd,
    locations: read.locations.map(({ prefix, values }) => ({ prefix, settings: locationSettingsOf(values) })),
    passedBacklog: places.has('listen') ? values.listen : MOST_BACKLOG,
  }
  const lookedUp = {
    credentials: found.credentials,
    chownSocket: owner.owner,
    errorPage: pages.pages,
    environmentFiles: environment.changes,
    runDir,
  }
  return {
    settings: mistakes.length > 0 ? null : toSettings(values, { ...surroundings, ...lookedUp }),
    mistakes: bound(sortFindings(mistakes)),
    remarks: bound(
      sortFindings([
        ...[ini, read, checked, environment, judged].flatMap(part => part.remarks),
        ...(kept === null ? [] : [{ place, message: kept }]),
      ]),
    ),
    values: withRunDir(read.effective, runDir),
    runDir,
    files: [...paths],
  }
}

/** The same files. `paths` collects the files and folders that are read. */
function noting(files: ConfigFiles, paths: Set<string>): ConfigFiles {
  const read: ConfigFiles['read'] = (path, ofRoot) => {
    paths.add(path)
    return files.read(path, ofRoot)
  }
  const list = (folder: string) => {
    paths.add(folder)
    return files.list(folder)
  }
  const within: ConfigFiles['within'] = (folder, work) => files.within(folder, inner => work(noting(inner, paths)))
  return { kindOf: path => files.kindOf(path), read, list, within }
}

function coresOf(source: SettingsSource): number {
  return source.cores ?? availableParallelism()
}

function readAccounts(source: SettingsSource, files: ConfigFiles): Accounts {
  const textOf = (path: string): string => {
    const read = files.read(path)
    return read.ok ? read.text : ''
  }
  return {
    passwd: textOf('/etc/passwd'),
    group: textOf('/etc/group'),
    uid: source.uid ?? process.getuid?.() ?? 0,
    gid: source.gid ?? process.getgid?.() ?? 0,
  }
}

function iniSource(source: SettingsSource, accounts: Accounts, files: ConfigFiles): Parameters<typeof readIni>[1] {
  const flags = flagEntries(source.flags)
  return {
    facts: magicFacts(source, accounts),
    environment: source.environment,
    files,
    flagValue: key => flags.find(flag => flag.key === key)?.value,
  }
}

function magicFacts(source: SettingsSource, { uid, gid, passwd, group }: Accounts): MagicFacts {
  const names = { user: accountName(uid, passwd), group: accountName(gid, group) }
  return { cwd: source.cwd, hostname: hostname(), uid, gid, ...names, cores: coresOf(source) }
}

interface FoundAccount {
  credentials: Credentials | null
  option: 'uid' | 'gid'
  mistake: string | null
}

/** Only root can become another user. For others `check-values.ts` remarks that the options have no effect. */
function credentialsOf({ uid, gid }: OptionValues, accounts: Accounts): FoundAccount {
  if (uid === null && gid === null) return { credentials: null, option: 'uid', mistake: null }
  const found = findCredentials(uid, gid, accounts)
  if (!found.ok) return { credentials: null, option: found.option, mistake: found.message }
  return { credentials: accounts.uid === 0 ? found.value : null, option: 'uid', mistake: null }
}

function ownerOf({ 'chown-socket': named }: OptionValues, accounts: Accounts) {
  const found = named === null ? null : findOwner(named, accounts)
  if (found?.ok === false) return { owner: null, mistake: found.message }
  return { owner: found === null ? null : found.value, mistake: null }
}

/** The run folder has no default in the table: it depends on where the INI is. */
function withRunDir(effective: EffectiveValue[], runDir: string): EffectiveValue[] {
  if (effective.some(value => value.name === 'run-dir')) return effective
  return [...effective, { name: 'run-dir', text: runDir, place: 'default' }]
}

/** By line within a file; files and flags in the order in which they are first mentioned. */
function sortFindings(findings: Finding[]): Finding[] {
  const files = new Map<string, number>()
  const ranked = findings.map(finding => {
    const { file, line } = splitPlace(finding.place)
    if (!files.has(file)) files.set(file, files.size)
    return { finding, file: files.get(file) ?? 0, line }
  })
  return ranked.sort((a, b) => a.file - b.file || a.line - b.line).map(({ finding }) => finding)
}

/** A finding about a file as a whole comes after those about its lines. */
function splitPlace(place: string): { file: string; line: number } {
  const [, file = place, line] = /^(.*):(\d+)$/.exec(place) ?? []
  return { file, line: line === undefined ? Number.MAX_SAFE_INTEGER : Number(line) }
}

function bound(findings: Finding[]): Finding[] {
  if (findings.length <= MISTAKES) return findings
  const rest = findings.length - MISTAKES
  const place = findings.at(-1)?.place ?? ''
  return [...findings.slice(0, MISTAKES), { place, message: `and ${rest} more` }]
}
