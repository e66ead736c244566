/**
 * The settings of master, proxies and workers come from the option rows (`kit/options/settings.ts`): their names, who
 * gets them, who uses them, and that nobody declares one a second time.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Reader } from '../../../kit/options/kinds/option-row.js'
import { type OptionName, optionNames, rowOf } from '../../../kit/options/options.js'
import { defaultValues, settingNames, workerOptions } from '../../../kit/options/settings.js'
import { proxySettings } from '../../../supervisor/proxies/proxy-settings.js'
import { DEFAULTS } from '../../supervisor/fixtures/tree.js'

const top = fileURLToPath(new URL('../../../..', import.meta.url))
const READERS: Reader[] = ['master', 'proxy', 'worker']

/** By how the help names a value. */
const UNITS: Record<string, string> = { SECONDS: 'Ms', BYTES: 'Bytes', MEGABYTES: 'Bytes' }

/** Options whose setting has another name: it is made of several. */
const MADE_OF_SEVERAL: Record<string, string[]> = {
  staticMap: ['static-map2'],
  staticPrecompressed: ['static-gzip-all'],
  staticExpires: [
    'static-expires-mtime',
    'static-expires-type',
    'static-expires-type-mtime',
    'static-expires-path-info',
    'static-expires-path-info-mtime',
    'static-expires-uri',
    'static-expires-uri-mtime',
  ],
  attachDaemon: ['attach-daemon2'],
  cron: ['unique-cron', 'cron2'],
  processNames: ['procname-prefix', 'procname-prefix-spaced', 'procname-append'],
  environmentFiles: ['env-file', 'envdir'],
  credentials: ['uid', 'gid'],
}

function derivedName(name: OptionName): string {
  const unit = UNITS[rowOf(name).kind.symbol] ?? ''
  const perSecond = name.endsWith('-rate') ? 'PerSecond' : ''
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase()) + unit + perSecond
}

t.test('a setting is named after its option, with its unit', async t => {
  for (const name of optionNames()) {
    const { setting, neededBy } = rowOf(name)
    const [made] = Object.entries(MADE_OF_SEVERAL).find(([, options]) => options.includes(name)) ?? []
    if (setting === null) t.same(neededBy, [], `${name} only confirms`)
    else t.equal(setting, made ?? derivedName(name), name)
    if (setting !== null) t.ok(neededBy.length > 0, `somebody needs ${name}`)
  }
})

t.test('options of one setting are needed by the same processes', async t => {
  for (const name of optionNames()) {
    const others = optionNames().filter(other => rowOf(other).setting === rowOf(name).setting)
    for (const other of others) t.same(rowOf(other).neededBy, rowOf(name).neededBy, `${name}, ${other}`)
  }
})

const SURROUNDINGS = ['iniPath', 'iniSection', 'configFiles', 'startFolder', 'locations', 'passedBacklog']

t.test('the settings of the master are those of all rows', async t => {
  const named = READERS.flatMap(settingNames)
  t.same(Object.keys(DEFAULTS).sort(), [...new Set([...named, ...SURROUNDINGS])].sort())
})

/** What the master makes for proxies of several options, or of what it finds on disk. */
const MADE_FOR_PROXIES = ['routes', 'locations', 'fileRoots', 'accessLog', 'previousFolders']

t.test('a proxy is sent the rows that name it', async t => {
  const release = { app: null, chdir: '/', folders: new Map() }
  const sent = proxySettings({ settings: DEFAULTS, release })
  t.same(Object.keys(sent).sort(), [...settingNames('proxy'), ...MADE_FOR_PROXIES].sort())
  t.equal(sent.httpSendTimeoutMs, 60_000)
})

t.test('and so is a worker', async t => {
  t.same(Object.keys(workerOptions(DEFAULTS)).sort(), settingNames('worker').sort())
  t.equal(workerOptions(DEFAULTS).workerStartTimeoutMs, 60_000)
})

t.test('what an INI means that says nothing', async t => {
  const values = defaultValues({ cwd: '/', chdir: '/', cores: 4 })
  t.same(Object.keys(values), optionNames())
  t.match(values, { harakiri: 0, mount: ['/'], env: [], app: null, 'node-args': [], 'gzip-types': ['text/html'] })
})

/** Path and text of each source file below a folder. */
function sourcesOf(folder: string): [path: string, text: string][] {
  const names = readdirSync(join(top, folder), { recursive: true, encoding: 'utf8' })
  const paths = names.filter(name => /\.c?ts$/.test(name)).map(name => `${folder}/${name}`)
  return paths.map(path => [path, readFileSync(join(top, path), 'utf8')])
}

/** Where settings are read and made: no use of one. */
const MAKERS = /^supervisor\/config\//

t.test('a setting is used by those whom its row names', async t => {
  const houses: [who: Reader, folder: string][] = [
    ['master', 'supervisor'],
    ['proxy', 'proxy'],
    ['worker', 'app/host'],
  ]
  for (const [who, folder] of houses) {
    const sources = sourcesOf(folder).filter(([path]) => !MAKERS.test(path))
    const words = new Set(sources.flatMap(([, text]) => text.match(/\w+/g) ?? []))
    for (const name of settingNames(who)) t.ok(words.has(name), `${name} is used in ${folder}/`)
  }
})

/** What no row says as it is. */
const DECLARING = ['ComposedForProxies', 'ComposedSettings', 'Surroundings']
/** A record of facts may have one or two that are settings too. */
const MOST_DECLARED = 2

t.test('no interface declares again what rows declare', async t => {
  const settings = new Set(READERS.flatMap(settingNames))
  for (const [path, text] of ['kit', 'proxy', 'app/host', 'supervisor'].flatMap(sourcesOf)) {
    for (const [, title = '', body = ''] of text.matchAll(/^(?:export )?interface (\w+)[^{]*\{\n([\s\S]*?)^\}/gm)) {
      const members = [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm)].map(([, member = '']) => member)
      const again = members.filter(name => settings.has(name) && /[A-Z]/.test(name))
      if (DECLARING.includes(title)) continue
      t.ok(again.length <= MOST_DECLARED, `${path}: ${title}: ${again.join()}: derive it by Pick`)
    }
  }
})
