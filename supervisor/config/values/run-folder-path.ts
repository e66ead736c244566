/**
 * Which folder holds the control socket and, in a folder below, the workers' sockets: the one of `run-dir`, or one that
 * the same INI always leads to, so that `daimyo reload` finds the master that `daimyo start` started. Pure.
 */

import { basename, extname, join } from 'node:path'
import { SOCKET_PATH_BYTES } from '../../../kit/options/values/listen-address.js'

/** A configuration file: as it was named, absolute, and the section asked for (empty: the usual one). */
export interface ConfigFile {
  given: string
  absolute: string
  section: string
}

export interface RunFolderFacts {
  /** `run-dir`, absolute. */
  configured: string | null
  /** Null: everything came from the command line; then the folder of the start stands for it. */
  file: ConfigFile | null
  environment: Record<string, string | undefined>
  uid: number
  cwd: string
}

/**
 * The folder, absolute. systemd's RuntimeDirectory= goes before our own choice, but not for root: systemd gives that
 * folder back to root whenever it runs ExecReload=, and workers that became another user are locked out of it.
 */
export function runFolderPath({ configured, file, environment, uid, cwd }: RunFolderFacts): string {
  if (configured !== null) return configured
  const [given] = (environment.RUNTIME_DIRECTORY ?? '').split(':')
  if (uid !== 0 && given?.startsWith('/')) return given
  const name = file === null ? 'daimyo' : basename(file.absolute, extname(file.absolute))
  const identity = file === null ? cwd : `${file.absolute}${file.section === '' ? '' : `:${file.section}`}`
  // Loaded here and not at the top, because not every command needs it.
  const { createHash } = process.getBuiltinModule('node:crypto')
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 8)
  return join(parentOf(environment, uid), `${name.replace(/[^\w.-]/g, '_').slice(0, 32)}-${hash}`)
}

/** The folder of the workers' sockets, which belongs to the service's user where the run folder itself is root's. */
export function workersFolderOf(runDir: string): string {
  return join(runDir, 'workers')
}

/** The longest path of a worker's socket. */
export function longestSocketOf(runDir: string): string {
  return join(workersFolderOf(runDir), 'worker-99999.999999.tunnel')
}

/** Why worker sockets would not fit into the folder, or null. */
export function whyTooLong(runDir: string): string | null {
  const longest = longestSocketOf(runDir)
  const bytes = Buffer.byteLength(longest)
  if (bytes <= SOCKET_PATH_BYTES) return null
  const received = `received ${runDir}, which makes ${bytes} bytes of ${longest}`
  const accepted = `accepted at most ${SOCKET_PATH_BYTES} bytes: set a shorter \`run-dir\``
  return `run-dir: path too long for unix sockets: ${received}: ${accepted}`
}

function parentOf(environment: Record<string, string | undefined>, uid: number): string {
  if (uid === 0) return '/run/daimyo'
  const own = environment.XDG_RUNTIME_DIR
  if (own?.startsWith('/')) return join(own, 'daimyo')
  const temporary = environment.TMPDIR
  return join(temporary?.startsWith('/') ? temporary : '/tmp', `daimyo-${uid}`)
}
