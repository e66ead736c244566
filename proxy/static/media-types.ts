/**
 * The media type of a file by its name, from the tables of mime-types. They take a fifth of the time of a proxy's
 * start: only a proxy that serves files has them before its first client, and any other loads them when a file is asked
 * for after all.
 */

import { createRequire } from 'node:module'
import type { ProxySettings } from '../../kit/channel/messages.js'

type Tables = Pick<typeof import('mime-types'), 'contentType'>

const require = createRequire(import.meta.url)
let tables: Tables | null = null

/** The value of `Content-Type` for an ending such as `.html`, or a file's name; false: it is not known. */
export function mediaTypeOf(name: string): string | false {
  tables ??= require('mime-types') as Tables
  return tables.contentType(name)
}

/** Loads the tables where a request may lead to a file: later there may be no descriptor left for that. */
export function prepareMediaTypes({
  routes,
  checkStatic,
  fileRoots,
}: Pick<ProxySettings, 'routes' | 'checkStatic' | 'fileRoots'>): void {
  const isServing =
    checkStatic.length + fileRoots.internal.length + fileRoots.sendfile.length > 0 ||
    routes.some(({ kind }) => kind === 'static')
  if (isServing) mediaTypeOf('.html')
}
