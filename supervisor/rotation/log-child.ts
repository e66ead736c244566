/**
 * Has another process move a log away and make a new one, as the user that decides about the folder: rename(2) and
 * open(2) with O_CREAT wait while another process has locked the file or its folder, and the master would stand still
 * for as long. Must stay true: one child at a time. A child that takes too long is killed and not waited for, and no
 * other starts until it has ended. The only names accepted from its answer are names of backups of this log; they are
 * removed as its user. The child keeps the new log open until `open`, so the master looks up no name in that folder.
 */

import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { basename, dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseWithin } from '../../kit/channel/json-bounds.js'
import type { Credentials } from '../../kit/channel/messages.js'
import { reasonOf } from '../../kit/ground/failure.js'
import { builtFile } from '../../kit/ground/places.js'
import { entryCommand } from '../child/child-programs.js'
import { answerOf } from '../user/child-answer.js'
import { removals } from '../user/file-removal.js'
import { explain, type Opening, openingOf } from '../user/guarded-path.js'
import { hasEnded, type KilledChild, killForGood } from '../user/killed-child.js'
import { type PipedChild, type Pipes, spawnPiped } from '../user/pipes.js'
import { backupsAmong } from './log-backup.js'
import type { LogAnswer, LogRequest } from './log-child-main.js'
import { openMadeMasterLog } from './master-log.js'
import { type LogPlace, openOfferedLog, placeOf } from './offered-log.js'

const ENTRY = builtFile('supervisor/rotation/log-child-main.js')
/** Nobody waits for the child. On a busy machine Node alone takes seconds to start. */
const CHILD_MS = 10_000
/** Room for a thousand names. */
const LONGEST_ANSWER = 1 << 19

export interface LogChildOptions {
  path: string
  owner: Credentials | null
  pipes: Pipes
  /** Replaces Node and its entry file. */
  command?: readonly string[]
  childMs?: number
  /** Gets the reports on tracers. */
  tell?: KilledChild['tell']
}

/** A child that has answered. `fd`: its descriptor of the log; null: it has none, or the master has opened the log. */
interface Made {
  child: ChildProcess
  fd: number | null
  ended: Promise<void>
  /** Ends it. */
  kill(): void
}

/** `said`: the whole answer. */
interface Started extends Pick<Made, 'child' | 'ended' | 'kill'> {
  said: Promise<string>
}

/** The child of one log. A second one with the same options works beside it. */
export class LogChild {
  readonly options: Required<Omit<LogChildOptions, 'tell'>> & Pick<LogChildOptions, 'tell'>
  /** A child that has not ended, or that is about to start. The master may have given up waiting for it. */
  #running: object | null = null
  #kill = () => {}
  #made: Made | null = null
  #home: LogPlace | null = null

  constructor({ command = entryCommand(ENTRY), childMs = CHILD_MS, ...options }: LogChildOptions) {
    this.options = { ...options, command, childMs }
  }

  /** `fd`: the descriptor of the log that is open at the start. Later logs lie in the same mount. */
  learn(fd: number): void {
    this.#home = placeOf(fd)
  }

  /** Makes the log. Rejects with the reason if it is not made. */
  async make(): Promise<void> {
    await this.#ask({ leastBytes: null, kept: 0, looks: false, opens: true })
  }

  /**
   * Moves a log of at least `leastBytes` away, makes a new one, and has the oldest backups past `kept` removed. Rejects
   * with the reason if that is not done.
   */
  async move(wanted: Pick<LogRequest, 'kept' | 'looks'> & { leastBytes: number }): Promise<LogAnswer> {
    return await this.#ask({ ...wanted, opens: true })
  }

  /** Has the oldest backups past `kept` removed, and touches nothing else. Rejects with the reason if that fails. */
  async prune(kept: number): Promise<LogAnswer> {
    return await this.#ask({ leastBytes: null, kept, looks: true, opens: false })
  }

  /**
   * Opens the log that `make` or `move` has made, once, and ends that child; looks up no name in a folder of the
   * service's user. A log about which root alone, or the master's own user, decides is opened by its name. Throws the
   * reason if it is not open.
   */
  open(): number {
    const { path, owner } = this.options
    const made = this.#made
    try {
      const opening = openingOf(path, 'name', owner)
      if (opening.as === null) return openMadeMasterLog(path, owner)
      const { pid, fd } = { pid: made?.child.pid, fd: made?.fd ?? null }
      if (made === null || pid === undefined || fd === null || hasEnded(made.child))
        throw new Error(`${path}: no process has it open for the master`)
      if (this.#home === null) throw new Error(`${path}: it is not known where the log lay at the start`)
      return openOfferedLog({ pid, fd }, opening, this.#home)
    } finally {
      if (made !== null) made.fd = null
      made?.kill()
    }
  }

  stop(): void {
    if (this.#running !== null) this.#kill()
  }

  async #ask(wanted: Omit<LogRequest, 'path' | 'owner'>): Promise<LogAnswer> {
    const { path, owner } = this.options
    await this.#endMade()
    if (this.#running !== null) throw new Error(`${path}: the file system has not answered yet`)
    const opening = openingOf(path, 'name', owner)
    const { child, said, ended, kill } = await this.#start({ ...wanted, path, owner }, opening)
    const answer = readAnswer(await said, path)
    removals.add(dirname(path), answer.excess, opening.as)
    this.#made = { child, fd: answer.fd, ended, kill }
    if (answer.error === null) return answer
    kill()
    throw explain(Object.assign(new Error(answer.error), { code: answer.code }), opening)
  }

  /** Ends an earlier child whose log nobody has opened, or that is about to end by itself. */
  async #endMade(): Promise<void> {
    const made = this.#made
    if (made === null) return
    this.#made = null
    made.kill()
    const deadline = new AbortController()
    const late = delay(this.options.childMs, undefined, { signal: deadline.signal }).catch(() => {})
    await Promise.race([made.ended, late])
    deadline.abort()
  }

  #start(request: LogRequest, { as }: Opening): Promise<Started> {
    const [program = '', ...args] = this.options.command
    const what = { program, args: [...args, JSON.stringify(request), 'daimyo: log'], env: {}, cwd: '/' }
    const run = {}
    const over = () => {
      if (this.#running === run) this.#running = null
    }
    this.#running = run
    return new Promise((resolve, reject) => {
      const started = (piped: PipedChild) => resolve(this.#follow(piped, as, over))
      const failed = (error: unknown) => {
        over()
        reject(error)
      }
      const stdio = ['to-child', 'from-child', 'ignore'] as const
      spawnPiped(this.options.pipes, as, what, stdio, { detached: true }, { started, failed })
    })
  }

  #follow({ child, streams }: PipedChild, as: Opening['as'], over: () => void): Started {
    const { childMs, tell } = this.options
    const [input, output] = streams as [Socket, Socket]
    child.unref()
    let end = () => {}
    const ended = new Promise<void>(resolve => {
      end = () => {
        over()
        input.destroy()
        resolve()
      }
      child.once('exit', end)
      child.once('error', () => child.pid === undefined && end())
    })
    const kill = () => killForGood(child, { credentials: as, tell, letGo: end })
    this.#kill = kill
    const said = answerOf(child, output, { withinMs: childMs, longest: LONGEST_ANSWER, kill })
    return { child, said, ended, kill }
  }
}

/** Of an answer with a thousand names. */
const ANSWER_BOUNDS = { depth: 2, values: 2000, members: 20, beginnings: 50, numerals: 10 }

/** A process of the service's user may have written this text. */
function readAnswer(text: string, path: string): LogAnswer {
  const broken = {
    excess: [],
    isCrowded: false,
    lookMs: 0,
    error: `${path}: no process could look after it`,
    code: '',
    fd: null,
  }
  try {
    const { excess, isCrowded, lookMs, error, code, fd } = parseWithin(text, ANSWER_BOUNDS) as LogAnswer
    const isWhole = Array.isArray(excess) && excess.every(name => typeof name === 'string')
    if (!isWhole || typeof lookMs !== 'number' || ![error ?? '', code].every(word => typeof word === 'string'))
      return broken
    const names = backupsAmong(excess, basename(path))
    const isNumber = Number.isSafeInteger(fd) && Number(fd) >= 0
    return { excess: names, isCrowded: isCrowded === true, lookMs, error, code, fd: isNumber ? fd : null }
  } catch (error) {
    return { ...broken, error: `${broken.error}: ${reasonOf(error)}` }
  }
}
