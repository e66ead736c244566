/**
 * Files in memory, in place of the file system, for the tests of the configuration.
 */

import type { ConfigFiles } from '../../../supervisor/config/config-files.js'

/** Paths are absolute; a path that ends with `/` is a folder. */
export function memoryFiles(texts: Record<string, string>): ConfigFiles {
  return {
    kindOf(path) {
      if (Object.hasOwn(texts, path)) return 'file'
      return Object.keys(texts).some(name => name.startsWith(path === '/' ? '/' : `${path}/`)) ? 'folder' : 'missing'
    },
    read(path) {
      const text = Object.hasOwn(texts, path) ? texts[path] : undefined
      return text === undefined ? { ok: false, why: 'no such file' } : { ok: true, text }
    },
  }
}
