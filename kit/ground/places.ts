/**
 * Where the files of this build are. No other file of ours asks `import.meta.url` for a place: the build joins the
 * modules of a program (`bundle.mjs`), and then `import.meta.url` is that of the bundle. Each bundle lies in the folder
 * of its program, each single module somewhere below one: what stands before that folder is the top of the build.
 */

import { fileURLToPath } from 'node:url'

/** The top of the build, such as `/opt/daimyo/dist/`; with the slash at the end. */
export const BUILD = fileURLToPath(topOf(import.meta.url))

/** The absolute path of a file of this build by its path from the top, such as `proxy/main.js`. */
export function builtFile(path: string): string {
  return BUILD + path
}

/**
 * `file`: the URL of a bundle or of a single module. The last such folder counts: the build may itself lie in a
 * `/srv/proxy/`. Pure.
 */
export function topOf(file: string): string {
  const [top] = /^.*\/(?=(?:supervisor|proxy|app\/host|kit)\/)/.exec(file) ?? []
  if (top === undefined) throw new Error(`${file}: lies in no folder of daimyo`)
  return top
}
