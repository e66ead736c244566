/**
 * Makes a checkout ready to run: installs the locked dependencies and builds, each only when its inputs changed.
 * npm calls it before `npm start`, `npm test` and `npm run bench`, so that each works as the first command in a fresh clone. Types are not checked
 * here, where that would be two thirds of the time until the first start: `test/types.ts` checks them.
 *
 * A build has a folder of its own, `dist-DIGEST`; `dist` is a link to the newest one. The link turns when a build is complete, so nobody ever finds half of one, and
 * a running master goes on with the files that it was started from: the two builds before the newest stay. `--unlinked` makes `dist` a folder, because npm
 * packs no links.
 *
 * Where the same compiler made the build before, only what differs is compiled; the other files are hard links to those of that build. A program is
 * joined to a bundle (`bundle.mjs`) where one of its modules differs.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { bundlePrograms, PROGRAMS } from './bundle.mjs'

const top = fileURLToPath(new URL('.', import.meta.url))
const sourceFolders = ['supervisor', 'proxy', 'app/host', 'kit', 'bench', 'test']
/** What of a build runs in production. */
const PRODUCT = ['supervisor', 'proxy', 'app', 'kit']
/** Builds that stay besides the newest. */
const KEPT = 2
/** More files than these are compiled with all others, which takes no longer. */
const MOST_CHANGED = 200
/** In a build: a digest of each source that it was made from. */
const SOURCES = '.sources.json'
/** An unfinished build of this age is nobody's. */
const ABANDONED_MS = 3_600_000

const dist = join(top, 'dist')
const lock = join(top, 'package-lock.json')

/** Runs `work` unless `stampFile` already holds `stamp`; a work that fails leaves no stamp. */
function unlessDone(stampFile, stamp, work) {
  if (contentOf(stampFile) === stamp) return
  work()
  writeFileSync(stampFile, stamp)
}

/** null: there is no such file. */
function contentOf(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    return null
  }
}

const hash = parts => createHash('sha256').update(parts.join('\n')).digest('hex')

function version() {
  return JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')).version
}

function sourceStamp() {
  const parts = [version(), ...['tsconfig.json', 'bundle.mjs'].map(name => readFileSync(join(top, name), 'utf8'))]
  parts.push(readFileSync(lock, 'utf8'))
  for (const path of sourcePaths()) {
    const { size, mtimeMs } = statSync(join(top, path))
    parts.push(`${path} ${size} ${mtimeMs}`)
  }
  return hash(parts)
}

function sourcePaths() {
  return sourceFolders.flatMap(folder => {
    const names = readdirSync(join(top, folder), { recursive: true }).sort()
    return names.filter(name => /\.c?ts$/.test(name)).map(name => `${folder}/${name}`)
  })
}

function run(title, command, args) {
  process.stderr.write(`${title}\n`)
  execFileSync(command, args, { cwd: top, stdio: ['ignore', 'inherit', 'inherit'] })
}

/** Builds aside, puts the build in its place, and turns the link. */
async function build(stamp) {
  const name = nameOf(stamp)
  const folder = join(top, name)
  if (contentOf(join(folder, '.stamp')) !== stamp) {
    const aside = `${folder}.${process.pid}.new`
    try {
      await compile(aside)
      chmodSync(join(aside, 'supervisor/daimyo.js'), 0o755)
      await describe(aside)
      writeFileSync(join(aside, '.stamp'), stamp)
      rmSync(folder, { recursive: true, force: true })
      renameSync(aside, folder)
    } finally {
      rmSync(aside, { recursive: true, force: true })
    }
  }
  turnLink(name)
  removeOld(name)
}

/** All sources and programs, or what differs from the newest build. */
async function compile(aside) {
  const options = readFileSync(join(top, 'tsconfig.json'), 'utf8')
  const tools = hash([options, readFileSync(lock, 'utf8'), readFileSync(join(top, 'bundle.mjs'), 'utf8')])
  const { exclude } = JSON.parse(options)
  const paths = sourcePaths().filter(path => !exclude.some(folder => path.startsWith(`${folder}/`)))
  const files = Object.fromEntries(paths.map(path => [path, hash([readFileSync(join(top, path), 'utf8')])]))
  const last = JSON.parse(contentOf(join(dist, SOURCES)) ?? '{}')
  const isOfSameTools = last.tools === tools
  const before = isOfSameTools ? last : { files: {}, programs: [] }
  const isSame = path => files[path] === before.files[path]
  const programs = before.programs.filter(({ modules }) => modules.every(module => isSame(sourceOf(module))))
  const due = PROGRAMS.filter(({ entry }) => !programs.some(kept => kept.entry === entry))
  // The bundles of those that are due take the places of their entry files.
  const isKept = path => isSame(path) && !due.some(({ entry }) => sourceOf(entry) === path)
  const changed = paths.filter(path => !isKept(path))
  let project = top
  if (isOfSameTools && changed.length <= MOST_CHANGED) {
    link(aside, [...paths.filter(isKept).flatMap(outputsOf), ...programs.flatMap(program => program.files)])
    project = join(aside, 'tsconfig.json')
    writeFileSync(project, partOf(changed))
  }
  const compiler = join(top, 'node_modules/typescript/bin/tsc')
  if (project === top || changed.length > 0)
    run('building', process.execPath, [compiler, '-p', project, '--outDir', aside, '--noCheck'])
  if (project !== top) rmSync(project)
  // All were compiled anew, the entry files of the others too.
  const bundled = await bundlePrograms(aside, project === top ? PROGRAMS : due)
  const all = project === top ? bundled : [...programs, ...bundled]
  writeFileSync(join(aside, SOURCES), JSON.stringify({ tools, files, programs: all }))
}

/** A configuration for these sources alone: without types, a file is compiled without those that it imports. */
function partOf(paths) {
  const compilerOptions = { noResolve: true, types: [] }
  const files = paths.map(path => join(top, path))
  return JSON.stringify({ extends: join(top, 'tsconfig.json'), compilerOptions, include: [], files })
}

/** Names of the same files of the newest build: nobody writes into a file of a build. */
function link(aside, paths) {
  const build = realpathSync(dist)
  for (const path of new Set(paths)) {
    mkdirSync(dirname(join(aside, path)), { recursive: true })
    try {
      linkSync(join(build, path), join(aside, path))
    } catch (error) {
      // Declarations have no output.
      if (error.code !== 'ENOENT') throw error
    }
  }
}

function outputsOf(source) {
  const output = source.replace(/ts$/, 'js')
  return [output, `${output}.map`]
}

function sourceOf(output) {
  return output.replace(/js$/, 'ts')
}

function nameOf(stamp) {
  return `dist-${stamp.slice(0, 12)}`
}

/** What a running master compares: `supervisor/host/installation.ts`. */
async function describe(folder) {
  const exported = async file => import(pathToFileURL(join(folder, file)).href)
  const { LINK_VERSION: link } = await exported('kit/link/frames.js')
  const { CHANNEL_VERSION: channel } = await exported('kit/channel/channel.js')
  const text = JSON.stringify({ version: version(), digest: productDigest(folder), link, channel })
  writeFileSync(join(folder, 'supervisor/build.json'), `${text}\n`)
}

/** Of all that runs in production, the dependencies' versions included. */
function productDigest(folder) {
  const parts = [version(), readFileSync(lock, 'utf8')]
  for (const part of PRODUCT) {
    for (const name of readdirSync(join(folder, part), { recursive: true }).sort()) {
      if (/\.c?js$/.test(name)) parts.push(`${part}/${name}`, readFileSync(join(folder, part, name), 'utf8'))
    }
  }
  return hash(parts)
}

/** rename(2) takes the place of the old link at once. */
function turnLink(name) {
  const next = join(top, `dist-link.${process.pid}.new`)
  rmSync(next, { force: true })
  symlinkSync(name, next)
  if (lstatSync(dist, { throwIfNoEntry: false })?.isDirectory()) setAside(dist)
  renameSync(next, dist)
  // An earlier build may be the newest again, and is not to be the first that goes.
  const now = new Date()
  utimesSync(join(top, name), now, now)
}

/** A build from the time before the links, or one that was packed. */
function setAside(folder) {
  const place = join(top, nameOf(contentOf(join(folder, '.stamp')) ?? 'unknown'))
  rmSync(place, { recursive: true, force: true })
  renameSync(folder, place)
}

function removeOld(newest) {
  const found = readdirSync(top)
    .filter(name => name.startsWith('dist-') && name !== newest)
    .map(name => ({ name, ms: lstatSync(join(top, name), { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.ms - a.ms)
  const unfinished = found.filter(({ name, ms }) => name.endsWith('.new') && Date.now() - ms > ABANDONED_MS)
  const old = found.filter(({ name }) => !name.endsWith('.new')).slice(KEPT)
  for (const { name } of [...unfinished, ...old]) rmSync(join(top, name), { recursive: true, force: true })
}

/** A copy of the newest build in place of the link. */
function unlink() {
  if (!lstatSync(dist).isSymbolicLink()) return
  const copy = join(top, `dist-copy.${process.pid}.new`)
  cpSync(join(top, basename(readlinkSync(dist))), copy, { recursive: true })
  rmSync(dist)
  renameSync(copy, dist)
}

mkdirSync(join(top, 'node_modules'), { recursive: true })
unlessDone(join(top, 'node_modules/.daimyo-stamp'), hash([readFileSync(lock, 'utf8')]), () =>
  run('installing the locked dependencies', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']),
)
const stamp = sourceStamp()
if (contentOf(join(dist, '.stamp')) !== stamp) await build(stamp)
if (process.argv.includes('--unlinked')) unlink()
