/**
 * undici takes longer to load than all else that a proxy needs: only a proxy with foreign upstreams (`http-to`) loads
 * it, with the first of them.
 */

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

export function loadUndici(): typeof import('undici') {
  return require('undici')
}
