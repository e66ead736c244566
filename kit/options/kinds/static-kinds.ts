/** The kinds of values that only the options of static files take. Pure. */

import type { ContentCoding, ExpiresRule } from '../values/value-types.js'
import { type Kind, urlPath } from './option-kinds.js'

/** What an `Expires` rule is for, and for how long. */
export type ExpiresPair = Pick<ExpiresRule, 'pattern' | 'seconds'>

/** The name of a file, without a folder. */
export const fileName: Kind<string> = {
  symbol: 'NAME',
  accepts: 'the name of a file such as `index.html`, without `/` and not hidden by a dot',
  parse: text => (/^[^./\0][^/\0]*$/.test(text) ? { ok: true, value: text } : { ok: false, hint: null }),
  print: value => value,
}

/** How a name ends. */
export const nameEnding: Kind<string> = {
  symbol: 'ENDING',
  accepts: 'how names end, such as `.php`',
  parse: text => (/^[^/\0]+$/.test(text) ? { ok: true, value: text } : { ok: false, hint: null }),
  print: value => value,
}

const CODINGS: Record<string, ContentCoding> = { br: 'br', zst: 'zstd', zstd: 'zstd', gz: 'gzip', gzip: 'gzip' }

/** A compressed form that can lie beside a file. */
export const siblingCoding: Kind<ContentCoding> = {
  symbol: 'CODING',
  accepts: '`br`, `zst` or `gz`',
  parse(text) {
    const value = Object.hasOwn(CODINGS, text.toLowerCase()) ? CODINGS[text.toLowerCase()] : undefined
    return value === undefined ? { ok: false, hint: null } : { ok: true, value }
  },
  print: value => ({ br: 'br', zstd: 'zst', gzip: 'gz' })[value],
}

/** `MOUNT=FILE`, the file by its path below the mount; `value.path` is from the top. */
export const fallback: Kind<{ mount: string; path: string }> = {
  symbol: 'MOUNT=FILE',
  accepts: 'MOUNT=FILE, such as `/=index.html`',
  parse(text, context) {
    const at = text.indexOf('=')
    const mount = urlPath.parse(text.slice(0, Math.max(at, 0)), context)
    const file = urlPath.parse(`/${text.slice(at + 1).replace(/^\//, '')}`, context)
    if (at < 1 || !mount.ok || !file.ok || file.value === '/') return { ok: false, hint: null }
    return { ok: true, value: { mount: mount.value, path: (mount.value === '/' ? '' : mount.value) + file.value } }
  },
  print: ({ mount, path }) => `${mount}=${path.slice(mount === '/' ? 1 : mount.length + 1)}`,
}

/** `TYPE=SECONDS`. */
export const typeExpires: Kind<ExpiresPair> = {
  symbol: 'TYPE=SECONDS',
  accepts: 'TYPE=SECONDS, such as `text/css=3600`',
  parse(text) {
    const [, pattern = '', seconds = ''] = /^([\w!#$&^.+-]+\/[\w!#$&^.+-]+)=(\d{1,10})$/.exec(text) ?? []
    return seconds === '' ? { ok: false, hint: null } : { ok: true, value: { pattern, seconds: Number(seconds) } }
  },
  print: ({ pattern, seconds }) => `${pattern}=${seconds}`,
}

/**
 * `REGEXP SECONDS`, as uWSGI reads it: the last blank divides, or without one the last `=`. The regular expression is
 * one of JavaScript.
 */
export const patternExpires: Kind<ExpiresPair> = {
  symbol: 'REGEXP SECONDS',
  accepts: 'REGEXP SECONDS, such as `\\.css$ 3600`',
  parse(text) {
    const [, pattern = '', seconds = ''] = /^(.+?)\s+(\d{1,10})$/.exec(text) ?? /^(.+)=(\d{1,10})$/.exec(text) ?? []
    if (seconds === '' || !isPattern(pattern)) return { ok: false, hint: null }
    return { ok: true, value: { pattern, seconds: Number(seconds) } }
  },
  print: ({ pattern, seconds }) => `${pattern} ${seconds}`,
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text)
    return true
  } catch (error) {
    if (error instanceof SyntaxError) return false
    throw error
  }
}
