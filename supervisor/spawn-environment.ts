/**
 * The environment of the master's children. Used by `worker.ts`, `proxy-process.ts` and what runs around the application. Pure.
 * Must stay true: nothing that speaks to the master alone (systemd's protocols, our own variables, an inherited IPC channel)
 * reaches a child: an application that finds NOTIFY_SOCKET would answer systemd in the master's name.
 */

const MASTERS_OWN = /^(NOTIFY_SOCKET|LISTEN_(PID|FDS|FDNAMES|PIDFDID)|WATCHDOG_(PID|USEC)|NODE_CHANNEL_.*|DAIMYO_.*)$/

/** The master's environment without what is meant for the master. */
export function cleanEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  const clean: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !MASTERS_OWN.test(name)) clean[name] = value
  }
  return clean
}

/** What `unenv` leaves of the master's environment. */
export function withoutVariables(environment: NodeJS.ProcessEnv, names: readonly string[]): NodeJS.ProcessEnv {
  if (names.length === 0) return environment
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !names.includes(name)))
}

/** The environment of a command around the application: the clean one, and `env` of the INI in its order. */
export function commandEnvironment(
  environment: NodeJS.ProcessEnv,
  env: readonly { name: string; value: string }[],
): Record<string, string> {
  const result = cleanEnvironment(environment)
  for (const { name, value } of env) result[name] = value
  return result
}

/** A worker's environment: the clean one, `env` of the INI in its order, and which worker it is. */
export function workerEnvironment(
  environment: NodeJS.ProcessEnv,
  env: readonly { name: string; value: string }[],
  slot: number,
  generation: number,
): Record<string, string> {
  return { ...commandEnvironment(environment, env), DAIMYO_SLOT: String(slot), DAIMYO_GENERATION: String(generation) }
}
