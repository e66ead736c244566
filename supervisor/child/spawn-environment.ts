/**
 * The environment of the master's children: workers, proxies and attached processes. Pure. What must stay true: no
 * variable that is meant only for the master reaches a child, such as those of systemd's protocols, our own, or an
 * inherited IPC channel. An application that finds NOTIFY_SOCKET would answer systemd in the master's name.
 */

import { type Credentials, NO_PORT } from '../../kit/channel/messages.js'
import type { Settings } from '../config/values/settings.js'

/** The options of the INI that change it. */
export type EnvironmentSettings = Pick<Settings, 'unenv' | 'environmentFiles' | 'env' | 'credentials'>

/** Variables that daimyo adds for a worker, for the reference. `workerEnvironment` sets them. */
export const WORKER_VARIABLES: [name: string, meaning: string][] = [
  [
    'DAIMYO_SLOT',
    'the number of its slot, from 1: no two serving workers have the same, but while one is replaced, its successor starts with the same number. Takes the place of ' +
      '`NODE_APP_INSTANCE` of PM2 and `uwsgi.worker_id()`',
  ],
  ['DAIMYO_GENERATION', 'the number of the reload that started it, from 1'],
  [
    'PORT',
    '`app-port`, or else the port of the first TCP listener in `http`, or else 49153, a dynamic port. The value of `env`, `env-file` or the environment of daimyo ' +
      'precedes these, and `unenv` removes the variable',
  ],
]

const MASTERS_OWN =
  /^(NOTIFY_SOCKET|LISTEN_(PID|FDS|FDNAMES|PIDFDID)|WATCHDOG_(PID|USEC)|MAINPID|JOURNAL_STREAM|MEMORY_PRESSURE_.*|NODE_CHANNEL_.*|DAIMYO_.*)$/

/** The master's environment without the variables that are meant only for the master. */
export function cleanEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  const clean: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !MASTERS_OWN.test(name)) clean[name] = value
  }
  return clean
}

/**
 * Variables of the login, desktop or connection of the user who started the master. Their files and sockets are not the
 * service's.
 */
const OF_A_SESSION =
  /^(MAIL|SUDO_.*|SSH_.*|XDG_.*|DBUS_(SESSION|STARTER)_.*|DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|KRB5CCNAME|GNUPGHOME|GPG_.*|HOME|USER|LOGNAME|SHELL)$/

/**
 * The clean environment for the user of the children, as systemd's `User=` makes it from /etc/passwd. A numeric user
 * without an entry there gets no HOME, USER, LOGNAME and SHELL. `credentials` null: no other user, so these variables
 * stay.
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
 * The environment of a command or worker. The user's environment is changed by `unenv`, then by the files, then by
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

/** The identity of a worker, and the port for its application. */
export interface WorkerPlace {
  slot: number
  generation: number
  /** The port of the first public TCP listener. */
  publicPort: number | null
}

/** The environment of a worker: that of a command, the worker's identity, and a port to listen on. */
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
