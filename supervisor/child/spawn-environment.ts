/**
 * The environment of the master's children. Children are workers, proxies and attached processes. Pure. Must stay true:
 * nothing that speaks to the master alone (systemd's protocols, our own variables, an inherited IPC channel) reaches a
 * child: an application that finds NOTIFY_SOCKET would answer systemd in the master's name.
 */

import { type Credentials, NO_PORT } from '../../kit/channel/messages.js'
import type { Settings } from '../config/values/settings.js'

/** What the INI says of it. */
export type EnvironmentSettings = Pick<Settings, 'unenv' | 'environmentFiles' | 'env' | 'credentials'>

/** What daimyo adds for a worker, for the reference; `workerEnvironment` sets it. */
export const WORKER_VARIABLES: [name: string, meaning: string][] = [
  [
    'DAIMYO_SLOT',
    'the number of its place, from 1: of the workers that serve no two have the same, but while one is replaced, its successor runs beside it. In place of ' +
      '`NODE_APP_INSTANCE` of PM2 and `uwsgi.worker_id()`',
  ],
  ['DAIMYO_GENERATION', 'the number of the reload that started it, from 1'],
  [
    'PORT',
    'unless `env`, `env-file` or the environment of daimyo has it, or `unenv` takes it away: `app-port`, or the port of the first TCP listener in `http`, or ' +
      '49153, a dynamic port, where there is none',
  ],
]

const MASTERS_OWN =
  /^(NOTIFY_SOCKET|LISTEN_(PID|FDS|FDNAMES|PIDFDID)|WATCHDOG_(PID|USEC)|MAINPID|JOURNAL_STREAM|MEMORY_PRESSURE_.*|NODE_CHANNEL_.*|DAIMYO_.*)$/

/** The master's environment without what is meant for the master. */
export function cleanEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  const clean: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !MASTERS_OWN.test(name)) clean[name] = value
  }
  return clean
}

/**
 * What tells of a login, a desktop or a connection of whoever started the master: its files and sockets are not the
 * service's.
 */
const OF_A_SESSION =
  /^(MAIL|SUDO_.*|SSH_.*|XDG_.*|DBUS_(SESSION|STARTER)_.*|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|KRB5CCNAME|GNUPGHOME|GPG_.*|HOME|USER|LOGNAME|SHELL)$/

/**
 * The clean environment of whom children become, as systemd's `User=` sets it from /etc/passwd: a number without an
 * entry there has neither HOME nor USER, LOGNAME and SHELL. `credentials` null: nobody else, and all is as it was.
 */
export function userEnvironment(
  environment: NodeJS.ProcessEnv,
  credentials: Credentials | null,
): Record<string, string> {
  const clean = cleanEnvironment(environment)
  if (credentials === null) return clean
  const { user, home, shell } = credentials
  const others = Object.entries(clean).filter(([name]) => !OF_A_SESSION.test(name))
  const own = { HOME: home, USER: user, LOGNAME: user, SHELL: shell }
  const known = Object.entries(own).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  return Object.fromEntries([...others, ...known])
}

/**
 * The environment of a command around the application: what `unenv` leaves of its user's, then what the files say, then
 * `env`, each in its order.
 */
export function commandEnvironment(
  environment: NodeJS.ProcessEnv,
  { unenv, environmentFiles, env, credentials }: EnvironmentSettings,
): Record<string, string> {
  const result = userEnvironment(environment, credentials)
  const changes = [...unenv.map(name => ({ name, value: null })), ...environmentFiles, ...env]
  for (const { name, value } of changes) {
    if (value === null) delete result[name]
    else result[name] = value
  }
  return result
}

/** Which worker it is, and where its site may listen. */
export interface WorkerPlace {
  slot: number
  generation: number
  /** Of the first public TCP listener. */
  publicPort: number | null
}

/** A worker's environment: that of a command, which worker it is, and a port to listen on. */
export function workerEnvironment(
  environment: NodeJS.ProcessEnv,
  settings: EnvironmentSettings & Pick<Settings, 'appPort'>,
  { slot, generation, publicPort }: WorkerPlace,
): Record<string, string> {
  const own = { DAIMYO_SLOT: String(slot), DAIMYO_GENERATION: String(generation) }
  const port: Record<string, string> = settings.unenv.includes('PORT')
    ? {}
    : { PORT: settings.appPort ?? String(publicPort ?? NO_PORT) }
  return { ...port, ...commandEnvironment(environment, settings), ...own }
}
