/**
 * Has a log moved away, and a new one made, by another process: as the user who decides about the folder, because rename(2) and open(2) with O_CREAT wait for
 * whoever has locked the file or its folder. The master would stand still for as long. Made by `run-command.ts`.
 * Must stay true: one child at a time; one that takes too long is killed and not waited for, and until it has ended there is no other; nothing that it says
 * is believed but names of backups of this log, which are removed as its user.
 */

import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { basename, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Credentials } from '../../kit/channel/messages.js'
import { reasonOf } from '../../kit/ground/failure.js'
import { inspectorArguments } from '../../kit/process/uninvited-inspector.js'
import { FIRST_ARGUMENTS } from '../child/child-programs.js'
import { removals } from '../user/file-removal.js'
import { explain, type Opening, openingOf } from '../user/guarded-path.js'
import { type KilledChild, killForGood } from '../user/killed-child.js'
import { type PipeStock, spawnPiped } from '../user/pipes.js'
import { backupsAmong } from './log-backup.js'
import type { LogAnswer, LogRequest } from './log-child-main.js'

const ENTRY = fileURLToPath(new URL('./log-child-main.js', import.meta.url))
const CHILD_MS = 3000
/** A thousand names. */
const LONGEST_ANSWER = 1 << 19

export interface LogChildOptions {
  path: string
  owner: Credentials | null
  pipes: Pick<PipeStock, 'take'>
  /** Instead of Node and its entry file. */
  command?: readonly string[]
  childMs?: number
  /** Hears of tracers. */
  tell?: KilledChild['tell']
}

/** Of one log. */
export class LogChild {
  readonly #options: Required<Omit<LogChildOptions, 'tell'>> & Pick<LogChildOptions, 'tell'>
  /** Those that were given up have not all ended. */
  #running: ChildProcess | null = null
  #kill = () => {}

  constructor({ command = entryCommand(), childMs = CHILD_MS, ...options }: LogChildOptions) {
    this.#options = { ...options, command, childMs }
  }

  /** Makes the log. Rejects with why it is not made. */
  async make(): Promise<void> {
    await this.#ask({ leastBytes: null, kept: 0, looks: false })
  }

  /** Moves a log of so many bytes away, then makes it, and has the oldest backups past `kept` removed. Rejects with why that is not done. */
  async move(wanted: Pick<LogRequest, 'kept' | 'looks'> & { leastBytes: number }): Promise<LogAnswer> {
    return await this.#ask(wanted)
  }

  stop(): void {
    if (this.#running !== null) this.#kill()
  }

  async #ask(wanted: Omit<LogRequest, 'path' | 'owner'>): Promise<LogAnswer> {
    const { path, owner, childMs, tell } = this.#options
    if (this.#running !== null) throw new Error(`${path}: the file system has not answered yet`)
    const opening = openingOf(path, 'name', owner)
    const { child, output } = this.#start({ ...wanted, path, owner }, opening)
    this.#running = child
    const end = () => {
      if (this.#running === child) this.#running = null
    }
    child.once('exit', end)
    this.#kill = () => killForGood(child, { credentials: opening.as, tell, letGo: end })
    const answer = readAnswer(await textOf(child, output, childMs, this.#kill), path)
    const as = opening.as
    removals.add(dirname(path), answer.excess, as)
    if (answer.error === null) return answer
    throw explain(Object.assign(new Error(answer.error), { code: answer.code }), opening)
  }

  #start(request: LogRequest, { as }: Opening): { child: ChildProcess; output: Socket } {
    const [program = '', ...args] = this.#options.command
    const what = { program, args: [...args, JSON.stringify(request), 'daimyo: log'], env: {}, cwd: '/' }
    const { pipes } = this.#options
    const { child, streams } = spawnPiped(pipes, as, what, ['ignore', 'from-child', 'ignore'], { detached: true })
    child.unref()
    return { child, output: streams[1] as Socket }
  }
}

function entryCommand(): string[] {
  return [process.execPath, ...inspectorArguments([], {}), ...FIRST_ARGUMENTS, ENTRY]
}

/** All that it says until it ends; rejects where that takes too long. */
function textOf(child: ChildProcess, output: Socket, withinMs: number, kill: () => void): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const giveUp = () => {
      reject(new Error(`the file system has not answered within ${withinMs} ms`))
      output.destroy()
      kill()
    }
    const deadline = setTimeout(giveUp, withinMs)
    output.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.length > LONGEST_ANSWER) giveUp()
    })
    // What `kill` may not do is an error too, and no end.
    child.on('error', error => {
      if (child.pid === undefined) reject(error)
    })
    let awaited = 2
    const end = () => {
      awaited -= 1
      if (awaited > 0) return
      clearTimeout(deadline)
      resolve(said)
    }
    child.on('exit', end)
    output.on('close', end)
  })
}

/** A process of the service's user may have written it. */
function readAnswer(text: string, path: string): LogAnswer {
  const broken = { excess: [], isCrowded: false, lookMs: 0, error: `${path}: no process could look after it`, code: '' }
  try {
    const { excess, isCrowded, lookMs, error, code } = JSON.parse(text) as LogAnswer
    const isWhole = Array.isArray(excess) && excess.every(name => typeof name === 'string')
    if (!isWhole || typeof lookMs !== 'number' || ![error ?? '', code].every(word => typeof word === 'string'))
      return broken
    return { excess: backupsAmong(excess, basename(path)), isCrowded: isCrowded === true, lookMs, error, code }
  } catch (error) {
    return { ...broken, error: `${broken.error}: ${reasonOf(error)}` }
  }
}
