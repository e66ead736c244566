/**
 * The names of the sections that narrow options to a place: `[location:/admin]`. Pure. A section of a foreign program
 * in the same file, such as `[app:main]` or `[loggers]`, is none and is not read; one whose kind is almost ours is a
 * mistake.
 */

import { urlPath } from '../../../kit/options/kinds/option-kinds.js'
import { SCOPES, type Scope } from '../../../kit/options/kinds/option-row.js'
import { didYouMean, nearestName } from '../../../kit/options/words/nearest-name.js'

/** A place to which a section narrows its options. `name`: the section as it is printed. */
export interface ScopeSection {
  kind: Scope
  prefix: string
  name: string
}

/** What a section name says. `foreign`: it is not for daimyo. */
export type ScopeName = { is: 'scope'; scope: ScopeSection } | { is: 'mistake'; message: string } | { is: 'foreign' }

/** Takes the name of a section apart, without its brackets. */
export function scopeNamed(section: string): ScopeName {
  const [, kind = section, argument = null] = /^([^:]*):(.*)$/s.exec(section) ?? []
  if (kind !== 'location') {
    const near = argument === null ? null : nearestName(kind, SCOPES)
    if (near === null) return { is: 'foreign' }
    return {
      is: 'mistake',
      message: `section [${section}]: unknown kind: received ${kind}${didYouMean(`[${near}:${argument}]`)}`,
    }
  }
  const path = urlPath.parse(argument ?? '', { cwd: '/', chdir: '/', cores: 1 })
  if (path.ok) return { is: 'scope', scope: { kind, prefix: path.value, name: `[${section}]` } }
  const message = `section [${section}]: received ${argument || 'no path'}: accepted \`[location:PATH]\` with ${urlPath.accepts}`
  return { is: 'mistake', message }
}
