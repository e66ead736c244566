/**
 * The report of a worker's watchdog about a blocked loop: its JavaScript stack, or the reason why there is none.
 * Written by `app/host/watchdog/blocked-stack.ts` as one JSON text on the watchdog's socket, read by
 * `proxy/deaths/stack-request.ts`. Must stay true: it holds names and places in the code, never a value.
 */

/** One call; `place` is `file:line`, `node:module:line` in Node itself, or BUILT_IN. */
export interface StackFrame {
  name: string
  place: string
}

/** `frames` innermost first; empty: `why` says why. */
export interface StackReport {
  frames: StackFrame[]
  why: string
}

/** The place of functions that V8 itself has: `RegExp.prototype.test`, `Array.from`. */
export const BUILT_IN = 'built-in'

const MOST_FRAMES = 20
const LONGEST_TEXT = 300

/**
 * The socket of the watchdog of the worker whose link is at `linkPath`. A connection is the question; the answer ends
 * it.
 */
export function watchdogPathOf(linkPath: string): string {
  return `${linkPath.replace(/\.link$/, '')}.watch`
}

/** A report without a stack. */
export function noStack(why: string): StackReport {
  return { frames: [], why }
}

/** Parses what a worker sent; an application may have tampered with it. Anything but a report counts as no stack. */
export function readStackReport(text: string): StackReport {
  const value = parse(text)
  if (!isRecord(value) || typeof value.why !== 'string' || !Array.isArray(value.frames)) return noStack('no answer')
  const frames = value.frames.filter(isFrame).slice(0, MOST_FRAMES)
  const short = frames.map(({ name, place }) => ({ name: shorten(name), place: shorten(place) }))
  return { frames: short, why: shorten(value.why) }
}

/** For the log: where the loop is in the application's own code, and the calls that led there, innermost first. */
export function printStack({ frames, why }: StackReport): { at: string; stack: string } {
  if (frames.length === 0) return { at: '-', stack: `none: ${why}` }
  const own = frames.find(({ place }) => !place.startsWith('node:') && place !== BUILT_IN) ?? frames[0]
  return { at: own?.place ?? '-', stack: frames.map(({ name, place }) => `${name} (${place})`).join(' < ') }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isFrame(value: unknown): value is StackFrame {
  return isRecord(value) && typeof value.name === 'string' && typeof value.place === 'string'
}

function shorten(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text
}
