/**
 * Which CPUs a worker may use (`cpu-affinity`). The worker itself moves there (`app/host/application/move-to-cpus.ts`),
 * because Node has no call for it. Only CPUs that the master may use are given out (taskset, AllowedCPUs= of systemd),
 * and looked up anew for each worker.
 */

import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { statusField } from '../../kit/process/process-stat.js'

/** The CPUs of the worker of this slot; null: `perWorker` is 0, all of them. */
export function affinityOf(slot: number, perWorker: number): number[] | null {
  return perWorker === 0 ? null : cpusOfSlot(slot, perWorker, allowedCpus())
}

/**
 * As uWSGI gives them out: so many for each slot, one slot after the other, and behind the last CPU the first again.
 * Pure.
 */
export function cpusOfSlot(slot: number, perWorker: number, allowed: readonly number[]): number[] {
  const first = (slot - 1) * perWorker
  const count = Math.min(perWorker, allowed.length)
  return Array.from({ length: count }, (_, index) => allowed[(first + index) % allowed.length] ?? 0)
}

/** `0-3,8`, as the kernel writes lists of CPUs (cpuset(7)). Pure. */
export function readCpuList(list: string): number[] {
  return [...list.matchAll(/(\d+)(?:-(\d+))?/g)].flatMap(([, first, last = first]) => {
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => Number(first) + index)
  })
}

function allowedCpus(): number[] {
  try {
    const list = statusField(readFileSync('/proc/self/status', 'utf8'), 'Cpus_allowed_list') ?? ''
    const cpus = readCpuList(list)
    if (cpus.length > 0) return cpus
  } catch {
    // ENOENT: a system without /proc.
  }
  return Array.from({ length: availableParallelism() }, (_, cpu) => cpu)
}
