/**
 * Notices an upgrade, of daimyo or of Node, of the files from which the running master was started. Checked before each
 * start of a child, at each reload and for each status.
 *
 * A build (`prepare.mjs`) describes itself in `supervisor/build.json`. There are three cases:
 * - The master's own files exist, but the program by which it was started leads to another build. Children use the
 *   master's files until a restart.
 * - Its files were replaced, as npm does. New children use the new build if that speaks the same protocols.
 * - Its files are gone, or speak other protocols. No child is started, and the reason says so.
 *
 * What must stay true: each change is logged once. A build without a description is never compared.
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

/** A build's description of itself. `link` and `channel`: the protocols between its processes. */
export interface Build {
  version: string
  digest: string
  link: string
  channel: string
}

/** `notices`: lines for the operator. `obstacle`: why no child can be started. Null: children can be started. */
export interface Finding {
  notices: string[]
  obstacle: string | null
}

export const NOTHING_CHANGED: Finding = { notices: [], obstacle: null }

/** The paths from which the master was started. */
export interface StartedBy {
  /** The folder of the master's own code. */
  folder: string
  /** The path as it was typed, or as in the unit. It may be a link that leads elsewhere by now. */
  program: string
  /** The path of Node. */
  node: string
}

export interface InstallationOptions extends StartedBy {
  log: Log
  /** The version of the Node that is installed now, such as `v22.1.0`. Null: unknown. */
  nodeVersion: () => Promise<string | null>
}

/** The file lies beside the entry file `daimyo.js`. */
export const BUILD_FILE = 'build.json'
const LONGEST_VERSION = 40

/** The paths of this process. `build.json` lies in the folder of the entry file. */
export function ownFiles(): StartedBy {
  const folder = builtFile('supervisor')
  return { folder, program: process.argv[1] ?? folder, node: process.execPath }
}

/** One master's view of the installed files. */
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

  /** The current finding. */
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
   * Asks for the version of a changed Node in the background; a later look reports it. If Node is gone, the start that
   * fails reports it (`start-obstacle.ts`).
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
 * Compares the build from which a master was started. `own`: the build in its folder now. `installed`: the build that a
 * restart would use. Null: there is none, or it has no description. Pure.
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

/** Two builds may have the same version. */
function nameOf({ version, digest }: Build): string {
  return `${version} (${digest.slice(0, 8)})`
}

/** The digest of the build that this file describes. Null: there is no such file. */
export function digestOf(path: string): string | null {
  return readBuild(path)?.digest ?? null
}

/** Null: there is no file, or it is not one of ours. */
function readBuild(path: string): Build | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return isBuild(value) ? value : null
  } catch {
    // ENOENT and others, or a partial file: nothing is known.
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

/** Null: there is no such file. */
function identityOf(path: string): string | null {
  try {
    const { dev, ino, size, mtimeMs } = statSync(path)
    return `${dev} ${ino} ${size} ${mtimeMs}`
  } catch {
    return null
  }
}

/** Runs Node itself, as the user of the children. */
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
    // A Failure: the program cannot run as this user. Then the version is unknown.
    const failed = () => resolve(null)
    spawnPiped(pipes, credentials, program, ['ignore', 'from-child', 'ignore'], BRIEFLY, { started, failed })
  })
}
