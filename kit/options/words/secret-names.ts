/**
 * Which names announce a secret, and how a secret is printed. Used wherever configuration is shown: messages, `check`,
 * the log. Pure.
 */

/** The text that replaces a secret. */
export const HIDDEN = '***'

const SECRET_NAME = /pass(wd|word|phrase)?|pwd|secret|token|credential|private|auth|salt|cookie|dsn|key$|key[_-]/i

/** Whether a name, or a text that contains one such as `$(DB_PASSWORD)`, announces a secret. Rather once too often. */
export function looksSecret(name: string): boolean {
  return SECRET_NAME.test(name)
}

/** The text with passwords in URLs (`postgres://user:password@host`) hidden. */
export function hideUrlPasswords(text: string): string {
  return text.replace(/(:\/\/[^:@/\s]*):\S*@/g, `$1:${HIDDEN}@`)
}
