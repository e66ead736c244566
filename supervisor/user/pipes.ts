/**
 * Pipes between the master and its children: one-way streams of bytes. Each is a connected pair of TCP sockets on the
 * loopback (`loopback-pairs.ts`), of which the master has one end and the child the other. Over a unix socket any
 * program may send a descriptor whose last close(2) waits; a pipe of the kernel has one lock for both sides, which the
 * child may hold while the master reads. TCP sockets have neither: docs/decisions/loopback-pairs.md.
 *
 * What must stay true: the master never writes to a pipe from a child, so the child's end closes in order and no byte
 * of it is lost. The master never reads a pipe to a child, so bytes that the child writes there wait in the kernel, and
 * harm that child alone. The child's end is open in the master until the child is started, and no longer.
 */

import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Credentials } from '../../kit/channel/messages.js'
import { EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { type Program, type ProgramOptions, spawnAs } from './become-user.js'
import { connectPairs, type Made, type PairOptions } from './loopback-pairs.js'

/** The direction of the bytes, seen from the child. */
export type PipeKind = 'from-child' | 'to-child'

/** The two ends of one pipe. */
export interface Pipe {
  master: Socket
  child: Socket
}

/** The pipes of a worker or a proxy. Hooks, daemons and cron jobs need one less. */
const OF_CHILD: Readonly<Record<PipeKind, number>> = { 'from-child': 3, 'to-child': 1 }
const KINDS: readonly PipeKind[] = ['from-child', 'to-child']
/** Pipes for this number of children are kept ready. */
const CHILDREN = 2
/** The most pipes of one kind that are made at a time. Each takes two descriptors. */
const MOST_AT_ONCE = 96

/** A caller that waits for pipes. */
interface Asking {
  kinds: readonly PipeKind[]
  answer: (pipes: Pipe[] | Failure) => void
}

/** Open pipes that are not used yet. Making a pipe takes some turns of the loop; most children find theirs ready. */
export class PipeStock {
  readonly #options: Omit<PairOptions, 'isPaused'>
  readonly #ready: Record<PipeKind, Pipe[]> = { 'from-child': [], 'to-child': [] }
  #asking: Asking[] = []
  #making: Promise<void> | null = null
  #isDue = false
  #why: Made['why'] = null
  #isClosed = false

  constructor(options: Omit<PairOptions, 'isPaused'> = {}) {
    this.#options = options
  }

  /**
   * Answers at once if the pipes are ready, otherwise as soon as they are, in the order of the calls. Failure `pipes`
   * (71): they cannot be made, which is known after a few seconds at most. The result cancels the call.
   */
  ask(kinds: readonly PipeKind[], answer: Asking['answer']): () => void {
    const asking = { kinds, answer }
    this.#asking.push(asking)
    this.#serve()
    if (this.#isClosed) this.#refuse()
    else this.#refillSoon()
    return () => {
      this.#asking = this.#asking.filter(other => other !== asking)
    }
  }

  /** Fills the stock in the background, for this number of children. `demand` and waiting callers report failures. */
  fill(children = CHILDREN): Promise<void> {
    if (!this.#isClosed) this.#making ??= this.#make(children).finally(() => (this.#making = null))
    return this.#making ?? Promise.resolve()
  }

  /** Failure `pipes`: the stock could not be filled. */
  demand(): void {
    if (KINDS.some(kind => this.#ready[kind].length === 0)) throw this.#failure()
  }

  /** Closes the stock: it gives out no more pipes. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#refuse()
    await this.#making
    for (const kind of KINDS) for (const pipe of this.#ready[kind].splice(0)) closePipe(pipe)
  }

  #serve(): void {
    for (;;) {
      const [first] = this.#asking
      if (first === undefined || this.#isClosed || KINDS.some(kind => this.#lack(kind, [first]) > 0)) return
      this.#asking.shift()
      first.answer(first.kinds.map(kind => this.#take(kind)))
    }
  }

  #take(kind: PipeKind): Pipe {
    const pipe = this.#ready[kind].pop()
    if (pipe === undefined) throw new Error(`no pipe is ready: ${kind}`)
    pipe.master.ref()
    return pipe
  }

  /** How many pipes the waiting callers lack. */
  #lack(kind: PipeKind, asking: readonly Asking[]): number {
    const wanted = asking.flatMap(({ kinds }) => kinds).filter(other => other === kind)
    return wanted.length - this.#ready[kind].length
  }

  /** Waits for everything that starts in this turn of the loop. */
  #refillSoon(): void {
    const isShort = KINDS.some(kind => this.#ready[kind].length < OF_CHILD[kind])
    if (this.#isDue || !(isShort || this.#asking.length > 0)) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      void this.fill()
    })
  }

  async #make(children: number): Promise<void> {
    do {
      const made = await Promise.all(KINDS.map(kind => this.#makeKind(kind, children)))
      this.#serve()
      // Callers keep waiting while pipes can still be made.
      if (!made.includes(true)) this.#refuse()
    } while (this.#asking.length > 0 && !this.#isClosed)
  }

  /** Resolves with true if at least one pipe was made. */
  async #makeKind(kind: PipeKind, children: number): Promise<boolean> {
    const count = Math.min(children * OF_CHILD[kind] + this.#lack(kind, this.#asking), MOST_AT_ONCE)
    if (count <= 0) return false
    const { pairs, why } = await connectPairs(count, { ...this.#options, isPaused: kind === 'to-child' })
    if (why !== null) this.#why = why
    const pipes = pairs.map(({ near, far }) => newPipe(kind, near, far))
    if (this.#isClosed) {
      for (const pipe of pipes) closePipe(pipe)
      return false
    }
    for (const pipe of pipes) this.#keep(kind, pipe)
    return pipes.length > 0
  }

  /** A pipe that ends while it is in the stock is dropped: a user who may end other users' connections can end it. */
  #keep(kind: PipeKind, pipe: Pipe): void {
    this.#ready[kind].push(pipe)
    const drop = () => {
      const ready = this.#ready[kind]
      const index = ready.indexOf(pipe)
      if (index < 0) return
      ready.splice(index, 1)
      closePipe(pipe)
      this.#refillSoon()
    }
    pipe.master.once('close', drop)
    pipe.child.once('close', drop)
  }

  #refuse(): void {
    for (const { answer } of this.#asking.splice(0)) answer(this.#failure())
  }

  #failure(): Failure {
    const why = this.#isClosed ? 'the master is ending' : reasonOf(this.#why ?? new Error('none is ready'))
    const remedy = this.#isClosed
      ? undefined
      : REMEDIES.find(({ codes }) => codes.includes(this.#why?.code ?? ''))?.remedy
    const told = ['cannot make pipes for children on the loopback', why, ...(remedy === undefined ? [] : [remedy])]
    return new Failure('pipes', told.join(': '), EXIT.os, this.#why)
  }
}

/** By the code of the failure. */
const REMEDIES: readonly { codes: readonly string[]; remedy: string }[] = [
  {
    codes: ['EMFILE', 'ECONNRESET'],
    remedy: 'the master may have no descriptors left: LimitNOFILE in the unit, or max-fd',
  },
  { codes: ['ENFILE'], remedy: 'the system has no descriptors left: sysctl fs.file-max' },
  { codes: ['EADDRINUSE'], remedy: 'all local ports are taken: ss -tanp, sysctl net.ipv4.ip_local_port_range' },
  {
    codes: ['EADDRNOTAVAIL', 'ENETUNREACH'],
    remedy:
      'the loopback is down (ip link set lo up), or all local ports are taken (ss -tanp, sysctl net.ipv4.ip_local_port_range)',
  },
  {
    codes: ['EAFNOSUPPORT', 'EACCES', 'EPERM'],
    remedy:
      'the unit forbids it: RestrictAddressFamilies, SocketBindDeny and IPAddressDeny must let the loopback through',
  },
  {
    codes: ['ETIMEDOUT', 'ECONNREFUSED'],
    remedy:
      'a packet filter (nft list ruleset, IPAddressDeny in the unit) must let the loopback through, or the master has no descriptors left: LimitNOFILE in the unit, or max-fd',
  },
]

/** An unused pipe keeps no process alive. */
function newPipe(kind: PipeKind, master: Socket, child: Socket): Pipe {
  // After any error here the other end is gone. `close` follows.
  for (const socket of [master, child]) socket.unref().on('error', () => {})
  // Without the reset, TIME_WAIT would keep the port for a minute. At `end` all bytes of the child have arrived.
  if (kind === 'from-child') master.once('end', () => master.resetAndDestroy())
  // The readable half is never read to its end, so the socket would not close by itself.
  else master.once('finish', () => master.destroy())
  return { master, child }
}

function closePipe({ master, child }: Pipe): void {
  master.destroy()
  child.destroy()
}

/**
 * For each descriptor of the child: a pipe, or a value of `spawn`. libuv makes descriptors 0, 1 and 2 blocking, no
 * others.
 */
export type PipedStdio = PipeKind | 'inherit' | 'ignore' | number

/** A child and the master's ends of its pipes, by the child's descriptor. */
export interface PipedChild {
  child: ChildProcess
  streams: readonly (Socket | null)[]
}

/** The stock from which children get their pipes. */
export type Pipes = Pick<PipeStock, 'ask'>

/**
 * Exactly one of both is called, at once or when the pipes are ready. `failed` gets the error of `spawnAs`, or the
 * Failure `pipes`; then nothing stays open.
 */
export interface PipedStart {
  started(piped: PipedChild): void
  failed(error: unknown): void
}

/** Like `spawnAs`. The result cancels a start that still waits for its pipes: then neither callback is called. */
export function spawnPiped(
  stock: Pipes,
  credentials: Credentials | null,
  program: Program,
  stdio: readonly PipedStdio[],
  options: Omit<ProgramOptions, 'stdio'>,
  { started, failed }: PipedStart,
): () => void {
  return stock.ask(stdio.filter(isKind), pipes => {
    if (pipes instanceof Failure) return failed(pipes)
    const ends = stdio.map(what => (isKind(what) ? (pipes.shift() ?? null) : null))
    let child: ChildProcess
    try {
      const given = stdio.map((what, fd) => ends[fd]?.child ?? (what as Exclude<PipedStdio, PipeKind>))
      child = spawnAs(credentials, program, { ...options, stdio: given })
    } catch (error) {
      for (const pipe of ends) pipe?.master.destroy()
      return failed(error)
    } finally {
      for (const pipe of ends) pipe?.child.destroy()
    }
    started({ child, streams: ends.map(pipe => pipe?.master ?? null) })
  })
}

function isKind(what: PipedStdio): what is PipeKind {
  return what === 'from-child' || what === 'to-child'
}
