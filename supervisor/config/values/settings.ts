/**
 * The settings of a valid configuration: the values that the master works with. The option rows declare them
 * (`kit/options/sections/`), each with its name and its reason; this file declares those without a row. Sizes in bytes,
 * times in milliseconds, paths absolute.
 */

import type { Credentials } from '../../../kit/channel/messages.js'
import type { Reader } from '../../../kit/options/kinds/option-row.js'
import type { ComposedForProxies, LocationSettings, SettingsFor } from '../../../kit/options/settings.js'
import type { CronSpec, DaemonSpec } from '../../../kit/options/values/value-types.js'
import type { ProcessNames } from '../../host/process-names.js'
import type { SocketOwner } from '../../user/accounts.js'

/** A variable that children get (null: do not get), whatever they inherit. */
export interface EnvironmentChange {
  name: string
  value: string | null
}

/** Settings that several options make together, or that are looked up for an option. */
export interface ComposedSettings extends ComposedForProxies {
  /**
   * `static-map`, and `static-map2` with `keepsMount`: the mount is a part of the path in the folder too. Folders as
   * written, absolute.
   */
  staticMap: { mount: string; folder: string; keepsMount?: true }[]
  /** `attach-daemon` and `attach-daemon2`. */
  attachDaemon: DaemonSpec[]
  /** `cron`, `unique-cron` and `cron2`. */
  cron: CronSpec[]
  /** `procname-prefix`, `procname-prefix-spaced` and `procname-append`. */
  processNames: ProcessNames
  /** `uid` and `gid`, looked up; null: the children keep the user of the master. */
  credentials: Credentials | null
  /** `chown-socket`, looked up; null: the service's own. */
  chownSocket: SocketOwner | null
  /** The variables of `env-file` and `envdir`, in the order of the files; those of `env` override them. */
  environmentFiles: EnvironmentChange[]
  /** `run-dir`, or the usual one. */
  runDir: string
}

/** Settings without an option. */
export interface Surroundings {
  /** The INI that was read, null when everything came from the command line. */
  iniPath: string | null
  /** The section of that INI; empty: the usual one. */
  iniSection: string
  /**
   * Every file whose text went into the settings, the INI first, and every folder of `envdir`: what `ini-reload`
   * watches.
   */
  configFiles: string[]
  /** The folder in which daimyo was started, absolute: where the application and commands run without `chdir`. */
  startFolder: string
  /** The settings of each `[location:PREFIX]`, in the order of the INI. */
  locations: { prefix: string; settings: LocationSettings }[]
  /** The backlog of a socket that systemd opened: as many as the kernel allows, unless the INI sets `listen`. */
  passedBacklog: number
}

/** The settings of the master: those of all rows, for itself and to be sent. */
export interface Settings extends SettingsFor<Reader, ComposedSettings>, Surroundings {}

/** A mistake or a remark about one value: `place` is `file:line` or `--option`. */
export interface Finding {
  place: string
  message: string
}

/** A value in effect as it may be shown: secrets are hidden. `place` is `file:line`, `--option` or `default`. */
export interface EffectiveValue {
  name: string
  text: string
  place: string
}

/** `mistakes` empty: `settings` is usable. `remarks` are lines to tell the operator in any case. */
export interface Reading {
  settings: Settings | null
  mistakes: Finding[]
  remarks: Finding[]
  /** What `check` lists, in the order of the option table. */
  values?: EffectiveValue[]
  /** Every file that was read, even for a reading with mistakes. */
  files?: string[]
  /** Where a running master of this configuration is found, even while the configuration has mistakes. */
  runDir?: string
}
