/**
 * Reads the pages of `error-page`, each once for each reading of the configuration. The proxies get the texts and never
 * see the files, so the pages are in memory when they are needed.
 */

import type { ErrorPageSpec } from '../../kit/options/values/value-types.js'
import type { ConfigFiles } from './ini/config-files.js'
import type { Finding } from './values/settings.js'

/** The pages travel with the settings to each proxy. */
const MAX_PAGE_BYTES = 64 * 1024

/** A page without its text, and the place of its line. */
export interface NamedPage {
  statuses: number[]
  file: string
  place: string
}

/** A file that is missing, too large or no UTF-8 text is a mistake at its line. */
export function readErrorPages(
  named: readonly NamedPage[],
  files: ConfigFiles,
): { pages: ErrorPageSpec[]; mistakes: Finding[] } {
  const pages: ErrorPageSpec[] = []
  const mistakes: Finding[] = []
  for (const { statuses, file, place } of named) {
    const read = files.read(file)
    const why = read.ok ? whyTooLarge(read.text) : read.why
    if (why !== null) {
      const message = `error-page: ${why}: received ${file}: accepted a readable file of UTF-8 text, up to 64 KB`
      mistakes.push({ place, message })
    } else if (read.ok) pages.push({ statuses, file, text: read.text })
  }
  return { pages, mistakes }
}

function whyTooLarge(text: string): string | null {
  return Buffer.byteLength(text) > MAX_PAGE_BYTES ? `larger than ${MAX_PAGE_BYTES} bytes` : null
}
