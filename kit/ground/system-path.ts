/**
 * Where the programs of the system are that daimyo calls. Not the PATH of whoever started it, nor that of the
 * application: what root runs lies in folders of root's.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** The last one is NixOS's. */
const FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/run/current-system/sw/bin']

export const SYSTEM_PATH = FOLDERS.join(':')

/** The absolute path of a program of the system; null: there is none. */
export function systemProgram(name: string): string | null {
  return FOLDERS.map(folder => join(folder, name)).find(path => existsSync(path)) ?? null
}
