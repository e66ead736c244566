/**
 * What a row of the option table says. The rows are in `sections/`, the table is `options.ts`. Pure.
 */

import type { Kind } from './option-kinds.js'

/** Headings of the help and of the reference, in their order. */
export const SECTIONS = {
  application: 'The application',
  front: 'Listeners, routes and static files',
  requests: 'Requests and their deadlines',
  workers: 'Workers',
  around: 'Around the application',
  metrics: 'Metrics',
  host: 'Users, files and logs',
} as const

export type Section = keyof typeof SECTIONS

/** When a changed value counts: at the reload, for workers that start from then on, or after stop and start. */
export type TakesEffect = 'live' | 'next-generation' | 'restart'

/** The kinds of sections that narrow options to a place of the service: `[location:/admin]`. */
export const SCOPES = ['location'] as const

export type Scope = (typeof SCOPES)[number]

/** The processes that use settings. */
export type Reader = 'master' | 'proxy' | 'worker'

export interface OptionRow {
  section: Section
  aliases?: readonly string[]
  kind: Kind<unknown>
  /** In the notation of the INI; null: none. */
  default: string | null
  /** Each further line adds a value; otherwise the last one counts. */
  repeatable?: true
  secret?: true
  takesEffect: TakesEffect
  /** The sections in which it may stand besides `[uwsgi]`. Its changes are `live` and for proxies then. */
  scopes?: readonly Scope[]
  /**
   * Its names in other servers: with commas between, `…` between a directive and its parameter. `daimyo help` also
   * finds the option by them.
   */
  replaces?: { uwsgi?: string; nginx?: string; pm2?: string; gunicorn?: string }
  summary: string
  example: string
  /**
   * The name of its setting in the code: the option's in camel case with its unit (`http-send-timeout` in `SECONDS`
   * is `httpSendTimeoutMs`). Of several options that make one setting together, its name is said in each; `settings.ts`
   * says what it is. null: the option only confirms what is always so.
   */
  setting: string | null
  /**
   * The processes that use the setting. The master sends proxies and workers the settings that name them, and has all
   * itself.
   */
  neededBy: readonly Reader[]
}
