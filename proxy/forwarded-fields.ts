/**
 * What the proxy tells the application about the client: X-Forwarded-For, -Proto and -Host, which replace whatever the client
 * sent under these names (the parser has taken those out of `headers`).
 */

import type { RequestHead } from './request-head.js'

/** The fields of `head` with the proxy's own behind them, in the wire form of the link. */
export function wireHeaders(head: RequestHead, clientAddress: string, encrypted: boolean): string {
  const proto = encrypted ? 'https' : 'http'
  const host = head.host === '' ? '' : `\nX-Forwarded-Host\n${head.host}`
  return `${head.headers}\nX-Forwarded-For\n${clientAddress}\nX-Forwarded-Proto\n${proto}${host}`
}
