/**
 * `master-fifo`: named pipes that take uWSGI's letters (`echo r > shop.fifo`). Several may be named. The master reads
 * one at a time: the first one, until a digit chooses another. The others keep their letters until then.
 *
 * What must stay true: the master accepts only a FIFO of its own user or of root, or one of the service's user in a
 * folder of that user. It refuses any other file and never removes it. A letter only queues an event. An endless writer
 * is read at a bounded pace.
 */

import type { ChildProcess } from 'node:child_process'
import { closeSync, constants, fstatSync, lstatSync, openSync, unlinkSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Credentials } from '../../kit/channel/messages.js'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { SYSTEM_PATH, systemProgram } from '../../kit/ground/system-path.js'
import { type Rate, TokenBucket } from '../../kit/ground/token-bucket.js'
import type { Log } from '../../kit/log/log.js'
import { HERE, type Task, type Tasks } from '../child/task-children.js'
import { LastLines, WholeLines } from '../log/output-lines.js'
import { BRIEFLY } from '../user/become-user.js'
import { onGuardedPath, openingOf } from '../user/guarded-path.js'
import { killForGood } from '../user/killed-child.js'
import { lastWordsOf } from '../user/last-words.js'
import { type PipedChild, type Pipes, spawnPiped } from '../user/pipes.js'
import { sortLetters } from './fifo-letters.js'
import { type Relay, startRelay } from './fifo-relay.js'
import type { SignalEvent } from './signals.js'

/** The group and others. */
const OTHERS_WRITE = 0o022

/** `put` gets a name for the log, and the event of the letter. */
export interface FifoOptions {
  paths: readonly string[]
  opener: Credentials | null
  put: (letter: string, event: SignalEvent) => void
  log: Log
  /** The program that makes a FIFO writes its errors to one of them. */
  pipes: Pipes
  /** Does work in a folder of the service's user. */
  tasks?: Tasks
  /** How often a FIFO is read. */
  reads?: Rate
  find?: typeof systemProgram
  makeMs?: number
  /** After this time, the process that reads a FIFO is started again if it has ended. */
  againMs?: number
}

/**
 * How often a FIFO is read. All letters that came meanwhile are read together. A writer waits while the pipe is full:
 * 64 KB (pipe(7)), or some megabytes with a process that reads it. Nothing is lost, but a command behind a flood may be
 * late by seconds or minutes.
 */
const READS: Rate = { atOnce: 10, perSecond: 0.5 }

/** How long the removal of a FIFO waits. */
const CLOSE_MS = 3000

/** Log lines about letters without a meaning. */
const UNKNOWN_LINES: Rate = { atOnce: 10, perSecond: 0.2 }

/**
 * Opens all FIFOs. Failure `master-fifo`: 71, or 77 if a FIFO belongs to another user. The result closes and removes
 * them.
 */
export async function startMasterFifo(options: FifoOptions): Promise<{ close(): Promise<void> }> {
  const { paths, put, log, reads: pace = READS, againMs = 5000 } = options
  const open: OpenFifo[] = []
  const reads = new TokenBucket(pace, performance.now())
  const tellUnknown = unknownLetters(log)
  let chosen = 0
  let timer: NodeJS.Timeout | null = null
  let isClosed = false
  const listen = () => {
    for (const [number, { socket }] of open.entries()) {
      if (number === chosen && timer === null) socket.resume()
      else socket.pause()
    }
  }
  const hear = (bytes: Uint8Array) => {
    const sorted = sortLetters(bytes, open.length)
    for (const { letter, count } of sorted.unknown) tellUnknown(letter, count)
    for (const { letter, event } of sorted.commands) put(`fifo-${letter}`, event)
    chosen = sorted.chosen ?? chosen
    const nowMs = performance.now()
    reads.spend(1, nowMs)
    const waitMs = reads.waitMs(1, nowMs)
    if (waitMs > 0 && timer === null) {
      timer = setTimeout(() => {
        timer = null
        listen()
      }, waitMs)
    }
    listen()
  }
  const attach = (fifo: OpenFifo) => {
    const { path, socket } = fifo
    socket.on('data', hear)
    socket.on('error', error => log('fifo-trouble', { path, why: reasonOf(error) }))
    socket.on('close', () => {
      if (isClosed) return
      log('fifo-trouble', { path, why: 'the process that reads it has ended; another one is started' })
      openLater(fifo)
    })
  }
  const openLater = (fifo: OpenFifo) => void setTimeout(() => void openAgain(fifo), againMs).unref()
  const openAgain = async (fifo: OpenFifo) => {
    try {
      const next = await openFifo(fifo.path, options)
      if (isClosed) return next.close()
      Object.assign(fifo, next)
      attach(fifo)
      listen()
    } catch (error) {
      if (isClosed) return
      log('fifo-trouble', { path: fifo.path, why: reasonOf(error) })
      openLater(fifo)
    }
  }
  try {
    for (const path of paths) {
      const fifo = { path, ...(await openFifo(path, options)) }
      open.push(fifo)
      attach(fifo)
    }
  } catch (error) {
    isClosed = true
    for (const { close } of open) close()
    throw error
  }
  listen()
  return {
    async close() {
      isClosed = true
      if (timer !== null) clearTimeout(timer)
      for (const { close } of open) close()
      await Promise.all(open.map(({ path }) => remove(path, options)))
    },
  }
}

/** A FIFO that is not removed in time stays. The next start uses it. */
async function remove(path: string, { opener, tasks = HERE, log }: FifoOptions): Promise<void> {
  const options = { credentials: opener, what: `cannot remove ${path}`, withinMs: CLOSE_MS }
  await tasks
    .run(fifoTask, { path, opener }, options)
    .catch(error => log('fifo-trouble', { path, why: reasonOf(error) }))
}

/**
 * Removes a FIFO in another process: the service's user may have put a large file there, and unlink(2) waits until its
 * blocks are free.
 */
export const fifoTask: Task<{ path: string; opener: Credentials | null }, void> = {
  name: 'remove-fifo',
  work: ({ path, opener }) => onGuardedPath(path, 'name', opener, () => removeFifo(path)),
}

/** `unsaid`: how many letters before this one got no line. */
function unknownLetters(log: Log): (letter: string, count: number) => void {
  const lines = new TokenBucket(UNKNOWN_LINES, performance.now())
  let unsaid = 0
  return (letter, count) => {
    if (!lines.takeOne(performance.now())) {
      unsaid += count
      return
    }
    const why = 'not a known letter'
    log('fifo-refused', { letter, ...(count > 1 && { count }), ...(unsaid > 0 && { unsaid }), why })
    unsaid = 0
  }
}

/** An open FIFO. */
interface OpenFifo {
  path: string
  socket: Socket
  close(): void
}

async function openFifo(path: string, options: FifoOptions): Promise<Omit<OpenFifo, 'path'>> {
  const { opener, pipes, log, makeMs = BRIEFLY.timeout } = options
  const { as, reason } = openingOf(path, 'name', opener)
  try {
    if (as === null) {
      // An existing file is checked by `checked`.
      if (lstatSync(path, { throwIfNoEntry: false }) === undefined) await makeFifo(path, as, options)
      return checked(path, openHere(path), options, null)
    }
    const relay = () => startRelay(path, { as, pipes, withinMs: makeMs, tell: log })
    let found = await relay()
    if (found.kind === 'nothing') {
      found.close()
      await makeFifo(path, as, options)
      found = await relay()
    }
    return checked(path, found, options, as)
  } catch (error) {
    if (error instanceof Failure) throw error
    const said = codeOf(error) === 'ELOOP' ? 'it is a link' : reasonOf(error).trim()
    const why = as === null ? said : `${said}, ${reason}`
    throw new Failure('master-fifo', `cannot open the master FIFO: ${path}: ${why}`, EXIT.os, error)
  }
}

/** Accepts the file only if it is a FIFO of a user who may command the master. */
function checked(path: string, found: Relay, { log }: FifoOptions, as: Credentials | null): Omit<OpenFifo, 'path'> {
  const { kind, uid, mode, socket, close } = found
  if (kind === 'fifo' && [process.getuid?.(), 0, as?.uid].includes(uid)) {
    if ((mode & OTHERS_WRITE) !== 0)
      log('fifo-doubtful', { path, why: 'others may write to it, and so command the master' })
    return { socket, close }
  }
  close()
  const why = kind === 'fifo' ? `it belongs to uid ${uid}` : kind === 'link' ? 'it is a link' : 'it is not a FIFO'
  throw new Failure('master-fifo', `cannot open the master FIFO: ${path}: ${why}`, EXIT.permission)
}

/** Opened for writing too: otherwise the end of each writer would be an end of file. */
function openHere(path: string): Relay {
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  const stat = fstatSync(fd)
  if (stat.isFIFO()) {
    const socket = new Socket({ fd, readable: true, writable: false })
    return { kind: 'fifo', uid: stat.uid, mode: stat.mode, socket, close: () => void socket.destroy() }
  }
  closeSync(fd)
  throw new Failure('master-fifo', `cannot open the master FIFO: ${path}: it is not a FIFO`, EXIT.permission)
}

/**
 * Node has no mkfifo(3), so the program mkfifo makes the FIFO. Its errors come over a pipe of ours: no other program of
 * that user can send a descriptor over it. The wait is bounded: that user may stop or trace the program.
 */
async function makeFifo(path: string, as: Credentials | null, options: FifoOptions): Promise<void> {
  const { pipes, log, find = systemProgram, makeMs = BRIEFLY.timeout } = options
  const program = find('mkfifo')
  if (program === null) throw new Error('mkfifo is not installed (coreutils)')
  const what = { program, args: ['-m', '600', '--', path], env: { PATH: SYSTEM_PATH }, cwd: '/' }
  const why = await new Promise<string | null>((resolve, failed) => {
    const started = ({ child, streams }: PipedChild) => {
      const said = streams[2] as Socket
      const kill = () => killForGood(child, { credentials: as, tell: log, letGo: () => {} })
      resolve(whyNotMade(child, said, makeMs, kill).finally(() => said.destroy()))
    }
    spawnPiped(pipes, as, what, ['ignore', 'ignore', 'from-child'], { detached: true }, { started, failed })
  })
  if (why !== null) throw new Error(why)
}

/** Null: the FIFO was made. */
function whyNotMade(child: ChildProcess, said: Socket, withinMs: number, kill: () => void): Promise<string | null> {
  const lines = new LastLines()
  const awaitLastWords = lastWordsOf([said])
  // Another process of that user can write on this pipe too (pidfd_getfd(2)), as much as it likes.
  const whole = new WholeLines(bytes => {
    for (const line of bytes.toString().trimEnd().split('\n')) lines.push(line)
  })
  said.on('data', bytes => whole.push(bytes)).on('end', () => whole.end())
  return new Promise(resolve => {
    const deadline = setTimeout(() => {
      kill()
      child.unref()
      resolve(`not made within ${withinMs} ms`)
    }, withinMs)
    const end = (why: string | null) => {
      clearTimeout(deadline)
      resolve(why)
    }
    child.on('error', error => child.pid === undefined && end(reasonOf(error)))
    child.on('exit', code => {
      if (code === 0) end(null)
      else awaitLastWords(() => end(lines.all().at(-1) ?? `mkfifo ended with ${code ?? 'a signal'}`))
    })
  })
}

function removeFifo(path: string): void {
  try {
    if (lstatSync(path).isFIFO()) unlinkSync(path)
  } catch (error) {
    // ENOENT: it is removed already.
    if (codeOf(error) !== 'ENOENT') throw error
  }
}
