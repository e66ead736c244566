/**
 * What a command gets from the outside. Made by `command.ts`, used by every command.
 */

/** `print` is standard output, `writeError` standard error; both take text with its newline. */
export interface CommandContext {
  environment: NodeJS.ProcessEnv
  cwd: string
  print(text: string): void
  writeError(text: string): void
  /** How this program is called, for the commands that it recommends. */
  program: string
}
