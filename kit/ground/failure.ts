/**
 * The one error class for operating errors: things that go wrong although the program is right. Used everywhere.
 * Programmer errors are assertions and crash the process instead.
 */

import { inspect } from 'node:util'

/** sysexits.h codes that the program ends with; systemd reads them through `RestartPreventExitStatus=78`. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 64,
  unavailable: 69,
  software: 70,
  os: 71,
  permission: 77,
  config: 78,
} as const

/** An operating error: `code` names it for programs, `message` reads `what failed: which thing: why`. */
export class Failure extends Error {
  readonly code: string
  readonly exitCode: number
  /** The message without the lines that are in the log already; null: no line of it is there. */
  brief: string | null = null

  constructor(code: string, message: string, exitCode: number = EXIT.software, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'Failure'
    this.code = code
    this.exitCode = exitCode
  }

  /** Takes any thrown value. Never throws. */
  static is(thrown: unknown): thrown is Failure {
    return isFailure(thrown)
  }
}

/** Not inside the class: the bundler renames a class that uses its own name (`test/bundle.ts`). */
function isFailure(thrown: unknown): thrown is Failure {
  try {
    return thrown instanceof Failure
  } catch {
    // A Proxy may throw at `instanceof`.
    return false
  }
}

/**
 * The text of a thrown value, for messages: the message of an Error, anything else printed. Never throws, because
 * applications throw values of any kind.
 */
export function reasonOf(thrown: unknown): string {
  return isError(thrown) ? (textIn(thrown, 'message') ?? inspected(thrown)) : printed(thrown)
}

/** The stack of a thrown Error, its message where it has none; anything else printed. Never throws. */
export function stackOf(thrown: unknown): string {
  return (isError(thrown) ? textIn(thrown, 'stack') : null) ?? reasonOf(thrown)
}

/** The `code` of a thrown system error (`ENOENT`), or an empty string. Never throws. */
export function codeOf(thrown: unknown): string {
  return isError(thrown) ? (textIn(thrown, 'code') ?? '') : ''
}

/** A Proxy may throw even at `instanceof`. */
function isError(thrown: unknown): thrown is Error {
  try {
    return thrown instanceof Error
  } catch {
    return false
  }
}

/** The property, null where it is no text or its getter throws. */
function textIn(thrown: Error, name: 'message' | 'stack' | 'code'): string | null {
  try {
    const value: unknown = Reflect.get(thrown, name)
    return typeof value === 'string' ? value : null
  } catch {
    return null
  }
}

function printed(thrown: unknown): string {
  try {
    return String(thrown)
  } catch {
    // It has no `toString`, or one that throws.
    return inspected(thrown)
  }
}

function inspected(thrown: unknown): string {
  try {
    const options = { customInspect: false, depth: 0, compact: true, breakLength: Number.POSITIVE_INFINITY }
    // The lines below the first are the stack of an Error.
    return inspect(thrown, options).split('\n', 1).join('')
  } catch {
    return `${typeof thrown} that cannot be printed`
  }
}
