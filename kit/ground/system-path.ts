/**
 * Finds the programs of the system that daimyo calls. It does not use the PATH of the caller or of the application:
 * root runs programs from root's folders only.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** The last one is NixOS's. */
const FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/run/current-system/sw/bin']

export const SYSTEM_PATH = FOLDERS.join(':')

/** The absolute path of a program of the system; null: not found. */
export function systemProgram(name: string): string | null {
  return FOLDERS.map(folder => join(folder, name)).find(path => existsSync(path)) ?? null
}
