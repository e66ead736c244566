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

/** The processes that use settings. */
export type Reader = 'master' | 'proxy' | 'worker'

export interface OptionRow {
  section: Section
  aliases?: readonly string[]
  kind: Kind<unknown>
  /** As an operator would write it; null: none. */
  default: string | null
  /** Each further line adds a value; otherwise the last one counts. */
  repeatable?: true
  secret?: true
  takesEffect: TakesEffect
  /**
   * What it is called elsewhere: names with commas between, `…` for what belongs to a directive. Also how a foreign
   * word is understood.
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
  /** Who uses the setting. Proxies and workers are sent those that name them; the master has all. */
  neededBy: readonly Reader[]
}
