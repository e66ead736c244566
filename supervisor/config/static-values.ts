/**
 * From the values of the static options to what the proxies work with. Called by `read-settings.ts`; pure.
 */

import type { ExpiresPair } from '../../kit/options/kinds/static-kinds.js'
import type { ExpiresRule } from '../../kit/options/values/value-types.js'
import type { OptionValues } from './option-values.js'
import type { Settings } from './values/settings.js'

/** Codings in the order in which they are preferred, rules in the order in which they are tried. */
export function toStaticSettings(values: OptionValues): Settings['files'] {
  const wanted = new Set(values['static-precompressed'])
  if (values['static-gzip-all']) wanted.add('gzip')
  return {
    index: values['static-index'],
    skipExt: values['static-skip-ext'],
    safe: values['static-safe'],
    precompressed: (['br', 'zstd', 'gzip'] as const).filter(coding => wanted.has(coding)),
    expires: [
      ...rules('type', 'now', values['static-expires-type']),
      ...rules('file', 'now', values['static-expires']),
      ...rules('path', 'now', values['static-expires-path-info']),
      ...rules('uri', 'now', values['static-expires-uri']),
      ...rules('type', 'modified', values['static-expires-type-mtime']),
      ...rules('file', 'modified', values['static-expires-mtime']),
      ...rules('path', 'modified', values['static-expires-path-info-mtime']),
      ...rules('uri', 'modified', values['static-expires-uri-mtime']),
    ],
    immutable: values['static-immutable'],
    fallbacks: values['static-fallback'],
    cacheBytes: values['static-cache-size'],
    cacheFileBytes: values['static-cache-file-size'],
    cacheEntries: values['static-cache-entries'],
  }
}

function rules(by: ExpiresRule['by'], from: ExpiresRule['from'], pairs: readonly ExpiresPair[]): ExpiresRule[] {
  return pairs.map(({ pattern, seconds }) => ({ by, pattern, seconds, from }))
}
