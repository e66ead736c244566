/**
 * Plays real frameworks on bare Node and under daimyo and compares with the table in docs/compatibility.md. `npm run test:frameworks` calls it;
 * `node test/frameworks/main.mjs nest next-start` plays some of them.
 *
 * Their packages, some hundred megabytes, are installed and built in a cache folder of the user, once for each lock: never in this repository.
 */

import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const source = fileURLToPath(new URL('.', import.meta.url))
const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
const folder = join(cache, 'daimyo-frameworks')
const COPIED = ['package.json', 'package-lock.json', 'applications', 'sites']
/** Some run the application while they build it. */
const VARIABLES = {
  NEXT_TELEMETRY_DISABLED: '1',
  DO_NOT_TRACK: '1',
  CI: 'true',
  ANSWERS: join(folder, 'applications/answers.cjs'),
  NOTES: '/dev/null',
}

function run(program, args, cwd, environment = {}) {
  process.stderr.write(`${[program, ...args].join(' ')}\n`)
  execFileSync(program, args, {
    cwd,
    env: { ...process.env, ...VARIABLES, ...environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

/** Runs `work` unless the folder has been made of the same files. */
function unlessMade(stampFile, paths, work) {
  const hash = createHash('sha256')
  for (const path of paths.toSorted()) hash.update(`${path}\n`).update(readFileSync(join(source, path)))
  const stamp = hash.digest('hex')
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return
  work()
  writeFileSync(stampFile, stamp)
}

function filesBelow(name) {
  return readdirSync(join(source, name), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(source.length))
}

/** What has to be built, each where its own tool puts it. */
function build() {
  const bin = name => join(folder, 'node_modules/.bin', name)
  const site = name => join(folder, 'sites', name)
  run(bin('vite'), ['build', '--logLevel=error'], site('sveltekit'))
  run(bin('nitropack'), ['build'], site('nitro'))
  run(bin('next'), ['build'], site('next'))
  run(bin('next'), ['build'], site('next'), { NEXT_OUTPUT: 'standalone' })
}

function makeCertificate() {
  const tls = join(folder, 'tls')
  if (existsSync(join(tls, 'cert.pem'))) return
  mkdirSync(tls, { recursive: true })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem']
  run('openssl', ['req', '-x509', ...key, '-out', 'cert.pem', '-days', '3650', '-subj', '/CN=localhost'], tls)
}

mkdirSync(folder, { recursive: true })
unlessMade(join(folder, '.installed'), ['package.json', 'package-lock.json'], () => {
  for (const name of ['package.json', 'package-lock.json']) cpSync(join(source, name), join(folder, name))
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], folder)
  rmSync(join(folder, '.built'), { force: true })
})
for (const name of COPIED) cpSync(join(source, name), join(folder, name), { recursive: true })
unlessMade(join(folder, '.built'), filesBelow('sites'), build)
makeCertificate()
const program = fileURLToPath(new URL('../../dist/test/frameworks/every-framework-fixture.js', import.meta.url))
const child = spawn(process.execPath, ['--enable-source-maps', program, ...process.argv.slice(2)], {
  env: { ...process.env, FRAMEWORKS: folder, TAP_TIMEOUT: '0' },
  stdio: 'inherit',
})
// Its teardowns end what it has started.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('exit', code => {
  process.exitCode = code ?? 1
})
