/** What an application printed, made fit for a terminal. Used by the commands that show a worker's last lines. Pure. */

/** The text without control characters that would move the cursor; tabs and newlines stay. */
export function printable(text: string): string {
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]+/g, ' ')
}
