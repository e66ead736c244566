/**
 * Loads undici when it is first needed: it takes longer to load than everything else in a proxy, and only a proxy with
 * foreign upstreams (`http-to`) needs it.
 */

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

export function loadUndici(): typeof import('undici') {
  return require('undici')
}
