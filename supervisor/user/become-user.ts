/**
 * Starts a program as the service's user, from its first instruction on: workers and proxies (`spawn-child.ts`) and
 * attached processes (`shell-command.ts`).
 *
 * If the master is root or has a capability, setpriv of util-linux starts first: it takes the ids and the groups, drops
 * every capability, and then executes the program. What must stay true:
 *
 * - Setpriv still has the master's privileges, so it gets no variable that makes the C library load or open something:
 *   the environment may come from files of the service's user. env(1) runs next, already as that user, and restores
 *   those variables. Their values are visible in its arguments for a moment. All other variables, secrets among them,
 *   are only ever in the environment.
 * - The groups are passed as numbers, so setpriv asks no user directory.
 * - The working folder is entered as the user, so a link to a folder of root at that place gives the user nothing:
 *   libuv, which is still root, stays in `/`, and env(1) enters the folder after setpriv. If it cannot, `whyNotEntered`
 *   reads its message.
 * - On Linux nothing starts without setpriv. libuv could take the ids itself, but it waits for the child's execve(2),
 *   and the user may stop the child before that (SIGSTOP): the master would hang. macOS has no setpriv, so there libuv
 *   takes them.
 * - A spawn does not change the identity of the master, because such a change could wait for other threads
 *   (`service-user.ts`). Only if env has no `-C` (busybox), the master opens the folder as the user, and the child
 *   enters it by its descriptor.
 */

import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync } from 'node:fs'
import { getSystemErrorMap } from 'node:util'
import type { Credentials } from '../../kit/channel/messages.js'
import { codeOf, EXIT, Failure, reasonOf } from '../../kit/ground/failure.js'
import { systemProgram } from '../../kit/ground/system-path.js'
import { statusField } from '../../kit/process/process-stat.js'
import { spawnOwn, statusOf } from './own-children.js'
import { asServiceUser, groupsOf, O_PATH } from './service-user.js'

/** The program to run, its environment and its working folder. */
export interface Program {
  program: string
  args: readonly string[]
  env: Record<string, string>
  cwd: string
}

/**
 * Options for a program that only answers a question. The user that it becomes may stop it, and a stopped process acts
 * on no signal but SIGKILL.
 */
export const BRIEFLY = { timeout: 5000, killSignal: 'SIGKILL' } as const

/** The system that a program is started on. `find` gives the path of a program of the system. */
export interface System {
  find: typeof systemProgram
  platform: NodeJS.Platform
}

const OURS: System = { find: systemProgram, platform: process.platform }

/** The remedy where setpriv is missing. */
export const SETPRIV_REMEDY = 'install the package util-linux, or setpriv on Alpine'

/** The other options of `spawn`. */
export type ProgramOptions = Omit<SpawnOptions, 'env' | 'cwd' | 'uid' | 'gid' | 'argv0' | 'shell'>

/**
 * Like `spawn`. `credentials` null: the program runs as the master's own user. Throws a Failure if the program cannot
 * run as this user. If the folder cannot be entered, it throws a Failure too, or the child fails and `whyNotEntered`
 * says why.
 */
export function spawnAs(
  credentials: Credentials | null,
  program: Program,
  options: ProgramOptions,
  system: System = OURS,
): ChildProcess {
  const becomes = process.getuid?.() === 0 ? credentials : null
  if (becomes === null || program.cwd === '/' || canEnter(program.program, system.find)) {
    const { words, as, env } = throughSetpriv(becomes, program, system)
    return start(words, { ...options, ...as, env, cwd: becomes === null ? program.cwd : '/' })
  }
  const folder = openFolder(becomes, program.cwd, streamsOf(options))
  try {
    const { words, as, env } = throughSetpriv(becomes, { ...program, cwd: '/' }, system)
    return start(words, { ...options, ...as, env, cwd: `/proc/self/fd/${folder}` })
  } finally {
    closeSync(folder)
  }
}

/**
 * The reason why the program has not begun, from its exit code and its last lines on standard error: `cannot enter
 * /srv/site as uid=deploy: EACCES: permission denied`. Null: it seems to have begun. A program can print the same line,
 * but every word of the result comes from the system.
 */
export function whyNotEntered(
  { credentials, cwd }: { credentials: Credentials | null; cwd: string },
  code: number | null,
  lines: readonly string[],
): string | null {
  if (code !== ENV_FAILED || credentials === null) return null
  // An example in English; the locale of the application decides: `env: cannot change directory to '/srv/site':
  // Permission denied`.
  const said = lines.at(-1) ?? ''
  if (!/^(\S*\/)?env: /.test(said) || !said.includes(cwd)) return null
  const text = said.slice(said.lastIndexOf(': ') + 2)
  const found = [...getSystemErrorMap().values()].find(([, message]) => message === text.toLowerCase())
  // The program can print such a line itself, so only a text of the system is taken over into the master's message.
  return cannotEnter(credentials, cwd, found?.join(': ') ?? 'its last line says why')
}

/** The exit code of env(1) for its own failures. */
const ENV_FAILED = 125

function cannotEnter({ user, uid }: Credentials, path: string, why: string): string {
  return `cannot enter ${path} as uid=${user ?? uid}: ${why}`
}

function start([first = '', ...rest]: readonly string[], options: SpawnOptions): ChildProcess {
  return spawnOwn(first, rest, options)
}

/** The key is the path of env. */
const knownToEnter = new Map<string, boolean>()

/**
 * Whether env can enter a folder before it executes the program: `-C` of GNU coreutils 8.28. If the path of the program
 * contains `=`, env would take it for a variable.
 */
function canEnter(program: string, find: typeof systemProgram): boolean {
  const env = find('env')
  if (env === null || program.includes('=')) return false
  const known = knownToEnter.get(env)
  if (known !== undefined) return known
  const can = statusOf(env, ['-C', '/', env]) === 0
  knownToEnter.set(env, can)
  return can
}

/** A command line, and the environment and the ids of its first program. */
interface Start {
  words: string[]
  env: Record<string, string>
  as: { uid: number; gid: number } | object
}

/** With credentials, the folder is entered after setpriv. */
function throughSetpriv(credentials: Credentials | null, { program, args, env, cwd }: Program, system: System): Start {
  const { find } = system
  const words = [program, ...args]
  const entering = credentials === null || cwd === '/' ? [] : ['-C', cwd]
  const throughEnv = (given: readonly string[]) =>
    given.length === 0 ? words : [find('env') ?? '/usr/bin/env', ...given, ...words]
  const dropping = credentials === null ? capabilityWords(program) : identityWords(credentials)
  if (dropping === null) return { words, env, as: {} }
  const setpriv = find('setpriv')
  if (setpriv === null) return withoutSetpriv(credentials, { words: throughEnv(entering), env, as: {} }, system)
  const { safe, unsafe } = splitEnvironment(env)
  const given = Object.entries(unsafe).map(([name, value]) => `${name}=${value}`)
  return { words: [setpriv, ...dropping, ...throughEnv([...entering, ...given])], env: safe, as: {} }
}

function identityWords(credentials: Credentials): string[] {
  const { user, uid, gid } = credentials
  const groups = user === null ? '--clear-groups' : `--groups=${groupsOf(credentials).join(',')}`
  return [`--reuid=${uid}`, `--regid=${gid}`, groups, ...NO_CAPABILITIES]
}

/** libuv can switch to a user, but gives it no supplementary groups. */
function withoutSetpriv(credentials: Credentials | null, plain: Start, { platform }: System): Start {
  if (credentials === null || platform !== 'darwin') throw new Failure('setpriv', missing(credentials), EXIT.os)
  const others = groupsOf(credentials).filter(group => group !== credentials.gid)
  if (others.length > 0)
    throw new Failure('setpriv', `cannot give a program the groups of uid=${credentials.user}`, EXIT.os)
  return { ...plain, as: { uid: credentials.uid, gid: credentials.gid } }
}

function missing(credentials: Credentials | null): string {
  const what =
    credentials === null
      ? 'to leave the capabilities of the master behind'
      : `to start programs as uid=${credentials.user ?? credentials.uid}`
  return `setpriv of util-linux is not installed: it is needed ${what}`
}

/** Throws Failure 71 if a program that the start needs to become the service's user is missing. */
export function checkSetpriv(credentials: Credentials | null, system: System = OURS): void {
  const why = whyNoSetpriv(credentials, system)
  if (why !== null) throw new Failure('setpriv', `cannot start: ${why}: ${SETPRIV_REMEDY}`, EXIT.os)
}

/**
 * Why no program can become the service's user, or leave the capabilities of a master that is not root behind. Null:
 * programs can, or need not.
 */
export function whyNoSetpriv(credentials: Credentials | null, { find, platform }: System = OURS): string | null {
  const isRoot = process.geteuid?.() === 0
  const becomes = isRoot ? credentials : null
  if (platform === 'darwin' || (becomes === null && capabilityWords('') === null)) return null
  const setpriv = find('setpriv')
  if (setpriv === null) return missing(becomes)
  // Setpriv of busybox has no option for the ids, and none for its version.
  return becomes === null || statusOf(setpriv, ['--version']) === 0 ? null : missing(becomes)
}

/**
 * Variables that glibc itself removes from the environment of a set-user-ID program (sysdeps/generic/unsecvars.h), and
 * those that musl and later versions add. They name libraries, tables and folders to load from, or files to write.
 */
const UNSAFE =
  /^(LD_.*|GLIBC_TUNABLES|GCONV_PATH|GETCONF_DIR|HOSTALIASES|LOCALDOMAIN|LOCPATH|MUSL_LOCPATH|MALLOC_.*|NIS_PATH|NLSPATH|RESOLV_HOST_CONF|RES_OPTIONS|TMPDIR|TZDIR)$/
/** The locale and the time zone are names. With a slash they are files. */
const UNSAFE_AS_PATH = /^(LANG|LANGUAGE|LC_.*|OUTPUT_CHARSET|TZ)$/

/** Splits the environment: `safe` is for a program with privileges, `unsafe` only for programs without. Pure. */
export function splitEnvironment(env: Readonly<Record<string, string>>): {
  safe: Record<string, string>
  unsafe: Record<string, string>
} {
  const isUnsafe = ([name, value]: [string, string]) =>
    UNSAFE.test(name) || (UNSAFE_AS_PATH.test(name) && value.includes('/'))
  const entries = Object.entries(env)
  return {
    safe: Object.fromEntries(entries.filter(entry => !isUnsafe(entry))),
    unsafe: Object.fromEntries(entries.filter(isUnsafe)),
  }
}

/**
 * Inheritable capabilities must go too, because a file's capabilities may give them back. They cannot be dropped if a
 * filter of system calls forbids capset(2).
 */
const NO_AMBIENT = ['--ambient-caps=-all']
const NO_CAPABILITIES = [...NO_AMBIENT, '--inh-caps=-all']

/** The sets of /proc/PID/status (capabilities(7)). Inheritable and ambient capabilities pass on to children. */
export interface Capabilities {
  inheritable: bigint
  permitted: bigint
  ambient: bigint
}

/** From the text of /proc/PID/status. Pure. */
export function readCapabilities(status: string): Capabilities {
  const set = (name: string) => BigInt(`0x${/^[0-9a-f]+$/.exec(statusField(status, name) ?? '')?.[0] ?? '0'}`)
  return { inheritable: set('CapInh'), permitted: set('CapPrm'), ambient: set('CapAmb') }
}

/** The arguments of setpriv that drop the master's capabilities. Null: not determined yet. */
let ownWords: { ofNode: string[] | null; ofOthers: string[] | null } | null = null

/**
 * Arguments for a master that is not root and has capabilities, such as the one to bind low ports. Null: it has none;
 * or it is root, and without `uid` its programs are root too. Capabilities that are not ambient come from the file of
 * Node. That file would give them to each worker again, so workers get no new privileges.
 */
function capabilityWords(program: string): string[] | null {
  if (process.geteuid?.() === 0) return null
  ownWords ??= findOwnWords()
  return program === process.execPath ? ownWords.ofNode : ownWords.ofOthers
}

function findOwnWords(): NonNullable<typeof ownWords> {
  const { inheritable, permitted, ambient } = readOwnCapabilities()
  if ((inheritable | permitted | ambient) === 0n) return { ofNode: null, ofOthers: null }
  const setpriv = systemProgram('setpriv')
  const allows = (words: string[]) => setpriv !== null && statusOf(setpriv, [...words, '/bin/true']) === 0
  const words = inheritable === 0n || !allows(NO_CAPABILITIES) ? NO_AMBIENT : NO_CAPABILITIES
  const isOfFile = (permitted & ~ambient) !== 0n
  return { ofNode: isOfFile ? [...words, '--no-new-privs'] : words, ofOthers: words }
}

function readOwnCapabilities(): Capabilities {
  try {
    return readCapabilities(readFileSync('/proc/self/status', 'latin1'))
  } catch (error) {
    // ENOENT: the system has no /proc.
    if (codeOf(error) !== 'ENOENT') throw error
    return { inheritable: 0n, permitted: 0n, ambient: 0n }
  }
}

/** The child has its streams at the descriptors below this number before it enters the folder. */
function streamsOf({ stdio }: ProgramOptions): number {
  return Array.isArray(stdio) ? Math.max(stdio.length, 3) : 3
}

/**
 * Opens the folder at a descriptor of at least `least`: by the time at which the child enters the folder, a lower
 * number would be one of its streams.
 */
function openFolder(credentials: Credentials, path: string, least: number): number {
  const tooLow: number[] = []
  try {
    return asServiceUser(credentials, () => {
      for (;;) {
        // With O_PATH the kernel checks only the right to pass the parent folders. The dot makes it check the folder
        // too.
        const folder = openSync(`${path}/.`, O_PATH | constants.O_DIRECTORY)
        if (folder >= least) return folder
        tooLow.push(folder)
      }
    })
  } catch (error) {
    throw new Failure('working-folder', cannotEnter(credentials, path, reasonOf(error)), EXIT.permission, error)
  } finally {
    for (const folder of tooLow) closeSync(folder)
  }
}
