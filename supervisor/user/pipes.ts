/**
 * Pipes between the master and its children. Node has no pipe(2), and libuv gives children pairs of unix sockets, over which any program may send a descriptor
 * (SCM_RIGHTS): the kernel closes it while the master reads, and the last close(2) of a TCP socket with SO_LINGER waits as long as its owner likes. Over a real
 * pipe no descriptor can be sent. So each is a FIFO, made by mkfifo(1) in the run folder, opened on both sides and unlinked at once.
 *
 * What must stay true: a FIFO is the master's own with mode 600, so that no other user can open the other side of it by way of /proc; only the master's user
 * writes to the folder; the child's side blocks, as its program expects, and the master's side does not; no name of a FIFO stays behind.
 */

import type { ChildProcess } from 'node:child_process'
import { accessSync, closeSync, constants, fstatSync, lstatSync, openSync, unlinkSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { SYSTEM_PATH, systemProgram } from '../../kit/ground/system-path.js'
import { readProcessStat } from '../../kit/process/process-stat.js'
import { BRIEFLY, childProcess, type Program, type ProgramOptions, spawnAs } from './become-user.js'
import { namesIn } from './folder-names.js'
import { findNoRoom } from './room-left.js'

/** Seen from the child: which way the bytes go. */
export type PipeKind = 'from-child' | 'to-child'

/** The descriptors of both sides. */
export interface Pipe {
  master: number
  child: number
}

/** Of a worker or a proxy. Hooks, daemons and cron jobs need one less. */
const OF_CHILD: Readonly<Record<PipeKind, number>> = { 'from-child': 3, 'to-child': 1 }
const KINDS: readonly PipeKind[] = ['from-child', 'to-child']
/** For so many children pipes are kept ready. */
const CHILDREN = 2
/** For so many at most at the start: each is eight descriptors. */
const MOST_CHILDREN = 32
/** Children that start need the processor more than the next ones need their pipes. */
const REFILL_MS = 1000

export interface PipeStockOptions {
  /** The run folder. */
  folder: string
  /** Makes the folder anew where it was removed. */
  keepFolder?: () => void
  find?: typeof systemProgram
}

/** Pipes that are open and not used yet: to start a program costs some milliseconds, and a child needs four pipes. */
export class PipeStock {
  readonly #options: PipeStockOptions
  readonly #ready: Record<PipeKind, Pipe[]> = { 'from-child': [], 'to-child': [] }
  #made = 0
  #filling: Promise<void> | null = null
  #timer: NodeJS.Timeout | null = null
  #isClosed = false

  constructor(options: PipeStockOptions) {
    this.#options = options
  }

  /** Failure `pipes` (71): there is none left, and none can be made. */
  take(kind: PipeKind): Pipe {
    if (this.#ready[kind].length === 0) this.#makeNow()
    const pipe = this.#ready[kind].pop()
    if (pipe === undefined) throw this.#failure('the master is ending')
    if (this.#ready[kind].length === 0) this.#refillLater()
    return pipe
  }

  /** Failure `pipes`: it could not be filled, and cannot be. */
  demand(): void {
    if (KINDS.some(kind => this.#ready[kind].length === 0)) this.#makeNow()
  }

  /** In the background, for so many children. What fails is told by the `take` that needs it. */
  fill(children = CHILDREN): Promise<void> {
    if (!this.#isClosed) this.#filling ??= this.#fill(children).finally(() => (this.#filling = null))
    return this.#filling ?? Promise.resolve()
  }

  /** Nothing is taken from it afterwards. */
  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#filling
    for (const kind of KINDS) for (const pipe of this.#ready[kind].splice(0)) closePipe(pipe)
  }

  #refillLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      void this.fill()
    }, REFILL_MS).unref()
  }

  async #fill(children: number): Promise<void> {
    const wanted = this.#wanted(Math.min(children, MOST_CHILDREN))
    try {
      const { program, args } = this.#mkfifo(wanted)
      const isMade =
        wanted.length > 0 && (await hasSucceeded(childProcess().spawn(program, args, { ...MKFIFO, stdio: 'ignore' })))
      if (isMade && !this.#isClosed) this.#open(wanted)
    } catch {
      // A Failure, or EMFILE and the like.
    } finally {
      for (const { path } of wanted) removeFifo(path)
    }
  }

  #makeNow(): void {
    if (this.#isClosed) return
    const wanted = this.#wanted(CHILDREN)
    this.#options.keepFolder?.()
    try {
      const { program, args } = this.#mkfifo(wanted)
      const { status, error, stderr } = childProcess().spawnSync(program, args, {
        ...MKFIFO,
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      if (error !== undefined) throw error
      if (status !== 0) throw new Error(this.#whyRefused() ?? stderr.toString().trim())
      this.#open(wanted)
    } catch (error) {
      throw error instanceof Failure ? error : this.#failure(reasonOf(error), error)
    } finally {
      for (const { path } of wanted) removeFifo(path)
    }
  }

  /** The names of those that are missing. */
  #wanted(children: number): { kind: PipeKind; path: string }[] {
    return KINDS.flatMap(kind =>
      Array.from({ length: Math.max(0, children * OF_CHILD[kind] - this.#ready[kind].length) }, () => {
        this.#made += 1
        return { kind, path: join(this.#options.folder, `pipe.${process.pid}.${this.#made}`) }
      }),
    )
  }

  #mkfifo(wanted: readonly { path: string }[]): { program: string; args: string[] } {
    const program = (this.#options.find ?? systemProgram)('mkfifo')
    if (program === null) throw this.#failure('mkfifo is not installed (coreutils)')
    return { program, args: ['-m', '600', '--', ...wanted.map(({ path }) => path)] }
  }

  #open(wanted: readonly { kind: PipeKind; path: string }[]): void {
    for (const { kind, path } of wanted) this.#ready[kind].push(openPipe(kind, path))
  }

  /** The system's own word where the folder is closed to us; null: it is not. */
  #whyRefused(): string | null {
    try {
      accessSync(this.#options.folder, constants.W_OK | constants.X_OK)
      return null
    } catch (error) {
      return reasonOf(error)
    }
  }

  #failure(why: string, cause?: unknown): Failure {
    const { folder } = this.#options
    const noRoom = findNoRoom(folder, why)
    const told = noRoom === null ? why : `${noRoom.why}: ${noRoom.remedy}: ${why}`
    const message = `cannot make pipes for children in run-dir=${folder}: ${told}`
    return new Failure('pipes', message, EXIT.os, cause)
  }
}

const MKFIFO = { env: { PATH: SYSTEM_PATH }, cwd: '/', ...BRIEFLY } as const

function hasSucceeded(child: ChildProcess): Promise<boolean> {
  return new Promise(resolve => {
    child.on('error', () => resolve(false))
    child.on('exit', code => resolve(code === 0))
  })
}

/** The side that reads comes first: to open the other one would wait for it. */
function openPipe(kind: PipeKind, path: string): Pipe {
  const own = constants.O_NONBLOCK
  if (kind === 'from-child') {
    const master = openFifo(path, constants.O_RDONLY | own)
    return { master, child: openBeside(master, path, constants.O_WRONLY) }
  }
  const both = openFifo(path, constants.O_RDWR | own)
  try {
    const child = openFifo(path, constants.O_RDONLY)
    return { child, master: openBeside(child, path, constants.O_WRONLY | own) }
  } finally {
    closeSync(both)
  }
}

function openBeside(other: number, path: string, flags: number): number {
  try {
    return openFifo(path, flags)
  } catch (error) {
    closeSync(other)
    throw error
  }
}

function openFifo(path: string, flags: number): number {
  const fd = openSync(path, flags | constants.O_NOFOLLOW)
  if (fstatSync(fd).isFIFO()) return fd
  closeSync(fd)
  throw new Error(`${path}: it is not a FIFO`)
}

function closePipe({ master, child }: Pipe): void {
  closeSync(master)
  closeSync(child)
}

function removeFifo(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    // ENOENT: it was not made. EROFS, EACCES, ENOTDIR: nor could it be.
    if (!['ENOENT', 'EROFS', 'EACCES', 'ENOTDIR'].includes(codeOf(error))) throw error
  }
}

/** Of a FIFO that a master was about to open. */
export function isPipeName(name: string): boolean {
  return /^pipe\.\d+\.\d+$/.test(name)
}

/** Removes what masters left that were killed while they opened a pipe; called by who holds the folder. */
export function removePipes(folder: string): void {
  for (const name of namesIn(folder).names.filter(isPipeName)) {
    const path = join(folder, name)
    if (lstatSync(path, { throwIfNoEntry: false })?.isFIFO()) removeFifo(path)
  }
}

/** Of each descriptor of the child: a pipe, or what `spawn` takes. */
export type PipedStdio = PipeKind | 'inherit' | 'ignore' | number

/** A child and the master's sides of its pipes, by the child's descriptor. */
export interface PipedChild {
  child: ChildProcess
  streams: readonly (Socket | null)[]
}

/** As `spawnAs`. Throws what that throws, and the Failure `pipes`; nothing stays open then. */
export function spawnPiped(
  stock: Pick<PipeStock, 'take'>,
  credentials: Credentials | null,
  program: Program,
  stdio: readonly PipedStdio[],
  options: Omit<ProgramOptions, 'stdio'>,
): PipedChild {
  const pipes: (Pipe | null)[] = []
  try {
    for (const what of stdio) pipes.push(isKind(what) ? stock.take(what) : null)
    const given = stdio.map((what, fd) => pipes[fd]?.child ?? (what as Exclude<PipedStdio, PipeKind>))
    const child = spawnAs(credentials, program, { ...options, stdio: given })
    child.once('exit', () => endStopped(child.pid))
    return { child, streams: pipes.map((pipe, fd) => pipe && openSide(pipe, stdio[fd] === 'from-child')) }
  } catch (error) {
    for (const pipe of pipes) if (pipe !== null) closeSync(pipe.master)
    throw error
  } finally {
    for (const pipe of pipes) if (pipe !== null) closeSync(pipe.child)
  }
}

/**
 * libuv takes the stop of a child that made us its tracer (PTRACE_TRACEME) for its exit. Nobody would look after that process any more; its number is not another's, as long as
 * it is a child of ours.
 */
function endStopped(pid: number | undefined): void {
  if (pid === undefined) return
  const stat = readProcessStat(pid)
  if (stat?.parent === process.pid && stat.state === 't') process.kill(pid, 'SIGKILL')
}

function isKind(what: PipedStdio): what is PipeKind {
  return what === 'from-child' || what === 'to-child'
}

/** What fails here has failed for good, and `close` follows: EPIPE of a reader that is gone, ENODATA of a page that was cut off its file. */
function openSide({ master }: Pipe, reads: boolean): Socket {
  const socket = new Socket({ fd: master, readable: reads, writable: !reads })
  return socket.on('error', () => {})
}
