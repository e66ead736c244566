/**
 * The arguments of Node itself for a worker: `node-args`, and the limit of V8's heap that follows from the memory
 * limits. Pure.
 */

import type { Settings } from '../config/values/settings.js'

type HeapSettings = Pick<Settings, 'nodeArgs' | 'reloadOnRssBytes' | 'evilReloadOnRssBytes'>

const MEGABYTE = 1024 ** 2

/**
 * How far the old generation of the heap stays below the memory limit. Less than what a Node process needs beside it
 * (45 MB and more), so that a leak in the heap passes the limit on resident memory, and ends in a replacement, before
 * V8 gives up with a crash; and V8 collects harder on the way.
 */
const BESIDE_HEAP_BYTES = 32 * MEGABYTE

/** Less and V8 may not even load the application. */
const LEAST_HEAP_BYTES = 32 * MEGABYTE

const HEAP_ARGUMENT = /^--max[-_](old[-_]space|heap)[-_]size(?:[-_]percentage)?(=|$)/

/**
 * What to put before the entry file. `nodeOptions`: NODE_OPTIONS of the worker's environment, which goes behind
 * arguments.
 */
export function nodeArguments(settings: HeapSettings, nodeOptions: string): string[] {
  const { nodeArgs } = settings
  const given = [...nodeArgs, ...nodeOptions.split(/\s+/)]
  const heapBytes = given.some(word => HEAP_ARGUMENT.test(word)) ? null : heapLimit(settings)
  if (heapBytes === null) return [...nodeArgs]
  return [`--max-old-space-size=${Math.floor(heapBytes / MEGABYTE)}`, ...nodeArgs]
}

/** null: V8's own choice. */
function heapLimit({ reloadOnRssBytes, evilReloadOnRssBytes }: HeapSettings): number | null {
  const bounds = [reloadOnRssBytes, evilReloadOnRssBytes].filter(bytes => bytes > 0)
  return bounds.length === 0 ? null : Math.max(LEAST_HEAP_BYTES, Math.min(...bounds) - BESIDE_HEAP_BYTES)
}
