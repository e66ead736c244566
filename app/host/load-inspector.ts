/**
 * Node's inspector, where this Node was built with one. Used by `inspector-sessions.ts` in the main thread and by `blocked-stack.ts` in the watchdog's,
 * each when it needs it.
 */

import { codeOf } from '../../kit/failure.js'

/** null: there is none (`--without-inspector`). */
export async function loadInspector(): Promise<typeof import('node:inspector') | null> {
  try {
    return await import('node:inspector')
  } catch (error) {
    if (codeOf(error) !== 'ERR_INSPECTOR_NOT_AVAILABLE') throw error
    return null
  }
}
