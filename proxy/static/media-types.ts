/**
 * The media type of a file by its name, from the tables of mime-types. Loading the tables takes a fifth of the time of
 * a proxy's start. So only a proxy that serves files loads them before its first client; any other proxy loads them
 * when a file is asked for after all.
 */

import { createRequire } from 'node:module'
import type { ProxySettings } from '../../kit/channel/messages.js'

type Tables = Pick<typeof import('mime-types'), 'contentType'>

const require = createRequire(import.meta.url)
let tables: Tables | null = null

/** The value of `Content-Type` for an ending such as `.html`, or for the name of a file; false: unknown. */
export function mediaTypeOf(name: string): string | false {
  tables ??= require('mime-types') as Tables
  return tables.contentType(name)
}

/** Loads the tables if a request may lead to a file: later there may be no descriptor left for that. */
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
