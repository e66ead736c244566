/** Tests what `bundle.mjs` makes: the files of the programs in this build. */

import { readdirSync, readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'
import t from 'tap'
import { BUILD, builtFile } from '../kit/ground/places.js'

/** `mostAtStart`: the program's files that are loaded before its work begins; each costs more than half a millisecond. */
const PROGRAMS: [entry: string, first: string[], mostAtStart: number][] = [
  ['supervisor/daimyo.js', ['uninvited-inspector', 'command', 'run-command'], 8],
  ['supervisor/daimyo.js', ['uninvited-inspector', 'command', 'status-command'], 7],
  ['supervisor/rotation/log-child-main.js', [], 1],
  ['supervisor/task-child-main.js', [], 8],
  ['supervisor/child/loop-guard-thread.js', [], 1],
  ['proxy/main.js', [], 1],
  ['app/host/main.js', [], 1],
  ['app/host/watchdog/watchdog-thread.js', [], 1],
]
const ENTRIES = [...new Set(PROGRAMS.map(([entry]) => entry))]
const text = (path: string) => readFileSync(builtFile(path), 'utf8')

/** The entry file, and its parts beside it. */
function filesOf(entry: string): string[] {
  const isPart = new RegExp(`^${basename(entry, '.js')}-[\\w-]+-[A-Z0-9]{8}\\.js$`)
  const parts = readdirSync(builtFile(dirname(entry))).filter(name => isPart.test(name))
  return [entry, ...parts.map(name => join(dirname(entry), name))]
}

const STATIC = /^(?:import|export)\b[^;]*?(?:from )?"([^"]+)";$/gm
const DYNAMIC = /\b(?:import|require\d*)\("([^"]+)"\)/g
const importsOf = (path: string, ...kinds: RegExp[]) =>
  kinds.flatMap(kind => [...text(path).matchAll(kind)].map(([, name = '']) => name))
const ours = (path: string, ...kinds: RegExp[]) =>
  importsOf(path, ...kinds)
    .filter(name => name.startsWith('.'))
    .map(name => join(dirname(path), name))

/** The modules that a file was made from: esbuild names each above its code. */
const modulesOf = (path: string) => new Set([...text(path).matchAll(/^\/\/ (\S+\.js)$/gm)].map(([, name = '']) => name))

for (const entry of ENTRIES) {
  t.test(`${entry} has each of its modules once`, async t => {
    const files = filesOf(entry)
    for (const path of files) {
      const others = ours(path, STATIC, DYNAMIC).filter(name => !files.includes(name))
      t.same(others, [], `${path} imports no file of ours that is not of this program`)
    }
    const modules = files.flatMap(path => [...modulesOf(path)])
    t.ok(modules.includes(entry))
    t.same(
      modules.filter((name, at) => modules.indexOf(name) !== at),
      [],
      'no module is in two files',
    )
  })
}

t.test('what is outside of the bundles is Node, or a package that we depend on', async t => {
  const { dependencies } = JSON.parse(readFileSync(resolve(BUILD, '../package.json'), 'utf8'))
  for (const path of ENTRIES.flatMap(filesOf)) {
    const packages = importsOf(path, STATIC, DYNAMIC).filter(name => !/^(\.|node:)/.test(name))
    const unknown = packages.filter(
      name => !Object.keys(dependencies).some(known => `${name}/`.startsWith(`${known}/`)),
    )
    t.same(unknown, [], path)
  }
})

t.test('a start loads few files', async t => {
  for (const [entry, parts, most] of PROGRAMS) {
    const loaded = new Set<string>()
    const load = (path: string) => {
      if (loaded.has(path)) return
      loaded.add(path)
      ours(path, STATIC).forEach(load)
    }
    load(entry)
    for (const part of parts) {
      const file = filesOf(entry).find(path => basename(path).includes(`-${part}-`))
      t.ok(file, part)
      load(file ?? '')
    }
    t.ok(loaded.size <= most, `${entry} ${parts.at(-1) ?? ''}: at most ${most}`, { found: [...loaded] })
  }
})

t.test('only the noun for places, and what is handed to Node itself, asks where the file is', async t => {
  const lines = ENTRIES.flatMap(filesOf).flatMap(path => text(path).split('\n'))
  const users = lines.filter(
    line => line.includes('import.meta.') && !/createRequire\d*\(import\.meta\.url\)/.test(line),
  )
  t.same([...new Set(users.map(line => line.trim()))].sort(), [
    'await run(fileURLToPath(import.meta.url));',
    'var BUILD = fileURLToPath(topOf(import.meta.url));',
  ])
})

t.test('a class has its own name, which applications and traces show', async t => {
  for (const path of ENTRIES.flatMap(filesOf)) {
    const renamed = [
      ...text(path).matchAll(/^(?:var|let|const) (\w+) = class (?!extends\b)\w+|^(?:var|let|const) (\w+\d) = class/gm),
    ]
    t.same(
      renamed.map(([, name, second]) => name ?? second),
      [],
      `${path}: no class names itself in its own body, or has the name of another`,
    )
  }
})

t.test('the map of a bundle leads to the lines of the sources', async t => {
  const cases: [bundle: string, code: RegExp, source: string][] = [
    ['proxy/main.js', /class ProxyServer|ProxyServer = class/, 'proxy/proxy-server.ts'],
    ['app/host/main.js', /async function serve\(/, 'app/host/main.ts'],
    ['supervisor/daimyo.js', /async function endWhereInspected\(/, 'supervisor/daimyo.ts'],
    [
      filesOf('supervisor/daimyo.js').find(path => path.includes('-run-command-')) ?? '',
      /class Master\b|Master = class/,
      'supervisor/master/master.ts',
    ],
  ]
  for (const [bundle, code, source] of cases) {
    const lines = text(bundle).split('\n')
    const at = lines.findIndex(line => code.test(line))
    t.ok(at >= 0, `${bundle}: the code is readable`)
    const map = new SourceMap(JSON.parse(text(`${bundle}.map`)))
    const entry = map.findEntry(at, (lines[at] ?? '').search(code)) as {
      originalSource?: string
      originalLine?: number
    }
    const file = resolve(builtFile(dirname(bundle)), entry.originalSource ?? '')
    t.equal(file, resolve(BUILD, '..', source))
    t.match(readFileSync(file, 'utf8').split('\n')[entry.originalLine ?? -1], code)
  }
})
