/**
 * The temporary folder of one bench run: the static files, and room for the files of the stacks. `main.ts` makes and
 * removes it.
 */

import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT, Failure } from '../kit/ground/failure.js'

/** The static files that are served, with their sizes in bytes. */
export const SITE_FILES = { '1k.txt': 1024, '100k.txt': 102_400, '10m.bin': 10_485_760 } as const

/**
 * The path of a unix socket has at most 107 bytes (unix(7)), and Node cuts a longer one without an error. This bound
 * leaves room for names in the folder.
 */
const FOLDER_BYTES = 60

/**
 * Makes the folder, with the files of the site in its `site/`; a Failure when TMPDIR is too long for the sockets made
 * in it.
 */
export function makeFolder(): { folder: string; siteFolder: string } {
  const prefix = join(tmpdir(), 'daimyo-bench-')
  if (Buffer.byteLength(prefix) > FOLDER_BYTES) {
    const why = `too long for unix sockets: accepted ${FOLDER_BYTES} bytes, set TMPDIR to a shorter one`
    throw new Failure('BENCH_FOLDER', `making a temporary folder failed: ${prefix}: ${why}`, EXIT.os)
  }
  const folder = mkdtempSync(prefix)
  const siteFolder = join(folder, 'site')
  mkdirSync(siteFolder)
  for (const [name, bytes] of Object.entries(SITE_FILES)) {
    writeFileSync(
      join(siteFolder, name),
      randomBytes(Math.ceil(bytes / 2))
        .toString('hex')
        .slice(0, bytes),
    )
  }
  return { folder, siteFolder }
}
