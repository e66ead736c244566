/** The version of this package, from `package.json` only. */

import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { BUILD } from '../../kit/ground/places.js'

/**
 * For example `0.1.0`. Each call reads the file. A running master reads it once, at its start, and so keeps reporting
 * its own version.
 */
export function readVersion(): string {
  const description: unknown = JSON.parse(readFileSync(join(packageFolder(), 'package.json'), 'utf8'))
  const isNamed = typeof description === 'object' && description !== null && 'version' in description
  return isNamed && typeof description.version === 'string' ? description.version : 'unknown'
}

/** The entry file of the program, by a name that stays valid when another build replaces this one (`prepare.mjs`). */
export function lastingProgram(script: string): string {
  const real = realpathSync(script)
  const lasting = join(packageFolder(), 'dist/supervisor/daimyo.js')
  return existsSync(lasting) && realpathSync(lasting) === real ? lasting : real
}

/** The folder of `package.json`, which lies above the build. */
export function packageFolder(): string {
  let folder = BUILD
  while (!existsSync(join(folder, 'package.json'))) {
    if (folder === dirname(folder)) throw new Error('package.json: not found above the program')
    folder = dirname(folder)
  }
  return folder
}
