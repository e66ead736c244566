/**
 * The files that a running master was started from, and what an upgrade in place has made of them: of daimyo, or of
 * Node. Looked at before each start of a child, at each reload and for each status.
 *
 * A build (`prepare.mjs`) describes itself in `supervisor/build.json`. There are three cases. The master's own files
 * are there and the program that it was started by leads to others by now: its children go on with its own, until a
 * restart. Its own files were replaced, as npm does: new children are of the new build, where that speaks the same
 * protocols. They are gone, or speak others: no child is started, and the reason says so. Must stay true: an event for
 * each change, told once; a build without a description is never compared.
 */

import { readFileSync, realpathSync, statSync } from 'node:fs'
import type { Socket } from 'node:net'
import { dirname, join } from 'node:path'
import type { Credentials } from '../../kit/channel/messages.js'
import { builtFile } from '../../kit/ground/places.js'
import type { Log } from '../../kit/log/log.js'
import { BRIEFLY } from '../user/become-user.js'
import { lastWordsOf } from '../user/last-words.js'
import { type PipedChild, type Pipes, spawnPiped } from '../user/pipes.js'

/** What a build says of itself. `link` and `channel`: the protocols that its processes speak with each other. */
export interface Build {
  version: string
  digest: string
  link: string
  channel: string
}

/** `notices`: what a person has to know, one line each. `obstacle`: why no child can be started; null: they can. */
export interface Finding {
  notices: string[]
  obstacle: string | null
}

export const NOTHING_CHANGED: Finding = { notices: [], obstacle: null }

/** What the master was started by. */
export interface StartedBy {
  /** The folder of the master's own code. */
  folder: string
  /** As it was typed or stands in the unit: it may be a link that leads elsewhere by now. */
  program: string
  /** The path of Node. */
  node: string
}

export interface InstallationOptions extends StartedBy {
  log: Log
  /** The version of the Node that is there now, such as `v22.1.0`; null: it does not say. */
  nodeVersion: () => Promise<string | null>
}

/** Beside the entry file `daimyo.js`. */
export const BUILD_FILE = 'build.json'
const LONGEST_VERSION = 40

/** Of this process. `build.json` lies beside the entry file, whose folder this is. */
export function ownFiles(): StartedBy {
  const folder = builtFile('supervisor')
  return { folder, program: process.argv[1] ?? folder, node: process.execPath }
}

/** One master's look at them. */
export class Installation {
  readonly #options: InstallationOptions
  readonly #started: Build | null
  #node: string | null
  #nodeNotice: string | null = null
  readonly #told = new Set<string>()

  constructor(options: InstallationOptions) {
    this.#options = options
    this.#started = readBuild(join(options.folder, BUILD_FILE))
    this.#node = identityOf(options.node)
  }

  /** What holds at this moment. */
  look(): Finding {
    const { folder, program } = this.#options
    this.#lookAtNode()
    const found =
      this.#started === null
        ? NOTHING_CHANGED
        : compareBuilds(this.#started, readBuild(join(folder, BUILD_FILE)), installedBuild(program))
    const notices = [...found.notices, ...(this.#nodeNotice === null ? [] : [this.#nodeNotice])]
    for (const why of notices) this.#tell(why)
    return { ...found, notices }
  }

  /**
   * Its version is asked for beside, and told by a later look. Node that is gone is told by the start that fails
   * (`start-obstacle.ts`).
   */
  #lookAtNode(): void {
    const now = identityOf(this.#options.node)
    if (now === null || now === this.#node) return
    this.#node = now
    void this.#options.nodeVersion().then(version => {
      const isOther = version !== null && version !== process.version
      this.#nodeNotice = isOther ? `Node was upgraded from ${process.version} to ${version}: restart` : null
      if (this.#nodeNotice !== null) this.#tell(this.#nodeNotice)
    })
  }

  #tell(why: string): void {
    if (this.#told.has(why)) return
    this.#told.add(why)
    this.#options.log('restart-needed', { why })
  }
}

/**
 * What became of the build that a master was started from. `own`: what lies in its folder now. `installed`: where a
 * restart would lead. null: there is none, or it does not say. Pure.
 */
export function compareBuilds(started: Build, own: Build | null, installed: Build | null): Finding {
  if (own?.digest === started.digest) {
    if (installed === null || installed.digest === started.digest) return NOTHING_CHANGED
    return { notices: [`${upgrade(started, installed)}: restart`], obstacle: null }
  }
  if (own === null) {
    const why = `the files of daimyo ${nameOf(started)} are gone: restart`
    return { notices: [why], obstacle: why }
  }
  const fits = own.link === started.link && own.channel === started.channel
  if (fits) return { notices: [`${upgrade(started, own)}: restart`], obstacle: null }
  const protocols = ({ link, channel }: Build) => `${link} and ${channel}`
  const why = `${upgrade(started, own)}, which speaks ${protocols(own)} and not ${protocols(started)}: restart`
  return { notices: [why], obstacle: why }
}

function upgrade(from: Build, to: Build): string {
  return `daimyo was upgraded from ${nameOf(from)} to ${nameOf(to)}`
}

/** Two builds may have one version. */
function nameOf({ version, digest }: Build): string {
  return `${version} (${digest.slice(0, 8)})`
}

/** Of the build that this file describes; null: there is none. */
export function digestOf(path: string): string | null {
  return readBuild(path)?.digest ?? null
}

/** null: there is none, or it is none of ours. */
function readBuild(path: string): Build | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return isBuild(value) ? value : null
  } catch {
    // ENOENT and the like, or half a file: nothing is known.
    return null
  }
}

function isBuild(value: unknown): value is Build {
  if (typeof value !== 'object' || value === null) return false
  return ['version', 'digest', 'link', 'channel'].every(name => typeof Reflect.get(value, name) === 'string')
}

function installedBuild(program: string): Build | null {
  try {
    return readBuild(join(dirname(realpathSync(program)), BUILD_FILE))
  } catch {
    // The link leads nowhere at the moment.
    return null
  }
}

/** null: there is no such file. */
function identityOf(path: string): string | null {
  try {
    const { dev, ino, size, mtimeMs } = statSync(path)
    return `${dev} ${ino} ${size} ${mtimeMs}`
  } catch {
    return null
  }
}

/** Asks Node itself, as the user that children are. */
export function askNodeVersion(credentials: Credentials | null, pipes: Pipes): Promise<string | null> {
  return new Promise(resolve => {
    const program = { program: process.execPath, args: ['--version'], env: {}, cwd: '/' }
    const started = ({ child, streams }: PipedChild) => {
      let said = ''
      const stdout = streams[1] as Socket
      stdout.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(0, LONGEST_VERSION)
      })
      const awaitLastWords = lastWordsOf([stdout])
      child.on('error', () => resolve(null))
      child.on('exit', () => awaitLastWords(() => resolve(/^v\d[\w.-]*(?=\n)/.exec(said)?.[0] ?? null)))
    }
    // A Failure: the user cannot be had. What cannot be asked is not known.
    const failed = () => resolve(null)
    spawnPiped(pipes, credentials, program, ['ignore', 'from-child', 'ignore'], BRIEFLY, { started, failed })
  })
}
