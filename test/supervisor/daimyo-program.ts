/**
 * Starts the real `daimyo` program in a folder of its own, with a clean environment: what the tests of whole commands share.
 * Every port is chosen by the kernel, the run folder lies in the scratch folder, and the teardown leaves no process behind.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { scratchFolder } from './scratch-folder.js'

/** The end of one command. */
export interface Ended {
  code: number | null
  out: string
  err: string
}

/** A program that runs; `seen` resolves when its standard output matches. */
export interface Running {
  child: ChildProcess
  pid: number
  out: () => string
  err: () => string
  seen: (pattern: RegExp) => Promise<void>
  ended: Promise<Ended>
}

const program = fileURLToPath(new URL('../../supervisor/daimyo.js', import.meta.url))

/** Answers every request with its pid; `ready` writes its parent's, the master's, into `master` beside it. */
export const goodApp = `
require('node:fs').writeFileSync(__dirname + '/master', String(process.ppid))
require('node:http').createServer((request, response) => response.end(process.pid + '\\n')).listen(3000)
`

/** A folder with an application and an INI for it, and the ways to call the program there. */
export class Site {
  readonly folder: string
  readonly ini: string
  readonly #environment: Record<string, string>

  constructor(t: { teardown(work: () => unknown): unknown }, lines: string[] = [], app = goodApp, environment = {}) {
    this.folder = scratchFolder(t)
    this.ini = join(this.folder, 'site.ini')
    this.#environment = { PATH: process.env.PATH ?? '', ...environment }
    this.writeApp(app)
    this.writeIni(lines)
    t.teardown(() => this.#killMaster())
  }

  writeApp(text: string): void {
    writeFileSync(join(this.folder, 'app.cjs'), text)
  }

  writeIni(lines: string[]): void {
    const common = [
      '[uwsgi]',
      'app = %dapp.cjs',
      'http = 127.0.0.1:0',
      'metrics = false',
      'run-dir = %drun',
      'reload-mercy = 5',
    ]
    writeFileSync(this.ini, `${[...common, ...lines].join('\n')}\n`)
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8')
  }

  /** The pid of the master that claims the run folder, null when none does. */
  masterPid(): number | null {
    const claim = this.path('run/master.pid')
    return existsSync(claim) ? Number.parseInt(readFileSync(claim, 'utf8'), 10) : null
  }

  /** Runs a command to its end. */
  run(...args: string[]): Promise<Ended> {
    return this.spawn(...args).ended
  }

  /** Runs a command that goes on. */
  spawn(...args: string[]): Running {
    // `env -i`: tap puts its hooks into the environment of every child, whatever environment that is given.
    const variables = Object.entries(this.#environment).map(([name, value]) => `${name}=${value}`)
    const child = spawn('env', ['-i', ...variables, process.execPath, program, ...args], {
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const text = { out: '', err: '' }
    const waiting: { pattern: RegExp; resolve: () => void }[] = []
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text.out += chunk
      for (const { pattern, resolve } of waiting) if (pattern.test(text.out)) resolve()
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      text.err += chunk
    })
    const ended = once(child, 'close').then(([code]) => ({ code, ...text }) as Ended)
    const seen = (pattern: RegExp) =>
      new Promise<void>((resolve, reject) => {
        if (pattern.test(text.out)) return resolve()
        waiting.push({ pattern, resolve })
        void ended.then(() => reject(new Error(`it ended before ${pattern}: ${text.out}${text.err}`)))
      })
    return { child, pid: child.pid ?? 0, out: () => text.out, err: () => text.err, seen, ended }
  }

  #killMaster(): void {
    const pid = this.masterPid()
    if (pid !== null) process.kill(pid, 'SIGKILL')
  }
}
