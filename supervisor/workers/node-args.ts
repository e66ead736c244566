/**
 * Node's own arguments for a worker: `node-args`, and a limit of V8's heap that follows from the memory limits. Pure.
 */

import type { Settings } from '../config/values/settings.js'

type HeapSettings = Pick<Settings, 'nodeArgs' | 'reloadOnRssBytes' | 'evilReloadOnRssBytes'>

const MEGABYTE = 1024 ** 2

/**
 * How far the limit of the heap's old generation stays below the memory limit. A Node process needs more than this
 * beside the heap (45 MB and more). So a leak in the heap exceeds the limit on resident memory, and the worker is
 * replaced, before V8 crashes at its own limit. On the way V8 collects harder.
 */
const BESIDE_HEAP_BYTES = 32 * MEGABYTE

/** With less, V8 may not even load the application. */
const LEAST_HEAP_BYTES = 32 * MEGABYTE

const HEAP_ARGUMENT = /^--max[-_](old[-_]space|heap)[-_]size(?:[-_]percentage)?(=|$)/

/**
 * The arguments before the entry file. `nodeOptions`: NODE_OPTIONS of the worker's environment. An argument overrides
 * it.
 */
export function nodeArguments(settings: HeapSettings, nodeOptions: string): string[] {
  const { nodeArgs } = settings
  const given = [...nodeArgs, ...nodeOptions.split(/\s+/)]
  const heapBytes = given.some(word => HEAP_ARGUMENT.test(word)) ? null : heapLimit(settings)
  if (heapBytes === null) return [...nodeArgs]
  return [`--max-old-space-size=${Math.floor(heapBytes / MEGABYTE)}`, ...nodeArgs]
}

/** Null: V8 chooses. */
function heapLimit({ reloadOnRssBytes, evilReloadOnRssBytes }: HeapSettings): number | null {
  const bounds = [reloadOnRssBytes, evilReloadOnRssBytes].filter(bytes => bytes > 0)
  return bounds.length === 0 ? null : Math.max(LEAST_HEAP_BYTES, Math.min(...bounds) - BESIDE_HEAP_BYTES)
}
