/**
 * The one error class for operating errors: things that go wrong although the program is right. Used everywhere.
 * Programmer errors are assertions and crash the process instead.
 */

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
  /** The message without the lines that the log has already; null: it has none of them. */
  brief: string | null = null

  constructor(code: string, message: string, exitCode: number = EXIT.software, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'Failure'
    this.code = code
    this.exitCode = exitCode
  }
}

/** The text of whatever was thrown, for messages: an Error's message, anything else printed. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** The `code` of a thrown system error (`ENOENT`), or an empty string. */
export function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''
}
