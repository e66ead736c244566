/**
 * Looks at watched paths by stat(1) and ls(1) of the system, for a root master with another user's service. The user
 * who decides about a folder or a link of such a path may lead it to a file system that never answers (FUSE). A thread
 * of the master would wait there, and with it each change of the master's identity (`service-user.ts`).
 *
 * Must stay true: each program runs as the user who decides about its paths, and as root only if root alone does. A
 * late program is killed and not waited for. Until it has ended, no other program looks at its path, so there are never
 * more programs than paths.
 */

import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Credentials } from '../../kit/channel/messages.js'
import { reasonOf } from '../../kit/ground/failure.js'
import { systemProgram } from '../../kit/ground/system-path.js'
import { type KilledChild, killForGood } from '../user/killed-child.js'
import { lastWordsOf } from '../user/last-words.js'
import { type PipedChild, type PipedStdio, type Pipes, spawnPiped } from '../user/pipes.js'
import type { Look } from './watched-path.js'

const LOOK_MS = 3000
/** For a path that was late, and alone. */
const RETRY_MS = 30_000
/** For all names on one command line. */
const MOST_NAME_BYTES = 1 << 16
/** The most bytes that are read from one program: some 20,000 entries of a folder. */
const MOST_TEXT_BYTES = 1 << 21

/**
 * A path, and the user who looks at it. `as` null: root. `entries`: for a folder, look at its entries too. `key`
 * identifies this look.
 */
export interface ChildLook {
  key: string
  path: string
  as: Credentials | null
  entries: boolean
}

export interface ChildLooksOptions {
  pipes: Pipes
  /** Called once for each path that cannot be looked at. */
  tellBlind(path: string, why: string): void
  /** Logs killed tracers, and children that are given up. */
  tell?: KilledChild['tell']
  nowMs?: () => number
  lookMs?: number
  /** Replaces the lookup of programs of the system. */
  find?: (name: string) => string | null
}

interface Started {
  child: ChildProcess
  text: ReturnType<typeof textOf>
}

interface State {
  /** It has not answered yet, so it gets a program of its own. */
  isSuspect: boolean
  againMs: number
  /** A program that looked at it was killed and has not ended. */
  isStuck: boolean
  isTold: boolean
  last: Look
}

/** The language and the time zone of the host must not be a part of the compared text. */
const ENVIRONMENT = { LC_ALL: 'C', TZ: 'UTC0' }
const FORMAT = '%F:%d:%i:%y:%s %n'
const MARK = /[a-z][a-z -]*:\d+:\d+:[\d-]+ [\d:.]+ [+-]\d+:\d+ /y
/** A line of ls: inode, rights, links, owner, group, then size, time and name. */
const ENTRY = /^ *(\d+) \S+ +\d+ +\d+ +\d+ +(.*)$/gm
/** A path that always exists. */
const ROOT = '/'

export class ChildLooks {
  readonly #options: Required<Omit<ChildLooksOptions, 'tell'>> & Pick<ChildLooksOptions, 'tell'>
  readonly #states = new Map<string, State>()
  readonly #running = new Set<ChildProcess>()

  constructor(options: ChildLooksOptions) {
    this.#options = { nowMs: () => performance.now(), lookMs: LOOK_MS, find: systemProgram, ...options }
  }

  /** Looks at all paths. The result, by key, has no entry for a path that did not answer. Never rejects. */
  async look(paths: readonly ChildLook[]): Promise<Map<string, Look>> {
    const seen = new Map<string, Look>()
    const keys = new Set(paths.map(({ key }) => key))
    for (const [key, { isStuck }] of this.#states) if (!isStuck && !keys.has(key)) this.#states.delete(key)
    for (const batch of this.#batches(paths)) {
      const found = await this.#marks(batch)
      if (found === null) continue
      for (const one of batch) {
        const look = await this.#withEntries(one, found.get(one.path) ?? null)
        if (look !== undefined) seen.set(one.key, look)
      }
    }
    return seen
  }

  /** Kills the running programs. Nothing waits for their ends. */
  stop(): void {
    for (const child of this.#running) child.kill('SIGKILL')
  }

  /**
   * Batches by user. A path that may not answer is alone in its batch. Paths with a stuck program, or that were late a
   * moment ago, are left out.
   */
  #batches(paths: readonly ChildLook[]): ChildLook[][] {
    const nowMs = this.#options.nowMs()
    const batches: ChildLook[][] = []
    const open = new Map<string, { batch: ChildLook[]; bytes: number }>()
    for (const look of paths) {
      const state = this.#stateOf(look)
      if (state.isStuck || nowMs < state.againMs) continue
      const user = state.isSuspect ? look.key : `uid ${look.as?.uid ?? 0}`
      const bytes = Buffer.byteLength(look.path)
      const before = open.get(user)
      if (before !== undefined && before.bytes + bytes <= MOST_NAME_BYTES) {
        before.batch.push(look)
        before.bytes += bytes
        continue
      }
      const batch = [look]
      batches.push(batch)
      open.set(user, { batch, bytes })
    }
    return batches
  }

  /** Null: no answer. */
  async #marks(batch: readonly ChildLook[]): Promise<Map<string, string> | null> {
    const names = [ROOT, ...batch.map(({ path }) => path)]
    const said = await this.#run(batch, 'stat', ['-L', '-c', FORMAT, '--', ...names], 1)
    const marks = said === null ? null : readMarks(said, names)
    // A missing mark of `/` means that another program failed before stat began, or that stat was killed.
    if (marks === null || !marks.has(ROOT)) return null
    for (const look of batch) {
      const state = this.#stateOf(look)
      state.isSuspect = false
      const mark = marks.get(look.path) ?? null
      if (mark === null && state.last !== null) await this.#tellHidden(look)
      if (mark !== null) state.isTold = false
      state.last = mark
    }
    return marks
  }

  /** The path does not exist, or this user may not see it. */
  async #tellHidden(look: ChildLook): Promise<void> {
    const why = await this.#run([look], 'stat', ['-L', '--', look.path], 2)
    if (why?.trimEnd().endsWith(': Permission denied')) this.#tell(look, `uid=${look.as?.uid ?? 0} may not see it`)
  }

  /** Undefined: no answer. */
  async #withEntries(look: ChildLook, mark: string | null): Promise<Look | undefined> {
    if (mark === null || !look.entries || !mark.startsWith('directory:')) return mark
    const said = await this.#run([look], 'ls', ['-AnLi', '--full-time', '--', look.path], 1)
    return said === null ? undefined : `${mark}\n${readEntries(said)}`
  }

  /** The output of the program on this descriptor; null: it was late, killed, or could not be started. */
  async #run(batch: readonly ChildLook[], name: string, args: string[], stream: 1 | 2): Promise<string | null> {
    try {
      const { child, text } = await this.#start(batch[0]?.as ?? null, name, args, stream)
      const said = await text
      if (said === 'late') this.#late(batch, child)
      return said === 'late' ? null : said
    } catch (error) {
      for (const look of batch) this.#tell(look, reasonOf(error))
      return null
    }
  }

  async #start(as: Credentials | null, name: string, args: string[], stream: 1 | 2): Promise<Started> {
    const program = this.#options.find(name)
    if (program === null) throw new Error(`${name} is not installed (coreutils)`)
    const stdio: PipedStdio[] = stream === 1 ? ['ignore', 'from-child', 'ignore'] : ['ignore', 'ignore', 'from-child']
    const what = { program, args, env: ENVIRONMENT, cwd: '/' }
    return await new Promise((resolve, failed) => {
      const started = ({ child, streams }: PipedChild) => {
        child.unref()
        this.#running.add(child)
        child.once('exit', () => this.#running.delete(child))
        resolve({ child, text: textOf(child, streams[stream] as Socket, this.#options.lookMs) })
      }
      spawnPiped(this.#options.pipes, as, what, stdio, { detached: true }, { started, failed })
    })
  }

  /** Handles a late program. In a batch of several paths, the one that does not answer is unknown. */
  #late(batch: readonly ChildLook[], child: ChildProcess): void {
    const { nowMs, lookMs } = this.#options
    for (const look of batch) this.#stateOf(look).isSuspect = true
    const [look, ...others] = batch
    const kill = (letGo: () => void) => {
      const end = () => {
        this.#running.delete(child)
        letGo()
      }
      killForGood(child, { credentials: look?.as ?? null, tell: this.#options.tell, letGo: end })
    }
    if (look === undefined || others.length > 0) return kill(() => {})
    this.#tell(look, `not seen within ${lookMs} ms`)
    const state = this.#stateOf(look)
    state.againMs = nowMs() + RETRY_MS
    state.isStuck = true
    const end = () => {
      state.isStuck = false
    }
    child.once('exit', end)
    kill(end)
  }

  #tell(look: ChildLook, why: string): void {
    const state = this.#stateOf(look)
    if (!state.isTold) this.#options.tellBlind(look.path, why)
    state.isTold = true
  }

  #stateOf({ key }: ChildLook): State {
    const known = this.#states.get(key)
    if (known !== undefined) return known
    const state: State = {
      isSuspect: false,
      againMs: Number.NEGATIVE_INFINITY,
      isStuck: false,
      isTold: false,
      last: '',
    }
    this.#states.set(key, state)
    return state
  }
}

/** The whole output. Null: the program was killed. Rejects if it cannot be started. */
function textOf(child: ChildProcess, output: Socket, withinMs: number): Promise<string | null | 'late'> {
  return new Promise((resolve, reject) => {
    let said = ''
    const deadline = setTimeout(() => {
      resolve('late')
      output.destroy()
    }, withinMs)
    output.setEncoding('utf8').on('data', (text: string) => {
      if (said.length < MOST_TEXT_BYTES) said += text
    })
    const awaitLastWords = lastWordsOf([output])
    child.on('exit', code => {
      awaitLastWords(() => {
        clearTimeout(deadline)
        resolve(code === null ? null : said)
      })
    })
    // A failed `kill` is an `error` event too, but not the end of the child.
    child.on('error', error => {
      if (child.pid !== undefined) return
      clearTimeout(deadline)
      output.destroy()
      reject(error)
    })
  })
}

/** Reads the output of stat for `names`, in their order. The result holds a mark for each existing name. Pure. */
export function readMarks(text: string, names: readonly string[]): Map<string, string> {
  const found = new Map<string, string>()
  let at = 0
  for (const name of names) {
    MARK.lastIndex = at
    const [mark] = MARK.exec(text) ?? []
    if (mark === undefined) break
    const line = `${mark}${name}\n`
    if (!text.startsWith(line, at)) continue
    found.set(name, mark.trimEnd())
    at += line.length
  }
  return found
}

/** Reads the output of ls: everything that a change of an entry changes, except its rights and its owner. Pure. */
export function readEntries(text: string): string {
  return [...text.matchAll(ENTRY)].map(([, inode, rest]) => `${inode} ${rest}`).join('\n')
}
