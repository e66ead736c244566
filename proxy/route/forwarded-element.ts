/**
 * The Forwarded field (RFC 7239 §4): its elements, and one of the proxy's own. Pure; linear in the length of the field.
 */

import { isToken, trimmedSlice } from '../http/header-field.js'

/** The words of one proxy about the request that it got; null: not told. */
export interface ForwardedElement {
  for: string | null
  host: string | null
  proto: string | null
}

/** The elements in their order, null if the field is malformed or says something twice. */
export function readForwarded(value: string): ForwardedElement[] | null {
  const elements: ForwardedElement[] = []
  for (const text of splitUnquoted(value, COMMA) ?? []) {
    const element = readElement(text)
    if (element === null) return null
    elements.push(element)
  }
  return elements.length === 0 ? null : elements
}

/** An element with the source of a request, its protocol and its host (empty: none was given). */
export function printForwarded(address: string, proto: string, host: string): string {
  const node = address.includes(':') ? `"[${address}]"` : address
  const quoted = isToken(host) ? host : `"${host}"`
  return `for=${node};proto=${proto}${host === '' ? '' : `;host=${quoted}`}`
}

const COMMA = 44
const SEMICOLON = 59
const QUOTE = 34
const BACKSLASH = 92

/** Cut at each separator outside quotes; null: a quote stays open. */
function splitUnquoted(text: string, separator: number): string[] | null {
  const parts: string[] = []
  let start = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) quoted = !quoted
    else if (quoted && code === BACKSLASH) at += 1
    else if (!quoted && code === separator) {
      parts.push(trimmedSlice(text, start, at))
      start = at + 1
    }
  }
  parts.push(trimmedSlice(text, start, text.length))
  return quoted ? null : parts
}

function readElement(text: string): ForwardedElement | null {
  const element: ForwardedElement = { for: null, host: null, proto: null }
  const names = new Set<string>()
  for (const pair of splitUnquoted(text, SEMICOLON) ?? ['']) {
    const equals = pair.indexOf('=')
    const name = pair.slice(0, Math.max(0, equals)).toLowerCase()
    const value = readValue(pair.slice(equals + 1))
    if (!isToken(name) || value === null || names.has(name)) return null
    names.add(name)
    if (name === 'for' || name === 'host' || name === 'proto') element[name] = value
  }
  return element
}

/** RFC 9110 §5.6.4: a token, or a quoted string without its quotes. */
function readValue(text: string): string | null {
  if (isToken(text)) return text
  if (text.length < 2 || !/^"(?:[^"\\]|\\.)*"$/.test(text)) return null
  return text.slice(1, -1).replace(/\\(.)/g, '$1')
}
