/**
 * The share of garbage collection in the CPU time of daimyo's proxies. It is measured in a run of its own, on a second
 * daimyo whose proxies have `stacks/gc-preload.cts`, so that it costs the other figures nothing. `measure.ts` calls it.
 */

import { readdirSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { Failure } from '../kit/ground/failure.js'
import { builtFile } from './repository.js'

/**
 * Since the start of a proxy. `pauseMicroseconds`: pauses of the main thread for garbage collection, by the wall clock.
 * `helperMicroseconds`: CPU time of V8's worker threads. `cpuMicroseconds`: CPU time of the whole process.
 */
export interface GcTotals {
  pauseMicroseconds: number
  helperMicroseconds: number
  cpuMicroseconds: number
}

const READ_MS = 5000

/** The environment of a master whose proxies are to count into sockets of `folder`. NODE_OPTIONS has its own quotes. */
export function gcEnvironment(folder: string): Record<string, string> {
  const path = builtFile('bench/stacks/gc-preload.cjs').replace(/["\\]/g, '\\$&')
  return { NODE_OPTIONS: `--require "${path}"`, BENCH_GC_FOLDER: folder }
}

/** The sum over all proxies that count into `folder`; a Failure when there is none, or none that tells its totals. */
export async function readGcTotals(folder: string, signal: AbortSignal): Promise<GcTotals> {
  const names = readdirSync(folder).filter(name => /^gc-\d+\.sock$/.test(name))
  if (names.length === 0)
    throw new Failure('BENCH_GC', `reading garbage collection failed: ${folder}: no proxy counts it`)
  const all = await Promise.all(names.map(name => readTotals(join(folder, name), signal)))
  const sum = (name: keyof GcTotals): number => all.reduce((total, one) => total + one[name], 0)
  return {
    pauseMicroseconds: sum('pauseMicroseconds'),
    helperMicroseconds: sum('helperMicroseconds'),
    cpuMicroseconds: sum('cpuMicroseconds'),
  }
}

/**
 * The share between two readings, 0 to 1; null when no CPU time was used. It is an upper bound: a pause counts by the
 * wall clock, also where the kernel ran something else, and V8's worker threads compile code too.
 */
export function gcShare(before: GcTotals, after: GcTotals): number | null {
  const used = after.cpuMicroseconds - before.cpuMicroseconds
  if (used <= 0) return null
  const pauses = after.pauseMicroseconds - before.pauseMicroseconds
  const helpers = after.helperMicroseconds - before.helperMicroseconds
  return Math.min(1, (pauses + helpers) / used)
}

async function readTotals(path: string, signal: AbortSignal): Promise<GcTotals> {
  const socket = createConnection(path)
  const stop = AbortSignal.any([signal, AbortSignal.timeout(READ_MS)])
  const abort = (): void => void socket.destroy(stop.reason)
  stop.addEventListener('abort', abort)
  try {
    return JSON.parse((await socket.setEncoding('utf8').toArray()).join(''))
  } finally {
    stop.removeEventListener('abort', abort)
  }
}
