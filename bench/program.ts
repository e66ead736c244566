/**
 * The processes that the bench starts: each is stopped by its own pid and waited for, with everything that it started.
 * `stacks/stack.ts` starts and stops them; `main.ts` calls `endAll` as the last resort when it must leave at once.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { accessSync, closeSync, constants, openSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Failure, reasonOf } from '../kit/ground/failure.js'
import { type ProcessTimes, readProcesses, treeOf } from './cpu.js'

/** What to start. Its standard output and error go to the file `logPath`. */
export interface ProgramSpec {
  name: string
  command: string
  args: string[]
  env: Record<string, string>
  logPath: string
}

/** How long a program may take from SIGTERM to its end before it is killed. */
const STOP_MS = 15_000

const running = new Set<Program>()

/** One started program. */
export class Program {
  readonly spec: ProgramSpec
  readonly pid: number
  /** Resolves when it has ended, with the reason (`code 0`, `signal SIGKILL`). */
  readonly ended: Promise<string>
  /** How it ended, null while it runs. */
  end: string | null = null
  readonly #child: ChildProcess

  private constructor(spec: ProgramSpec, child: ChildProcess, pid: number) {
    this.spec = spec
    this.pid = pid
    this.#child = child
    this.ended = new Promise(resolve => {
      child.once('exit', (code, signal) => {
        this.end = signal === null ? `code ${code}` : `signal ${signal}`
        running.delete(this)
        resolve(this.end)
      })
    })
    running.add(this)
  }

  /** Starts it; rejects with a Failure when the command cannot be executed. */
  static async start(spec: ProgramSpec): Promise<Program> {
    const log = openSync(spec.logPath, 'a')
    try {
      // A session of its own, so that Ctrl-C in the terminal reaches the bench only, which then stops all in order.
      const child = spawn(spec.command, spec.args, { env: spec.env, stdio: ['ignore', log, log], detached: true })
      if (child.pid !== undefined) return new Program(spec, child, child.pid)
      throw await new Promise(resolve => child.once('error', resolve))
    } catch (error) {
      throw new Failure('BENCH_START', `starting a program failed: ${spec.name}: ${reasonOf(error)}`, undefined, error)
    } finally {
      closeSync(log)
    }
  }

  /**
   * Sends SIGTERM, then SIGKILL past the deadline. Resolves with a remark if the program did not end by itself or left
   * processes behind.
   */
  async stop(): Promise<string[]> {
    if (this.end !== null) return []
    const tree = treeOf(readProcesses(), [this.pid])
    this.signal('SIGTERM')
    const timer = setTimeout(() => this.signal('SIGKILL'), STOP_MS)
    const end = await this.ended
    clearTimeout(timer)
    const remarks = killSurvivors(tree).map(pid => `${this.spec.name} left a process behind: pid=${pid}: killed`)
    if (end === 'signal SIGKILL')
      remarks.push(`${this.spec.name} did not stop: pid=${this.pid}: killed ${STOP_MS} ms after SIGTERM`)
    return remarks
  }

  /** Sends a signal, unless the program has ended: the pid of a reaped process may belong to another one by now. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** The last lines of its output, for messages. */
  lastLines(count = 12): string {
    return readFileSync(this.spec.logPath, 'utf8').trimEnd().split('\n').slice(-count).join('\n')
  }
}

/**
 * Tells every program that still runs to end, without waiting; for the `exit` event, where nothing can be waited for.
 */
export function endAll(): void {
  for (const program of running) program.signal('SIGTERM')
}

/** The path of an executable, looked for in PATH and where Debian keeps servers; null when there is none. */
export function findExecutable(name: string, path = process.env.PATH ?? ''): string | null {
  for (const folder of [...path.split(delimiter), '/usr/sbin', '/usr/local/sbin']) {
    if (folder === '') continue
    try {
      accessSync(join(folder, name), constants.X_OK)
      return join(folder, name)
    } catch {
      // ENOENT, EACCES: not here, perhaps in the next one.
    }
  }
  return null
}

/**
 * The version that a program prints, null when there is none. wrk and nginx print theirs on different streams, and wrk
 * ends with 1.
 */
export function versionOf(name: string, args: string[], pattern: RegExp): string | null {
  const path = findExecutable(name)
  if (path === null) return null
  const { stdout, stderr } = spawnSync(path, args, { encoding: 'utf8', timeout: 5000 })
  return pattern.exec(stdout + stderr)?.[1] ?? null
}

/**
 * A zombie that its new parent has not reaped yet is no survivor. A pid with another start time belongs to another
 * process.
 */
function killSurvivors(tree: readonly ProcessTimes[]): number[] {
  const now = readProcesses()
  const survivors = tree.filter(
    ({ pid, startTicks }) => now.get(pid)?.startTicks === startTicks && !now.get(pid)?.zombie,
  )
  for (const { pid } of survivors) process.kill(pid, 'SIGKILL')
  return survivors.map(({ pid }) => pid)
}
