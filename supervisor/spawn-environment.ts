/**
 * The environment of the master's children. Used by `worker.ts`, `proxy-process.ts` and what runs around the application. Pure.
 * Must stay true: nothing that speaks to the master alone (systemd's protocols, our own variables, an inherited IPC channel)
 * reaches a child: an application that finds NOTIFY_SOCKET would answer systemd in the master's name.
 */

import type { Settings } from './config/settings.js'

/** What the INI says of it. */
export type EnvironmentSettings = Pick<Settings, 'unenv' | 'environmentFiles' | 'env'>

const MASTERS_OWN = /^(NOTIFY_SOCKET|LISTEN_(PID|FDS|FDNAMES|PIDFDID)|WATCHDOG_(PID|USEC)|NODE_CHANNEL_.*|DAIMYO_.*)$/

/** The master's environment without what is meant for the master. */
export function cleanEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  const clean: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !MASTERS_OWN.test(name)) clean[name] = value
  }
  return clean
}

/** The environment of a command around the application: what `unenv` leaves of the clean one, then what the files say, then `env`, each in its order. */
export function commandEnvironment(
  environment: NodeJS.ProcessEnv,
  { unenv, environmentFiles, env }: EnvironmentSettings,
): Record<string, string> {
  const result = cleanEnvironment(environment)
  const changes = [...unenv.map(name => ({ name, value: null })), ...environmentFiles, ...env]
  for (const { name, value } of changes) {
    if (value === null) delete result[name]
    else result[name] = value
  }
  return result
}

/** A worker's environment: that of a command, and which worker it is. */
export function workerEnvironment(
  environment: NodeJS.ProcessEnv,
  settings: EnvironmentSettings,
  slot: number,
  generation: number,
): Record<string, string> {
  const own = { DAIMYO_SLOT: String(slot), DAIMYO_GENERATION: String(generation) }
  return { ...commandEnvironment(environment, settings), ...own }
}
