/**
 * The settings that several options make together, or that are looked up for an option. All others are the value of
 * one option as it is. Pure.
 */

import { type OptionValues, settingsOf } from '../../kit/options/settings.js'
import type { ContentCoding, ExpiresRule } from '../../kit/options/values/value-types.js'
import type { ComposedSettings, Settings, Surroundings } from './values/settings.js'

/** Settings that are looked up for options, and those that no option gives. */
export type FoundSettings = Surroundings &
  Pick<ComposedSettings, 'credentials' | 'chownSocket' | 'errorPage' | 'environmentFiles' | 'runDir'>

/** The settings that the values stand for. */
export function toSettings(values: OptionValues, found: FoundSettings): Settings {
  return { ...settingsOf(values), ...composeSettings(values), ...found }
}

/** Daemons and cron jobs in the order of their options; the same line twice is two of them. */
function composeSettings(values: OptionValues): Omit<ComposedSettings, keyof FoundSettings> {
  return {
    staticMap: [...values['static-map'], ...values['static-map2'].map(map => ({ ...map, keepsMount: true as const }))],
    staticPrecompressed: staticPrecompressed(values),
    staticExpires: staticExpires(values),
    attachDaemon: [...values['attach-daemon'], ...values['attach-daemon2']],
    cron: [...values.cron, ...values['unique-cron'], ...values.cron2],
    processNames: processNames(values),
  }
}

function staticPrecompressed(values: OptionValues): ContentCoding[] {
  const wanted = new Set(values['static-precompressed'])
  if (values['static-gzip-all']) wanted.add('gzip')
  return (['br', 'zstd', 'gzip'] as const).filter(coding => wanted.has(coding))
}

function staticExpires(values: OptionValues): ExpiresRule[] {
  return [
    ...rules('type', 'now', values['static-expires-type']),
    ...rules('file', 'now', values['static-expires']),
    ...rules('path', 'now', values['static-expires-path-info']),
    ...rules('uri', 'now', values['static-expires-uri']),
    ...rules('type', 'modified', values['static-expires-type-mtime']),
    ...rules('file', 'modified', values['static-expires-mtime']),
    ...rules('path', 'modified', values['static-expires-path-info-mtime']),
    ...rules('uri', 'modified', values['static-expires-uri-mtime']),
  ]
}

type Expiry = OptionValues['static-expires']

function rules(by: ExpiresRule['by'], from: ExpiresRule['from'], pairs: Expiry): ExpiresRule[] {
  return pairs.map(({ pattern, seconds }) => ({ by, pattern, seconds, from }))
}

function processNames(values: OptionValues): ComposedSettings['processNames'] {
  const spaced = values['procname-prefix-spaced']
  const prefix = values['procname-prefix'] ?? (spaced === null ? '' : `${spaced} `)
  return { prefix, append: values['procname-append'] ?? '' }
}
