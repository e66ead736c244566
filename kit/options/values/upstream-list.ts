/**
 * The servers of an `http-to`, as nginx writes them: `http://127.0.0.1:9000`, `http://[::1]:9000`,
 * `http://unix:/run/x.sock:`, separated by commas. Pure.
 */

import { HIDDEN } from '../words/secret-names.js'
import { isWithColon, parseListenAddress, SOCKET_PATH_BYTES } from './listen-address.js'
import type { UpstreamAddress } from './value-types.js'

/** Each is a label of the metrics. */
export const MOST_UPSTREAMS = 64

/** What `parseUpstreams` accepts, for messages. */
export const UPSTREAMS_ACCEPTS =
  `MOUNT=URL,URL with 1 to ${MOST_UPSTREAMS} different URLs such as \`http://127.0.0.1:9000\` or \`http://unix:/run/x.sock:\`, ` +
  'without user, password, path and query'

export type ParsedUpstreams = { ok: true; value: UpstreamAddress[] } | { ok: false; hint: string | null }

const refuse = (hint: string | null = null): { ok: false; hint: string | null } => ({ ok: false, hint })

/** Reads a list; `hint` is the list that was probably meant. */
export function parseUpstreams(text: string): ParsedUpstreams {
  const urls = text.split(',')
  if (urls.length > MOST_UPSTREAMS) return refuse()
  const addresses = urls.map(parseUpstream)
  if (addresses.some(address => address === null)) return refuse(probable(urls))
  const value = addresses.filter(address => address !== null)
  const distinct = [...new Set(value.map(printUpstream))]
  return distinct.length < value.length ? refuse(distinct.join(',')) : { ok: true, value }
}

/** An address as an INI writes it. */
export function printUpstream(address: UpstreamAddress): string {
  if ('path' in address) return `http://unix:${address.path}:`
  return `http://${isWithColon(address.host) ? `[${address.host}]` : address.host}:${address.port}`
}

/** A refused text as a message may show it: a user or password in a URL is a secret, wherever it ends. */
export function hideUserinfo(text: string): string {
  return text.replace(/^(\/[^=@:]*=)?.*@/s, `$1${HIDDEN}@`)
}

function parseUpstream(url: string): UpstreamAddress | null {
  const path = /^http:\/\/unix:(\/[^:]*[^:/]):?$/.exec(url)?.[1]
  if (path !== undefined) return Buffer.byteLength(path) <= SOCKET_PATH_BYTES ? { path } : null
  const [, host = '', port = '80'] = /^http:\/\/(\[[^[\]]*\]|[^:/@?#*]+)(?::(\d{1,5}))?$/i.exec(url) ?? []
  const parsed = host === '' ? null : parseListenAddress(`${host}:${port}`, '/')
  if (parsed === null || !parsed.ok || parsed.value.kind !== 'tcp' || parsed.value.port === 0) return null
  return { host: parsed.value.host, port: parsed.value.port }
}

/** With a scheme where it was forgotten, and without the slash at the end. */
function probable(urls: string[]): string | null {
  const meant = urls.map(url =>
    (/^https?:/i.test(url) ? url : `http://${url.replace(/^\//, 'unix:/')}`).replace(/\/$/, ''),
  )
  const addresses = meant.map(parseUpstream)
  return addresses.includes(null) ? null : meant.join(',')
}
