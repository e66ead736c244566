import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { findExecutable } from '../../bench/program.js'
import { builtFile } from '../../bench/repository.js'

const main = builtFile('bench/main.js')
const app = `require('http').createServer((_, response) => response.end('{}')).listen(process.env.PORT)`

/** Starts the bench with a temporary folder of its own; not below the test's, whose name is too long for unix sockets. */
function start(args: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'db-'))
  const env = { PATH: process.env.PATH, TMPDIR: folder }
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = Promise.all([child.stdout.setEncoding('utf8').toArray(), child.stderr.setEncoding('utf8').toArray()])
  return { child, folder, ended: once(child, 'close'), output: output.then(parts => parts.map(part => part.join(''))) }
}

/** The processes that were given a file of the bench's temporary folder on their command line or in their environment. */
function processesIn(folder: string): string[] {
  return readdirSync('/proc').filter(name => {
    try {
      return (
        /^\d+$/.test(name) &&
        ['cmdline', 'environ'].some(file => readFileSync(`/proc/${name}/${file}`, 'latin1').includes(`${folder}/`))
      )
    } catch {
      // ENOENT, ESRCH: it ended meanwhile. EACCES: somebody else's.
      return false
    }
  })
}

t.test('ends at once when the command line makes no sense, or only asks for help', async t => {
  const cases: [string, string[], number, RegExp, RegExp][] = [
    ['help', ['--help'], 0, /--seconds N/, /^$/],
    ['an unknown option', ['--secnods'], 64, /^$/, /^reading the command line failed: .*--secnods/],
    ['an unknown case', ['--only', 'jsn'], 64, /^$/, /--only=jsn: accepted: json, /],
  ]
  for (const [title, args, code, stdout, stderr] of cases) {
    const { folder, ended, output } = start(args)
    t.teardown(() => rmSync(folder, { recursive: true }))
    t.strictSame(await ended, [code, null], title)
    t.match(await output, [stdout, stderr], title)
  }
})

t.test(
  'an application that is not there',
  { skip: findExecutable('wrk') === null && 'install the Debian package wrk' },
  async t => {
    const { folder, ended, output } = start(['--app', '/no/such/app.js'])
    t.teardown(() => rmSync(folder, { recursive: true }))
    t.strictSame(await ended, [69, null])
    t.match(await output, ['', /^bench failed: \/no\/such\/app\.js: not found/])
  },
)

t.test(
  'told to stop, it leaves nothing behind',
  { skip: findExecutable('wrk') === null && 'install the Debian package wrk' },
  async t => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const { child, folder, ended, output } = start(['--app', join(t.testdir({ 'app.cjs': app }), 'app.cjs')])
      t.teardown(() => rmSync(folder, { recursive: true }))
      while (processesIn(folder).length === 0 && child.exitCode === null) await new Promise(setImmediate)
      child.kill(signal)
      t.strictSame(await ended, [code, null], signal)
      t.match(await output, [/requests|Medians of 3 rounds/, `stopped: ${signal}`], signal)
      t.strictSame(readdirSync(folder), [], `${signal}: no file`)
      t.strictSame(processesIn(folder), [], `${signal}: no process`)
    }
  },
)
