/**
 * The structure of the repository as a test: what may import what, which files are pure, what every file begins with, what is not called.
 * A rule that is broken for a reason gets its exception here, with the reason.
 */

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { configReference } from '../supervisor/help/config-reference.js'
import { printSignalTable } from '../supervisor/master/signal-table.js'
import { printLifecycleTable } from '../supervisor/workers/lifecycle-table.js'

const top = fileURLToPath(new URL('../..', import.meta.url))
/** What git tracks or would track; a checkout without git is not tested. */
const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: top,
  encoding: 'utf8',
})
  .split('\n')
  .filter(path => path !== '' && existsSync(join(top, path)))
const sources = tracked.filter(path => /\.(ts|cts|js|mjs|cjs)$/.test(path))
const text = (path: string) => readFileSync(join(top, path), 'utf8')
/** The file without whole-line comments, whose words are free. */
const code = (path: string) => text(path).replace(/^\s*(\*|\/\*|\/\/).*$/gm, '')
const within = (path: string, folder: string) => path.startsWith(`${folder}/`)

const DECISIONS = 'docs/decisions/README.md'

/** Everything that the file imports, as paths from the top for relative ones. */
function importsOf(path: string): string[] {
  const found = [...text(path).matchAll(/(?:\bfrom|\bimport|\bimport\()\s*'([^']+)'/g)].map(match => match[1] ?? '')
  return found.map(name => (name.startsWith('.') ? normalize(join(dirname(path), name)) : name))
}

const ARROWS: [folder: string, mayImport: string[]][] = [
  ['kit', ['kit']],
  ['proxy', ['proxy', 'kit']],
  ['app/host', ['app/host', 'kit']],
  ['app/farm', ['app/farm']],
  ['supervisor', ['supervisor', 'kit']],
]

/** Decisions without input or output: they import no part of Node but types and pure functions. */
const PURE = [
  'supervisor/workers/worker-life.ts',
  'supervisor/workers/worker-phase.ts',
  'supervisor/workers/lifecycle-table.ts',
  'supervisor/proxies/proxy-phase.ts',
  'supervisor/workers/slots.ts',
  'supervisor/workers/cheaper.ts',
  'supervisor/host/clock-findings.ts',
  'supervisor/attached/cron-time.ts',
  'supervisor/attached/daemon-phase.ts',
  'supervisor/reload/soak.ts',
  'supervisor/reload/watched-path.ts',
  'supervisor/screen/top-view.ts',
  'supervisor/screen/top-screen.ts',
  'supervisor/workers/recycling.ts',
  'supervisor/workers/node-args.ts',
  'supervisor/child/back-off.ts',
  'supervisor/metrics/merge-families.ts',
  'supervisor/metrics/exposition.ts',
  'proxy/deaths/rescue.ts',
  'proxy/process/event-budget.ts',
  'kit/ground/token-bucket.ts',
  'proxy/route/route-table.ts',
  'proxy/http/target-path.ts',
  'proxy/http/byte-range.ts',
  'proxy/http/content-coding.ts',
  'proxy/static/fallback.ts',
  'proxy/static/files.ts',
  'proxy/static/freshness.ts',
  'supervisor/child/asset-grace.ts',
  'proxy/http/preconditions.ts',
  'proxy/route/forwarded-fields.ts',
  'proxy/tunnel/frame-boundary.ts',
]

/** Processes end in their entry files only. */
const ENTRY_FILES = [
  'supervisor/daimyo.ts',
  'supervisor/command.ts',
  'proxy/main.ts',
  'app/host/main.ts',
  'app/farm/farm.js',
  'prepare.mjs',
]

/** Holds the text of a program that it starts. */
const ANOTHER_PROGRAM = 'app/host/application/syntax-error-place.ts'

/** Programs that no running master starts: those of commands, and one that is over before the first child. */
const BESIDE_THE_MASTER = /^supervisor\/(command|doctor)\/|^supervisor\/host\/inherited-limits\.ts$/

const BANNED: [title: string, pattern: RegExp, applies: (path: string) => boolean, instead: string][] = [
  [
    'process.exit',
    /\bprocess\.exit\(/,
    path => ![...ENTRY_FILES, ANOTHER_PROGRAM].includes(path) && !within(path, 'test') && !within(path, 'bench'),
    'throw a Failure; entry files exit',
  ],
  [
    'node:cluster',
    /'(node:)?cluster'/,
    // Applications use it; `cluster-role.ts` is what they find in it. The bench measures it.
    path =>
      path !== 'app/host/application/cluster-role.ts' &&
      !path.startsWith('bench/stacks/cluster') &&
      !within(path, 'test'),
    'child_process (docs/decisions/no-cluster.md)',
  ],
  [
    'a child that is not kept',
    /getBuiltinModule\('node:child_process'\)|^import (?!type\b)[^']* from 'node:child_process'/m,
    path => within(path, 'supervisor') && path !== 'supervisor/user/own-children.ts' && !BESIDE_THE_MASTER.test(path),
    'spawnOwn (supervisor/user/own-children.ts)',
  ],
  [
    'writing what was asked',
    /^import .*\basking\b.* from '.*\/exchange\.js'/m,
    path => path !== 'proxy/request-lifecycle.ts' && !within(path, 'test'),
    'the request lifecycle writes it (proxy/exchange/exchange.ts)',
  ],
  [
    'console',
    /\bconsole\.(log|error|warn)\(/,
    path => /^(kit|proxy|supervisor|app\/host)\//.test(path),
    'the log or a stream',
  ],
  [
    'a sleep',
    /\b(await (sleep|delay)\(|setTimeout\((r|res|resolve)\b)/,
    path => within(path, 'test'),
    'wait for an event',
  ],
  ['an unfinished word', /\b(TODO|FIXME|XXX|HACK)\b/, () => true, 'finish it or write an issue'],
  ['any', /[:<]\s*any\b|\bas any\b/, path => path.endsWith('.ts'), 'unknown, or the type'],
  ['@ts-ignore', /@ts-(ignore|nocheck|expect-error)/, () => true, 'a type that is true'],
  ['a single test', /\bt(est)?\.only\(/, path => within(path, 'test'), 'run all'],
]

t.test('import arrows point one way', async t => {
  for (const [folder, mayImport] of ARROWS) {
    for (const path of sources.filter(path => within(path, folder))) {
      const local = importsOf(path).filter(name => /^(\.\.|kit|proxy|app|supervisor|test|bench)\b/.test(name))
      const wrong = local.filter(name => !mayImport.some(allowed => within(name, allowed)))
      t.same(wrong, [], `${path} imports only ${mayImport.join(', ')}`)
    }
  }
})

t.test('pure files touch nothing', async t => {
  for (const path of PURE) {
    const impure = importsOf(path).filter(name => /^node:(fs|net|child_process|timers|http|process|os|dns)/.test(name))
    t.same(impure, [], `${path} imports no shell`)
    t.notMatch(
      text(path),
      /\b(Date\.now|performance\.now|setTimeout|setInterval|Math\.random)\(/,
      `${path} has no clock of its own`,
    )
  }
})

/** What the start of a worker loads: the entry file and all that it imports, but for `import()` and types. */
function loadedAtStart(path: string, known = new Set<string>()): Set<string> {
  if (known.has(path)) return known
  known.add(path)
  const statics = text(path).matchAll(
    /^(?:import|export) (?!type\b)[^']*? from '(\.[^']+)\.js'|^import '(\.[^']+)\.js'/gms,
  )
  for (const [, from, bare] of statics) loadedAtStart(`${normalize(join(dirname(path), from ?? bare ?? ''))}.ts`, known)
  return known
}

/** Each takes 2 to 12 ms. node:worker_threads does, too, but the watchdog is one. */
const HEAVY = new Set(['node:crypto', 'node:v8', 'node:child_process', 'node:tls', 'node:https', 'node:readline'])
const AT_START = ['app/host/main.ts', 'app/host/watchdog/watchdog-thread.ts']
t.test('what runs beside an application loads what it needs', async t => {
  for (const entry of AT_START) {
    const loaded = [...loadedAtStart(entry)]
    const builtins = loaded.flatMap(path => [...text(path).matchAll(/^import (?!type\b)[^']* from '(node:[^']+)'/gm)])
    const heavy = builtins.map(([, name]) => name).filter(name => HEAVY.has(name ?? ''))
    t.same(heavy, [], `${entry} loads no part of Node that takes long`)
  }
})

t.test(
  'what runs beside an application uses the timers of Node, whatever the application puts in their place',
  async t => {
    const beside = new Set(sources.filter(path => within(path, 'app/host')))
    for (const entry of AT_START) for (const path of loadedAtStart(entry)) beside.add(path)
    for (const path of beside) {
      // A method is called by its object, or declared with a body behind it.
      const calls = code(path).matchAll(/(?<![.\w])((?:set|clear)(?:Timeout|Interval|Immediate))\((?!.*\): \w+ \{$)/gm)
      const imported = text(path).match(/^import \{([^}]*)\} from 'node:timers'$/m)?.[1] ?? ''
      const global = [...calls].map(([, name = '']) => name).filter(name => !imported.includes(name))
      t.same(global, [], `${path} imports from node:timers`)
    }
  },
)

t.test('every source begins with what it is', async t => {
  // A unit test is explained by the source that it mirrors, a fixture by the test that uses it.
  for (const path of sources.filter(path => !within(path, 'test') || within(path, 'test/e2e'))) {
    t.match(text(path), /^(#!.*\n(\/\/.*\n)?)?\/\*\*[\s\S]{40,}?\*\//, `${path} has a header comment`)
  }
})

t.test('whom a header names as its user imports it', async t => {
  const named = /\b(?:[Cc]alled|[Uu]sed|[Oo]wned|[Mm]ade) by ((?:`[\w./-]+\.ts`(?:, | and |, and )?)+)/g
  for (const path of sources.filter(path => path.endsWith('.ts') && !within(path, 'test'))) {
    const [header = ''] = /^(?:#!.*\n)?\/\*\*[\s\S]*?\*\//.exec(text(path)) ?? []
    const users = [...header.replace(/\n \* ?/g, ' ').matchAll(named)].flatMap(
      ([, list = '']) => list.match(/[\w./-]+\.ts/g) ?? [],
    )
    for (const user of users) {
      const places = sources.filter(other => other === user || other.endsWith(`/${user}`))
      const isTrue = places.some(other => importsOf(other).some(name => name.replace(/\.js$/, '.ts') === path))
      t.ok(isTrue, `${path}: used by ${user}`)
    }
  }
})

t.test('nothing banned is called', async t => {
  for (const [title, pattern, applies, instead] of BANNED) {
    const found = sources.filter(path => path !== 'test/tidy.ts' && applies(path) && pattern.test(code(path)))
    t.same(found, [], `${title}: use ${instead}`)
  }
})

/** Rooms whose comments and names follow the style of CONTRIBUTING.md throughout. */
const PLAIN = sources.filter(path => /^(proxy|app\/host|supervisor|kit)\//.test(path))
/**
 * Names that a standard term has replaced: RFC 9110 says response, HTTP servers say body filter and failover, process
 * managers say handle and desired state.
 */
const REPLACED =
  /\b(?:\w*Answer(?!_)(?:Begun|Body|Complete|Field|Figures|Framing|Guard|Head|Lines|Promise|Sink|Stages?)\w*|answer(?:Begun|Broken|Complete|Lines)|(?:Disk|Own|Static|Upstream)Answer|(?:bad|empty|error|refusal)Answer|Phases|Standing|Course|Forms|StageEvents|unreturned|keptBytes|Pool(?:Hooks|Proxies|Slot|Target)|(?:Probe|Proxy|Worker)Hooks|Wishes|Companions|companions|ProxyProcess|MOOT_OPTIONS|MootOption|Settled(?:Tables|Limits)|complain)\b/
t.test('sources are written in plain terms', async t => {
  for (const path of PLAIN) {
    const lines = text(path).split('\n')
    const comments = lines.filter(line => /^\s*(\/\*\*|\*|\/\/)/.test(line))
    t.same(
      comments.filter(line => line.length > 120),
      [],
      `${path}: comments have at most 120 columns`,
    )
    const prose = comments.map(line => line.replace(/^\s*(\/\*\*|\*\/?|\/\/) ?| \*\/$/g, '')).join(' ')
    t.notMatch(prose, /(?:^|[.;,] )(?:[Cc]alled|[Uu]sed|[Oo]wned) by `/, `${path}: an editor knows who uses it`)
    t.same(code(path).match(REPLACED)?.[0], undefined, `${path}: a standard term`)
  }
})

t.test('files are named after one idea', async t => {
  // But for those whose names a framework prescribes.
  for (const path of sources.filter(path => !within(path, 'test/frameworks/sites'))) {
    const name = basename(path).replace(/(\.test)?(\.d)?\.[a-z]+$/, '')
    t.match(name, /^[a-z0-9]+(-[a-z0-9]+)*$/, `${path} is in kebab-case`)
    t.notMatch(name, /^(utils?|helpers?|common|manager|misc)$/, `${path} has a name`)
  }
})

t.test('SECURITY.md names tests that there are', async t => {
  const named = [...text('SECURITY.md').matchAll(/`((?:e2e|kit|proxy|supervisor)\/[\w/-]+)`/g)].map(([, name]) => name)
  t.ok(named.length > 20, `${named.length} tests`)
  for (const name of named) t.ok(sources.includes(`test/${name}.ts`), `test/${name}.ts`)
})

/** What a decision record says, as its headings; figures are the last one, where something was measured. */
const RECORD = /^# .+\n\n## Context\n\n[\s\S]+?\n## Decision\n\n[\s\S]+?\n## Consequence\n\n[\s\S]+$/

t.test('decision records have their parts, and are linked', async t => {
  const records = tracked.filter(path => /^docs\/decisions\/.*\.md$/.test(path) && path !== DECISIONS)
  t.ok(records.length > 50, `${records.length} records`)
  const rows = [...text(DECISIONS).matchAll(/^- \[(.+)\]\((.+)\)$/gm)].map(([, title, name]) => [name, title])
  for (const path of records) t.match(text(path), RECORD, `${path} has context, decision and consequence`)
  const titles = records.map(path => [basename(path), text(path).split('\n')[0]?.slice(2)])
  t.same(new Set(rows.map(String)), new Set(titles.map(String)), `${DECISIONS} links each by its title`)
})

/** `PATH: NAME` for each name in a file that is not there. */
function lostNames(paths: string[], namesIn: (text: string) => string[]): string[] {
  const there = new Set(tracked)
  return paths.flatMap(path => {
    const lost = namesIn(text(path)).filter(name => ![name, join(dirname(path), name)].some(place => there.has(place)))
    return lost.map(name => `${path}: ${name}`)
  })
}

t.test('documents that are named are there', async t => {
  const texts = tracked.filter(path => /\.(md|[cm]?[jt]s|ini)$/.test(path))
  const documents = (text: string) =>
    text.split(/[^\w./-]+/).flatMap(word => word.match(/^(.*\w\.md)\.?$/)?.slice(1) ?? [])
  t.same(lostNames(texts, documents), [])
  const chapters = texts.filter(path => /\b[Dd]esign §/.test(text(path)))
  t.same(chapters, [], 'nor does any name a chapter of a document that is not here')
})

t.test('sources that the pages name are there', async t => {
  const pages = tracked.filter(path => /^((ARCHITECTURE|CONTRIBUTING|SECURITY)|docs\/decisions\/.*)\.md$/.test(path))
  const named = /`((?:kit|proxy|app|supervisor|bench|test|conf|systemd)\/[\w./@-]+\.\w+)`/g
  t.same(
    lostNames(pages, text => [...text.matchAll(named)].map(([, name = '']) => name)),
    [],
  )
})

t.test('ARCHITECTURE.md can be read in one sitting', async t => {
  const lines = text('ARCHITECTURE.md').trimEnd().split('\n')
  t.ok(lines.length <= 200, `${lines.length} lines, at most 200`)
  const long = lines.filter(line => line.length > 120 && !line.startsWith('|'))
  t.same(long, [], 'but for tables, lines have at most 120 columns')
})

t.test('printed pages are fresh', async t => {
  const [, table] =
    text('docs/worker-lifecycle.md').match(/printed by printLifecycleTable\(\) -->\n([\s\S]*?)<!-- end/) ?? []
  t.equal(table?.trim(), printLifecycleTable().trim(), 'docs/worker-lifecycle.md has the lifecycle table')
  const [, signals] = text('README.md').match(/printed by printSignalTable\(\) -->\n([\s\S]*?)<!-- end/) ?? []
  t.equal(signals?.trim(), printSignalTable().trim(), 'README.md has the table of signals')
  t.equal(text('docs/options.md'), configReference(), 'docs/options.md is printed from the option table')
})
