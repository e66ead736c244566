/** Names from /etc/passwd and /etc/group, read at each call. `accounts.ts` parses the lines. */

import { readFileSync } from 'node:fs'
import { accountName } from './accounts.js'

/** The name of a user of /etc/passwd, or its number. */
export function userName(uid: number): string {
  return accountName(uid, passwdText())
}

/** The name of a group of /etc/group, or its number. */
export function groupName(gid: number): string {
  return accountName(gid, textOf('/etc/group'))
}

/** The lines of /etc/passwd; empty if there is no such file. */
export function passwdText(): string {
  return textOf('/etc/passwd')
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // ENOENT: on a system without the file, accounts have only numbers.
    return ''
  }
}
