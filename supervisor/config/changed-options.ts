/** Which options a reload changes, and when each change takes effect. Pure. */

import { isDeepStrictEqual } from 'node:util'
import type { TakesEffect } from '../../kit/options/kinds/option-row.js'
import { type OptionName, optionNames, rowOf } from '../../kit/options/options.js'
import type { Settings } from './values/settings.js'

export interface ChangedOption {
  name: OptionName
  takesEffect: TakesEffect
}

/**
 * The options whose values differ, in the order of the table. Of several options that fill one field (`uid`, `gid`) the
 * first one is named.
 */
export function changedOptions(before: Settings, after: Settings): ChangedOption[] {
  const changed: ChangedOption[] = []
  const seen = new Set<string>()
  for (const name of optionNames()) {
    const { setting, takesEffect } = rowOf(name)
    if (setting === null || seen.has(setting)) continue
    seen.add(setting)
    if (!isDeepStrictEqual(of(before, setting), of(after, setting))) changed.push({ name, takesEffect })
  }
  return changed
}

function of(settings: Settings, setting: string): unknown {
  return settings[setting as keyof Settings]
}

/** Whether a reload would change nothing. Options that need a restart stay as they are anyway. */
export function meansTheSame(before: Settings, after: Settings): boolean {
  const hasSamePlaces = isDeepStrictEqual(before.locations, after.locations)
  return hasSamePlaces && changedOptions(before, after).every(({ takesEffect }) => takesEffect === 'restart')
}

/** What is in effect after a reload: the new settings, but the old values of options that need a restart. */
export function settingsAfterReload(before: Settings, after: Settings): Settings {
  const kept = changedOptions(before, after).filter(option => option.takesEffect === 'restart')
  const fields = kept.map(({ name }) => rowOf(name).setting)
  return { ...after, ...Object.fromEntries(Object.entries(before).filter(([field]) => isAmong(field, fields))) }
}

function isAmong(field: string, fields: readonly (string | null)[]): boolean {
  return fields.includes(field)
}
