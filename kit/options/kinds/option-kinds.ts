/**
 * The kinds of values of options: how each is read, printed and hidden, and how a message names the accepted values.
 * Pure: a kind touches no file.
 */

import { resolve } from 'node:path'
import { isPasswordHash } from '../../page/password-hash.js'
import {
  ADDRESS_ACCEPTS,
  PEER_ADDRESS_ACCEPTS,
  parseListenAddress,
  printListenAddress,
} from '../values/listen-address.js'
import { readNetwork } from '../values/network.js'
import { hideUserinfo, parseUpstreams, printUpstream, UPSTREAMS_ACCEPTS } from '../values/upstream-list.js'
import type { BoundAddress, ListenAddress, UpstreamAddress } from '../values/value-types.js'
import { nearestName } from '../words/nearest-name.js'
import { HIDDEN, hideUrlPasswords, looksSecret } from '../words/secret-names.js'

/** Facts that a value may depend on. `chdir` is the folder that the `chdir` option names, `cwd` without one. */
export interface ValueContext {
  cwd: string
  chdir: string
  cores: number
}

/** `hint` is a value that was probably meant. */
export type Parsed<T> = { ok: true; value: T } | { ok: false; hint: string | null }

export interface Kind<T> {
  /** How the help names the value: `N`, `SECONDS`. A switch may stand without a value. */
  symbol: string
  /** End of the sentence "accepted …". */
  accepts: string
  parse(text: string, context: ValueContext): Parsed<T>
  /** The value in effect as `check` shows it; secrets are hidden. */
  print(value: T): string
  /** A refused text as a message may show it; without this, as it is. */
  hide?(text: string): string
  /** Whether the bare key is enough. */
  isSwitch?: true
}

/** The folder from which a relative path counts. */
export type PathBase = 'cwd' | 'chdir'

const accept = <T>(value: T): Parsed<T> => ({ ok: true, value })
const refuse = (hint: string | null = null): { ok: false; hint: string | null } => ({ ok: false, hint })

/** A whole number within bounds. */
export function wholeNumber(min: number, max: number): Kind<number> {
  return {
    symbol: 'N',
    accepts: `a whole number from ${min} to ${max}`,
    parse: text => acceptWithin(/^\d{1,15}$/.test(text) ? Number(text) : Number.NaN, min, max),
    print: String,
  }
}

const WORDS = new Map<string, boolean>([
  ...['', 'true', '1', 'yes', 'on'].map(word => [word, true] as const),
  ...['false', '0', 'no', 'off'].map(word => [word, false] as const),
])

/** A switch: the bare key turns it on. */
export const boolean: Kind<boolean> = {
  symbol: '',
  accepts: 'true, false, 1, 0, yes, no, on, off, or the bare key for true',
  parse(text) {
    const value = WORDS.get(text.toLowerCase())
    return value === undefined ? refuse(nearestName(text, WORDS.keys())) : accept(value)
  },
  print: String,
  isSwitch: true,
}

/** Milliseconds in a unit; a number without unit is seconds, as in uWSGI. */
const TIME_UNITS: Record<string, number> = { ms: 1, '': 1000, s: 1000, m: 60_000, h: 3_600_000 }

/** A time, read into milliseconds; the bounds are milliseconds too. */
export function time(minMs: number, maxMs: number): Kind<number> {
  return {
    symbol: 'SECONDS',
    accepts: `seconds, or a number with ms, s, m or h, from ${printTime(minMs)} to ${printTime(maxMs)}`,
    parse: text => acceptScaled(text, TIME_UNITS, minMs, maxMs),
    print: printTime,
  }
}

const SIZE_UNITS: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

/** A size, read into bytes. */
export function size(min: number, max: number): Kind<number> {
  return {
    symbol: 'BYTES',
    accepts: `bytes, or a number with k, m or g, from ${printSize(min)} to ${printSize(max)}`,
    parse: text => acceptScaled(text.toLowerCase(), SIZE_UNITS, min, max),
    print: printSize,
  }
}

/** How many processes: a number, `auto` for one per core, or Gunicorn's `2x+1` with x = cores. */
export function processCount(max: number): Kind<number> {
  return {
    symbol: 'N',
    accepts: `a whole number from 1 to ${max}, \`auto\` for one per core, or an expression such as \`2x+1\` with x = cores`,
    parse(text, { cores }) {
      if (text === 'auto') return acceptWithin(cores, 1, max)
      if (/^\d{1,9}$/.test(text)) return acceptWithin(Number(text), 1, max)
      const match = /^(\d{1,9})?\*?x(?:([+-])(\d{1,9}))?$/i.exec(text.replaceAll(' ', ''))
      if (match === null || text.startsWith('*')) return refuse(nearestName(text, ['auto', '2x+1']))
      const [, factor = '1', sign = '+', plus = '0'] = match
      return acceptWithin(Number(factor) * cores + Number(sign + plus), 1, max)
    },
    print: String,
  }
}

/** A path of the file system, made absolute. */
export function path(base: PathBase): Kind<string> {
  return {
    symbol: 'PATH',
    accepts: 'a path',
    parse: (text, context) => (text === '' ? refuse() : accept(resolve(context[base], text))),
    print: value => value,
  }
}

/** A path of a URL without trailing slash: `/`, `/api/v1`. */
export const urlPath: Kind<string> = {
  symbol: 'PATH',
  accepts: 'a URL path such as `/api/v1`, without `//`, `.`, `..`, `%`, `=`, `?` and `#`',
  parse(text) {
    if (text !== '' && !text.startsWith('/')) return refuse(isUrlPath(`/${text}`) ? `/${text}` : null)
    if (isUrlPath(text)) return accept(withoutTrailingSlash(text))
    // uWSGI's `mount = /api=app.py`.
    const [mount] = splitPair(text)
    return refuse(mount !== null && isUrlPath(mount) ? mount : null)
  },
  print: value => value,
}

/** `mount=folder`. */
export const staticMap: Kind<{ mount: string; folder: string }> = {
  symbol: 'MOUNT=FOLDER',
  accepts: 'MOUNT=FOLDER, such as `/assets=public/assets`',
  parse(text, { chdir }) {
    const [mount, folder] = splitPair(text)
    if (mount === null) return refuse(text === '' ? null : `/=${text}`)
    if (folder === '' || !isUrlPath(mount)) return refuse()
    return accept({ mount: withoutTrailingSlash(mount), folder: resolve(chdir, folder) })
  },
  print: ({ mount, folder }) => `${mount}=${folder}`,
}

/** `mount=url,url`. */
export const upstreams: Kind<{ mount: string; addresses: UpstreamAddress[] }> = {
  symbol: 'MOUNT=URL,…',
  accepts: UPSTREAMS_ACCEPTS,
  parse(text) {
    const [mount, list] = splitPair(text)
    if (mount === null || !isUrlPath(mount)) return refuse()
    const parsed = parseUpstreams(list)
    if (!parsed.ok) return refuse(parsed.hint === null ? null : `${mount}=${parsed.hint}`)
    return accept({ mount: withoutTrailingSlash(mount), addresses: parsed.value })
  },
  print: ({ mount, addresses }) => `${mount}=${addresses.map(printUpstream).join(',')}`,
  hide: hideUserinfo,
}

/** Media types for compression, with `text/*` and `*` as nginx has them. */
export const mediaTypes: Kind<string[]> = {
  symbol: 'TYPES',
  accepts: 'media types separated by blanks, such as `text/html application/json`, `text/*` or `*`',
  parse(text) {
    const types = text
      .toLowerCase()
      .split(/[\s,]+/)
      .filter(type => type !== '')
    const areTypes = types.every(type => /^(\*|[\w!#$&^.+-]+\/(\*|[\w!#$&^.+-]+))$/.test(type))
    return types.length > 0 && areTypes ? accept(types) : refuse()
  },
  print: types => types.join(' '),
}

/** `404,410=page.html`: a page for statuses of the proxy's own responses. */
export const errorPage: Kind<{ statuses: number[]; file: string }> = {
  symbol: 'STATUS=FILE',
  accepts: 'STATUS=FILE or STATUS,STATUS=FILE with statuses from 400 to 599, such as `502,503=busy.html`',
  parse(text, { chdir }) {
    const [left, file] = splitPair(text)
    const statuses = (left ?? '').split(',').map(status => status.trim())
    if (file === '' || !statuses.every(status => /^[45]\d\d$/.test(status))) return refuse()
    return accept({ statuses: statuses.map(Number), file: resolve(chdir, file) })
  },
  print: ({ statuses, file }) => `${statuses.join(',')}=${file}`,
}

/** A public listener; a relative socket path counts from `chdir`, as in uWSGI. */
export const address: Kind<ListenAddress> = {
  symbol: 'ADDRESS',
  accepts: ADDRESS_ACCEPTS,
  parse: (text, { chdir }) => parseListenAddress(text, chdir),
  print: printListenAddress,
}

/** The kernel lowers each to `net.core.somaxconn`. */
export const MOST_BACKLOG = 65_535

/** `listen` of uWSGI, a number; users of nginx mean `http`. */
export const backlog: Kind<number> = {
  ...wholeNumber(1, MOST_BACKLOG),
  parse: (text, context) => {
    const parsed = wholeNumber(1, MOST_BACKLOG).parse(text, context)
    return parsed.ok || !address.parse(text, context).ok ? parsed : refuse(`http = ${text}`)
  },
}

/** An address to connect to: a socket of systemd is only for listening. */
export const peerAddress: Kind<BoundAddress> = {
  ...address,
  accepts: PEER_ADDRESS_ACCEPTS,
  parse: (text, places) => {
    const parsed = address.parse(text, places)
    if (!parsed.ok) return parsed
    return parsed.value.kind === 'passed' ? { ok: false, hint: null } : { ok: true, value: parsed.value }
  },
}

/** A listener that can be turned off (null); the bare key means `otherwise`. */
export function addressOrOff(otherwise: ListenAddress): Kind<ListenAddress | null> {
  return {
    symbol: 'ADDRESS',
    accepts: `${ADDRESS_ACCEPTS}, or \`false\` for none`,
    parse(text, { chdir }) {
      const isOn = WORDS.get(text.toLowerCase())
      if (isOn === undefined) return parseListenAddress(text, chdir)
      return accept(isOn ? otherwise : null)
    },
    print: value => (value === null ? 'false' : printListenAddress(value)),
    isSwitch: true,
  }
}

/** `user:hash` for HTTP Basic. Nothing of it but the user is ever shown. */
export const userAndHash: Kind<string> = {
  symbol: 'USER:HASH',
  accepts: 'USER:HASH with a hash that `daimyo hash-password` made',
  parse(text) {
    const match = /^[^\s:]{1,128}:(.+)$/.exec(text)
    return match !== null && isPasswordHash(match[1] ?? '') ? accept(text) : refuse()
  },
  print: value => `${value.slice(0, value.indexOf(':'))}:${HIDDEN}`,
  hide: () => HIDDEN,
}

/** Addresses and networks, one or more; each as `network.ts` reads it. */
export const networks: Kind<string[]> = {
  symbol: 'NETWORK',
  accepts:
    '`unix`, or addresses and networks such as `127.0.0.1`, `10.0.0.0/8` or `2001:db8::/32`, separated by commas',
  parse(text) {
    const read = text.split(',').map(part => readNetwork(part.trim()))
    const bad = read.find(network => !network.ok)
    if (bad !== undefined) return refuse(read.length === 1 && !bad.ok ? bad.hint : null)
    return accept(read.flatMap(network => (network.ok ? [network.value] : [])))
  },
  print: value => value.join(', '),
}

/** RFC 6265 §4.1.1: a token. The prefixes that browsers treat specially need more than plain HTTP. */
export const cookieName: Kind<string> = {
  symbol: 'NAME',
  accepts: 'the name of a cookie: letters, digits, `_`, `-` and `.`, at most 64, without `__Host-` and `__Secure-`',
  parse: text => (/^(?!__(?:host|secure)-)[\w.-]{1,64}$/i.test(text) ? accept(text) : refuse()),
  print: value => value,
}

/** A user or a group, by name or number; whether there is one is looked up later. */
export function account(what: 'user' | 'group'): Kind<string> {
  return {
    symbol: what.toUpperCase(),
    accepts: `the name or number of a ${what}`,
    parse: text => (/^(\d{1,10}|[A-Za-z_][\w.-]{0,63}\$?)$/.test(text) ? accept(text) : refuse()),
    print: value => value,
  }
}

/** `NAME=VALUE` for the environment of the workers. */
export const environmentVariable: Kind<{ name: string; value: string }> = {
  symbol: 'NAME=VALUE',
  accepts: 'NAME=VALUE with a name of letters, digits and `_`',
  parse(text) {
    const [name, value] = splitPair(text)
    return name !== null && /^[A-Za-z_]\w*$/.test(name) ? accept({ name, value }) : refuse()
  },
  print: ({ name, value }) => `${name}=${looksSecret(name) ? HIDDEN : hideUrlPasswords(value)}`,
  // Any part of the text may be a secret: which part is the name is not known for sure.
  hide: text => (text.includes('=') ? `${splitPair(text)[0]}=${HIDDEN}` : 'a text without `=`'),
}

function acceptWithin(value: number, min: number, max: number): Parsed<number> {
  return value >= min && value <= max ? accept(value) : refuse()
}

function acceptScaled(text: string, units: Record<string, number>, min: number, max: number): Parsed<number> {
  const value = scale(text, units)
  return value >= min && value <= max ? accept(value) : refuse(withShortUnit(text, units))
}

/** `10 MB`, `30 sec` or `1d` in our notation; null if the unit is not the mistake. */
function withShortUnit(text: string, units: Record<string, number>): string | null {
  const [, digits = '', word = ''] = /^(\d{1,6}) ?(ki?b|mi?b|gi?b|b|sec|min|hour|hr|d|day)\w{0,4}$/i.exec(text) ?? []
  const letter = word.charAt(0).toLowerCase()
  const short = letter === 'd' ? `${Number(digits) * 24}h` : `${digits}${letter === 'b' ? '' : letter}`
  return digits !== '' && short !== text && !Number.isNaN(scale(short, units)) ? short : null
}

/** A number with one of the units, in the smallest unit and whole; NaN if it is none. */
function scale(text: string, units: Record<string, number>): number {
  const [, digits = '', unit = ''] = /^(\d{1,15}(?:\.\d{1,9})?) ?([a-z]*)$/.exec(text) ?? []
  return digits !== '' && Object.hasOwn(units, unit) ? Math.round(Number(digits) * (units[unit] ?? 0)) : Number.NaN
}

function printTime(valueMs: number): string {
  return valueMs % 1000 === 0 ? `${valueMs / 1000}s` : `${valueMs}ms`
}

function printSize(bytes: number): string {
  for (const unit of ['g', 'm', 'k']) {
    const factor = SIZE_UNITS[unit] ?? 1
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`
  }
  return String(bytes)
}

function isUrlPath(text: string): boolean {
  return /^\/[\x21-\x7e]*$/.test(text) && !/[?#%=\\]|\/\/|\/\.{1,2}(\/|$)/.test(text)
}

function withoutTrailingSlash(text: string): string {
  return text.length > 1 && text.endsWith('/') ? text.slice(0, -1) : text
}

/** At the first `=`; the left side is null without one. Blanks around it are left to the value. */
function splitPair(text: string): [string | null, string] {
  const at = text.indexOf('=')
  return at === -1 ? [null, text] : [text.slice(0, at), text.slice(at + 1)]
}
