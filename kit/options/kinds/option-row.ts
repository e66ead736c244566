/**
 * What a row of the option table says. The rows are in `sections/`, the table is `options.ts`. Pure.
 */

import type { Settings } from '../../../supervisor/config/values/settings.js'
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
  /** What it is called elsewhere: names with commas between, `…` for what belongs to a directive. Also how a foreign word is understood. */
  replaces?: { uwsgi?: string; nginx?: string; pm2?: string; gunicorn?: string }
  summary: string
  example: string
  /** The field of Settings that it fills; null: it only confirms what is always so. */
  setting: keyof Settings | null
}
