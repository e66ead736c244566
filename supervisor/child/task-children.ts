/**
 * Work in folders of the service's user that a root master gives to another process (`task-child-main.ts`). That user
 * can make open(2), lstat(2), rename(2) or unlink(2) there wait without end (the lock of a FIFO or of a folder, a FUSE
 * file system), or for minutes while the blocks of a file are freed.
 *
 * The process is root, and becomes that user for each path by the same code as the master (`guarded-path.ts`). Its real
 * and saved ids stay root's, so only root can trace it, signal it or reach its descriptors. So its answer is as
 * trustworthy as the master's own look, and its standard streams may be sockets.
 *
 * What must stay true: a late process is killed and not waited for. For each task, only a bounded number of late
 * processes may exist. The master never does the work itself instead, unless the files of daimyo belong to another
 * build by now.
 */

import type { ChildProcess } from 'node:child_process'
import { dirname, join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import type { Credentials } from '../../kit/channel/messages.js'
import { EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { BUILD_FILE, digestOf } from '../host/installation.js'
import { spawnOwn } from '../user/own-children.js'
import { entryCommand, TASK_ENTRY } from './child-programs.js'

/** `work` is synchronous. `v8.serialize` must accept its request and its result. */
export interface Task<Request, Result> {
  name: string
  work(request: Request): Result
}

/** Does tasks for the service's user. */
export interface Tasks {
  /**
   * Resolves or rejects with the outcome of the task. A Failure stays a Failure. Rejects with the Failure `late` (71)
   * if the task is not done in time. `withinMs` replaces the usual limit.
   */
  run<Request, Result>(task: Task<Request, Result>, request: Request, options: TaskOptions): Promise<Result>
}

export interface TaskOptions {
  /** The service's user. Null: there is no other user, and the task is done at once. */
  credentials: Credentials | null
  /** The work, for messages, such as `cannot read the configuration`. */
  what: string
  withinMs?: number
  /** Descriptors that the process gets as 3, 4, …: it keeps them open while it lives. */
  descriptors?: readonly number[]
  /**
   * Called with the pid of the process that did the work, and its result. The process ends after the call. Not called
   * if this process did the work itself.
   */
  taking?: (pid: number, result: unknown) => void
}

/** Does the work in this process. */
export const HERE: Tasks = { run: async (task, request) => task.work(request) }

/** The question, on the child's standard input. `digest`: of the asking build. */
export interface TaskQuestion {
  name: string
  digest: string | null
  request: unknown
}

/** The answer, on the child's standard output. */
export type TaskAnswer =
  | { type: 'done'; result: unknown }
  | { type: 'failed'; message: string; code: string; exitCode: number | null }
  | { type: 'other-build' }

export interface TaskChildrenOptions {
  command?: readonly string[]
  taskMs?: number
}

const OWN_BUILD = join(dirname(TASK_ENTRY), BUILD_FILE)
const TASK_MS = 5000
/** Killed processes of one task that have not ended. */
const MOST_LEFT = 2
const LONGEST_ANSWER = 1 << 26
/** The length field before the question. */
export const LENGTH_BYTES = 4

export class TaskChildren implements Tasks {
  readonly #options: Required<TaskChildrenOptions>
  readonly #digest = digestOf(OWN_BUILD)
  readonly #left = new Map<string, number>()
  readonly #running = new Set<Promise<unknown>>()
  #here = async <T>(work: () => T): Promise<T> => work()

  constructor(options: TaskChildrenOptions = {}) {
    this.#options = { command: entryCommand(TASK_ENTRY), taskMs: TASK_MS, ...options }
  }

  /**
   * Sets how this process does a task when another build has replaced our files, so that the task waits for no other
   * thread.
   */
  doHere(here: <T>(work: () => T) => Promise<T>): void {
    this.#here = here
  }

  /** Resolves when each task is done or given up. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running)
  }

  async run<Request, Result>(task: Task<Request, Result>, request: Request, options: TaskOptions): Promise<Result> {
    if (options.credentials === null || process.geteuid?.() !== 0) return task.work(request)
    const asked = this.#ask({ name: task.name, digest: this.#digest, request }, options)
    this.#running.add(asked)
    const answer = await asked.finally(() => this.#running.delete(asked))
    if (answer.type === 'other-build') return await this.#here(() => task.work(request))
    if (answer.type === 'done') return answer.result as Result
    const { message, code, exitCode } = answer
    throw exitCode === null ? Object.assign(new Error(message), { code }) : new Failure(code, message, exitCode)
  }

  #ask(question: TaskQuestion, options: TaskOptions): Promise<TaskAnswer> {
    const { what, withinMs = this.#options.taskMs } = options
    const late = (why: string) => new Failure('late', `${what}: ${why}`, EXIT.os)
    const left = this.#left.get(question.name) ?? 0
    if (left >= MOST_LEFT) return Promise.reject(late('earlier processes still wait for the file system'))
    return new Promise((resolve, reject) => {
      const child = this.#start(options.descriptors ?? [])
      const chunks: Buffer[] = []
      let bytes = 0
      let isOver = false
      const giveUp = (why: string) => {
        isOver = true
        clearTimeout(deadline)
        reject(late(why))
        this.#leave(child, question.name)
      }
      const deadline = setTimeout(() => giveUp(`the file system has not answered within ${withinMs} ms`), withinMs)
      child.stdout?.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > LONGEST_ANSWER) giveUp(`more than ${LONGEST_ANSWER} bytes`)
      })
      // EPIPE: the child ended before it read the question.
      child.stdin?.on('error', () => {}).write(framed(serialize(question)))
      child.on('error', error => {
        clearTimeout(deadline)
        if (child.pid === undefined) reject(late(reasonOf(error)))
      })
      child.stdout?.on('close', () => {
        if (isOver) return
        clearTimeout(deadline)
        const answer = readAnswer(Buffer.concat(chunks))
        try {
          if (answer === null) return reject(late('its process has ended'))
          if (answer.type === 'done' && child.pid !== undefined) options.taking?.(child.pid, answer.result)
          resolve(answer)
        } catch (error) {
          reject(error)
        } finally {
          child.stdin?.destroy()
        }
      })
    })
  }

  #start(descriptors: readonly number[]): ChildProcess {
    const [program = '', ...args] = this.#options.command
    const stdio = ['pipe', 'pipe', 'ignore', ...descriptors] as const
    const child = spawnOwn(program, [...args, 'daimyo: task'], { env: {}, cwd: '/', stdio: [...stdio], detached: true })
    child.unref()
    return child
  }

  /** The child may wait in the kernel, where SIGKILL has no effect yet. */
  #leave(child: ChildProcess, name: string): void {
    if (child.exitCode === null && child.signalCode === null) {
      this.#left.set(name, (this.#left.get(name) ?? 0) + 1)
      child.once('exit', () => this.#left.set(name, (this.#left.get(name) ?? 1) - 1))
    }
    child.stdin?.destroy()
    child.stdout?.destroy()
    child.kill('SIGKILL')
  }
}

/**
 * Puts the length before the question: standard input stays open until the answer is taken, so its end cannot mark the
 * end of the question.
 */
function framed(bytes: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32LE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** Null: no answer, because the process was killed or failed. */
function readAnswer(bytes: Buffer): TaskAnswer | null {
  try {
    return deserialize(bytes) as TaskAnswer
  } catch {
    return null
  }
}
