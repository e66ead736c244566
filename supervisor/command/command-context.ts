/** The outside world of a command: its two outputs and its surroundings. */

/** `print` is standard output, `writeError` standard error; both take text with its newline. */
export interface CommandContext {
  environment: NodeJS.ProcessEnv
  cwd: string
  print(text: string): void
  writeError(text: string): void
  /** How this program is called, for the commands that it recommends. */
  program: string
}
