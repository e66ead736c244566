/**
 * The operator's pages for the proxy's own responses (`error-page`). The master has read the files, and the texts come
 * with the configuration: nothing is read here while something is wrong. Pure.
 */

import type { ErrorPageSpec } from '../../kit/options/values/value-types.js'
import type { OwnResponse } from '../http/error-response.js'
import { mediaTypeOf } from '../static/media-types.js'

interface Page {
  type: string
  text: string
}

export class ErrorPages {
  readonly #pages = new Map<number, Page>()

  /** If several pages have the same status, the last one counts. */
  constructor(specs: readonly ErrorPageSpec[]) {
    for (const { statuses, file, text } of specs) {
      const page = { type: typeOf(file), text }
      for (const status of statuses) this.#pages.set(status, page)
    }
  }

  /** The same response with the page for its status, if there is one. Its other fields (Retry-After, Allow, …) stay. */
  dress(response: OwnResponse): OwnResponse {
    const page = this.#pages.get(response.status)
    if (page === undefined) return response
    const others = response.fields.filter(([name]) => name !== 'Content-Type')
    return { ...response, fields: [['Content-Type', page.type], ...others], body: page.text }
  }
}

/** By the name of the file, always with a charset: pages are UTF-8 text. */
function typeOf(file: string): string {
  const type = mediaTypeOf(file.slice(file.lastIndexOf('/') + 1))
  if (type === false) return 'text/plain; charset=utf-8'
  return type.includes('charset') || !/^text\/|\bxml\b|json/.test(type) ? type : `${type}; charset=utf-8`
}
