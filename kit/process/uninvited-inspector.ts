/**
 * The inspector that a SIGUSR1 opens in the moment before a process can hold that signal: any local user could run code
 * there. In processes that daimyo starts it listens nowhere. A process that has one all the same ends by a signal:
 * `inspector.close()` and `process.exit` wait for connected clients.
 */

/**
 * Has the inspector that a SIGUSR1 opens listen where no host can: an address of documentation (RFC 5737). Node tries,
 * says so, and goes on. The port is the lowest that Node accepts here.
 */
const NOWHERE = '--inspect-port=192.0.2.1:1024'

/**
 * Arguments of Node that come before all others, also before `nodeArgs`. None if the configuration asks for an
 * inspector, or if this Node has none.
 */
export function inspectorArguments(nodeArgs: readonly string[], environment: NodeJS.ProcessEnv): string[] {
  const isOurs = process.features.inspector && !asksForInspector(nodeArgs, environment)
  return isOurs ? [NOWHERE] : []
}

/** null: this Node was built without one (`--without-inspector`). */
export function inspectorOfNode(): typeof import('node:inspector') | null {
  return process.features.inspector ? process.getBuiltinModule('node:inspector') : null
}

/**
 * Such a process ends itself by this signal: the master takes the end for an accident and starts another process
 * (`supervisor/child/early-signals.ts`).
 */
export const INSPECTED_SIGNAL = 'SIGALRM'

/** Call it once the signal is held. An inspector that an argument or NODE_OPTIONS asks for is invited. */
export function hasUninvitedInspector(): boolean {
  if (inspectorOfNode()?.url() === undefined) return false
  return !asksForInspector(process.execArgv, process.env)
}

function asksForInspector(nodeArgs: readonly string[], { NODE_OPTIONS = '' }: NodeJS.ProcessEnv): boolean {
  return [...nodeArgs, ...NODE_OPTIONS.split(/\s+/)].some(word => /^--inspect(-brk|-wait)?(=|$)/.test(word))
}
