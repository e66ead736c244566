/**
 * What of newly read settings a reload can bring about. Pure; used by `reload.ts`. The option table knows.
 */

import { OPTIONS, type OptionRow } from './config/options.js'
import type { Settings } from './config/settings.js'

/** The new settings as far as they can be had without a restart, and the options that keep their old value. */
export function mergeSettings(running: Settings, read: Settings): { settings: Settings; ignored: string[] } {
  const settings: Settings = { ...read, iniPath: running.iniPath }
  const ignored: string[] = []
  for (const [option, row] of Object.entries<OptionRow>(OPTIONS)) {
    const { setting, takesEffect } = row
    if (setting === null || takesEffect !== 'restart' || isSame(running[setting], read[setting])) continue
    Object.assign(settings, { [setting]: running[setting] })
    ignored.push(option)
  }
  return { settings, ignored }
}

/** Settings are plain values, written in the same order by the same reader. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
