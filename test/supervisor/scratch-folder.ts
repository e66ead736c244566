/**
 * A folder of its own for one test, below the system's temporary folder (unix socket paths must stay short), removed afterwards.
 * Used by the tests of files, sockets and commands in `test/supervisor/`.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The folder's path; `teardown` of the calling test removes it. */
export function scratchFolder(t: { teardown(work: () => void): unknown }): string {
  const folder = mkdtempSync(join(tmpdir(), 'daimyo-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
