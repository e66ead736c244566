/**
 * Finds the repository, and the files that were built with the bench. Everything below `bench/` uses it. Nothing here
 * depends on the name of the output folder: `dist` or any other.
 */

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's top folder: the nearest one above this file that holds a package.json. */
export const topFolder = findTop(dirname(fileURLToPath(import.meta.url)))

/** Absolute path of a file that was compiled together with this one, such as `supervisor/daimyo.js`. */
export function builtFile(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url))
}

function findTop(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder
  const parent = dirname(folder)
  if (parent === folder) throw new Error(`no package.json above ${fileURLToPath(import.meta.url)}`)
  return findTop(parent)
}
