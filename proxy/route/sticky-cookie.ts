/**
 * The cookie that brings a client back to one slot (`sticky`). The dispatcher prefers that slot, and a response from
 * another slot sets the cookie. Its value is opaque, the same in all proxies and after a restart. A client that makes
 * one up gains only a choice of worker.
 */

import { createHash } from 'node:crypto'
import { headerValue, type RequestHead } from '../http/request-head.js'

const tokens = new Map<string, string>()

/** The value that represents a slot. */
export function slotToken(cookie: string, slot: number): string {
  const key = `${cookie}=${slot}`
  let token = tokens.get(key)
  if (token === undefined) {
    token = createHash('sha256').update(`daimyo sticky ${key}`).digest('base64url').slice(0, 16)
    tokens.set(key, token)
  }
  return token
}

/** The value of the first cookie of this name (RFC 6265 §4.2), null: none. */
export function cookieValue(head: RequestHead, name: string): string | null {
  const cookies = headerValue(head, 'cookie')
  if (cookies === undefined) return null
  for (const pair of cookies.split(/[;,]/)) {
    const trimmed = pair.trim()
    if (trimmed.startsWith(name) && trimmed[name.length] === '=') return trimmed.slice(name.length + 1)
  }
  return null
}

/** The field line that makes the client come back to `slot`; empty if its cookie already does. */
export function stickyLine(head: RequestHead, cookie: string, slot: number, encrypted: boolean): string {
  const token = slotToken(cookie, slot)
  if (cookieValue(head, cookie) === token) return ''
  return `Set-Cookie: ${cookie}=${token}; Path=/; HttpOnly; SameSite=Lax${encrypted ? '; Secure' : ''}\r\n`
}
