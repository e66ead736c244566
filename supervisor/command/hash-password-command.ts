/**
 * `daimyo hash-password`: prints the hash of a password for `metrics-auth`. Must stay true: the password is never
 * printed, and never an argument, because every user of the machine can read argv.
 */

import { EXIT, Failure } from '../../kit/ground/failure.js'
import { hashPassword } from '../../kit/page/password-hash.js'
import type { CommandContext } from './command-context.js'
import { isTerminal, type PasswordInput, readPassword } from './read-password.js'

/**
 * Asks twice on a terminal, without echo; otherwise takes the first line of standard input. Failure `usage` (64) for no
 * password.
 */
export async function hashPasswordCommand(input: PasswordInput, context: CommandContext): Promise<number> {
  const password = await readPassword(input, context.writeError, 'password: ')
  if (password === '') throw new Failure('usage', 'cannot hash the password: it is empty', EXIT.usage)
  if (isTerminal(input) && (await readPassword(input, context.writeError, 'again: ')) !== password) {
    throw new Failure('usage', 'cannot hash the password: the two are not the same', EXIT.usage)
  }
  context.print(`${await hashPassword(password)}\n`)
  return EXIT.ok
}
